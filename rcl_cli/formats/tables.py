"""CSV files: labels of images, several an image if need be, or boxes.

| columns | meaning |
|---|---|
| `file`, `label` | a label; several separated by `;` or `|`, or in rows of their own |
| `file`, and columns of 0 and 1 | the columns' names are labels |
| `file`, `label` (or `class`), `xmin`, `ymin`, `xmax`, `ymax` | a box a row, in pixels |

`split`, with `train` or `test`, may stand in any of them. The first column may be called `filename`, `image` or `path`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from rcl_cli.formats.damaged import text_of
from rcl_cli.formats.files import MISSING, ImageFinder, size_of
from rcl_cli.formats.record import BoxPx, FormatError, Notes, Record

_FILE = ("file", "filename", "file_name", "image", "image_path", "path", "filepath", "source-ref")
_LABEL = ("label", "labels", "class", "classes", "tags", "category")
_SPLIT = ("split", "set", "subset", "part")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SIZES = ("width", "height")
_SUFFIXES = (".csv", ".tsv")
_SEPARATORS = re.compile(r"[;|]")


def fits(source: Path) -> bool:
    file = _file(source)
    return file is not None and file.suffix.lower() in _SUFFIXES


def _file(source: Path) -> Path | None:
    """The table itself; of a folder the only one in it."""
    if source.is_file():
        return source
    found = [path for path in source.iterdir() if path.suffix.lower() in _SUFFIXES] if source.is_dir() else []
    return found[0] if len(found) == 1 else None


def read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    file = _file(source)
    if file is None:
        raise FormatError(f"{source} is no CSV file, nor a folder with one.")
    yield from _read(file, images, notes)


def _read(source: Path, images: Path | None, notes: Notes) -> Iterator[Record]:
    finder = ImageFinder(images, source.parent)
    rows: dict[str, list[dict[str, str]]] = {}
    dialect = csv.excel_tab if source.suffix.lower() == ".tsv" else csv.excel
    table = csv.DictReader(io.StringIO(text_of(source), newline=""), dialect=dialect)
    try:
        names = {(name or "").strip().lower(): name for name in table.fieldnames or []}
        file_column = next((names[name] for name in _FILE if name in names), None)
        if file_column is None:
            raise FormatError(f"{source}: the first line must name the columns, one of them `file`.")
        for row in table:
            if row[file_column]:
                rows.setdefault(row[file_column].strip(), []).append(row)
    except csv.Error as error:
        raise FormatError(f"{source}: line {table.line_num}: {error}") from error
    columns = _Columns(source, names, file_column, rows)
    for name, lines in rows.items():
        path = finder.find(name)
        if path is None:
            notes.add(MISSING, name)
            continue
        size = size_of(path, notes)
        if size is not None:
            yield columns.record(path, size, lines, notes)


class _Columns:
    """Which columns say what.

    Raises:
        FormatError: none says a label.
    """

    def __init__(
        self, source: Path, names: dict[str, str], file_column: str, rows: dict[str, list[dict[str, str]]]
    ) -> None:
        self._label = next((names[name] for name in _LABEL if name in names), None)
        self._split = next((names[name] for name in _SPLIT if name in names), None)
        self._corners = [names[name] for name in _CORNERS if name in names]
        if 0 < len(self._corners) < len(_CORNERS):
            missing = next(name for name in _CORNERS if name not in names)
            raise FormatError(f"{source}: boxes need four corners, and there is no column `{missing}`.")
        if self._corners and self._label is None:
            raise FormatError(f"{source}: boxes need a column `label`.")
        known = {file_column, self._split, *(names.get(name) for name in _SIZES)}
        self._flags = [] if self._label else [name for name in names.values() if name not in known]
        if not self._label and not self._flags:
            raise FormatError(
                f"{source}: there must be a column `label`, or columns of 0 and 1 named after the labels."
            )
        for row in (row for lines in rows.values() for row in lines):
            for name in self._flags:
                if (row[name] or "").strip().lower() not in _YES | _NO:
                    raise FormatError(
                        f"{source}: {row[file_column]} has {row[name]!r} in column {name!r}: without a column `label`, "
                        "every column names a label and holds 0 or 1."
                    )

    def record(self, path: Path, size: tuple[int, int], rows: list[dict[str, str]], notes: Notes) -> Record:
        split = (rows[0][self._split] or "").strip() if self._split else ""
        if self._corners:
            boxes = [box for row in rows if (box := self._box(row, path, notes))]
            return Record(path, size, (), tuple(boxes), split)
        labels = [label for row in rows for label in self._labels(row)]
        return Record(path, size, tuple(dict.fromkeys(labels)), (), split)

    def _labels(self, row: dict[str, str]) -> list[str]:
        if self._label:
            if (row[self._label] or "").startswith(("[{", '{"')):
                raise FormatError("The labels are JSON, as in Label Studio's CSV: export JSON from it instead.")
            # Not stripped within: `rcl dataset check` shall see what is there.
            return [part for part in _SEPARATORS.split(row[self._label] or "") if part.strip()]
        return [name for name in self._flags if (row[name] or "").strip().lower() in _YES]

    def _box(self, row: dict[str, str], path: Path, notes: Notes) -> BoxPx | None:
        texts = [row[name] for name in self._corners]
        if not any((text or "").strip() for text in texts):
            return None
        try:
            left, top, right, bottom = (float(text) for text in texts)
        except (TypeError, ValueError):
            notes.add("boxes have corners that are no numbers", path)
            return None
        return BoxPx(row[self._label or ""], left, top, right - left, bottom - top)


_YES = frozenset({"1", "1.0", "true", "yes", "x"})
_NO = frozenset({"0", "0.0", "false", "no", "", "-1"})
