"""Large manifests, read in a process of their own: the same lines, the same verdicts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rcl_cli.errors import InternalServerError
from rcl_cli.manifest import apart
from rcl_cli.manifest.apart import ApartReader, reader_of
from rcl_cli.manifest.reader import DatasetReader, TerminalManifestError


def image_line(number: int, **more: Any) -> dict[str, Any]:
    metadata = {
        "confidence": 1, "class-name": f"label {number % 3}", "human-annotated": "yes", "creation-date": "2026",
        "type": "groundtruth/image-classification",
    }  # fmt: skip
    return {"source-ref": f"s3://some-bucket/{number}.jpg", "a": 1, "a-metadata": metadata, **more}


def write(path: Path, documents: list[Any]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def test_lines_and_verdicts_are_those_of_the_plain_reader(tmp_path: Path) -> None:
    boxes = {"image_size": [{"width": 100, "height": 100, "depth": 3}], "annotations": [
        {"class_id": 0, "left": 1, "top": 1, "width": 20, "height": 20},
        {"class_id": 0, "left": 90, "top": 1, "width": 20, "height": 20},
    ]}  # fmt: skip
    metadata = {
        "objects": [{"confidence": 1}] * 2, "class-map": {"0": "box"}, "human-annotated": "yes",
        "creation-date": "2026", "type": "groundtruth/object-detection",
    }  # fmt: skip
    odd = [
        {"source-ref": "s3://some-bucket/unlabelled.jpg"}, {"no": "source-ref"}, [1], image_line(3),
        image_line(2000, b=boxes, **{"b-metadata": metadata}), image_line(2001, **{"a-metadata": {}}),
    ]  # fmt: skip
    path = write(tmp_path / "m", [*(image_line(number) for number in range(1200)), *odd])
    with path.open("rb") as one, path.open("rb") as other:
        plain, ours = DatasetReader(one, 1), ApartReader(other, 1)
        expected, found = list(plain), list(ours)
        # Datasets keep no boxes, and of problems only whether they are listed.
        assert [(f.text, f.source_ref, f.named, f.is_labeled, f.has_listed_errors) for f in found] == [
            (e.text, e.source_ref, e.named, e.is_labeled, e.has_listed_errors) for e in expected
        ]
        assert any(line.has_listed_errors for line in found)
        plain.check()
        ours.check()


@pytest.mark.parametrize(
    "documents", [[[1]] * 10 + [image_line(1)], [], [{"source-ref": "s3://another/1.jpg"}, image_line(1)]]
)
def test_verdicts_on_whole_files_arrive(documents: list[Any], tmp_path: Path) -> None:
    path = write(tmp_path / "m", documents)
    verdicts = []
    for make in (DatasetReader, ApartReader):
        with path.open("rb") as stream, pytest.raises(TerminalManifestError) as caught:
            _judge(make(stream, path.stat().st_size))
        verdicts.append(caught.value.code)
    assert verdicts[0] == verdicts[1]


def _judge(reader: apart.LineReader) -> None:
    list(reader)
    reader.check()


def test_small_manifests_and_streams_are_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "cpu_cores", lambda: 2)
    path = write(tmp_path / "m", [image_line(1)])
    with path.open("rb") as stream:
        assert isinstance(reader_of(stream, 2**20), DatasetReader)
        assert isinstance(reader_of(stream, 2**25), ApartReader)
        assert isinstance(reader_of(io.BytesIO(), 2**25), DatasetReader)
        with pytest.raises(TerminalManifestError):
            reader_of(stream, 2**31)
        monkeypatch.setattr(apart, "cpu_cores", lambda: 1)
        assert isinstance(reader_of(stream, 2**25), DatasetReader)


def test_a_reader_that_dies_is_an_error_of_the_service(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    path = write(tmp_path / "m", [image_line(number) for number in range(20_000)])
    with path.open("rb") as stream:
        lines = iter(ApartReader(stream, 1))
        next(lines)
        os.kill(started[0].pid, signal.SIGKILL)
        with pytest.raises(InternalServerError):
            list(lines)
    assert started[0].returncode == -signal.SIGKILL


def test_a_reader_that_is_left_alone_ends(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    path = write(tmp_path / "m", [image_line(number) for number in range(20_000)])
    with path.open("rb") as stream:
        lines = iter(ApartReader(stream, 1))
        next(lines)
        lines.close()  # type: ignore[attr-defined]
    assert started[0].returncode is not None
