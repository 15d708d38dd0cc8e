"""Rules over whole manifests: datasets and training."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.limits import SERVICE
from rcl_cli.manifest import codes, reader
from rcl_cli.manifest.line import parse_line
from rcl_cli.manifest.reader import DatasetReader, TerminalManifestError
from rcl_cli.manifest.training import CheckedLine, FileCheck, TrainingCheck, check_pair
from tests.conftest import box_line, image_line


def read(data: bytes, bucket: str = "") -> list[str]:
    reader = DatasetReader(io.BytesIO(data), len(data), bucket)
    kept = [line.source_ref for line in reader]
    reader.check()
    return kept


def rows(count: int, start: int = 0) -> list[bytes]:
    return [json.dumps(image_line("data", f"{n}.jpg", "a")).encode() for n in range(start, start + count)]


def terminal(data: bytes, bucket: str = "") -> codes.Code:
    with pytest.raises(TerminalManifestError) as caught:
        read(data, bucket)
    return caught.value.code


def test_exactly_a_fifth_may_be_removed() -> None:
    assert len(read(b"\n".join([*rows(8), b"junk", b"{}"]))) == 8
    assert terminal(b"\n".join([*rows(7), b"junk", b"{}", b"[]"])) is codes.TOO_MANY_RECORDS_IN_ERROR


def test_blank_lines_count_but_the_last_newline_does_not() -> None:
    assert len(read(b"\n".join(rows(4)) + b"\n")) == 4
    assert terminal(b"\n".join(rows(3)) + b"\n\n") is codes.TOO_MANY_RECORDS_IN_ERROR


def test_repeated_source_ref_first_kept() -> None:
    assert read(b"\n".join([*rows(5), rows(1)[0]])) == [f"s3://data/{n}.jpg" for n in range(5)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", codes.EMPTY_MANIFEST),
        (b"\xff\xfe\x00binary", codes.MANIFEST_INACCESSIBLE),
        (b'{"a\x00": 1}', codes.MANIFEST_INACCESSIBLE),
        (b"{}\n[]\n", codes.TOO_MANY_RECORDS_IN_ERROR),
    ],
)
def test_terminal(data: bytes, code: codes.Code) -> None:
    assert terminal(data) is code


def test_size_is_judged_before_reading() -> None:
    with pytest.raises(TerminalManifestError) as caught:
        DatasetReader(io.BytesIO(b""), 2 * 2**30)
    assert caught.value.code is codes.MANIFEST_SIZE_TOO_LARGE


def test_buckets_must_agree_also_with_what_is_stored() -> None:
    other = json.dumps(image_line("other", "9.jpg", "a")).encode()
    assert terminal(b"\n".join([*rows(9), other])) is codes.IMAGES_IN_MULTIPLE_BUCKETS
    assert terminal(b"\n".join(rows(2)), bucket="other") is codes.IMAGES_IN_MULTIPLE_BUCKETS


def test_a_line_over_the_limit_is_removed_wherever_it_ends() -> None:
    long = json.dumps({**image_line("data", "x.jpg", "a"), "pad": "é" * 300_000}).encode()
    assert len(read(b"\n".join([*rows(4), long]))) == 4
    assert len(read(b"\n".join([*rows(2), long, *rows(2, 2)]))) == 4


def test_byte_order_mark_and_crlf() -> None:
    assert len(read(b"\xef\xbb\xbf" + b"\r\n".join(rows(3)))) == 3


def test_a_million_rows_end_early() -> None:
    assert terminal(b"x\n" * 250_001) is codes.MANIFEST_ROWS_EXCEEDS_MAXIMUM


# --- training ---------------------------------------------------------------------------------------------------------


def file(*lines: Any) -> FileCheck:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return FileCheck([CheckedLine(parse_line(text), path="x", width=100, height=100) for text in texts])


def images(*labels: str, bucket: str = "data") -> list[dict[str, Any]]:
    return [image_line(bucket, f"{n}.jpg", label) for n, label in enumerate(labels)]


def check(training: list[Any], testing: list[Any]) -> TrainingCheck:
    return check_pair(file(*training), file(*testing))


BOXES = [box_line("data", f"{n}.jpg", (100, 100), ("a", 1, 1, 50, 50)) for n in range(5)]


@pytest.mark.parametrize(
    ("training", "testing", "code"),
    [
        (images("a", "b", "a", "b", "a") + ["junk", "junk"], images("a", "b"), codes.TOO_MANY_INVALID_ROWS),
        (images("a", "b") + images("a", bucket="other"), images("a", "b"), codes.IMAGES_IN_MULTIPLE_BUCKETS),
        (images("a", "a"), images("a", "b"), codes.MANIFEST_TOO_FEW_LABELS),
        (images(*[f"l{n}" for n in range(251)]), images("l0", "l1"), codes.MANIFEST_TOO_MANY_LABELS),
        (images("a", "b", "c", "d", "e"), images("a", "b"), codes.INSUFFICIENT_LABEL_OVERLAP),
    ],
)
def test_training_terminal(training: list[Any], testing: list[Any], code: codes.Code) -> None:
    assert check(training, testing).terminal is code


def test_half_the_labels_in_common_is_enough() -> None:
    assert check(images("a", "b", "c", "d"), images("a", "b")).terminal is None


def test_a_fifth_invalid_is_enough() -> None:
    assert check(images("a", "b", "a", "b") + ["junk"], images("a", "b")).terminal is None


def test_ignored_lines_do_not_count_as_invalid() -> None:
    bare = [{"source-ref": f"s3://data/u{n}.jpg"} for n in range(9)]
    checked = check(images("a", "b") + bare, images("a", "b"))
    assert checked.terminal is None
    statistics = checked.summary()["statistics"]["training"]
    assert (statistics["valid_json_lines"], statistics["invalid_json_lines"], statistics["ignored_json_lines"]) == (
        2,
        0,
        9,
    )


def test_error_lines_are_counted_from_one() -> None:
    statistics = check([*images("a", "b", "a", "b"), "junk"], images("a", "b")).summary()["statistics"]["training"]
    assert statistics["error_json_line_indices"] == [5]
    assert statistics["use_case"] == "IMAGE_LEVEL_LABELS"


def test_use_cases() -> None:
    assert check(BOXES, BOXES).use_case == "OBJECT_LOCALIZATION"
    assert check(images("a", "b"), images("a", "b")).use_case == "IMAGE_LEVEL_LABELS"
    brand = check(images("a", "a"), BOXES)
    assert (brand.use_case, brand.brand, brand.terminal) == ("OBJECT_LOCALIZATION", True, None)
    mixed = check(images("a", "b", "c")[:2] + BOXES[2:], BOXES)
    assert (mixed.use_case, mixed.brand) == ("OBJECT_LOCALIZATION", False)


def test_nothing_usable_is_not_determined() -> None:
    checked = check(["junk", "junk"], images("a", "b"))
    assert checked.use_case == "NOT_DETERMINED"
    assert checked.terminal is codes.TOO_MANY_INVALID_ROWS


@given(
    st.lists(st.text(alphabet="aé\r🦊", max_size=30), max_size=12),
    st.booleans(),
    st.integers(1, 9),
)
def test_rows_do_not_depend_on_how_the_file_is_read(texts: list[str], ends: bool, block: int) -> None:
    data = "\n".join(texts).encode() + (b"\n" if ends and texts else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK_BYTES", block)
        patch.setattr(reader, "limits", lambda: SERVICE._replace(line_chars=12))
        found = list(reader.read_rows(io.BytesIO(data)))
    rows = data.split(b"\n")
    rows = rows[:-1] if rows[-1] == b"" else rows
    plain = [row.decode().rstrip("\r") for row in rows]
    assert found == [
        text if len(row) <= 50 and len(text) <= 12 else None for row, text in zip(rows, plain, strict=True)
    ]
