"""What operations do with profiles, endpoints and global options, as the aws CLI 2.36 was seen to do it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rcl_cli import __version__
from tests.conftest import Home, Run, make_home
from tests.functional.serving import serving

ERROR = "\nrcl: [ERROR]: "
PARAM = f"{ERROR}An error occurred (ParamValidation): "
NOTHING_LISTENS = "http://127.0.0.1:1"


@pytest.fixture
def config(home: Home, tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "config"
    file.write_text(
        "[default]\noutput = json\n[profile p]\noutput = text\nregion = eu-west-1\n[profile fish]\noutput = fish\n"
        "[profile far]\nregion = no region\n[profile lost]\nservices = nowhere\n[plain]\noutput = text\n"
    )
    return {"AWS_CONFIG_FILE": str(file)}


def test_a_profile_brings_its_output_and_region(rcl: Run, config: dict[str, str]) -> None:
    made = rcl("create-project", "--project-name", "a", "--profile", "p", **config).stdout
    assert made.startswith("arn:aws:rekognition:eu-west-1:")
    # Options and variables come before it.
    made = rcl("create-project", "--project-name", "b", "--profile", "p", "--output", "json", **config).stdout
    assert '"ProjectArn": "arn:aws:rekognition:eu-west-1:' in made
    more = {"AWS_DEFAULT_OUTPUT": "yaml", "AWS_DEFAULT_REGION": "us-west-2"}
    made = rcl("create-project", "--project-name", "c", "--profile", "p", **config, **more).stdout
    assert made.startswith("ProjectArn: arn:aws:rekognition:us-west-2:")
    made = rcl("create-project", "--project-name", "d", **config, AWS_PROFILE="p").stdout
    assert made.startswith("arn:aws:rekognition:eu-west-1:")
    made = rcl("create-project", "--project-name", "e", "--profile", "", **config).stdout
    assert '"ProjectArn": "arn:aws:rekognition:us-east-1:' in made


def test_a_profile_says_how_times_are_written(rcl: Run, home: Home, tmp_path: Path) -> None:
    """As the aws CLI 2.9 was seen to do it."""
    file = tmp_path / "config"
    kinds = {"default": "iso8601", "profile w": "wire", "profile x": "fish", "profile e": ""}
    file.write_text("".join(f"[{name}]\ncli_timestamp_format = {kind}\n" for name, kind in kinds.items()))
    home.project()
    time = home.call("DescribeProjects")["ProjectDescriptions"][0]["CreationTimestamp"]
    config = {"AWS_CONFIG_FILE": str(file)}
    query = ("--query", "ProjectDescriptions[0].CreationTimestamp")
    assert json.loads(rcl("describe-projects", *query, "--profile", "w", **config).stdout) == time
    for output in ("text", "yaml"):
        done = rcl("describe-projects", *query, "--profile", "w", "--output", output, **config)
        assert float(done.stdout.removesuffix("...\n")) == time
    assert rcl("describe-projects", *query, **config).stdout.startswith('"20')
    # Before all else that is wrong, and for an example of a request, too.
    odd = [["--profile", "x", "--bogus"], ["--profile", "x", "--generate-cli-skeleton"]]
    for words, kind in ((["--profile", "x"], "fish"), (["--profile", "e"], ""), (odd[0], "fish"), (odd[1], "fish")):
        done = rcl("describe-projects", *words, **config)
        said = f'Unknown cli_timestamp_format value: {kind}, valid values are "wire" or "iso8601"'
        assert (done.returncode, done.stdout, done.stderr) == (
            253,
            "",
            f"{ERROR}An error occurred (Configuration): {said}\n",
        )


def test_a_profile_that_is_not_there(rcl: Run, config: dict[str, str], home: Home) -> None:
    said = f"{ERROR}The config profile (nope) could not be found\n"
    arn = home.project()
    for words, more in (
        (["create-project", "--project-name", "x", "--profile", "nope"], {}),
        (["--profile", "nope", "create-project", "--project-name", "x"], {}),
        (["create-project", "--project-name", "x"], {"AWS_PROFILE": "nope"}),
        (["create-project", "--project-name", "x"], {"AWS_DEFAULT_PROFILE": "nope"}),
        (["wait", "project-version-running", "--project-arn", arn, "--profile", "nope"], {}),
        (["describe-projects", "--profile", "nope", "--cli-error-format", "json"], {}),
    ):
        done = rcl(*words, **config, **more)
        assert (done.returncode, done.stdout, done.stderr) == (255, "", said), words
    assert len(home.call("DescribeProjects")["ProjectDescriptions"]) == 1
    # What can't be understood is said first, and nothing is asked for an example of a request.
    assert rcl("create-project", "--profile", "nope", **config).returncode == 252
    assert rcl("describe-projects", "--profile", "nope", "--generate-cli-skeleton", **config).returncode == 0
    assert "(plain)" in rcl("describe-projects", "--profile", "plain", **config).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "fish"], "Unknown output type: fish"),
        (["--profile", "far"], "Provided region_name 'no region' doesn't match a supported format."),
        (
            ["--profile", "lost"],
            'The profile is configured to use the services section but the "nowhere" services configuration does not '
            "exist.",
        ),
    ],
)
def test_profiles_that_make_no_sense(rcl: Run, config: dict[str, str], words: list[str], said: str) -> None:
    done = rcl("describe-projects", *words, **config)
    assert (done.returncode, done.stdout, done.stderr) == (255, "", f"{ERROR}{said}\n")


def test_endpoints_of_the_environment_and_the_config(rcl: Run, home: Home, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    there = make_home(tmp_path / "there")
    there.project("over-there")
    with serving(there) as (url, _):
        names = ["describe-projects", "--query", "ProjectDescriptions[].ProjectArn", "--output", "text"]
        config = tmp_path / "config"
        config.write_text(
            f"[profile url]\nendpoint_url = {url}\n[profile own]\nservices = s\nendpoint_url = {NOTHING_LISTENS}\n"
            f"[services s]\nrekognition =\n  endpoint_url = {url}\n"
        )
        for more in (
            {"AWS_ENDPOINT_URL_REKOGNITION": url, "AWS_ENDPOINT_URL": NOTHING_LISTENS},
            {"AWS_ENDPOINT_URL": url},
            {"AWS_PROFILE": "url", "AWS_CONFIG_FILE": str(config)},
            {"AWS_PROFILE": "own", "AWS_CONFIG_FILE": str(config)},
        ):
            assert "project/over-there/" in rcl(*names, **keys, **more).stdout, more
        # An option comes before all of them.
        there_too = rcl(*names, "--endpoint-url", url, **keys, AWS_ENDPOINT_URL_REKOGNITION=NOTHING_LISTENS)
        assert "project/over-there/" in there_too.stdout
        # And they can be turned off: then it is the local store.
        off = {"AWS_ENDPOINT_URL": url, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
        assert rcl(*names, **keys, **off).stdout == ""
        # What rcl has beside AWS works on the local store.
        assert "over-there" not in rcl("status", **keys, AWS_ENDPOINT_URL=url).stdout
    there.context.database.close()
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []


def test_endpoints_that_lead_nowhere(rcl: Run) -> None:
    done = rcl("describe-projects", AWS_ENDPOINT_URL_REKOGNITION="nonsense")
    assert (done.returncode, done.stderr) == (255, f"{ERROR}Invalid endpoint: nonsense\n")
    done = rcl("describe-projects", "--endpoint-url", "nonsense")
    said = (
        'Bad value for --endpoint-url "nonsense": scheme is missing.  Must be of the form http://<hostname>/ or '
        "https://<hostname>/"
    )
    assert (done.returncode, done.stderr) == (252, f"{PARAM}{said}\n")


@pytest.mark.parametrize("kind", ["read", "connect"])
def test_timeouts(rcl: Run, kind: str) -> None:
    option = f"--cli-{kind}-timeout"
    for text in ("x", "1.5", ""):
        said = f"{ERROR}invalid literal for int() with base 10: '{text}'\n"
        for words in (["describe-projects"], ["create-project"], ["describe-projects", "--bogus"],
                      ["describe-projects", "--profile", "nope"], ["describe-projects", "--generate-cli-skeleton"],
                      ["describe-projects", "--cli-error-format", "json"])[: 6 if text == "x" else 1]:  # fmt: skip
            done = rcl(*words, option, text)
            assert (done.returncode, done.stdout, done.stderr) == (255, "", said), words
    assert rcl("describe-projects", option, "x", "--query", "[[").returncode == 252
    done = rcl("describe-projects", option, "-1")
    assert (done.returncode, done.stderr) == (
        255,
        f"{ERROR}Attempted to set {kind} timeout to -1, but the timeout cannot be set to a value less than or equal to "
        "0.\n",
    )
    assert rcl("describe-projects", option, " 5 ").returncode == rcl("describe-projects", option, "0").returncode == 0


def test_max_items_that_are_none_are_warned_of(rcl: Run, home: Home) -> None:
    home.project()
    warning = "warning: Non-positive values for --max-items may result in undefined behavior.\n"
    for words in (["--max-items", "0"], ["--max-items=-1"], ["--max-items", "0", "--generate-cli-skeleton"]):
        done = rcl("describe-projects", *words)
        assert (done.returncode, done.stderr) == (0, warning)
        assert done.stdout
    done = rcl("describe-projects", "--max-items", "0", "--project-names", "a b")
    assert (done.returncode, done.stderr.startswith(f"{warning}{ERROR}")) == (254, True)
    assert warning not in rcl("describe-projects", "--max-items", "0", "--bogus").stderr


@pytest.mark.parametrize(
    "words", [["describe-projects", "--version"], ["create-project", "--ver"], ["wait", "--version", "--bogus"],
              ["--region", "x y", "describe-projects", "--version", "--cli-read-timeout", "x"]]
)  # fmt: skip
def test_the_version_before_all_else(rcl: Run, words: list[str]) -> None:
    done = rcl(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, rcl("--version").stdout, "")
    assert __version__ in done.stdout


@pytest.mark.parametrize("words", [["wait"], ["wait", "--output", "json"], ["--output", "json", "wait"]])
def test_wait_alone(rcl: Run, words: list[str]) -> None:
    said = "usage: rcl [options] wait <subcommand> [parameters]\nrcl: [ERROR]: too few arguments\n"
    done = rcl(*words)
    assert (done.returncode, done.stdout, done.stderr) == (252, "", f"{PARAM}{said}")


@pytest.mark.parametrize(("kind", "start"), [("yaml", "ProjectArn: "), ("yaml-stream", "- ProjectArn: ")])
def test_long_words_stay_on_their_line_in_yaml(rcl: Run, kind: str, start: str) -> None:
    """As libyaml has it, which ruamel.yaml leaves aside in silence where ruamel.yaml.clib is not installed."""
    out = rcl("create-project", "--project-name", "p" * 200, "--output", kind).stdout
    assert out.startswith(f"{start}arn:aws:rekognition:us-east-1:123456789012:project/{'p' * 200}/")
    assert out.count("\n") == 1


def test_what_was_meant(rcl: Run) -> None:
    for words, said in (
        (["wait", "project-version-runnin"], "argument subcommand: Found invalid choice 'project-version-runnin'"),
        (["describe-project"], "argument operation: Found invalid choice 'describe-project'"),
    ):
        done = rcl(*words)
        close = "project-version-running" if words[0] == "wait" else "describe-projects"
        assert done.returncode == 252
        assert done.stderr.startswith(f"{PARAM}{said}\n\nMaybe you meant:\n\n  * {close}\n\nusage: rcl ")
        assert done.stderr.endswith("  rcl <command> --help\n")
