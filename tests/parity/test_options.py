"""Options of `rcl X` are those of `aws rekognition X`; what is more is listed as local."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from rcl_cli.api.model import load
from rcl_cli.api.names import kebab
from rcl_cli.cli.aws import help as texts
from rcl_cli.cli.aws.global_options import GLOBAL_OPTIONS
from rcl_cli.cli.aws.operation import make_parser
from rcl_cli.cli.aws.waiters import waiter_names

OPERATIONS = sorted(load().operations)
# The registry's aws CLI is version 1; these came with version 2, whose list is in the contract.
OF_VERSION_2 = {"--cli-input-yaml"}


# In a process of its own, since awscli keeps its settings in the environment.
PRINT = """
import json
from awscli.clidriver import create_clidriver
driver = create_clidriver()
def tables(command):
    return command.create_help_command().command_table
def options(command):
    return [f"--{name}" for name in command.arg_table]
commands = tables(tables(driver)["rekognition"])
found = {name: options(command) for name, command in commands.items() if name != "wait"}
found["wait"] = {name: options(command) for name, command in tables(commands["wait"]).items()}
found["global"] = [f"--{name}" for name in driver.session.get_data("cli")["options"]]
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def aws_options() -> Any:
    return json.loads(subprocess.check_output([sys.executable, "-c", PRINT]))


def rcl_options(operation: str) -> set[str]:
    return set(make_parser(load().operation(operation))._option_string_actions)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_option_of_the_aws_cli_is_there_and_the_rest_is_local(operation: str, aws_options: Any) -> None:
    theirs = set(aws_options[kebab(operation)])
    ours = rcl_options(operation)
    assert theirs <= ours
    local = {row[0].split()[0] for row in texts.local_rows(kebab(operation))}
    assert ours - theirs - {option.flag for option in GLOBAL_OPTIONS} == local | OF_VERSION_2


@pytest.mark.parametrize("waiter", sorted(waiter_names()))
def test_waiters(waiter: str, aws_options: Any) -> None:
    theirs = set(aws_options["wait"][waiter])
    local = {row[0].split()[0] for row in texts.local_rows("wait")}
    assert theirs <= rcl_options("DescribeProjectVersions")
    assert local == {"--delay", "--max-attempts"}
    assert not local & theirs


def test_global_options(aws_options: Any) -> None:
    # `--version` is the tree's own, and `--v2-debug` helps people of version 1 to move.
    theirs = set(aws_options["global"]) - {"--version", "--v2-debug"}
    assert theirs <= {option.flag for option in GLOBAL_OPTIONS}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_help_lists_every_option(operation: str) -> None:
    shape = load().operation(operation)
    rows = [*texts.option_rows(shape), *texts.local_rows(kebab(operation)), *texts.global_rows(shape)]
    listed = {word for row in rows for word in row[0].split() if word.startswith("--")}
    assert listed == rcl_options(operation)
    assert all(text for _, text in rows)
