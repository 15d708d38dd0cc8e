"""Answers as lines: JSON, or Ground Truth manifests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rcl_cli.errors import UsageError
from rcl_cli.limits import limits
from rcl_cli.local.detecting.asking import Answer
from rcl_cli.manifest.document import COMPUTED_KEYS, METADATA_SUFFIX, SOURCE_REF


def json_line(answer: Answer) -> str:
    """`source-ref` with `CustomLabels`, or with `Error`."""
    line: dict[str, Any] = {"source-ref": answer.source_ref}
    if answer.found is not None:
        line["CustomLabels"] = answer.found.labels
    elif answer.error is not None:
        line["Error"] = {"Code": answer.error.code, "Message": answer.error.message}
    return json.dumps(line, ensure_ascii=False)


class ManifestWriter:
    """Answers as Ground Truth lines, for `update-dataset-entries`.

    Args:
        labels: of the model, in the order of their class ids.
        attribute: the name of the label attribute.
        created: the creation date of all lines.

    Raises:
        UsageError: the attribute would be taken for something else.
    """

    def __init__(self, labels: Sequence[str], attribute: str, created: str) -> None:
        if not attribute or attribute in {SOURCE_REF, *COMPUTED_KEYS}:
            raise UsageError(f"--attribute {attribute!r} means something else in a manifest: choose another name.")
        self._ids = {name: number for number, name in enumerate(labels)}
        self._attribute, self._created = attribute, created

    def __call__(self, answer: Answer) -> str:
        line: dict[str, Any] = {"source-ref": answer.source_ref}
        if answer.found is not None:
            boxed = [label for label in answer.found.labels if "Geometry" in label]
            if boxed:
                line |= self._boxes(boxed, answer.found.width, answer.found.height)
            else:
                for number, label in enumerate(answer.found.labels):
                    line |= self._image_label(label, number)
        return json.dumps(line, ensure_ascii=False)

    def _metadata(self, kind: str) -> dict[str, Any]:
        return {
            "type": f"groundtruth/{kind}", "human-annotated": "no", "creation-date": self._created,
            "job-name": self._attribute,
        }  # fmt: skip

    def _boxes(self, labels: Sequence[dict[str, Any]], width: int, height: int) -> dict[str, Any]:
        from rcl_cli.manifest.checks import scale_of

        least = int(1 / scale_of(width, height)) + 1
        annotations, objects = [], []
        for label in labels[: limits().boxes]:
            box = label["Geometry"]["BoundingBox"]
            left, top = int(box["Left"] * width), int(box["Top"] * height)
            # A box that ends beyond the image, or is a line, would be no valid annotation.
            w = min(max(least, round(box["Width"] * width)), width)
            h = min(max(least, round(box["Height"] * height)), height)
            left, top = min(left, width - w), min(top, height - h)
            class_id = self._ids[label["Name"]]
            annotations.append({"class_id": class_id, "left": left, "top": top, "width": w, "height": h})
            objects.append({"confidence": round(label["Confidence"] / 100, 4)})
        used = sorted({one["class_id"] for one in annotations})
        names = list(self._ids)
        metadata = {"objects": objects, "class-map": {str(number): names[number] for number in used}}
        size = {"width": width, "height": height, "depth": 3}
        return {
            self._attribute: {"image_size": [size], "annotations": annotations},
            self._attribute + METADATA_SUFFIX: {**metadata, **self._metadata("object-detection")},
        }

    def _image_label(self, label: dict[str, Any], number: int) -> dict[str, Any]:
        name = f"{self._attribute}-{number}" if number else self._attribute
        metadata = {"confidence": round(label["Confidence"] / 100, 4), "class-name": label["Name"]}
        return {
            name: self._ids[label["Name"]],
            name + METADATA_SUFFIX: {**metadata, **self._metadata("image-classification")},
        }
