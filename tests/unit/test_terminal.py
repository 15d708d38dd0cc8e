"""What people read obeys nobody's name: how it is written, and that nothing else writes."""

from __future__ import annotations

import ast
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from rcl_cli.cli.drawn import Drawn
from rcl_cli.cli.escapes import shown

ROOT = Path(__file__).resolve().parents[2] / "rcl_cli"
HOSTILE = "\x1b]0;pwned\x07\x9b31m\u202e\r\x7f"
WRITTEN_OUT = r"\x1b]0;pwned\x07\x9b31m\u202e\r\x7f"


def test_what_steers_a_terminal_is_written_out() -> None:
    assert shown(f"a {HOSTILE}red\nKüche 犬 \\x1b") == f"a {WRITTEN_OUT}red\nKüche 犬 \\x1b"


def test_every_control_character_and_every_turn_of_direction() -> None:
    every = map(chr, range(0x110000))
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    steering = [
        one
        for one in every
        if unicodedata.category(one) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(one) in turning
    ]
    left = [one for one in steering if shown(one) == one]
    assert left == ["\n"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("wrapped", [str, Text], ids=["string", "Text"])
def test_tables_and_words_of_the_console(terminal: bool, wrapped: type) -> None:
    file = io.StringIO()
    console = Drawn(file=file, markup=False, emoji=False, highlight=False, width=200, force_terminal=terminal)
    table = Table(title=f"[red]{HOSTILE}")
    table.add_column(HOSTILE)
    table.add_row(wrapped(f"{HOSTILE}:dog:"))
    console.print(table)
    console.print(f"[red]{HOSTILE}", style="red")
    assert file.getvalue().count(r"\x1b]0;pwned") == 4
    assert "\x1b]" not in file.getvalue()
    assert "\x9b" not in file.getvalue()
    assert "[red]" in file.getvalue()
    assert ":dog:" in file.getvalue()


def writers(tree: ast.AST) -> Iterator[str]:
    """What in a module writes to the terminal by itself."""
    harmless = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("isatty", "encoding", "fileno", "flush"):
            harmless.add(node.value)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in ("sys.stdout", "sys.stderr") and isinstance(node.ctx, ast.Load) and node not in harmless:
                yield name
            if name in ("click.echo", "click.secho", "click.prompt", "click.confirm", "traceback.print_exc"):
                yield name
        if isinstance(node, ast.Name) and node.id in ("print", "input"):
            yield node.id
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("rich.console", "rich.print")):
            yield str(node.module)


@pytest.mark.parametrize("door", ["cli", "server"])
def test_nobody_else_writes(door: str) -> None:
    these = {"rcl_cli/cli/terminal.py", "rcl_cli/cli/drawn.py"}
    found = {
        str(path.relative_to(ROOT.parent)): names
        for path in sorted((ROOT / door).rglob("*.py"))
        if (names := list(writers(ast.parse(path.read_text("utf-8")))))
    }
    assert set(found) == (these if door == "cli" else set()), found
