"""All steps from images to detections, for several images at once: evaluation and serving do the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rcl_cli.backends.base import Predictor, Prepared
from rcl_cli.domain import Detection

_MAX_BATCH = 16


def predict(predictor: Predictor, sources: Sequence[bytes | str | Path]) -> list[list[Detection]]:
    """All steps for several images; one list of detections each."""
    found: list[list[Detection]] = [[] for _ in sources]
    prepared: dict[int, Prepared] = {}
    for index, source in enumerate(sources):
        one = predictor.prepare(source)
        if one.seams is None:
            prepared[index] = one
        else:
            # Its tiles are a batch by themselves; all of several images would not fit into memory.
            found[index] = predictor.read(predictor.forward(one.pixels[None])[0], one)
    places = list(prepared)
    for group in same_shape([prepared[index].pixels.shape for index in places]):
        for start in range(0, len(group), _MAX_BATCH):
            indices = [places[number] for number in group[start : start + _MAX_BATCH]]
            outputs = predictor.forward(np.stack([prepared[i].pixels for i in indices]))
            for index, output in zip(indices, outputs, strict=True):
                found[index] = predictor.read(output, prepared[index])
    return found


def same_shape(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Indices grouped by shape, in order of first appearance."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(index)
    return list(groups.values())
