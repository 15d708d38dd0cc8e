"""The six files that a training leaves in its output bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rcl_cli.domain import Box, Detection, Sample
from rcl_cli.evaluation.metrics import Evaluation, Match
from rcl_cli.manifest.document import compact

_TRAINING = "rekognition-custom-labels-training"
_EVALUATION = "rekognition-custom-labels-evaluation"
_DETAILS = f"{_EVALUATION}-details"
_IMAGE_TYPE = "groundtruth/image-classification"
_BOX_TYPE = "groundtruth/object-detection"


@dataclass(frozen=True, slots=True)
class Keys:
    """Object keys of the six files.

    Args:
        prefix: OutputConfig's S3KeyPrefix, may be empty.
    """

    prefix: str
    project: str
    version: str

    def key(self, name: str) -> str:
        file = f"{name}-{self.project}-{self.version}.json"
        prefix = self.prefix.strip("/")
        return f"{prefix}/{file}" if prefix else file


SUMMARY = "EvaluationResultSummary"
TRAINING_TRUTH = "TrainingGroundTruth"
TESTING_TRUTH = "TestingGroundTruth"
TRAINING_VALIDATION = "TrainingManifestWithValidation"
TESTING_VALIDATION = "TestingManifestWithValidation"
MANIFEST_SUMMARY = "ManifestSummary"


def timestamp(epoch_ms: int) -> str:
    """UTC without a zone, as the service writes it into its files."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def evaluation_summary(
    evaluation: Evaluation,
    labels: Sequence[str],
    confusion: Sequence[tuple[str, str, float]] | None,
    counts: tuple[int, int],
    version_arn: str,
    ended_ms: int,
) -> dict[str, Any]:
    """The evaluation summary.

    Args:
        confusion: for image-level models; None for detectors, which get average precision and recall instead.
        counts: training and testing images.
    """
    aggregated: dict[str, Any] = {}
    if confusion is not None:
        aggregated["ConfusionMatrix"] = [
            {"GroundTruthLabel": g, "PredictedLabel": p, "Value": value} for g, p, value in confusion
        ]
    else:
        recalls = list(evaluation.overall_recall.values())
        aggregated["AveragePrecision"] = evaluation.mean("average_precision")
        aggregated["AverageRecall"] = sum(recalls) / len(recalls) if recalls else 0.0
    aggregated |= {
        "F1Score": evaluation.mean("f1"),
        "Precision": evaluation.mean("precision"),
        "Recall": evaluation.mean("recall"),
    }
    return {
        "Version": 1,
        "AggregatedEvaluationResults": aggregated,
        "EvaluationDetails": {
            "EvaluationEndTimestamp": timestamp(ended_ms),
            "Labels": list(labels),
            "NumberOfTestingImages": counts[1],
            "NumberOfTrainingImages": counts[0],
            "ProjectVersionArn": version_arn,
        },
        "LabelEvaluationResults": [
            {
                "Label": one.label,
                "Metrics": {
                    "F1Score": one.f1,
                    "Precision": one.precision,
                    "Recall": one.recall,
                    "Threshold": one.threshold,
                },
                "NumberOfTestingImages": one.testing_images,
            }
            for one in evaluation.labels
        ],
    }


# --- ground truth snapshots -------------------------------------------------------------------------------------------


def _pixels(box: Box, width: int, height: int) -> dict[str, int]:
    left, top = min(round(box.left * width), width - 1), min(round(box.top * height), height - 1)
    return {
        "width": max(1, round(box.right * width) - left),
        "top": top,
        "height": max(1, round(box.bottom * height) - top),
        "left": left,
    }


def _boxes_value(boxes: Sequence[tuple[str, Box]], ids: dict[str, int], sample: Sample) -> dict[str, Any]:
    return {
        "annotations": [{"class_id": ids[label], **_pixels(box, sample.width, sample.height)} for label, box in boxes],
        "image_size": [{"width": sample.width, "depth": 3, "height": sample.height}],
    }


def _class_map(boxes: Sequence[tuple[str, Box]], ids: dict[str, int]) -> dict[str, str]:
    return {str(ids[label]): label for label in sorted({label for label, _ in boxes}, key=ids.__getitem__)}


class Snapshots:
    """Writes ground truth snapshots.

    Args:
        labels: the model's; their order gives class ids and pair numbers.
        created: `creation-date` of every pair.
    """

    def __init__(self, labels: Sequence[str], thresholds: dict[str, float], created: str) -> None:
        self._labels = list(labels)
        self._thresholds = thresholds
        self._created = created

    def line(self, sample: Sample, matches: Sequence[Match] | None = None) -> str:
        """One image with its truth, and with predictions where there are any."""
        document: dict[str, Any] = {"source-ref": sample.source_ref}
        if sample.boxes:
            self._add_box_truth(document, sample)
        for number, label in enumerate(sample.labels):
            document[f"{_TRAINING}-{number}"] = 1
            document[f"{_TRAINING}-{number}-metadata"] = self._image_metadata(label, 1.0, "training", "yes")
        if matches is not None:
            if sample.boxes or any(m.detection.box is not None for m in matches):
                self._add_box_predictions(document, sample, matches)
            else:
                document.update(self._image_predictions(matches))
        return compact(document)

    def _image_metadata(self, label: str, confidence: float, job: str, human: str) -> dict[str, Any]:
        return {
            "confidence": confidence,
            "job-name": f"rekognition-custom-labels-{job}-job",
            "class-name": label,
            "human-annotated": human,
            "creation-date": self._created,
            "type": _IMAGE_TYPE,
        }

    def _ids(self, sample: Sample) -> dict[str, int]:
        names = self._labels + sorted({label for label, _ in sample.boxes} - set(self._labels))
        return {label: number for number, label in enumerate(names)}

    def _add_box_truth(self, document: dict[str, Any], sample: Sample) -> None:
        ids = self._ids(sample)
        document[f"{_TRAINING}-0"] = _boxes_value(sample.boxes, ids, sample)
        document[f"{_TRAINING}-0-metadata"] = {
            "job-name": "rekognition-custom-labels-training-job",
            "class-map": _class_map(sample.boxes, ids),
            "human-annotated": "yes",
            "objects": [{"confidence": 1.0} for _ in sample.boxes],
            "creation-date": self._created,
            "type": _BOX_TYPE,
        }

    def _details(self, *, predicted: bool, present: bool) -> dict[str, Any]:
        return {
            "version": 1,
            "ground-truth-labelling-jobs": ["rekognition-custom-labels-training-job"],
            "is-true-positive": predicted and present,
            "is-true-negative": not predicted and not present,
            "is-false-positive": predicted and not present,
            "is-false-negative": not predicted and present,
            "is-present-in-ground-truth": present,
        }

    def _reaches(self, detection: Detection) -> bool:
        return detection.score >= self._thresholds[detection.label]

    def _image_predictions(self, matches: Sequence[Match]) -> Iterator[tuple[str, Any]]:
        ranks = {label: number for number, label in enumerate(self._labels)}
        for match in sorted(matches, key=lambda m: ranks[m.detection.label]):
            number = ranks[match.detection.label]
            predicted = self._reaches(match.detection)
            metadata = self._image_metadata(match.detection.label, match.detection.score, "evaluation", "no")
            metadata[_DETAILS] = self._details(predicted=predicted, present=match.truth is not None)
            yield f"{_EVALUATION}-{number}", int(predicted)
            yield f"{_EVALUATION}-{number}-metadata", metadata

    def _add_box_predictions(self, document: dict[str, Any], sample: Sample, matches: Sequence[Match]) -> None:
        """Boxes over their threshold, and fainter ones that match the truth: those count as missed."""
        ids = self._ids(sample)
        shown = [m for m in matches if m.detection.box and (self._reaches(m.detection) or m.truth is not None)]
        boxes = [(m.detection.label, m.detection.box) for m in shown if m.detection.box]
        document[_EVALUATION] = _boxes_value(boxes, ids, sample)
        document[f"{_EVALUATION}-metadata"] = {
            "confidence": max((m.detection.score for m in shown), default=0.0),
            "job-name": "rekognition-custom-labels-evaluation-job",
            "class-map": _class_map(boxes, ids),
            "human-annotated": "no",
            "objects": [
                {
                    "confidence": m.detection.score,
                    _DETAILS: self._details(predicted=self._reaches(m.detection), present=m.truth is not None),
                }
                for m in shown
            ],
            "creation-date": self._created,
            "type": _BOX_TYPE,
        }


def json_lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def json_file(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
