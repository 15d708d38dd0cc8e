"""The command tree: names and summaries at hand, everything else imported when a command runs."""

from __future__ import annotations

import argparse
import io
import os
import reprlib
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from rcl_cli import __version__
from rcl_cli.api.names import camel
from rcl_cli.cli.texts import GROUPS, LOCAL, SUMMARIES
from rcl_cli.errors import RclError

if TYPE_CHECKING:
    from rcl_cli.cli.paging import Call
    from rcl_cli.service.context import Context

Progress = Callable[[str], dict[str, Any] | None]


class Settings:
    """The doors to the service that a command line may ask for; made when they are needed."""

    @cache  # noqa: B019 - one Settings lives as long as the process
    def context(self, region: str | None = None) -> Context:
        """The local store."""
        from rcl_cli.service.context import make_context

        return make_context(region=region)

    def connect(self, values: argparse.Namespace) -> Call:
        """The `Call` door: the local service, or another one at `--endpoint-url`."""
        if values.endpoint_url:
            from rcl_cli.cli.remote import make_call

            return make_call(values)
        from rcl_cli.service.invoke import invoke

        context = self.context(values.region)
        return traced(partial(invoke, context)) if values.debug else partial(invoke, context)


def traced(call: Call) -> Call:
    """A door that tells stderr who goes through it."""

    def tracing(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        click.echo(f"debug: {operation} {reprlib.repr(dict(params))}", err=True)
        try:
            return call(operation, params)
        finally:
            failed = sys.exc_info()[1]
            outcome = f"{type(failed).__name__}: {failed}" if failed else "done"
            click.echo(f"debug: {operation} {outcome} after {(time.monotonic() - began) * 1000:.0f} ms", err=True)

    return tracing


class RawCommand(click.Command):
    """A command that parses its own words, by the API model."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--help" in args or args == ["help"] or (self.name == "wait" and args[1:] == ["help"]):
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.args = args
        return args

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.cli import help as texts

        super().format_help_text(ctx, formatter)
        formatter.write(f"\n{texts.details(str(self.name), formatter.width)}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.cli import help as texts

        command = str(self.name)
        operation = texts.operation_of(command)
        for title, rows in (
            ("Options", texts.option_rows(operation)),
            ("Local options (not in the aws CLI)", texts.local_rows(command)),
            ("Global options", texts.global_rows(operation)),
        ):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        with formatter.section("Example"):
            formatter.write(f"{indent(texts.example(command), '  ')}\n")


class OperationCommand(RawCommand):
    """An API operation."""

    def invoke(self, ctx: click.Context) -> None:
        from rcl_cli.cli.operation import run_operation

        settings: Settings = ctx.obj
        try:
            response, values = run_operation(camel(str(self.name)), ctx.args, settings.connect)
        except BrokenPipeError as error:
            raise ReaderGone from error
        if getattr(values, "wait", False) and response:
            from rcl_cli.cli.waiters import wait_for_training

            look = _progress(settings, values)
            wait_for_training(response["ProjectVersionArn"], settings.connect(values), values, look)


class WaitCommand(RawCommand):
    """`wait WAITER`."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "WAITER [OPTIONS]")

    def invoke(self, ctx: click.Context) -> None:
        from rcl_cli.cli.operation import BadArguments
        from rcl_cli.cli.waiters import run_waiter, waiter_names

        settings: Settings = ctx.obj
        names = waiter_names()
        if not ctx.args or ctx.args[0] not in names:
            found = f"Found invalid choice '{ctx.args[0]}'" if ctx.args else "too few arguments"
            raise BadArguments(f"argument subcommand: {found}; the waiters are {', '.join(names)}")
        try:
            run_waiter(names[ctx.args[0]], ctx.args[1:], settings.connect, partial(_progress, settings))
        except KeyboardInterrupt:
            click.echo("\nWhat was waited for goes on; run the same command to look again.", err=True)
            raise


def _progress(settings: Settings, values: argparse.Namespace) -> Progress:
    """Where to look for a training's progress: only the local store has it."""
    if values.endpoint_url:
        return lambda _arn: None

    def look(version_arn: str) -> dict[str, Any] | None:
        from rcl_cli.service.local import training_progress

        return training_progress(settings.context(values.region), version_arn)

    return look


# Local commands that have a module of their own.
_MODULES = {"serve": "serving"}


class Tree(click.Group):
    """All commands by name; a command's own code is imported when it is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let global options stand before the command, as the aws CLI does."""
        from rcl_cli.cli.global_options import split_early
        from rcl_cli.cli.operation import BadArguments

        early, rest = split_early(args)
        if not rest:
            raise BadArguments("the following arguments are required: command")
        if early and rest[0] in LOCAL:
            raise BadArguments(f"{early[0]} goes with the operations of the API, not with {rest[0]}")
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
            from importlib import import_module

            command: click.Command = getattr(import_module(f"rcl_cli.cli.{_MODULES.get(cmd_name, 'extras')}"), cmd_name)
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
            close = get_close_matches(args[0], self.list_commands(ctx), n=3, cutoff=0.8)
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
    try:
        cli.main(argv, prog_name="rcl", standalone_mode=False)
        sys.stdout.flush()
    except ReaderGone:
        _drop_stdout()
    except (KeyboardInterrupt, click.Abort):
        sys.stdout.write("\n")
        return 130
    except (click.ClickException, RclError, OSError) as error:
        from rcl_cli.cli import failures

        if isinstance(error, OSError):
            _drop_stdout()
        if "--debug" in argv:
            traceback.print_exc()
        return failures.write(failures.failure_of(error, _operation_name(argv)), error, argv)
    return 0


def _drop_stdout() -> None:
    """Whatever is still to be written has nowhere to go."""
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - stays open to the end


def _operation_name(argv: list[str]) -> str:
    """The operation that a command line calls, empty for none."""
    names = [word for word in argv if word in SUMMARIES or word in LOCAL]
    if not names or names[0] in LOCAL:
        return ""
    return "DescribeProjectVersions" if names[0] == "wait" else camel(names[0])
