"""Changing one key of a YAML file, and not a character besides: comments, order and quotes are people's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # noqa: TID253 - only `rcl config` comes here

from rcl_cli import plain_yaml
from rcl_cli.errors import ConfigError

Node = yaml.nodes.MappingNode
Entry = tuple[yaml.nodes.Node, yaml.nodes.Node]


def edited(text: str, keys: Sequence[str], value: Any) -> str:
    """A text in which one key says something else, or is gone.

    Args:
        keys: the way to it; the last may be written in any case.
        value: a text, number or truth value; None to take the key out.

    Raises:
        ConfigError: the text is written in a way that can't be changed safely.
    """
    try:
        before = plain_yaml.parse(text) or {}
        changed = _put(text, keys, value)
        if (plain_yaml.parse(changed) or {}) == _expected(before, keys, value):
            return changed
    except (plain_yaml.PlainYamlError, yaml.YAMLError, AttributeError, TypeError):
        pass
    line = f"{': '.join(keys)}" + ("" if value is None else f": {_scalar(value)}")
    raise ConfigError(f"config.yaml is written in a way that can't be changed safely; do it by hand: {line}")


def _expected(document: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """What the text must say afterwards; a map that loses its last key goes too."""
    found = dict(document)
    name = next((key for key in found if str(key).lower() == keys[0].lower()), keys[0])
    if len(keys) > 1:
        inner = _expected(found.get(name) or {}, keys[1:], value)
        if inner or value is not None:
            found[name] = inner
        else:
            found.pop(name, None)
    elif value is None:
        found.pop(name, None)
    else:
        found[name] = value
    return found


def _put(text: str, keys: Sequence[str], value: Any) -> str:
    root = yaml.compose(text)
    if root is None:
        return text if value is None else _with_line(text, len(text), _lines(keys, value, 0))
    node: Any = root
    holder: Entry | None = None
    for depth, key in enumerate(keys):
        entry = _entry(node, key)
        if entry is None:
            if value is None:
                return text
            return _added(text, node, holder, keys[depth:], value)
        if depth == len(keys) - 1:
            return _removed(text, node, entry, holder) if value is None else _replaced(text, entry[1], value)
        holder, node = entry, entry[1]
        if not isinstance(node, Node):
            # `training:` with nothing behind it.
            return text if value is None else _added(text, node, holder, keys[depth + 1 :], value)
    return text


def _entry(node: Node, key: str) -> Entry | None:
    return next((entry for entry in node.value if str(entry[0].value).lower() == key.lower()), None)


def _scalar(value: Any) -> str:
    written: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 20)
    return written.removesuffix("\n").removesuffix("...").removesuffix("\n")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _lines(keys: Sequence[str], value: Any, indent: int) -> str:
    """`a:`, `  b: value` and so on."""
    names = [_scalar(key) for key in keys]
    above = "".join(f"{' ' * (indent + 2 * depth)}{name}:\n" for depth, name in enumerate(names[:-1]))
    return f"{above}{' ' * (indent + 2 * len(names) - 2)}{names[-1]}: {_scalar(value)}\n"


def _with_line(text: str, at: int, lines: str) -> str:
    before, newline = text[:at], _newline(text)
    between = newline if before and not before.endswith("\n") else ""
    return before + between + lines.replace("\n", newline) + text[at:]


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Just behind the end of the line."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _added(text: str, node: Any, holder: Entry | None, keys: Sequence[str], value: Any) -> str:
    if isinstance(node, Node) and node.flow_style:
        at = node.start_mark.index + 1
        inner = "".join(f"{_scalar(key)}: {{" for key in keys[:-1]) + f"{_scalar(keys[-1])}: {_scalar(value)}"
        return text[:at] + inner + "}" * (len(keys) - 1) + (", " if node.value else "") + text[at:]
    if isinstance(node, Node) and holder is None:
        return _with_line(text, len(text), _lines(keys, value, 0))
    if isinstance(node, Node):
        # Before its first key, whose column is everyone's.
        first = node.value[0][0].start_mark
        return _with_line(text, _line_start(text, first.index), _lines(keys, value, first.column))
    if holder is None:
        return text
    key = holder[0].start_mark
    return _with_line(text, _line_end(text, holder[0].end_mark.index), _lines(keys, value, key.column + 2))


def _replaced(text: str, node: yaml.nodes.Node, value: Any) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    space = "" if start and text[start - 1].isspace() else " "
    return text[:start] + space + _scalar(value) + text[end:]


def _removed(text: str, node: Node, entry: Entry, holder: Entry | None) -> str:
    if len(node.value) == 1 and holder is not None:
        # The map goes with its last key.
        return text[: _line_start(text, holder[0].start_mark.index)] + text[_end_of(text, entry[1]) :]
    start, end = entry[0].start_mark.index, entry[1].end_mark.index
    if not node.flow_style:
        return text[: _line_start(text, start)] + text[_end_of(text, entry[1]) :]
    rest = text[end:].lstrip()
    if rest.startswith(","):
        return text[:start] + rest[1:].lstrip()
    return text[:start].rstrip().removesuffix(",") + text[end:]


def _end_of(text: str, node: yaml.nodes.Node) -> int:
    """Behind the last line of a value."""
    end: int = node.end_mark.index
    return end if node.end_mark.column == 0 and end > node.start_mark.index else _line_end(text, end)
