"""Datasets of 250 000 entries: in, out, and changed, against reading the file, the first page, and an empty dataset."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ratios import BIN, CACHE, clean_environment, compare, process, report_limit, timed

ENTRIES = 250_000
DEPTH = 240_000
CHANGES_BYTES = 5_000_000
LABELS = [f"label-{number:03d}" for number in range(40)]
RARE = "rare"
DECODES = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
def decode(path):
    with Image.open(path) as image: image.load()
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for _ in pool.map(decode, list(Path(sys.argv[1]).rglob("*.jpg"))): pass
"""
PREPARES = """
import resource, sys
from pathlib import Path
from rcl_cli.context import make_context
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.training.prepare import check_manifests, fingerprint, hold_out, samples_of
fetcher = ImageFetcher(make_context().buckets, Path(sys.argv[2]) / "images")
check = check_manifests(fetcher, Path(sys.argv[1]), None, 0, lambda *_: None)
training = samples_of(check.training.lines, "image")
assert not check.terminal and len(training) > 190_000
hold_out(training, 0), fingerprint(training)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
LOADS = "import sys, json\nfor line in open(sys.argv[1]): json.loads(line)"


def image_line(number: int, choose: random.Random) -> dict[str, Any]:
    """An image-level label, as the console's manifests have it: the shortest line there is."""
    label = RARE if number % 5000 == 4999 else choose.choice(LABELS)
    metadata = {
        "confidence": 1, "class-name": label, "human-annotated": "yes", "job-name": "labeling-job/class",
        "creation-date": "2024-05-01T12:00:00.000000", "type": "groundtruth/image-classification",
    }  # fmt: skip
    # Some have something wrong with them, which datasets keep and show.
    if number % 4000 == 3999:
        metadata["confidence"] = 7
    return {"source-ref": source_ref(number), "class": 1, "class-metadata": metadata}


def box_line(number: int, choose: random.Random) -> dict[str, Any]:
    """Three boxes."""
    boxes = [
        {
            "class_id": choose.randrange(40), "left": choose.randrange(300), "top": choose.randrange(200),
            "width": 20 + choose.randrange(200), "height": 20 + choose.randrange(200),
        }
        for _ in range(3)
    ]  # fmt: skip
    size = {"width": 640, "height": 480, "depth": 3}
    metadata = {
        "objects": [{"confidence": 1} for _ in boxes], "type": "groundtruth/object-detection",
        "class-map": {str(box["class_id"]): LABELS[box["class_id"]] for box in boxes}, "human-annotated": "yes",
        "creation-date": "2024-05-01T12:00:00.000000", "job-name": "labeling-job/boxes",
    }  # fmt: skip
    return {
        "source-ref": source_ref(number), "bounding-box": {"image_size": [size], "annotations": boxes},
        "bounding-box-metadata": metadata,
    }  # fmt: skip


def source_ref(number: int) -> str:
    return f"s3://photos/2024/batch-{number // 1000:03d}/image-{number:06d}.jpg"


def write_manifest(path: Path, line: Callable[[int, random.Random], dict[str, Any]]) -> None:
    choose = random.Random(1)
    with path.open("w") as out:
        out.writelines(json.dumps(line(number, choose)) + "\n" for number in range(ENTRIES))


def changes(path: Path, first: int) -> None:
    """5 MB of lines, every second of them of an image that a full dataset has."""
    choose, size, number = random.Random(2), 0, 0
    with path.open("w") as out:
        while size < CHANGES_BYTES - 1000:
            text = json.dumps(box_line(number * 7 if number % 2 else first + number, choose)) + "\n"
            out.write(text)
            size, number = size + len(text), number + 1


class Rcl:
    """`rcl` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.environment = clean_environment(RCL_HOME=str(home))
        self.projects = 0

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [str(BIN / "rcl"), *words], env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def project(self) -> str:
        self.projects += 1
        return self(
            "create-project", "--project-name", f"p{self.projects}", "--query", "ProjectArn", "--output", "text"
        )

    def create(self, manifest: str | None) -> list[str]:
        """The words that make a dataset in a new project."""
        words = ["create-dataset", "--project-arn", self.project(), "--dataset-type", "TRAIN"]
        if manifest:
            words += ["--dataset-source", f"GroundTruthManifest={{S3Object={{Bucket=photos,Name={manifest}}}}}"]
        return [*words, "--query", "DatasetArn", "--output", "text"]


def importing(rcl: Rcl, manifest: Path) -> str:
    """Measure create-dataset; the ARN of a full dataset."""

    def create() -> float:
        return process([BIN / "rcl", *rcl.create(manifest.name)], rcl.environment)()

    loads = process([sys.executable, "-c", LOADS, manifest], rcl.environment)
    kind = manifest.stem
    compare(
        f"`create-dataset`, 250 000 lines, {kind}", "one `json.loads` pass over the file", 4, create, loads, rounds=5
    )
    with subprocess.Popen(
        [BIN / "rcl", *rcl.create(manifest.name)], env=rcl.environment, stdout=subprocess.PIPE, text=True
    ) as made:
        arn = str(made.stdout and made.stdout.read()).strip()
        # Of the process itself; it has the manifest read by another one of about the same size.
        peak_mb = os.wait4(made.pid, 0)[2].ru_maxrss / 1024
        made.returncode = 0
    report_limit(f"`create-dataset`, 250 000 lines, {kind}, peak memory", "MB", peak_mb, 300)
    return arn


def token(params: dict[str, Any]) -> str:
    """Where a listing stands after 240 000 entries."""
    from rcl_cli.operations.pagination import encode

    return encode("ListDatasetEntries", params, DEPTH)


def listing(rcl: Rcl, arn: str) -> None:
    first = ["list-dataset-entries", "--dataset-arn", arn, "--no-paginate"]
    filters: dict[str, tuple[list[str], dict[str, Any]]] = {
        "no filter": ([], {}),
        "`--contains-labels`, one": (["--contains-labels", LABELS[3]], {"ContainsLabels": [LABELS[3]]}),
        "`--contains-labels`, two, one of them rare": (
            ["--contains-labels", RARE, LABELS[5]], {"ContainsLabels": [RARE, LABELS[5]]},
        ),
        "`--labeled`": (["--labeled"], {"Labeled": True}),
        "`--has-errors`": (["--has-errors"], {"HasErrors": True}),
        "`--source-ref-contains`, many": (["--source-ref-contains", "batch-24"], {"SourceRefContains": "batch-24"}),
        "`--source-ref-contains`, one": (["--source-ref-contains", "249999"], {"SourceRefContains": "249999"}),
    }  # fmt: skip
    page = process([BIN / "rcl", *first], rcl.environment)
    for name, (words, params) in filters.items():
        asked = [*first, *words, "--next-token", token({"DatasetArn": arn, **params})]
        deep = process([BIN / "rcl", *asked], rcl.environment)
        compare(f"`list-dataset-entries` at depth 240 000, {name}", "first page, no filter", 2, deep, page)
    for name, (words, _) in filters.items():
        if words:
            compare(
                f"`list-dataset-entries`, first page, {name}", "first page, no filter", 2,
                process([BIN / "rcl", *first, *words], rcl.environment), page,
            )  # fmt: skip


def updating(rcl: Rcl, full: str, folder: Path) -> None:
    numbers = iter(range(10**6, 10**9, 10**5))

    def update(arns: Iterator[str]) -> float:
        path = folder / "changes.jsonl"
        changes(path, next(numbers))
        words = ["update-dataset-entries", "--dataset-arn", next(arns), "--changes", f"GroundTruth@=fileb://{path}"]
        return process([BIN / "rcl", *words], rcl.environment)()

    def empty() -> Iterator[str]:
        while True:
            yield rcl(*rcl.create(None))

    def same() -> Iterator[str]:
        while True:
            yield full

    into_full, into_empty = same(), empty()
    compare(
        "`update-dataset-entries`, 5 MB into 250 000", "the same into an empty dataset", 1.5,
        lambda: update(into_full), lambda: update(into_empty),
    )  # fmt: skip


def whole_datasets(rcl: Rcl, full: str, manifest: Path) -> None:
    """What touches all of a dataset, or tells about all of it."""
    loads = process([sys.executable, "-c", LOADS, manifest], rcl.environment)
    page = process([BIN / "rcl", "list-dataset-entries", "--dataset-arn", full, "--no-paginate"], rcl.environment)
    for name in ("describe-dataset", "list-dataset-labels"):
        asked = process([BIN / "rcl", name, "--dataset-arn", full], rcl.environment)
        compare(f"`{name}`, 250 000 entries", "first page of `list-dataset-entries`", 2, asked, page)
    copies: list[tuple[str, str]] = []

    def copy() -> float:
        project = rcl.project()
        words = ["create-dataset", "--project-arn", project, "--dataset-type", "TRAIN", "--dataset-source"]
        words += [f"DatasetArn={full}", "--query", "DatasetArn", "--output", "text"]

        def run() -> None:
            copies.append((project, rcl(*words)))

        return timed(run)()

    def distribute() -> float:
        copy()
        project, arn = copies[-1]
        words = ["create-dataset", "--project-arn", project, "--dataset-type", "TEST", "--query", "DatasetArn"]
        test = rcl(*words, "--output", "text")
        asked = ["distribute-dataset-entries", "--datasets", f"Arn={arn}", f"Arn={test}"]
        return process([BIN / "rcl", *asked], rcl.environment)()

    def delete() -> float:
        return process([BIN / "rcl", "delete-dataset", "--dataset-arn", copies.pop()[1]], rcl.environment)()

    against = "one `json.loads` pass over the file"
    compare("`create-dataset` from a dataset of 250 000", against, 4, copy, loads, rounds=5)
    compare("`distribute-dataset-entries`, 250 000 to 200 000 and 50 000", against, 4, distribute, loads, rounds=5)
    compare("`delete-dataset`, 200 000 to 250 000 entries", against, 4, delete, loads, rounds=9)


def preparing(rcl: Rcl, folder: Path, manifest: Path) -> None:
    """Measure what comes before a training of 250 000 images: small ones, so that little of it is decoding."""
    import numpy as np
    from PIL import Image

    bucket = folder / "home" / "buckets" / "photos"
    random = np.random.default_rng(0)
    for number in range(16):
        pixels = random.integers(0, 255, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(bucket / f"seed-{number}.jpg", quality=70)
    for number in range(ENTRIES):
        path = bucket / source_ref(number).removeprefix("s3://photos/")
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.hardlink_to(bucket / f"seed-{number % 16}.jpg")
    decode = process([sys.executable, "-c", DECODES, bucket / "2024"], rcl.environment)
    peaks: list[float] = []

    def prepare() -> float:
        words = [sys.executable, "-c", PREPARES, str(manifest), str(folder)]
        began = time.perf_counter()
        done = subprocess.run(words, env=rcl.environment, capture_output=True, text=True, check=True)
        took = time.perf_counter() - began
        peaks.append(float(done.stdout))
        return took

    compare(
        "checking and splitting 250 000 lines and their images (128×96) for a training",
        "Pillow decoding the same images on all cores", 2, prepare, decode, rounds=3,
    )  # fmt: skip
    report_limit("the same, peak memory", "MB", max(peaks), 1000)


def main() -> None:
    folder = CACHE / "store"
    bucket = folder / "home" / "buckets" / "photos"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    bucket.mkdir(parents=True)
    rcl = Rcl(folder / "home")
    for name, line in (("image-level labels", image_line), ("boxes", box_line)):
        path = bucket / f"{name.replace(' ', '-')}.manifest"
        write_manifest(path, line)
        arn = importing(rcl, path)
        if line is image_line:
            listing(rcl, arn)
            whole_datasets(rcl, arn, path)
            updating(rcl, arn, folder)
            preparing(rcl, folder, path)
        rcl("delete-dataset", "--dataset-arn", arn)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


if __name__ == "__main__":
    main()
