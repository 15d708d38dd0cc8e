"""Result files on their way into the output bucket, and what a description says of them."""

from __future__ import annotations

from typing import Any

from rcl_cli.buckets.base import BucketWriteError, NoSuchObjectError
from rcl_cli.errors import TrainingFailed
from rcl_cli.manifest import codes
from rcl_cli.manifest.training import TrainingCheck
from rcl_cli.training import results
from rcl_cli.training.job import TrainingJob


class ResultFiles:
    """The files of one training.

    Args:
        auto_split: whether the test set is a part of the training data.
    """

    def __init__(self, job: TrainingJob, *, auto_split: bool) -> None:
        making = job.making
        self.arn = making.arn
        self._job, self._auto_split = job, auto_split
        self._bucket = making.output["S3Bucket"]
        self._keys = results.Keys(making.output.get("S3KeyPrefix", ""), making.project, making.version)
        self.outputs: dict[str, Any] = {}

    def write(self, name: str, data: bytes) -> dict[str, Any]:
        """Store a result file; returns the S3Object that names it.

        Raises:
            TrainingFailed: the output bucket can't be written.
        """
        key = self._keys.key(name)
        try:
            self._job.making.buckets.for_output(self._bucket).write(key, data)
        except (BucketWriteError, NoSuchObjectError) as error:
            print(f"can't write s3://{self._bucket}/{key}: {error}", flush=True)
            raise TrainingFailed(codes.CANNOT_WRITE_OUTPUT.message) from error
        return {"S3Object": {"Bucket": self._bucket, "Name": key}}

    def write_validation(self, check: TrainingCheck) -> None:
        """Validation manifests and the manifest summary: written whatever the verdict."""
        training = [line.validated() for line in check.training.lines]
        testing = [line.validated() for line in check.testing.lines]
        request = self._job.request
        validation = self.write(results.TRAINING_VALIDATION, results.json_lines(training))
        self.outputs["TrainingDataResult"] = {
            "Input": request.get("TrainingData", {}),
            "Validation": {"Assets": [{"GroundTruthManifest": validation}]},
        }
        validation = self.write(results.TESTING_VALIDATION, results.json_lines(testing))
        given = {k: v for k, v in request.get("TestingData", {}).items() if k == "Assets"}
        self.outputs["TestingDataResult"] = {
            "Input": given | {"AutoCreate": self._auto_split},
            "Validation": {"Assets": [{"GroundTruthManifest": validation}]},
        }
        summary = self.write(results.MANIFEST_SUMMARY, results.json_file(check.summary()))
        self.outputs["ManifestSummary"] = summary

    def add_evaluation(
        self, f1: float, summary: dict[str, Any], training_truth: dict[str, Any], testing_truth: dict[str, Any]
    ) -> None:
        """What the description says once the model is evaluated; the last three are S3Objects."""
        self.outputs["TrainingDataResult"]["Output"] = {"Assets": [{"GroundTruthManifest": training_truth}]}
        self.outputs["TestingDataResult"]["Output"] = {
            "Assets": [{"GroundTruthManifest": testing_truth}],
            "AutoCreate": self._auto_split,
        }
        self.outputs["EvaluationResult"] = {"F1Score": f1, "Summary": summary}
