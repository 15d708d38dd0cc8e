"""Small pictures, and the processes that make them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image, PngImagePlugin

from rcl_cli.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter
from rcl_cli.imaging import thumbnails
from rcl_cli.imaging.thumbnails import Makers, small_jpeg
from tests.conftest import Home, image_line, in_threads, noisy, wait_until
from tests.functional.consoling import consoling


@pytest.fixture
def makers() -> Iterator[Makers]:
    made = Makers(2)
    yield made
    made.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "näme \udcff.jpg"
    noisy((200, 30, 30), (400, 300), 1).save(path)
    return path


def be_hasty(monkeypatch: pytest.MonkeyPatch, idle_s: float) -> None:
    """Let processes end that had nothing to do for so long."""
    hasty = f"from rcl_cli.imaging import thumbnails; thumbnails._IDLE_S = {idle_s}; thumbnails.main()"
    monkeypatch.setattr(thumbnails, "command", lambda _: [sys.executable, "-c", hasty])


def loaded(makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]], count: int = 2) -> None:
    """Wait until so many processes make pictures."""

    def are_ready() -> bool:
        with in_threads(4, lambda _: makers.small_jpeg(picture, 160)) as failures:  # type: ignore[func-returns-value]
            pass
        assert not failures
        return [maker.is_ready for maker in makers._all] == [True] * count

    wait_until(are_ready, 30)


def test_they_are_the_same_wherever_they_are_made(
    makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    loaded(makers, picture, started)
    for side in (160, 320):
        made = makers.small_jpeg(picture, side)
        assert made == small_jpeg(picture, side)
        assert Image.open(io.BytesIO(made)).size == (side, side * 3 // 4)
    assert len(started) == 2


def test_nothing_of_the_file_is_in_them_but_pixels(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "secret")
    noisy((200, 30, 30), (400, 300), 1).save(tmp_path / "a.png", pnginfo=notes, icc_profile=b"secret" * 9)
    noisy((200, 30, 30), (400, 300), 1).save(tmp_path / "a.jpg", comment=b"secret", icc_profile=b"secret" * 9)
    for name in ("a.png", "a.jpg"):
        assert b"secret" not in small_jpeg(tmp_path / name, 160)


def test_what_is_wrong_with_a_picture_arrives(
    makers: Makers, picture: Path, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    loaded(makers, picture, started)
    (tmp_path / "broken").write_bytes(b"\xff\xd8 no picture")
    noisy((1, 2, 3), (4200, 100), 1).save(tmp_path / "large", "PNG")
    noisy((1, 2, 3), (20, 20), 1).save(tmp_path / "small", "PNG")
    os.mkfifo(tmp_path / "pipe")
    wrong = {
        "broken": InvalidImageFormat, "none": InvalidImageFormat, "pipe": InvalidImageFormat,
        "large": ImageTooLarge, "small": InvalidParameter,
    }  # fmt: skip
    for name, kind in wrong.items():
        with pytest.raises(kind) as here:
            small_jpeg(tmp_path / name, 160)
        with pytest.raises(kind) as there:
            makers.small_jpeg(tmp_path / name, 160)
        assert str(here.value) == str(there.value)
    assert [one.poll() for one in started] == [None, None]


def test_what_ended_a_process_is_not_tried_here(
    makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a picture would that a library of C trips over: each process that is given it ends."""
    dying = "import os; from rcl_cli.imaging import thumbnails as t; t.small_jpeg = lambda *_: os._exit(9); t.main()"
    monkeypatch.setattr(thumbnails, "command", lambda _: [sys.executable, "-c", dying])
    monkeypatch.setattr(thumbnails, "small_jpeg", lambda *_: b"here")
    one = Makers(1)

    def is_tried() -> bool:
        try:
            return one.small_jpeg(picture, 160) != b"here"
        except InvalidImageFormat:
            return True

    wait_until(is_tried, 30)
    assert len(started) == 2
    one.close()


def test_ended_processes_are_replaced(makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]]) -> None:
    loaded(makers, picture, started)
    for one in started:
        os.kill(one.pid, signal.SIGKILL)
    assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    loaded(makers, picture, started)
    assert len(started) == 4


def test_nobody_waits_for_ever_when_all_are_killed(
    makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    loaded(makers, picture, started)
    for _ in range(3):
        found: list[bytes] = []

        def ask(_: int, found: list[bytes] = found) -> None:
            try:
                found.append(makers.small_jpeg(picture, 160))
            except InvalidImageFormat:
                # Two of its processes were killed: for it, it was the picture.
                found.append(b"")

        threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(8)]
        for thread in threads:
            thread.start()
        for one in started:
            if one.poll() is None:
                os.kill(one.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(30)
        assert len(found) == 8


def test_those_that_are_just_leaving_harm_nobody(
    picture: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_hasty(monkeypatch, 0.2)
    makers = Makers(2)
    loaded(makers, picture, started)
    for number in range(12):
        time.sleep(0.2 + number / 300)
        assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    makers.close()


def test_a_picture_that_ends_processes_is_no_usable_one(
    makers: Makers, picture: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one would that a library of C trips over: here they are stopped, and answer nothing."""
    loaded(makers, picture, started)
    monkeypatch.setattr(thumbnails, "_LONGEST_S", 0.2)
    for one in started:
        os.kill(one.pid, signal.SIGSTOP)
    with pytest.raises(InvalidImageFormat):
        makers.small_jpeg(picture, 160)
    assert [one.poll() for one in started[:2]] == [-signal.SIGKILL] * 2


def test_where_processes_cannot_be_had_they_are_made_here(
    makers: Makers, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "command", lambda _: ["false"])
    for _ in range(20):
        assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
        time.sleep(0.01)
    assert makers._failures == thumbnails._MOST_FAILURES
    monkeypatch.setattr(thumbnails, "command", lambda _: ["/nowhere/at/all"])
    others = Makers(2)
    for _ in range(9):
        assert others.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    assert others._failures >= thumbnails._MOST_FAILURES


def test_they_end_without_work_and_without_whoever_asked(
    picture: Path, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_hasty(monkeypatch, 0.3)
    makers = Makers(1)
    loaded(makers, picture, started, 1)
    assert started[0].wait(10) == 0
    assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    makers.close()
    assert all(one.poll() is not None for one in started)
    # After the end there is nobody to ask, and nothing is started.
    before = len(started)
    assert makers.small_jpeg(picture, 160) == small_jpeg(picture, 160)
    assert len(started) == before


_ASKING = """
import sys, time
from pathlib import Path
from rcl_cli.imaging.thumbnails import Makers
makers, picture = Makers(2), Path(sys.argv[1])
while not any(one.is_ready for one in makers._all):
    makers.small_jpeg(picture, 160)
print(flush=True)
time.sleep(60)
"""


def test_none_is_left_of_who_was_killed(picture: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _ASKING, os.fsencode(picture)], stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        children = psutil.Process(asking.pid).children()
        assert children
        asking.kill()
    _, alive = psutil.wait_procs(children, 10)
    assert not alive


def test_none_is_left_of_a_console_that_ended(home: Home) -> None:
    (home.buckets / "data").mkdir()
    names = [f"{number}.jpg" for number in range(20)]
    for number, name in enumerate(names):
        noisy((200, 30, 30), (400, 300), number).save(home.buckets / "data" / name)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", name) for name in names])
    with consoling(home) as (visitor, process):
        assert visitor.enter()
        for position in range(1, len(names) + 1):
            url = f"/local/thumbnail?dataset={dataset}&position={position}&side=160"
            assert visitor.ask("GET", url)[2]["content-type"] == "image/jpeg"
        children = psutil.Process(process.pid).children()
        assert children
    _, alive = psutil.wait_procs(children, 10)
    assert not alive


def test_a_picture_is_that_of_the_entry_whatever_a_page_calls_it(home: Home) -> None:
    """A page names the picture that it was shown; another name gets it nothing else."""
    (home.buckets / "data").mkdir()
    for name, side in (("a.jpg", 160), ("b.jpg", 80), ("secret.jpg", 120)):
        noisy((200, 30, 30), (160, side), 1).save(home.buckets / "data" / name)
    project = home.project()
    dataset = home.dataset(project, "TRAIN", [image_line("data", "a.jpg")])
    with consoling(home) as (visitor, _):
        assert visitor.enter()

        def size(of: str) -> tuple[int, int]:
            _, body, _ = visitor.ask("GET", f"/local/thumbnail?dataset={dataset}&position=1&side=160&of={of}")
            return Image.open(io.BytesIO(body)).size

        for _ in range(2):
            assert size("s3://data/a.jpg") == size("s3://data/secret.jpg") == size("") == (160, 160)
            visitor.local("gallery", project=project, offset=0, limit=9)
        # Another image in its place.
        home.call("DeleteDataset", DatasetArn=dataset)
        dataset = home.dataset(project, "TRAIN", [image_line("data", "b.jpg")])
        assert size("s3://data/a.jpg") == size("s3://data/b.jpg") == (160, 80)
