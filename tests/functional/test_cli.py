"""The command line as a process: output, exit codes, error texts."""

from __future__ import annotations

import json
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

from rcl_cli.cli.output import as_text
from rcl_cli.cli.shorthand import parse_shorthand
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


@settings(max_examples=1500, deadline=None)
@given(WORDS | PAIRS)
def test_shorthand_is_the_aws_clis(text: str) -> None:
    if "@=" in text:
        return
    try:
        expected: Any = ShorthandParser().parse(text)
    except (ShorthandParseError, TypeError):
        expected = None
    try:
        ours: Any = parse_shorthand(text, lambda _url: "")
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
