"""What lies where files should be: pipes, devices and the like are never opened; damaged annotations are told."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rcl_cli.buckets.base import NoSuchObjectError
from rcl_cli.buckets.fetch import ImageFetcher
from rcl_cli.errors import ServiceError
from rcl_cli.formats import registry
from rcl_cli.formats.record import FormatError, Notes, Record
from rcl_cli.imaging.decode import decode
from rcl_cli.imaging.looks import Unusable, look_at
from rcl_cli.local.detecting.sources import find_images, read_image
from rcl_cli.regular import open_bytes, open_text, read_bytes
from rcl_cli.training.prepare import check_images
from tests.conftest import Home, image_line, in_time, noisy, write_manifest
from tests.functional.layouts import BOX_LAYOUTS, dump

Run = Callable[..., subprocess.CompletedProcess[str]]
Layout = Callable[[Path], Path]
IMAGES = (".jpg", ".jpeg", ".png")


def odd(folder: Path, name: str) -> dict[str, Path]:
    """One of each kind of thing that is no file."""
    places = {kind: folder / kind / name for kind in ("pipe", "folder", "socket", "device", "link to a pipe")}
    for place in places.values():
        place.parent.mkdir(parents=True)
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(places["socket"].parent)  # names of sockets are short
        made.bind(name)
        os.chdir(here)
    places["device"].symlink_to("/dev/ptmx")
    places["link to a pipe"].symlink_to(places["pipe"])
    return places


@pytest.fixture
def terminals() -> Iterator[None]:
    """Whoever opens /dev/ptmx makes a terminal."""
    before = set(os.listdir("/dev/pts"))  # noqa: PTH208
    yield
    assert set(os.listdir("/dev/pts")) <= before  # noqa: PTH208


def test_only_regular_files_are_opened(tmp_path: Path, terminals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    really = os.open
    monkeypatch.setattr(os, "open", lambda path, *more: (opened.append(str(path)), really(path, *more))[1])
    for path in odd(tmp_path, "x").values():
        for read in (open_bytes, open_text, read_bytes):
            with in_time(), pytest.raises(OSError, match="is no regular file") as caught:
                read(path)
            assert caught.value.filename == str(path)
    assert opened == []
    (tmp_path / "x").write_text("é\r\n", encoding="utf-8", newline="")
    assert read_bytes(tmp_path / "x") == "é\r\n".encode()
    with open_text(tmp_path / "x") as stream:
        assert stream.read() == "é\n"
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")


def test_what_becomes_a_pipe_meanwhile_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "x")
    (tmp_path / "file").write_text("")
    there, really = (tmp_path / "file").stat(), os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: there if path == tmp_path / "x" else really(path, **more))
    monkeypatch.setattr("rcl_cli.regular.check_regular", lambda path: there)
    with in_time(), pytest.raises(OSError, match="is no regular file"):
        read_bytes(tmp_path / "x")


def test_images_that_are_no_files(home: Home, tmp_path: Path, terminals: None) -> None:
    """As images of a detection, of a check, of a training's manifest; by their URLs and in buckets."""
    bucket = home.buckets / "data"
    places = odd(bucket, "x.jpg")
    fetcher = ImageFetcher(home.context.buckets, tmp_path / "cache")
    for kind, path in places.items():
        for ref in (path.as_uri(), f"s3://data/{kind}/x.jpg"):
            with in_time(), pytest.raises(NoSuchObjectError):
                fetcher.fetch(ref)
            with in_time(), pytest.raises(ServiceError):
                read_image(home.context, ref)
        with in_time(), pytest.raises(ServiceError):
            decode(path)
        with in_time():
            assert isinstance(look_at(path), Unusable)
    lines = [{**image_line("data", "x", "cat"), "source-ref": path.as_uri()} for path in places.values()]
    write_manifest(tmp_path / "m", lines)
    with in_time():
        try:
            checked = check_images(fetcher, tmp_path / "m", lambda *_: None)
        finally:
            # Whoever waits in a thread goes on.
            os.close(os.open(places["pipe"], os.O_RDWR))
    assert [line.standing for line in checked] == ["invalid"] * len(lines)
    noisy((1, 2, 3), (80, 80), 1).save(bucket / "good.jpg")
    with in_time():
        assert list(find_images(home.context, [str(bucket)])) == [(bucket / "good.jpg").as_uri()]


def test_settings_that_are_no_file(home: Home, rcl: Run, terminals: None) -> None:
    for kind, path in odd(home.path / "odd", "config.yaml").items():
        config = home.path / "config.yaml"
        config.symlink_to(path)
        for words in (["describe-projects"], ["config", "show"], ["config", "set", "account", "123456789012"]):
            with in_time(20):
                done = rcl(*words)
            assert done.returncode == 253, (kind, words)
            assert f"{config} can't be read: is no regular file" in " ".join(done.stderr.split())
        config.unlink()


def read(source: Path) -> tuple[str, list[Record], Notes]:
    notes = Notes()
    form = registry.recognise(source)
    return form, list(registry.read(source, form, None, notes)), notes


@pytest.mark.parametrize("layout", BOX_LAYOUTS, ids=lambda layout: layout.__name__)
def test_pipes_where_a_set_has_files(layout: Layout, tmp_path: Path) -> None:
    source = layout(tmp_path / "set")
    form, expected, _ = read(source)
    for path in sorted(path for path in (tmp_path / "set").rglob("*") if path.is_file()):
        path.rename(tmp_path / "aside")
        os.mkfifo(path)
        try:
            with in_time():
                found, records, notes = read(source)
            assert found == form, path
            if path.suffix in IMAGES:
                assert len(records) == len(expected) - 1
                assert any(path.name in one for examples in notes.examples.values() for one in examples)
        except FormatError as error:
            assert path.suffix not in IMAGES
            assert str(path) in str(error) or "neither a file nor a folder" in str(error)
        path.unlink()
        (tmp_path / "aside").rename(path)


@pytest.mark.parametrize("name", ["x.manifest", "x.json", "x.xml", "x.yaml", "x.csv", "x.tsv", "x.jsonl", "obj.names"])
def test_pipes_beside_images(name: str, tmp_path: Path) -> None:
    noisy((1, 2, 3), (80, 80), 1).save(made(tmp_path / "images" / "a.jpg"))
    os.mkfifo(tmp_path / name)
    with in_time(), pytest.raises(FormatError) as caught:
        read(tmp_path)
    assert name in str(caught.value) or name == "obj.names"


def test_a_pipe_as_a_set_is_refused(rcl: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set.json")
    with in_time(20):
        done = rcl("dataset", "import", str(tmp_path / "set.json"), "-o", str(tmp_path / "out"))
    assert "is neither a file nor a folder" in " ".join(done.stderr.split())


# --- damaged annotations ----------------------------------------------------------------------------------------------


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def damages(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """What becomes of files: cut short, a byte changed, in another encoding, empty lines before them."""
    chance = random.Random(seed)
    for share in (0.0, 0.05, 0.3, 0.6, 0.95):
        yield f"cut at {share}", data[: int(len(data) * share)]
    for _ in range(25):
        at, byte = chance.randrange(min(len(data), 400)), chance.choice(b"\0\t\xff[{<:x\n")
        yield f"byte {at} is {byte}", data[:at] + bytes([byte]) + data[at + 1 :]
    text = data.decode()
    yield "UTF-16", text.encode("utf-16")
    yield "UTF-16 without a mark", text.encode("utf-16-le")
    yield "Latin-1", text.encode("latin-1")
    yield "another file's", b"\x89PNG\r\n\x1a\n" + data
    yield "brackets", b"[" * 50_000
    yield "empty lines", b"\n\n" + data


@pytest.mark.parametrize("layout", BOX_LAYOUTS, ids=lambda layout: layout.__name__)
def test_damaged_annotations_never_make_labels_of_folders(layout: Layout, tmp_path: Path) -> None:
    source = layout(tmp_path / "set")
    form, expected, _ = read(source)
    known = {box.label for record in expected for box in record.boxes}
    files = [path for path in sorted((tmp_path / "set").rglob("*")) if path.is_file() and path.suffix not in IMAGES]
    for number, path in enumerate(files):
        data = path.read_bytes() or b"\n"
        for what, damaged in damages(data, number):
            path.write_bytes(damaged)
            with in_time(20):
                try:
                    found, records, _ = read(source)
                except FormatError as error:
                    assert path.name in str(error) or str(source) in str(error), (path, what)
                    continue
            assert found == form, (path, what)
            assert not [record.labels for record in records if record.labels], (path, what)
            wrong = {box.label for record in records for box in record.boxes} - known
            # A list of names has no form that could be damaged.
            assert not wrong or what.startswith(("byte", "cut")) or path.suffix == ".names", (path, what, wrong)
        path.write_bytes(data)
    assert read(source)[1] == expected


YOLO = {
    "a tab": (b"train: images\nnames:\n\t0: cat\n", "line 3: a tab"),
    "an unknown tag": (b"train: images\nnames: !mine [cat]\n", "line 2: the tag !mine"),
    "Latin-1": (b"train: images\nnames: [caf\xe9]\n", "line 2: it is no UTF-8"),
    "brackets": (b"names: " + b"[" * 5000, "line 1: "),
    "aliases": (b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 10)) for n in range(97, 107)) + b"names: *k\n",
        "line 5: it holds more than"),
    "no names": (b"train: images\nnc: 1\n", "`names`"),
    "a text": (b"cat\n", "must hold `names:`"),
    "nothing": (b"", "must hold `names:`"),
}  # fmt: skip


def yolo_set(folder: Path) -> Path:
    noisy((1, 2, 3), (80, 80), 1).save(made(folder / "images" / "a.jpg"))
    made(folder / "labels" / "a.txt").write_text("0 .5 .5 .5 .5\n")
    return folder


@pytest.mark.parametrize("what", YOLO)
def test_a_broken_data_file_is_refused_with_its_line(what: str, rcl: Run, tmp_path: Path) -> None:
    text, problem = YOLO[what]
    (yolo_set(tmp_path / "set") / "data.yaml").write_bytes(text)
    done = rcl("dataset", "import", str(tmp_path / "set"), "-o", str(tmp_path / "out"))
    said = " ".join(done.stderr.split())
    assert str(tmp_path / "set" / "data.yaml") in said
    assert problem in said
    assert not (tmp_path / "out").exists()


def test_a_date_is_no_fault(tmp_path: Path) -> None:
    (yolo_set(tmp_path) / "data.yaml").write_text("train: images\nnames: [cat]\nmade: 2024-13-45\n")
    assert [box.label for record in read(tmp_path)[1] for box in record.boxes] == ["cat"]


def test_label_files_without_names_are_refused(tmp_path: Path) -> None:
    yolo_set(tmp_path / "plain")
    yolo_set(tmp_path / "parts" / "train")
    yolo_set(tmp_path / "parts" / "valid")
    for source in (tmp_path / "plain", tmp_path / "parts"):
        with pytest.raises(FormatError, match="classes have no names"):
            read(source)


@pytest.mark.parametrize("folders", [["images"], ["images", "annotations"], ["train", "images"], ["JPEGImages"]])
def test_folders_of_other_formats_are_no_labels(folders: list[str], tmp_path: Path) -> None:
    for folder in folders:
        noisy((1, 2, 3), (80, 80), 1).save(made(tmp_path / folder / "a.jpg"))
    with pytest.raises(FormatError, match="in no format that rcl knows"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("instances.json", '{"images": [\n', "line 2"),
        ("annotations.xml", "<annotations>\n<image", "line 2"),
        ("train.manifest", '{"a": 1}\n{"source-ref\n', "line 2"),
        ("notes.json", "{}", "of no format that rcl knows"),
    ],
)
def test_annotations_that_nobody_knows_are_named(name: str, text: str, problem: str, tmp_path: Path) -> None:
    """Beside folders whose names could be labels."""
    for label in ("cat", "dog"):
        noisy((1, 2, 3), (80, 80), 1).save(made(tmp_path / label / f"{label}.jpg"))
    assert read(tmp_path)[0] == "folders"
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError) as caught:
        read(tmp_path)
    assert name in str(caught.value)
    assert problem in str(caught.value)
    assert {record.labels for record in registry.read(tmp_path, "folders", None, Notes())} == {("cat",), ("dog",)}


def test_manifests_may_begin_with_empty_lines(tmp_path: Path) -> None:
    noisy((1, 2, 3), (80, 80), 1).save(made(tmp_path / "images" / "a.jpg"))
    line = {**image_line("data", "x", "cat"), "source-ref": (tmp_path / "images" / "a.jpg").as_uri()}
    for before in ("\n", "\n \n", "\ufeff\n", "{damaged\n"):
        (tmp_path / "train.manifest").write_text(before + json.dumps(line) + "\n", encoding="utf-8")
        form, records, _ = read(tmp_path)
        assert (form, [record.labels for record in records]) == ("manifest", [("cat",)])


def test_one_damaged_part_of_two_is_refused(tmp_path: Path) -> None:
    """Else the other one would be all there is, and nobody would know."""
    for layout in BOX_LAYOUTS:
        source = layout(tmp_path / layout.__name__)
        for path in sorted(source.rglob("*")) if source.is_dir() else ():
            if path.suffix in (".json", ".xml") and "JPEGImages" not in os.listdir(path.parent.parent):  # noqa: PTH208
                data = path.read_bytes()
                path.write_bytes(data[:-3])
                with pytest.raises(FormatError, match=path.name):
                    read(source)
                path.write_bytes(data)


# --- COCO -------------------------------------------------------------------------------------------------------------

COCO = '"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]'


@pytest.mark.parametrize(
    "text",
    [
        f'{{{COCO}, "n":{{"images":1}}}}',
        f'{{"[": 1, {COCO}, "q": "{{ \\""}}',
        f'\ufeff \n\t{{{COCO}}}',
        f'{{"info": "{"x" * (1 << 20)}", {COCO}}}',
    ],
)  # fmt: skip
def test_objects_are_coco_whatever_they_end_in(text: str, tmp_path: Path) -> None:
    json.loads(text.removeprefix("\ufeff"))
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert registry.recognise(tmp_path / "x.json") == "coco"


@pytest.mark.parametrize("tail", ["", '"["', '{"a": ["["]}', '"}"'])
def test_lists_are_no_coco_whatever_they_end_in(tail: str, tmp_path: Path) -> None:
    text = f"[{{{COCO}}}{', ' if tail else ''}{tail}]"
    json.loads(text)
    (tmp_path / "x.json").write_text(text)
    with suppress(FormatError):
        assert registry.recognise(tmp_path / "x.json") != "coco"


def test_files_of_another_format_beside_coco_are_told(tmp_path: Path) -> None:
    noisy((1, 2, 3), (80, 80), 1).save(made(tmp_path / "a.jpg"))
    dump(tmp_path / "a.json", {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []})
    dump(tmp_path / "captions.json", {"images": [], "annotations": []})
    _, records, notes = read(tmp_path)
    assert len(records) == 1
    assert any("captions.json" in one for examples in notes.examples.values() for one in examples)
