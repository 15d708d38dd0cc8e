"""The aws CLI's shorthand, `Key=value,List=a,b,Map={Inner=x},Quoted='a,b'`: syntax only, types come in `params`.

parameter = pair *("," pair)
pair      = key "=" value / key "@=" file
value     = "{" parameter "}" / "[" items "]" / word *("," word), up to the next pair
word      = '...' / "..." / characters up to a delimiter, backslash quotes one of them
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rcl_cli.errors import UsageError

_KEY = re.compile(r"[A-Za-z0-9_.#/:\- ]+")
_QUOTED = {"'": re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL), '"': re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)}


class ShorthandError(UsageError):
    """Text that is no shorthand.

    Args:
        expected, received: what the grammar wanted and what came.
        position: where, counted from 0.
    """

    def __init__(self, text: str, expected: str, received: str, position: int) -> None:
        # The caret stands under the place, on the last line up to it.
        line_start = text.rfind("\n", 0, position) + 1
        pointer = " " * (position - line_start) + "^"
        super().__init__(f"Expected: '{expected}', received: '{received}' for input:\n {text}\n {pointer}")


class _Parser:
    def __init__(self, text: str, load: Callable[[str], Any]) -> None:
        self.text, self.at, self.load = text, 0, load

    @property
    def current(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else "EOF"

    def fail(self, expected: str) -> ShorthandError:
        return ShorthandError(self.text, expected, self.current, self.at)

    def expect(self, character: str) -> None:
        self.skip_space()
        if self.current != character:
            raise self.fail(character)
        self.at += 1
        self.skip_space()

    def skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\n":
            self.at += 1

    def parameter(self, closing: str) -> dict[str, Any]:
        """Pairs up to `closing` (`}` or EOF), which is left for the caller."""
        pairs: dict[str, Any] = {}
        while True:
            key, value = self.pair()
            if key in pairs:
                raise UsageError(f'Second instance of key "{key}" encountered for input:\n {self.text}')
            pairs[key] = value
            if self.current == closing:
                return pairs
            self.expect(",")

    def pair(self) -> tuple[str, Any]:
        self.skip_space()
        match = _KEY.match(self.text, self.at)
        if not match:
            raise self.fail("=")
        self.at = match.end()
        from_file = self.current == "@"
        self.at += from_file
        self.expect("=")
        if from_file:
            return match[0].strip(), self.load(self.word(",}") or "")
        return match[0].strip(), self.values()

    def values(self) -> Any:
        if self.current == "{":
            return self.literal_map()
        if self.current == "[":
            return self.literal_list()
        first = self.word(",}]") or ""
        words = [first]
        # `a,b` is a list unless what follows the comma is the next pair.
        while self.current == "," and not self.pair_follows():
            self.at += 1
            self.skip_space()
            word = self.word(",}]")
            if word is None:
                break
            words.append(word)
        return words if len(words) > 1 else first

    def pair_follows(self) -> bool:
        start = self.at + 1
        while start < len(self.text) and self.text[start] in " \t\n":
            start += 1
        match = _KEY.match(self.text, start)
        return bool(match) and self.text[match.end() : match.end() + 2].startswith(("=", "@=")) if match else False

    def literal_map(self) -> dict[str, Any]:
        self.expect("{")
        if self.current == "}":
            self.at += 1
            self.skip_space()
            return {}
        pairs = self.parameter("}")
        self.expect("}")
        return pairs

    def literal_list(self) -> list[Any]:
        self.expect("[")
        items: list[Any] = []
        while self.current != "]":
            if self.current == "{":
                items.append(self.literal_map())
            elif self.current == "[":
                items.append(self.literal_list())
            else:
                word = self.word(",]")
                if word is None:
                    raise self.fail("]")
                items.append(word)
            if self.current != "]":
                self.expect(",")
        self.expect("]")
        return items

    def word(self, delimiters: str) -> str | None:
        """A quoted or plain word; None where there is none."""
        self.skip_space()
        if self.current in _QUOTED:
            quote = self.current
            match = _QUOTED[quote].match(self.text, self.at)
            if not match:
                raise self.fail(quote)
            self.at = match.end()
            self.skip_space()
            return match[1].replace("\\" + quote, quote).replace("\\\\", "\\")
        out = []
        while self.at < len(self.text) and self.text[self.at] not in delimiters:
            if self.text[self.at] == "\\" and self.at + 1 < len(self.text):
                self.at += 1
            out.append(self.text[self.at])
            self.at += 1
        return "".join(out).rstrip(" \t\n") or None


def parse_shorthand(text: str, load: Callable[[str], Any]) -> dict[str, Any]:
    """Parse one shorthand value.

    Args:
        load: resolves what follows `@=`.

    Returns:
        Keys to texts, lists and maps.

    Raises:
        UsageError: not shorthand; the message points at the place.
    """
    return _Parser(text, load).parameter("EOF")
