"""What can be wrong with a dataset, what it does to a model, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Kind(NamedTuple):
    """A kind of finding.

    Args:
        severity: errors spoil a model or its figures; warnings are worth a look.
        fix: what to do.
    """

    severity: Severity
    fix: str


KINDS: dict[str, Kind] = {
    "missing-image": Kind("error", "Put the image where the source-ref says, or remove the entry."),
    "unreadable-image": Kind("error", "Save it again as JPEG or PNG from its source, or remove the entry."),
    "unusable-size": Kind("error", "Resize it to between 64 and 4096 pixels a side, and at most 15 MB."),
    "rotated-image": Kind(
        "error", "Turn the pixels and drop the EXIF tag, or draw the boxes again on the turned image."
    ),
    "turned-by-exif": Kind("warning", "Look whether its boxes fit; viewers that ignore EXIF show it unturned."),
    "wrong-image-size": Kind(
        "error", "Write the image's real size into image_size; scale its boxes if it was resized."
    ),
    "duplicate-image": Kind("warning", "Keep one of them: the others only weigh it more."),
    "duplicate-across-parts": Kind("error", "Remove it from one part: the model is tested on what it was trained on."),
    "contradicting-duplicates": Kind("error", "Decide for one labelling and remove the other entries."),
    "near-duplicate": Kind("warning", "Keep one of them, unless each shows something of its own."),
    "near-duplicate-across-parts": Kind(
        "warning", "Keep images of one scene in one part: figures look better than they are."
    ),
    "same-source": Kind("error", "Remove the entry from one part."),
    "copy-by-name": Kind("warning", "Look whether they show the same; if so, keep them in one part."),
    "empty-box": Kind("error", "Draw it again, or remove it: its width or height is nothing."),
    "box-outside": Kind("error", "Cut it at the image's edge."),
    "tiny-box": Kind("warning", "Remove it, or train at a larger image_size: at this size nothing is left of it."),
    "huge-box": Kind("warning", "Check it: a box around everything teaches nothing about where things are."),
    "overlapping-boxes": Kind("warning", "Remove one of the two: they are around the same thing."),
    "contradicting-boxes": Kind("warning", "Decide for one label: they are around the same thing."),
    "too-many-boxes": Kind("error", "Cut the image into parts: images with more than 50 boxes are not trained on."),
    "label-spelling": Kind("error", "Write the label in one way."),
    "label-typo": Kind("warning", "If it is a slip, write it as the other; else leave it."),
    "manifest-error": Kind("error", "Look at it with rcl list-dataset-entries --has-errors, and write the line again."),
    "imbalance": Kind("warning", "Add images of the rare label; its recall will be poor."),
    "few-images": Kind("warning", "Add images: ten a label are the least to learn from."),
    "label-only-in-test": Kind("error", "Add training images with it: it can't be learnt, and counts as missed."),
    "label-only-in-train": Kind("warning", "Add test images with it: nothing is known of how well it is found."),
    "unlabelled-image": Kind("warning", "Label it, or leave it out: training ignores it."),
}


class Finding(NamedTuple):
    """Something found.

    Args:
        kind: of `KINDS`.
        images: those it is about, the first of them first; empty where it is about labels.
        detail: what was seen.
        part: `train` or `test`; empty where it is about both.
        labels: those it is about, the commonest first.
    """

    kind: str
    images: tuple[str, ...]
    detail: str
    part: str = ""
    labels: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    @property
    def fix(self) -> str:
        return KINDS[self.kind].fix
