r"""The aws CLI's shorthand, `Key=value,List=a,b,Map={Inner=x},Quoted='a,b'`: syntax only, types come in `params`.

    parameter = pair *("," pair)
    pair      = key ("=" / "@=") values            `@=`: words may be file:// or fileb://
    values    = list / map / word *("," word)      a comma may also begin the next pair
    list      = "[" [value *("," value)] "]"
    map       = "{" [key "=" value *("," key "=" value)] "}"
    value     = list / map / word
    word      = 'quoted' / "quoted" / plain        `\,` is a comma in plain words, `\'` a quote in quoted ones

What may stand in a word depends on where it stands; `_FIRST` and `_NEXT` say so. Which odd texts pass and which do not
is held against the aws CLI's own parser by a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rcl_cli.errors import UsageError

_KEY = re.compile(r"[A-Za-z0-9_.#/:\-]*")
_SPACE = " \t\n\r\x0b\x0c"
_QUOTED = {"'": re.compile(r"'(?:\\'|[^'])*'"), '"': re.compile(r'"(?:\\"|[^"])*"')}
# A plain word begins with a printable character that opens nothing. The first word of a value goes on over `=` and
# opening brackets, up to a comma or a closing bracket; words after a comma end at `=`, which would make them a key.
_BEGIN = r"(?:\\,|(?![\"',=\[{])[!-\uffff])"
_FIRST = re.compile(_BEGIN + r"(?:\\,|(?![\"',\]}])[\s!-\uffff])*")
_NEXT = re.compile(_BEGIN + r"(?:\\,|(?![\"',=])[\s!-\uffff])*")


class ShorthandError(UsageError):
    """Text that is no shorthand, with a caret under the place.

    Args:
        text: all of it.
        position: where, counted from 0.
    """

    indent = " "
    hint = ""

    def __init__(self, message: str, text: str, position: int) -> None:
        column = position - (text.rfind("\n", 0, position) + 1)
        line_end = text.find("\n", position)
        line_end = len(text) if line_end < 0 else line_end
        pointer = f"\n{' ' * column}^"
        super().__init__(f"{message} for input:\n{self.indent}{text[:line_end]}{pointer}{text[line_end:]}{self.hint}")
        self.position = position


class DuplicateKeyError(ShorthandError):
    """A key that is there twice."""

    indent = ""
    hint = '\nThis is often because there is a preceding "," instead of a space.'


class _Parser:
    def __init__(self, text: str, load: Callable[[str], Any]) -> None:
        self.text, self.at, self.load = text, 0, load
        self.may_load = False

    @property
    def current(self) -> str:
        """The next character, empty at the end."""
        return self.text[self.at : self.at + 1]

    def skip_space(self) -> None:
        while self.current and self.current in _SPACE:
            self.at += 1

    def fail(self, expected: str, received: str | None = None) -> ShorthandError:
        found = received or self.current or "EOF"
        return ShorthandError(f"Expected: '{expected}', received: '{found}'", self.text, self.at)

    def take(self, character: str) -> bool:
        """Step over a character and the space around it, if it comes next."""
        self.skip_space()
        if self.current != character:
            return False
        self.at += 1
        self.skip_space()
        return True

    def demand(self, character: str) -> None:
        if not self.take(character):
            raise self.fail(character)

    # --- pairs --------------------------------------------------------------------------------------------------------

    def parameter(self) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        while True:
            began = self.at
            key = self.key()
            value = self.values()
            if key in pairs:
                message = f'Second instance of key "{key}" encountered'
                raise DuplicateKeyError(message, self.text, began)
            pairs[key] = value
            if self.at >= len(self.text):
                return pairs
            self.demand(",")

    def key(self) -> str:
        """A key and its `=` or `@=`."""
        match = _KEY.match(self.text, self.at)
        name = match[0] if match else ""
        self.at += len(name)
        self.may_load = self.take("@")
        self.demand("=")
        return name

    def values(self) -> Any:
        if self.current in ("[", "{"):
            return self.value()
        words = [self.word()]
        self.skip_space()
        while self.current == ",":
            self.demand(",")
            try:
                word = self.word(_NEXT)
                self.skip_space()
                if self.current not in ("", ","):
                    raise self.fail(",")
            except ShorthandError:
                # No further word: what follows the last comma is the next pair, if anything does.
                if not self.current:
                    raise
                self.at = self.text.rindex(",", 0, self.at + 1)
                break
            words.append(word)
        return words if len(words) > 1 else words[0]

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self) -> Any:
        if self.current == "[":
            return self.list_value()
        return self.map_value() if self.current == "{" else self.word()

    def list_value(self) -> list[Any]:
        self.demand("[")
        items: list[Any] = []
        while self.current != "]":
            items.append(self.value())
            self.separator("]")
        self.at += 1
        return items

    def map_value(self) -> dict[str, Any]:
        self.demand("{")
        pairs: dict[str, Any] = {}
        while self.current != "}":
            key = self.key()
            pairs[key] = self.value()
            self.separator("}")
        self.at += 1
        return pairs

    def separator(self, closing: str) -> None:
        """A comma, unless the closing bracket comes next."""
        self.skip_space()
        if self.current != closing:
            self.demand(",")

    def word(self, plain: re.Pattern[str] = _FIRST) -> Any:
        """A quoted or plain word; only the first of a value may be empty."""
        quote = self.current
        if quote in _QUOTED:
            match = _QUOTED[quote].match(self.text, self.at)
            if not match:
                raise self.fail("<singled quoted>" if quote == "'" else "<double quoted>", "<none>")
            text = match[0][1:-1].replace(f"\\{quote}", quote).replace("\\\\", "\\")
        else:
            match = plain.match(self.text, self.at)
            if not match and plain is _NEXT:
                raise self.fail("<second>", "<none>")
            text = match[0].replace("\\,", ",").rstrip() if match else ""
        self.at += len(match[0]) if match else 0
        return self.load(text) if self.may_load and match else text


def parse_shorthand(text: str, load: Callable[[str], Any]) -> dict[str, Any]:
    """Parse one shorthand value.

    Args:
        load: resolves words behind `@=`.

    Returns:
        Keys to texts, lists and maps.

    Raises:
        UsageError: not shorthand; the message points at the place.
    """
    return _Parser(text, load).parameter()
