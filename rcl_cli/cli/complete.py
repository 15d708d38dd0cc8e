"""What shells offer behind an option: values from the model, the store, the buckets and the file system.

The scripts in completions/ know commands, options and enums, and ask `rcl complete` for everything else. It answers at
every press of TAB, so it imports next to nothing, opens the store for reading only, and never fails aloud.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice, pairwise
from pathlib import Path

from rcl_cli.api.model import Shape, load
from rcl_cli.api.names import camel, kebab
from rcl_cli.cli.terminal import put

Rows = Iterator[tuple[str, str]]
_MOST = 500
_PATIENCE_S = 3
_FILE_PREFIXES = ("fileb://", "file://")


class Store:
    """The store, read past all layers: TAB must be quick, and must not make a home where there is none."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def rows(self, query: str, *values: object, file: str = "rcl.db") -> Rows:
        path = self._home / file
        if not path.is_file():
            return
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            for row in connection.execute(f"{query} LIMIT {_MOST}", values):
                yield str(row[0]), str(row[1])
        finally:
            connection.close()

    def projects(self) -> Rows:
        return self.rows("SELECT arn, name FROM projects ORDER BY created_ms DESC")

    def project_names(self) -> Rows:
        return self.rows("SELECT name, status FROM projects ORDER BY name")

    def datasets(self) -> Rows:
        return self.rows(
            "SELECT d.arn, p.name || ' ' || d.type FROM datasets d JOIN projects p ON p.id = d.project_id "
            "ORDER BY d.created_ms DESC"
        )

    def versions(self, project_arn: str | None) -> Rows:
        return self.rows(
            "SELECT v.arn, p.name || '/' || v.name || ' ' || v.status FROM versions v "
            "JOIN projects p ON p.id = v.project_id WHERE ?1 IS NULL OR p.arn = ?1 ORDER BY v.created_ms DESC",
            project_arn,
        )

    def version_names(self, project_arn: str | None) -> Rows:
        return self.rows(
            "SELECT DISTINCT v.name, v.status FROM versions v JOIN projects p ON p.id = v.project_id "
            "WHERE ?1 IS NULL OR p.arn = ?1 ORDER BY v.name",
            project_arn,
        )

    def dataset_names(self) -> Rows:
        return self.rows(
            "SELECT p.name || '/' || lower(d.type), d.total_entries || ' images' FROM datasets d "
            "JOIN projects p ON p.id = d.project_id ORDER BY d.created_ms DESC"
        )

    def short_versions(self) -> Rows:
        return self.rows(
            "SELECT p.name || '/' || v.name, v.status FROM versions v JOIN projects p ON p.id = v.project_id "
            "ORDER BY v.created_ms DESC"
        )

    def labels(self, dataset_arn: str | None) -> Rows:
        query = "SELECT file, '' FROM datasets WHERE ?1 IS NULL OR arn = ?1 ORDER BY created_ms DESC"
        found: dict[str, None] = {}
        for file, _ in self.rows(query, dataset_arn):
            names = self.rows("SELECT name, '' FROM labels ORDER BY name", file=f"datasets/{file}/entries.db")
            with suppress(sqlite3.Error):
                found |= dict.fromkeys(name for name, _ in names)
            if len(found) >= _MOST:
                break
        return ((name, "") for name in sorted(found))

    def tag_keys(self, arn: str | None) -> Rows:
        return self.rows("SELECT DISTINCT key, value FROM tags WHERE ?1 IS NULL OR arn = ?1 ORDER BY key", arn)

    def policies(self, project_arn: str | None) -> Rows:
        return self.rows(
            "SELECT o.name, o.revision_id FROM policies o JOIN projects p ON p.id = o.project_id "
            "WHERE ?1 IS NULL OR p.arn = ?1 ORDER BY o.name",
            project_arn,
        )


def _given(words: list[str], option: str) -> str | None:
    """The value that an option has elsewhere on the line."""
    for before, word in pairwise(words):
        if before == option:
            return word
    return next((word.partition("=")[2] for word in words if word.startswith(f"{option}=")), None)


def _resources(store: Store) -> Rows:
    for rows in (store.projects(), store.datasets(), store.versions(None)):
        yield from rows


def _settings() -> Rows:
    from rcl_cli.local.home.settings import settings_of

    return ((setting.key, str(setting.winner.value)) for setting in settings_of(os.environ))


def _sources(store: Store, words: list[str], word: str) -> dict[str, Callable[[], Rows]]:
    """Where the values of an option come from, by option."""
    project = _given(words, "--project-arn")
    return {
        "--project-arn": store.projects,
        "--source-project-arn": store.projects,
        "--destination-project-arn": store.projects,
        "--dataset-arn": store.datasets,
        "--project-version-arn": lambda: store.versions(project),
        "--source-project-version-arn": lambda: store.versions(_given(words, "--source-project-arn")),
        "--resource-arn": lambda: _resources(store),
        "--project-names": store.project_names,
        "--version-names": lambda: store.version_names(project),
        "--contains-labels": lambda: store.labels(_given(words, "--dataset-arn")),
        "--tag-keys": lambda: store.tag_keys(_given(words, "--resource-arn")),
        "--policy-name": lambda: store.policies(project),
        "--version": lambda: store.version_names(None),
        "version": store.short_versions,
        "project": store.project_names,
        "setting": _settings,
        "source": lambda: chain(store.dataset_names(), ((path, "") for path in _files(word))),
        # What `feedback add` takes: a project, then images.
        "queue": lambda: chain(store.project_names(), ((path, "") for path in _files(word))),
        # What `detect` takes: a model, then images.
        "image": lambda: chain(store.short_versions(), ((path, "") for path in _files(word))),
    }


def candidates(home: Path, command: str, option: str, word: str, words: list[str]) -> Rows:
    """(value, note) of what the word may become.

    Args:
        option: whose value the word is, or the name of a local command's argument.
        word: what there is of it.
        words: the whole line.
    """
    store = Store(home)
    for prefix in _FILE_PREFIXES:
        if word.startswith(prefix):
            yield from ((prefix + path, "") for path in _files(word[len(prefix) :]))
            return
    if word.startswith("s3://"):
        yield from _objects(home, word)
        return
    source = _sources(store, words, word).get(option)
    if source is not None:
        yield from _fitting(source(), word)
        return
    shape = _shape(command, option)
    if shape is not None and shape.type in ("structure", "list"):
        yield from _shorthand(shape, word, home, store)
    yield from _fitting(_prefixes(option), word)


def _fitting(rows: Iterable[tuple[str, str]], word: str) -> Rows:
    return ((value, note) for value, note in rows if value.startswith(word))


def _prefixes(option: str) -> Rows:
    """How a file is named as a value."""
    if option == "--image-bytes":
        yield "fileb://", "a file's bytes"
    elif option in ("--policy-document", "--cli-input-json", "--cli-input-yaml"):
        yield "file://", "a file's text"
    elif option == "--source-ref-contains":
        yield "s3://", "a bucket"


def _shape(command: str, option: str) -> Shape | None:
    operation = "DescribeProjectVersions" if command == "wait" else camel(command)
    if operation not in load().operations:
        return None
    members = load().operation(operation).input.members
    return next((shape for name, shape in members.items() if f"--{kebab(name)}" == option), None)


# --- shorthand --------------------------------------------------------------------------------------------------------


def _shorthand(shape: Shape, word: str, home: Path, store: Store) -> Rows:
    """Members and values inside `Key=value,Key={Key=…`."""
    head, inner = "", shape.member if shape.type == "list" else shape
    rest = word
    while inner.type == "structure":
        part, brace, deeper = rest.partition("={")
        key = part.rpartition(",")[2]
        if not brace or key not in inner.members:
            break
        head, rest, inner = f"{head}{part}={{", deeper, inner.members[key]
    if inner.type != "structure":
        return
    done, comma, last = rest.rpartition(",")
    before = head + done + comma
    key, equals, value = last.partition("=")
    if equals:
        yield from ((f"{before}{key}={found}", note) for found, note in _members_values(key, value, done, home, store))
        return
    for name, member in inner.members.items():
        opened = "={" if member.type == "structure" else "="
        if name.startswith(key):
            yield f"{before}{name}{opened}", ""


def _members_values(key: str, value: str, siblings: str, home: Path, store: Store) -> Rows:
    if key in ("Bucket", "S3Bucket"):
        return _fitting(((name, "bucket") for name in sorted(_buckets(home))), value)
    if key in ("Name", "S3KeyPrefix"):
        pairs = dict(pair.split("=", 1) for pair in siblings.split(",") if "=" in pair)
        bucket = pairs.get("Bucket", pairs.get("S3Bucket", ""))
        return ((key, "") for key in _keys(home, bucket, value)) if bucket else iter(())
    return _fitting(store.datasets(), value) if key in ("Arn", "DatasetArn") else iter(())


# --- files and buckets ------------------------------------------------------------------------------------------------


def _files(word: str) -> Iterator[str]:
    """Paths that begin with a word; folders end in a slash."""
    folder_text, slash, start = word.rpartition("/")
    folder = Path(os.path.expanduser(folder_text or (slash or ".")))  # noqa: PTH111 - pathlib's raises
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries[:10_000]:
        if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
            yield f"{folder_text}{slash}{entry.name}{'/' if entry.is_dir() else ''}"


def _buckets(home: Path) -> dict[str, Path]:
    """Folders that are buckets, by name; what the config maps is read only if there is a config."""
    found: dict[str, Path] = {}
    for parent in (home / "buckets", *map(Path, filter(None, [os.environ.get("RCL_BUCKETS_DIR")]))):
        if parent.is_dir():
            found |= {entry.name: Path(entry.path) for entry in os.scandir(parent) if entry.is_dir()}
    if (home / "config.yaml").is_file():
        from rcl_cli.config import load_config

        found |= {name: home / target for name, target in load_config(home).buckets.items() if target != "s3"}
    return found


def _objects(home: Path, word: str) -> Rows:
    """`s3://bucket/key`s that begin with a word; buckets of S3 are asked where the config maps them."""
    bucket, slash, key = word.removeprefix("s3://").partition("/")
    folders = _buckets(home)
    if not slash:
        yield from _fitting(((f"s3://{name}/", "bucket") for name in sorted(folders)), word)
    else:
        yield from ((f"s3://{bucket}/{found}", "") for found in _keys(home, bucket, key))


def _keys(home: Path, bucket: str, prefix: str) -> Iterator[str]:
    from rcl_cli.buckets.resolve import make_buckets
    from rcl_cli.config import load_config

    return islice(make_buckets(home, load_config(home)).get(bucket).children(prefix), _MOST)


def main(arguments: list[str]) -> int:
    """`rcl complete COMMAND OPTION WORD LINE…`: a candidate a line, a tab, a note."""
    from rcl_cli.config import home_folder

    # A bucket far away may never answer.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
    signal.alarm(_PATIENCE_S)
    command, option, word, *words = [*arguments, "", "", ""][: max(3, len(arguments))]
    try:
        for value, note in candidates(home_folder(os.environ), command, option, word, words):
            # A label may hold anything; control characters would reach the terminal, or end the line.
            if f"{value}{note}".isprintable():
                put(f"{value}\t{note}\n" if note else f"{value}\n")
    except Exception:  # noqa: BLE001 - nothing may come between a user and the prompt
        return 1
    return 0
