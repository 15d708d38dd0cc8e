"""The command line as a process: output, exit codes, error texts."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from awscli.shorthand import ShorthandParseError, ShorthandParser
from awscli.text import format_text
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rcl_cli.api.model import load
from rcl_cli.api.names import camel as command_name
from rcl_cli.api.names import kebab
from rcl_cli.cli.aws.output import as_text
from rcl_cli.cli.aws.params import load_paramfile
from rcl_cli.cli.aws.shorthand import parse_shorthand
from rcl_cli.errors import UsageError
from tests.conftest import Home, Run, image_line, write_manifest

ARN = "arn:aws:rekognition:us-east-1:123456789012:project/p/1690000000000"
VERSION = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v/1690000000000"

FAILURES: list[tuple[str, list[str], int, str]] = [
    ("no argument", ["create-project"], 252, "the following arguments are required: --project-name"),
    ("unknown option", ["describe-projects", "--bogus", "x"], 252, "Unknown options: --bogus, x"),
    ("unknown operation", ["create-projct"], 252, "Maybe you meant:"),
    ("not found", ["delete-project", "--project-arn", ARN], 254, "An error occurred (ResourceNotFoundException) when calling"),
    ("bad name", ["create-project", "--project-name", "a b"], 254, "(ValidationException) when calling the CreateProject"),
    ("short arn", ["delete-project", "--project-arn", "short"], 252, "Invalid length for parameter ProjectArn, value: 5, valid min length: 20"),
    ("units text", ["start-project-version", "--project-version-arn", VERSION, "--min-inference-units", "abc"], 255, "invalid literal for int() with base 10: 'abc'"),
    ("units zero", ["start-project-version", "--project-version-arn", VERSION, "--min-inference-units", "0"], 252, "Invalid value for parameter MinInferenceUnits, value: 0, valid min value: 1"),
    ("confidence", ["detect-custom-labels", "--project-version-arn", VERSION, "--min-confidence", "abc"], 252, "argument --min-confidence: invalid float value: 'abc'"),
    ("bad json", ["detect-custom-labels", "--project-version-arn", VERSION, "--image", "{bad json"], 252, "Error parsing parameter '--image': Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\nJSON received: {bad json"),
    ("bad shorthand", ["detect-custom-labels", "--project-version-arn", VERSION, "--image", "S3Object={Bucket=bb"], 252, "Error parsing parameter '--image': Expected: ',', received: 'EOF' for input:\n S3Object={Bucket=bb\n                   ^"),
    ("missing file", ["detect-custom-labels", "--project-version-arn", VERSION, "--image-bytes", "fileb://nofile.jpg"], 252, "Error parsing parameter '--image-bytes': Unable to load paramfile fileb://nofile.jpg: [Errno 2] No such file or directory: 'nofile.jpg'"),
    ("no image", ["detect-custom-labels", "--project-version-arn", VERSION], 252, 'Missing required parameter in input: "Image"'),
    ("unknown member", ["detect-custom-labels", "--project-version-arn", VERSION, "--image", "S3Object={Nam=x}"], 252, 'Unknown parameter in Image.S3Object: "Nam", must be one of: Bucket, Name, Version'),
    ("bad query", ["describe-projects", "--query", "[["], 252, "Bad value for --query [["),
    ("paging", ["describe-projects", "--page-size", "1", "--no-paginate"], 252, "Cannot specify --no-paginate along with pagination arguments: --page-size"),
    ("waiter", ["wait", "project-version-running", "--project-arn", ARN], 255, "Waiter ProjectVersionRunning failed: An error occurred (ResourceNotFoundException)"),
    ("no such waiter", ["wait", "nothing"], 252, "Found invalid choice 'nothing'"),
    ("no version", ["logs", "p/v"], 254, "There is no version p/v"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "text"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES])
def test_failures(rcl: Run, words: list[str], code: int, text: str) -> None:
    done = rcl(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_output_formats_and_queries(rcl: Run) -> None:
    made = json.loads(rcl("create-project", "--project-name", "p").stdout)
    assert list(made) == ["ProjectArn"]
    text = rcl("describe-projects", "--output", "text").stdout.rstrip("\n").split("\t")
    assert (text[0], text[2:]) == ("PROJECTDESCRIPTIONS", ["CUSTOM_LABELS", made["ProjectArn"], "CREATED"])
    assert rcl("describe-projects", "--query", "ProjectDescriptions[].Status", "--output", "text").stdout == "CREATED\n"
    assert rcl("describe-projects", "--query", "Nope").stdout == "null\n"
    assert rcl("describe-projects", "--output", "off").stdout == ""
    assert (
        rcl("--output", "text", "describe-projects").stdout
        == rcl("describe-projects", AWS_DEFAULT_OUTPUT="text").stdout
    )
    assert rcl("rekognition", "describe-projects", "--project-nam", "p").stdout == rcl("describe-projects").stdout
    west = rcl("rekognition", "--region", "us-west-2", "create-project", "--project-name", "w").stdout
    assert ":us-west-2:" in west
    dataset = json.loads(rcl("create-dataset", "--project-arn", made["ProjectArn"], "--dataset-type", "TRAIN").stdout)
    assert rcl("delete-dataset", "--dataset-arn", dataset["DatasetArn"]).stdout == ""


def test_pages_and_tokens(home: Home, rcl: Run) -> None:
    lines = [image_line("data", f"{n}.jpg", "cat") for n in range(250)]
    dataset = home.dataset(home.project(), "TRAIN", lines)
    words = ("list-dataset-entries", "--dataset-arn", dataset)
    every = json.loads(rcl(*words).stdout)
    assert (len(every["DatasetEntries"]), list(every)) == (250, ["DatasetEntries"])
    seen: list[str] = []
    token: tuple[str, ...] = ()
    while True:
        page = json.loads(rcl(*words, "--max-items", "70", "--page-size", "30", *token).stdout)
        seen += page["DatasetEntries"]
        if "NextToken" not in page:
            break
        token = ("--starting-token", page["NextToken"])
    assert seen == every["DatasetEntries"]
    raw = json.loads(rcl(*words, "--max-results", "10").stdout)
    assert len(raw["DatasetEntries"]) == 10
    assert (
        json.loads(rcl(*words, "--max-results", "10", "--next-token", raw["NextToken"]).stdout)["DatasetEntries"]
        == seen[10:20]
    )


def test_requests_from_json(home: Home, rcl: Run) -> None:
    write_manifest(home.buckets / "data" / "m", [image_line("data", "0.jpg", "cat")])
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "m"}}}
    request = {"ProjectArn": home.project(), "DatasetType": "TEST", "DatasetSource": source}
    done = rcl("create-dataset", "--cli-input-json", json.dumps(request), "--dataset-type", "TRAIN")
    assert "/dataset/train/" in done.stdout, done.stderr


def test_changes_from_a_file(home: Home, rcl: Run) -> None:
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", "0.jpg", "cat")])
    write_manifest(home.path / "more.jsonl", [image_line("data", "1.jpg", "dog")])
    words = ("update-dataset-entries", "--dataset-arn", dataset, "--changes")
    assert rcl(*words, f"GroundTruth@=fileb://{home.path}/more.jsonl").returncode == 0
    inline = json.dumps({"GroundTruth": json.dumps(image_line("data", "2.jpg", "dog"))})
    assert rcl(*words, inline, "--cli-binary-format", "raw-in-base64-out").returncode == 0
    assert home.describe(dataset)["DatasetStats"]["TotalEntries"] == 3


def test_a_reader_that_has_had_enough(home: Home) -> None:
    command = f"{sys.executable} -m rcl_cli describe-projects | true; test ${{PIPESTATUS[0]}} -eq 0"
    done = subprocess.run(["bash", "-c", command], env=home.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "> /dev/full"])
def test_streams_that_cannot_be_written(home: Home, redirect: str) -> None:
    command = f"{sys.executable} -m rcl_cli describe-projects {redirect}"
    done = subprocess.run(["bash", "-c", command], env=home.environment(), capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == (255 if "full" in redirect else 0)


def test_ctrl_c_while_waiting(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rcl_cli", "wait", "project-version-running", "--project-arn", home.project()],
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "\n")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "command", ["--help", "create-project --help", "wait --help", "help", "create-dataset help", "draw --help"]
)
def test_help(rcl: Run, command: str) -> None:
    done = rcl(*command.split())
    assert done.returncode == 0
    assert "Usage: rcl" in done.stdout


# --- the real aws CLI's parts as oracles ------------------------------------------------------------------------------

WORDS = st.text(alphabet="abcXYZ019=,{}[]'\"\\@ .:/-_", max_size=24)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["Bucket", "Name", "a", "b-c"]), st.text(alphabet="abc019,.{}[]' \\", max_size=8)),
    max_size=4,
).map(lambda pairs: ",".join(f"{key}={value}" for key, value in pairs))


@settings(max_examples=int(os.environ.get("RCL_EXAMPLES", "1500")), deadline=None)
@given(WORDS | PAIRS)
def test_shorthand_is_the_aws_clis(text: str) -> None:
    try:
        expected: Any = ShorthandParser().parse(text)
    except (ShorthandParseError, TypeError):
        expected = None
    try:
        ours: Any = parse_shorthand(text, lambda url: load_paramfile("", url))
    except UsageError:
        ours = None
    assert ours == expected


JSON = st.recursive(
    st.text("abc ", max_size=5) | st.integers(0, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["X", "Y", "Z"]), JSON, max_size=3))
def test_text_is_the_aws_clis(document: dict[str, Any]) -> None:
    import io

    stream = io.StringIO()
    try:
        format_text(document, stream)
    except AttributeError:
        return  # the aws CLI itself trips over lists of maps and texts; the API has none
    assert as_text(document) == stream.getvalue()


# --- what only terminals and people see -------------------------------------------------------------------------------


def on_a_terminal(home: Home, *words: str, **more: str) -> str:
    """What a command writes to a terminal."""
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "rcl_cli", *words]
    pipes: dict[str, Any] = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with subprocess.Popen(command, env=home.environment(TERM="xterm", **more), **pipes) as process:
        os.close(terminal)
        written = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not chunk:
                break
            written += chunk
        process.wait(60)
    os.close(main)
    return written.decode().replace("\r\n", "\n")


def test_a_pager_only_on_a_terminal(home: Home, rcl: Run) -> None:
    home.project()
    pager = "sed s/^/paged:/"
    plain = rcl("describe-projects", AWS_PAGER=pager).stdout
    assert "paged:" not in plain
    assert on_a_terminal(home, "describe-projects", AWS_PAGER=pager) == "".join(
        f"paged:{line}\n" for line in plain.splitlines()
    )
    assert on_a_terminal(home, "describe-projects", "--no-cli-pager", AWS_PAGER=pager) == plain
    assert on_a_terminal(home, "describe-projects", AWS_PAGER="") == plain
    assert on_a_terminal(home, "describe-projects", AWS_PAGER="head -n 1") == plain.splitlines()[0] + "\n"
    for pager_of_no_use, says in (("no-such-program", "There is no pager no-such-program"), ("'", "is no command")):
        words = ("create-project", "--project-name", "q")
        assert says in on_a_terminal(home, *words, AWS_PAGER=pager_of_no_use)
    assert len(home.call("DescribeProjects")["ProjectDescriptions"]) == 1
    error = on_a_terminal(home, "describe-projects", "--max-results", "101", AWS_PAGER=pager)
    assert "ValidationException" in error
    assert "paged:" not in error


def test_colours_of_tables_only_on_a_terminal(home: Home, rcl: Run) -> None:
    home.project()
    words = ("describe-projects", "--output", "table")
    assert "\x1b[" not in rcl(*words).stdout
    assert "\x1b[" in on_a_terminal(home, *words, AWS_PAGER="")
    assert "\x1b[" not in on_a_terminal(home, *words, AWS_PAGER="", NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(home, *words, "--color", "off", AWS_PAGER="")
    assert "\x1b[" in rcl(*words, "--color", "on").stdout


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("legacy", "\nrcl: [ERROR]: An error occurred (ResourceNotFoundException) when calling the DeleteProject operation: The resource specified in the request cannot be found.\n"),
        ("enhanced", "\nrcl: [ERROR]: An error occurred (ResourceNotFoundException) when calling the DeleteProject operation: The resource specified in the request cannot be found.\n"),
        ("json", '{\n    "Message": "The resource specified in the request cannot be found.",\n    "Code": "ResourceNotFoundException"\n}\n'),
        ("yaml", "Code: ResourceNotFoundException\nMessage: The resource specified in the request cannot be found.\n"),
        ("text", "ResourceNotFoundException\tThe resource specified in the request cannot be found.\n"),
        ("table", "-----------------------------------------------------------------------\n|                                error                                |\n+---------+-----------------------------------------------------------+\n|  Code   |  ResourceNotFoundException                                |\n|  Message|  The resource specified in the request cannot be found.   |\n+---------+-----------------------------------------------------------+\n"),
    ],
)  # fmt: skip
def test_error_formats(rcl: Run, kind: str, expected: str) -> None:
    done = rcl("delete-project", "--project-arn", ARN, "--cli-error-format", kind)
    assert (done.returncode, done.stdout, done.stderr) == (254, "", expected)


def test_error_formats_of_words_that_make_no_sense(rcl: Run) -> None:
    words = ("describe-projects", "--page-size", "1", "--no-paginate", "--cli-error-format")
    message = "Cannot specify --no-paginate along with pagination arguments: --page-size"
    assert json.loads(rcl(*words, "json").stderr) == {"Code": "ParamValidation", "Message": message}
    assert rcl(*words, "legacy").stderr == f"\nrcl: [ERROR]: {message}\n"
    assert rcl(*words, "enhanced").stderr == f"\nrcl: [ERROR]: An error occurred (ParamValidation): {message}\n"


def test_debug_goes_to_stderr(rcl: Run) -> None:
    done = rcl("describe-projects", "--debug", "--output", "text")
    assert (done.returncode, done.stdout) == (0, "")
    assert "debug: DescribeProjects {}" in done.stderr
    failed = rcl("delete-project", "--project-arn", ARN, "--debug")
    assert failed.returncode == 254
    assert "Traceback" in failed.stderr


def test_requests_from_yaml(home: Home, rcl: Run) -> None:
    home.project("p")
    words = ("describe-projects", "--query", "length(ProjectDescriptions)", "--cli-input-yaml")
    assert rcl(*words, "ProjectNames: [p]").stdout == "1\n"
    assert rcl(*words, "ProjectNames: [q]").stdout == "0\n"
    assert rcl(*words, "ProjectNames: [q]", "--project-names", "p").stdout == "1\n"
    for text, says in (
        ("- a", "expecting map"),
        ("a: [", "Invalid YAML received"),
        ("!!python/object:os.system {}", "YAML"),
    ):
        done = rcl(*words, text)
        assert (done.returncode, says in done.stderr) == (252, True)
    both = rcl(*words, "{}", "--cli-input-json", "{}")
    assert (both.returncode, "Only one --cli-input- parameter may be specified." in both.stderr) == (252, True)


@pytest.mark.parametrize("command", [kebab(name) for name in load().operations])
def test_yaml_skeletons_are_the_json_ones_and_read_back(rcl: Run, command: str) -> None:
    text = rcl(command, "--generate-cli-skeleton", "yaml-input").stdout
    as_yaml = YAML(typ="safe", pure=True).load(text)
    as_json = json.loads(rcl(command, "--generate-cli-skeleton").stdout)
    for holder, blob in (("Image", "Bytes"), ("Changes", "GroundTruth")):
        if holder in as_json:  # JSON has nothing for blobs
            as_json[holder][blob] = b""
    assert as_yaml == as_json
    required = load().operation(command_name(command)).input.required
    assert text.count("[REQUIRED]") == len(required)
    assert set(as_json) <= {one for one in as_json if f"{one}:" in text}


@pytest.mark.parametrize("words", [["help"], ["help", "create-dataset"], ["create-dataset", "help"], ["create-dataset", "--help"], ["rekognition", "create-dataset", "help"], ["wait", "help"], ["serve", "--help"]], ids=" ".join)  # fmt: skip
def test_ways_to_help(rcl: Run, words: list[str]) -> None:
    done = rcl(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: rcl")
    if "create-dataset" in words:
        assert "--dataset-source" in done.stdout
        assert "rcl create-dataset --dataset-type TRAIN" in done.stdout
