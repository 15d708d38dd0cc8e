"""The command tree: names and summaries at hand, everything else imported when a command runs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rcl_cli import __version__
from rcl_cli.cli.texts import GROUPS, LOCAL, SUMMARIES

if TYPE_CHECKING:
    from rcl_cli.service.context import Context


class Settings:
    """What the global options say; makes the context on first use."""

    def __init__(self) -> None:
        self.region: str | None = None

    @cache  # noqa: B019 - one Settings lives as long as the process
    def context(self) -> Context:
        from rcl_cli.service.context import make_context

        return make_context(region=self.region)

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The `Call` door: locally, the service itself."""
        from rcl_cli.service.invoke import invoke

        return invoke(self.context(), operation, params)


def camel(command: str) -> str:
    """`create-project-version` -> `CreateProjectVersion`."""
    return "".join(part.capitalize() for part in command.split("-"))


class RawCommand(click.Command):
    """A command that parses its own words, by the API model."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--help" in args or args[:1] == ["help"]:
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.args = args
        return args


def _region_of(words: list[str]) -> str | None:
    """`--region` among an operation's words, wherever it stands."""
    for number, word in enumerate(words):
        if word == "--region" and number + 1 < len(words):
            return words[number + 1]
        if word.startswith("--region="):
            return word.partition("=")[2]
    return None


class OperationCommand(RawCommand):
    """An API operation."""

    def invoke(self, ctx: click.Context) -> None:
        from rcl_cli.cli.operation import run_operation

        settings: Settings = ctx.obj
        settings.region = _region_of(ctx.args) or settings.region
        try:
            response = run_operation(camel(str(self.name)), ctx.args, settings.call)
        except BrokenPipeError as error:
            raise ReaderGone from error
        if self.name == "create-project-version" and "--wait" in ctx.args:
            wait_for_training(settings, response["ProjectVersionArn"])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.api.model import load
        from rcl_cli.cli.help import option_rows

        local, rows = option_rows(load().operation(camel(str(self.name))))
        with formatter.section("Options"):
            formatter.write_dl(rows)
        if local:
            with formatter.section("Local options (not in the aws CLI)"):
                formatter.write_dl(local)


class WaitCommand(RawCommand):
    """`wait NAME`."""

    def invoke(self, ctx: click.Context) -> None:
        from rcl_cli.cli.operation import BadArguments
        from rcl_cli.cli.waiters import Watcher, run_waiter, waiter_names
        from rcl_cli.service.local import training_progress

        settings: Settings = ctx.obj
        names = waiter_names()
        if not ctx.args or ctx.args[0] not in names:
            found = f"Found invalid choice '{ctx.args[0]}'" if ctx.args else "expected one of"
            raise BadArguments(f"argument waiter: {found}; the waiters are {', '.join(names)}")
        with Watcher(lambda arn: training_progress(settings.context(), arn)) as watcher:
            try:
                run_waiter(names[ctx.args[0]], ctx.args[1:], settings.call, watcher)
            except KeyboardInterrupt:
                click.echo("\nWhat was waited for goes on; run the same command to look again.", err=True)
                raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.cli.waiters import waiter_names

        with formatter.section("Waiters"):
            formatter.write_dl([(f"{name} --project-arn ARN [--version-names V…]", "") for name in waiter_names()])
        with formatter.section("Local options (not in the aws CLI)"):
            formatter.write_dl([("--delay SECONDS", "between looks"), ("--max-attempts N", "looks before giving up")])


def wait_for_training(settings: Settings, version_arn: str) -> None:
    """Watch a training until it ends.

    Raises:
        PlainError: it failed.
    """
    from rcl_cli.cli.params import PlainError
    from rcl_cli.cli.waiters import LOCAL_DELAY_S, Watcher
    from rcl_cli.service.local import named_version, training_progress
    from rcl_cli.service.operations.versions import describe

    short = "/".join(version_arn.split("/")[1:4:2])
    with Watcher(lambda arn: training_progress(settings.context(), arn)) as watcher:
        try:
            while True:
                version = named_version(settings.context(), version_arn)
                watcher([describe(version)])
                if version.status != "TRAINING_IN_PROGRESS":
                    break
                time.sleep(LOCAL_DELAY_S)
        except KeyboardInterrupt:
            click.echo(f"\nThe training goes on. To look again: rcl logs {short} --follow", err=True)
            raise
    if version.status != "TRAINING_COMPLETED":
        raise PlainError(f"The training failed: {version.message}")


_EARLY_OPTIONS = frozenset(
    f"--{name}"
    for name in (
        "region", "output", "query", "profile", "color", "ca-bundle", "cli-read-timeout", "cli-connect-timeout",
        "cli-binary-format",
    )
)  # fmt: skip
_EARLY_FLAGS = frozenset(
    f"--{name}"
    for name in ("no-cli-pager", "no-sign-request", "no-verify-ssl", "debug", "no-paginate", "no-cli-auto-prompt")
)


class Tree(click.Group):
    """All commands by name; a command's own code is imported when it is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let options of the operation stand before its name, as the aws CLI does with its global ones."""
        early: list[str] = []
        rest = list(args)
        while rest and rest[0].partition("=")[0] in _EARLY_FLAGS | _EARLY_OPTIONS:
            takes = rest[0] in _EARLY_OPTIONS
            early += rest[: 1 + takes]
            rest = rest[1 + takes :]
        if early and rest and rest[0] in {*SUMMARIES, "rekognition"}:
            rest += early
        return super().parse_args(ctx, rest)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*SUMMARIES, *LOCAL]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "rekognition":
            return Tree(name="rekognition", callback=lambda: None, invoke_without_command=False)
        if cmd_name == "wait":
            return WaitCommand("wait", help=SUMMARIES["wait"])
        if cmd_name in SUMMARIES:
            return OperationCommand(cmd_name, help=SUMMARIES[cmd_name])
        if cmd_name in LOCAL:
            from rcl_cli.cli import extras

            command: click.Command = getattr(extras, cmd_name)
            return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        from difflib import get_close_matches

        from rcl_cli.cli.operation import BadArguments

        if args[0] == "help":
            args = [*args[1:2], "--help"] if len(args) > 1 else ["--help"]
            if args == ["--help"]:
                click.echo(ctx.get_help())
                ctx.exit()
        if self.get_command(ctx, args[0]) is None:
            close = get_close_matches(args[0], self.list_commands(ctx), n=3)
            hint = "\n\nMaybe you meant:\n\n" + "".join(f"  * {name}\n" for name in close) if close else ""
            raise BadArguments(f"argument operation: Found invalid choice '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, group in GROUPS:
            with formatter.section(title):
                formatter.write_dl(list(group.items()))
        with formatter.section("Local extras (not in the aws CLI)"):
            formatter.write_dl(list(LOCAL.items()))


@click.command(cls=Tree, context_settings={"max_content_width": 100}, invoke_without_command=False)
@click.version_option(__version__, prog_name="rcl")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Amazon Rekognition Custom Labels on your own machine.

    Every command of `aws rekognition` for Custom Labels, with the same options, output and errors.
    """
    ctx.obj = Settings()


def _fail(message: str, code: int, *, usage: bool = False) -> int:
    from rcl_cli.cli.operation import USAGE

    text = f"\nrcl: [ERROR]: {message}\n"
    if message.startswith("Unknown options"):
        text = f"\n{USAGE}\n{text}"
    elif usage:
        text += f"\n{USAGE}"
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
    return code


def _usable_streams() -> None:
    """Streams that the caller closed swallow what is written; characters that a terminal lacks are escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - stays open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class ReaderGone(Exception):
    """The reader of stdout has had enough, as `head` does."""


def run(argv: list[str]) -> int:
    """Run one command line; returns the exit code."""
    _usable_streams()
    from rcl_cli.cli.operation import BadArguments
    from rcl_cli.cli.params import PlainError
    from rcl_cli.errors import ConfigError, RclError, ServiceError, UsageError

    try:
        cli.main(argv, prog_name="rcl", standalone_mode=False)
        sys.stdout.flush()
    except BadArguments as error:
        if str(error).startswith("Unknown options"):
            return _fail(str(error), 252, usage=True)
        return _fail(f"An error occurred (ParamValidation): {error}", 252, usage=True)
    except UsageError as error:
        return _fail(f"An error occurred (ParamValidation): {error}", 252)
    except click.ClickException as error:
        return _fail(f"An error occurred (ParamValidation): {error.format_message()}", 252, usage=True)
    except ServiceError as error:
        name = _operation_name(argv)
        return _fail(f"An error occurred ({error.code}) when calling the {name} operation: {error.message}", 254)
    except ConfigError as error:
        return _fail(f"An error occurred (Configuration): {error}", 253)
    except (PlainError, RclError) as error:
        return _fail(str(error), 255)
    except (KeyboardInterrupt, click.Abort):
        sys.stdout.write("\n")
        return 130
    except ReaderGone:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - stays open to the end
        return 0
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - stays open to the end
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}", 255)
    return 0


def _operation_name(argv: list[str]) -> str:
    names = [word for word in argv if word in SUMMARIES or word in LOCAL]
    if not names:
        return "unknown"
    return "DescribeProjectVersions" if names[0] == "wait" else camel(names[0])
