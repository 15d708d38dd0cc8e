"""YAML of others: plain values, in bounded time and memory, and every fault with its line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rcl_cli import plain_yaml
from rcl_cli.plain_yaml import PlainYamlError

NAMES = ",".join("*a{0}" for _ in range(9))
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{i}: &a{i} [{NAMES.format(i - 1)}]\n" for i in range(1, 11))
MERGES = "a0: &a0 {x0: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k: 1}}\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: [1, 0x10, 1.5, yes, ~, '1']", {"a": [1, 16, 1.5, True, None, "1"]}),
        ("a: 2024-01-01\nb: 2024-13-45\nc: 2001-12-14t21:59:43.10-05:00",
         {"a": "2024-01-01", "b": "2024-13-45", "c": "2001-12-14t21:59:43.10-05:00"}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: &x {k: 1}\nb: {<<: [*x, {k: 2, m: 2}]}", {"a": {"k": 1}, "b": {"k": 1, "m": 2}}),
        ("'<<': 1", {"<<": 1}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: !!str 12", {"a": "12"}),
        ("a: =\nb: <<", {"a": "=", "b": "<<"}),
    ],
)  # fmt: skip
def test_plain_values(text: str, value: Any) -> None:
    assert plain_yaml.parse(text) == value


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a:\n\tb: 1", 2, "a tab"),
        ("a: 1\nb: [", 3, ""),
        ("a: 1\nb: !mine [x]", 2, "!mine"),
        ("a: 1\nb: !!python/object/apply:os.system [x]", 2, "python"),
        ("a: !!timestamp 2024-01-01", 1, "timestamp"),
        ("a: 1\nb: !!int x", 2, "int"),
        (f"a: 1\nb: {'9' * 5000}", 2, "int"),
        ("a: 1\nb: &x [*x]", 2, "holds it"),
        ("a: 1\nb: *x", 2, "nothing"),
        ("a: 1\n[b]: 1", 2, "key"),
        ("a: 1\nb: {<<: 5}", 2, "maps"),
        ("a: 1\n--- b", 2, "one document"),
        ("a: 1\nb: \x01", 2, "characters"),
        ("a: 1\nb: " + "[" * 40 + "]" * 40, 2, "nested"),
        ("[" * 100_000, 1, "nest"),
        ("{a: " * 20_000, 1, "nest"),
        ("".join(" " * i + "a:\n" for i in range(1000)), 33, "nested"),
        ("a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99)), 32, "nested"),
        (BOMB, 6, "values"),
        (MERGES, 14, "values"),
    ],
)
def test_faults_have_a_line_and_a_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(PlainYamlError, match=rf"^line {line}: .*{problem}"):
        plain_yaml.parse(text)


@pytest.mark.parametrize(
    "text", [BOMB, "a: &a [*a]", "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99))]
)
def test_requests_in_yaml_have_the_same_limits(text: str, rcl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    started = time.monotonic()
    done = rcl("create-project", "--cli-input-yaml", text)
    assert done.returncode == 252
    assert "Invalid YAML received" in done.stderr
    assert time.monotonic() - started < 20


def test_files_that_are_no_text_or_too_large(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xef\xbb\xbfa: 1\nb: caf\xe9\n")
    with pytest.raises(PlainYamlError, match="line 2: it is no UTF-8"):
        plain_yaml.load(tmp_path / "latin")
    (tmp_path / "large").write_text("a: " + "x" * plain_yaml.MAX_BYTES)
    with pytest.raises(PlainYamlError, match="larger than 1 MB"):
        plain_yaml.load(tmp_path / "large")


COST = """
import resource, sys, time
import yaml
from rcl_cli.formats import registry
from rcl_cli.plain_yaml import PlainYamlError, parse
text = sys.stdin.read()
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    str(parse(text))
except PlainYamlError:
    pass
print(time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        MERGES,
        "[" * (1 << 20),
        "a: [" + "1," * (1 << 19),
        "- " * (1 << 18),
        "x: &a\n" * (1 << 16),
        "&a " * 300_000,
    ],
    ids=["aliases", "merges", "brackets", "values", "dashes", "anchors", "anchors in a line"],
)
def test_too_much_is_refused_before_it_is_there(text: str) -> None:
    done = subprocess.run([sys.executable, "-c", COST], input=text, capture_output=True, text=True, timeout=60)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 1.5
    assert megabytes < 100


# Without line ends of other times, which PyYAML writes and reads as spaces.
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.integers(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN, st.booleans())
def test_what_is_written_is_read(value: Any, flow: bool) -> None:
    assert plain_yaml.parse(yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)) == value


@given(st.text(alphabet="ab:[]{}-,&*!<'\"|>\n\t #%~1.", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """As PyYAML reads it, where that makes plain values."""
    try:
        found = plain_yaml.parse(text)
    except PlainYamlError as error:
        assert str(error).startswith("line ")
        return
    if "<<" not in text:
        # PyYAML has no value for it, where it is no key.
        assert found == yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
