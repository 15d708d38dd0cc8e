"""The help texts: complete, parsable, in our own words."""

from __future__ import annotations

import html
import json
import re
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from rcl_cli.api.model import load
from rcl_cli.api.names import kebab
from rcl_cli.api.validate import validated
from rcl_cli.cli.aws.manual import DETAILS, EXAMPLES, GLOBAL_OPTIONS, OPTIONS, option_text
from rcl_cli.cli.aws.operation import parse_request
from rcl_cli.cli.aws.texts import SUMMARIES
from rcl_cli.cli.aws.waiters import waiter_names

MODEL = load()
OPERATIONS = {kebab(name): name for name in MODEL.operations}
COMMANDS = {*OPERATIONS, "wait"}
MEMBERS = [(name, member) for name in MODEL.operations for member in MODEL.operation(name).input.members]
TEXTS = {
    **{f"details {key}": text for key, text in DETAILS.items()},
    **{f"option {key}": text for key, text in OPTIONS.items()},
    **{f"example {key}": text for key, (text, _) in EXAMPLES.items()},
    **{f"global {key}": text for key, (_, text) in GLOBAL_OPTIONS.items()},
    **{f"summary {key}": text for key, text in SUMMARIES.items()},
}


def test_every_command_has_details_and_an_example() -> None:
    assert len(OPERATIONS) == 23
    assert set(DETAILS) == COMMANDS
    assert set(EXAMPLES) == COMMANDS


@pytest.mark.parametrize(("operation", "member"), MEMBERS)
def test_every_member_has_a_text(operation: str, member: str) -> None:
    assert option_text(operation, member)


def test_no_option_text_is_unused() -> None:
    used = {f"{o}.{m}" if f"{o}.{m}" in OPTIONS else m for o, m in MEMBERS}
    assert set(OPTIONS) - used == set()


def test_an_operations_own_text_wins_and_unknown_members_are_key_errors() -> None:
    assert "1 to 5 " in option_text("ListProjectPolicies", "MaxResults")
    assert "1 to 100 " in option_text("DescribeProjects", "MaxResults")
    with pytest.raises(KeyError):
        option_text("DescribeProjects", "Bogus")


@pytest.mark.parametrize("key", [key for key in TEXTS if key.startswith(("option", "example", "global"))])
def test_one_line_texts_are_short_and_have_no_full_stop(key: str) -> None:
    text = TEXTS[key]
    assert re.match(r"[A-Z]", text)
    assert not text.endswith(".")
    assert "\n" not in text
    assert len(text) <= 110


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_details_are_one_to_four_sentences(command: str) -> None:
    text = DETAILS[command]
    sentences = re.split(r"(?<=\.) ", text)
    assert 1 <= len(sentences) <= 4
    assert all(sentence.endswith(".") for sentence in sentences)
    assert "  " not in text
    assert "\n" not in text


def test_commands_and_flags_in_details_exist() -> None:
    flags = {f"--{kebab(member)}" for _, member in MEMBERS} | set(GLOBAL_OPTIONS)
    flags |= {"--image-bytes", "--no-labeled", "--no-has-errors", "--delay", "--max-attempts"}
    for text in TEXTS.values():
        assert set(re.findall(r"--[a-z][a-z-]*", text)) <= flags
        named = set(re.findall(r"\b[a-z]+(?:-[a-z]+)*-(?:dataset|projects?|project-versions?|policy)(?![-\w])", text))
        assert named <= COMMANDS


# --- examples ---------------------------------------------------------------------------------------------------------


def words_of(line: str) -> list[str]:
    """A command line's words; the shell drops a backslash with its newline, shlex does not."""
    return shlex.split(line.replace("\\\n", ""))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_examples_parse(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, line = EXAMPLES[command]
    program, named, *words = words_of(line)
    assert (program, named) == ("rcl", command)
    assert not any(one.rstrip() != one or len(one) > 120 for one in line.split("\n"))
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"fileb?://(\S+)", line):
        (tmp_path / name).write_text("{}")
    name = MODEL.waiters[waiter_names()[words.pop(0)]]["operation"] if command == "wait" else OPERATIONS[command]
    operation = MODEL.operation(name)
    params, _ = parse_request(operation, words)
    # What the service checks, too: patterns, ranges, enums.
    assert validated(operation, params)


def test_file_arguments_are_read_as_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "changes.jsonl").write_bytes(b"{}\n")
    words = words_of(EXAMPLES["update-dataset-entries"][1])[2:]
    params, _ = parse_request(MODEL.operation("UpdateDatasetEntries"), words)
    assert params["Changes"] == {"GroundTruth": b"{}\n"}


# --- our own words ----------------------------------------------------------------------------------------------------

RUN = 7


def runs(text: str) -> set[tuple[str, ...]]:
    """All runs of seven words in a text, without case, punctuation and HTML."""
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text)).lower()
    words = re.findall(r"\w+", plain)
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def prose(document: Any) -> set[tuple[str, ...]]:
    if isinstance(document, dict):
        return {run for value in document.values() for run in prose(value)}
    if isinstance(document, list):
        return {run for value in document for run in prose(value)}
    return runs(document) if isinstance(document, str) else set()


@cache
def theirs() -> set[tuple[str, ...]]:
    """The documentation in botocore's service model, and the aws CLI's of its global options."""
    spec = find_spec("awscli")
    assert spec is not None
    assert spec.origin is not None
    cli = json.loads((Path(spec.origin).parent / "data" / "cli.json").read_text("utf-8"))
    found = prose(Loader().load_service_model("rekognition", "service-2")) | prose(cli)
    assert len(found) > 10_000
    return found


@pytest.mark.parametrize("key", list(TEXTS))
def test_no_sentence_is_copied(key: str) -> None:
    assert runs(TEXTS[key]) & theirs() == set()


def test_a_copied_sentence_would_be_found() -> None:
    documentation = Loader().load_service_model("rekognition", "service-2")["operations"]["CreateDataset"][
        "documentation"
    ]
    copied = re.sub(r"<[^>]+>", "", documentation).upper()[:200]
    assert runs(copied) & theirs()
