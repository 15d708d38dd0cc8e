"""Lines are listed by adding to them; what comes out is what parsing and writing them would give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli.manifest.document import compact, load
from rcl_cli.manifest.listing import listing

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [", ", ': "', "{ }", '"', "\\", "cl-metadata", "errors", '", "x": "', "\u2028", " : "]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4).map(lambda more: {"source-ref": "s3://data/a.jpg", **more})
SEPARATORS = [(",", ":"), (", ", ": "), (" , ", " : "), (",\n", ":\t")]


@given(DOCUMENTS, st.sampled_from(SEPARATORS), st.booleans(), st.booleans())
def test_adding_says_the_same_as_writing_anew(
    document: dict[str, Any], separators: tuple[str, str], ascii_only: bool, labeled: bool
) -> None:
    text = f" {json.dumps(document, separators=separators, ensure_ascii=ascii_only)} "
    kept = load(text)
    assert kept is not None
    expected = {**kept, "cl-metadata": {"is_labeled": labeled}}
    listed = listing(text, is_labeled=labeled, has_errors=False)
    assert list(json.loads(listed).items()) == list(expected.items())
    if not ascii_only:
        assert listed == compact(expected)


@pytest.mark.parametrize("key", ["cl-metadata", "cl-errors", "errors", "warnings"])
def test_what_an_earlier_pass_wrote_is_not_listed(key: str) -> None:
    text = json.dumps({"source-ref": "s3://data/a.jpg", key: [1]})
    assert json.loads(listing(text, is_labeled=True, has_errors=False)) == {
        "source-ref": "s3://data/a.jpg",
        "cl-metadata": {"is_labeled": True},
    }


@pytest.mark.parametrize(
    "text",
    [
        # What one of two equal keys says does not count, and was never looked at.
        r'{"source-ref": "s3://data/a.jpg", "note": "\ud800", "note": "x"}',
        '{"source-ref": "s3://data/a.jpg", "deep": ' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_every_line_that_is_taken_is_listed(text: str) -> None:
    assert load(text) is not None
    assert json.loads(listing(text, is_labeled=False, has_errors=False))["cl-metadata"] == {"is_labeled": False}


def test_numbers_stay_as_they_were_written() -> None:
    text = r'{"source-ref":"s3://data/a.jpg", "a": {"score": 1.50, "big": 1E2}, "a-note": "has \u00e9 errors"}'
    listed = listing(text, is_labeled=True, has_errors=False)
    assert r'"a":{"score":1.50,"big":1E2},"a-note":"has \u00e9 errors"' in listed
