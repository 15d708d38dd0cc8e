"""The click tree: help of every command, and the local commands; a command's own code is imported when it runs."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from rcl_cli import __version__
from rcl_cli.cli.aws.texts import GROUPS, SUMMARIES
from rcl_cli.cli.local.texts import LOCAL
from rcl_cli.cli.terminal import say
from rcl_cli.cli.usage import BadArguments, meant

if TYPE_CHECKING:
    from rcl_cli.cli.settings import Settings


class OperationHelp(click.Command):
    """What there is to read about an operation or `wait`; `app` runs them."""

    def parse_args(self, ctx: click.Context, _args: list[str]) -> list[str]:
        say(self.get_help(ctx))
        ctx.exit()

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = "WAITER [OPTIONS]" if self.name == "wait" else "[OPTIONS]"
        formatter.write_usage(ctx.command_path, words)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.cli.aws import help as texts

        super().format_help_text(ctx, formatter)
        formatter.write(f"\n{texts.details(str(self.name), formatter.width)}\n")

    def format_options(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from rcl_cli.cli.aws import help as texts

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


class Tree(click.Group):
    """All commands by name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*SUMMARIES, *LOCAL]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in SUMMARIES:
            return OperationHelp(cmd_name, help=SUMMARIES[cmd_name])
        if cmd_name in LOCAL:
            from importlib import import_module

            command: click.Command = getattr(import_module(f"rcl_cli.cli.local.{cmd_name}"), cmd_name)
            return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] == "help":
            names = [name for name in args[1:] if name != "rekognition"]
            if not names:
                say(ctx.get_help())
                ctx.exit()
            args = [names[0], "--help"]
        if self.get_command(ctx, args[0]) is None:
            hint = meant(args[0], self.list_commands(ctx))
            raise BadArguments(f"argument operation: Found invalid choice '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, group in GROUPS:
            with formatter.section(title):
                formatter.write_dl(list(group.items()))
        with formatter.section("Local extras (not in the aws CLI)"):
            formatter.write_dl(list(LOCAL.items()))


@click.command(cls=Tree, context_settings={"max_content_width": 100}, invoke_without_command=False)
@click.version_option(__version__, prog_name="rcl")
def cli() -> None:
    """Amazon Rekognition Custom Labels on your own machine.

    Every command of `aws rekognition` for Custom Labels, with the same options, output and errors.
    """


def main(words: list[str], settings: Settings) -> int:
    """Run a local command, or show help; returns the exit code.

    Raises:
        BadArguments: words that click does not understand.
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        code = cli.main(words, prog_name="rcl", standalone_mode=False, obj=settings)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        # A group alone; what it would do is up to its commands.
        say(error.format_message())
        return 0
    except click.ClickException as error:
        raise BadArguments(error.format_message()) from error
    except click.Abort as error:
        raise KeyboardInterrupt from error
