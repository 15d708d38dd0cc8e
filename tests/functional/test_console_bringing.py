"""Labelled images that are dropped on the console: a folder or an export becomes a project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from rcl_cli.local.labelling.lines import labelling_of
from rcl_cli.scratch import left_behind
from tests.conftest import Home, image_line, noisy, wait_until
from tests.functional.browser import needs_browser
from tests.functional.consoling import Visitor, consoling
from tests.functional.layouts import BOX_LAYOUTS, PICTURES, coco
from tests.functional.pages import at_console


def send(visitor: Visitor, folder: str, path: str, data: bytes) -> str:
    """Bring a file; an error's message where it is refused."""
    _, body, _ = visitor.ask("POST", f"/local/bring-file?{urlencode({'folder': folder, 'path': path})}", data)
    return str(json.loads(body).get("error", {}).get("message", ""))


def brought(visitor: Visitor, source: Path) -> str:
    """Bring a folder as a page does, with its name; the name that it has there."""
    folder: str = visitor.local("bring")["folder"]
    for path in sorted(source.rglob("*")):
        if path.is_file():
            assert send(visitor, folder, path.relative_to(source.parent).as_posix(), path.read_bytes()) == ""
    return folder


def imported(visitor: Visitor, folder: str, project: str, form: str) -> dict[str, Any]:
    assert visitor.local("bring-import", folder=folder, project=project, format=form) == {}
    wait_until(lambda: bool(visitor.local("bring-progress", folder=folder)["is_over"]))
    work: dict[str, Any] = visitor.local("bring-progress", folder=folder)
    return work


def entries(home: Home, project: str) -> dict[str, dict[str, Any]]:
    """Lines by the names of their images, of all datasets of a project."""
    (found,) = home.call("DescribeProjects", ProjectNames=[project])["ProjectDescriptions"]
    lines = [line for dataset in found["Datasets"] for line in home.entries(dataset["DatasetArn"])]
    return {line["source-ref"].rpartition("/")[2]: line for line in lines}


@pytest.mark.parametrize("layout", BOX_LAYOUTS, ids=lambda layout: layout.__name__)
def test_exports_become_projects_whose_images_are_in_a_bucket(layout: Any, home: Home, tmp_path: Path) -> None:
    source = layout(tmp_path / "set")
    source = source if source.is_dir() else tmp_path / "set"
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        folder = brought(visitor, source)
        look = visitor.local("bring-look", folder=folder)
        assert look["format"]
        assert look["parts"]["train"]["images"] + look["parts"].get("test", {"images": 0})["images"] == len(PICTURES)
        work = imported(visitor, folder, "cells", look["format"])
        assert work["trouble"] == ""
        # Nothing of it is needed any more.
        visitor.local("bring-end", folder=folder)
        assert not list((home.path / "cache").glob("rcl-scratch-*"))
    found = entries(home, "cells")
    assert found.keys() == {picture.name for picture in PICTURES}
    for picture in PICTURES:
        line = found[picture.name]
        assert line["source-ref"].startswith("s3://rcl-console/cells/")
        kept = home.buckets / line["source-ref"].removeprefix("s3://")
        assert kept.read_bytes() == next(source.rglob(picture.name)).read_bytes()
        labels = [one.label for one in labelling_of(json.dumps(line)).boxes]
        assert labels == [box[0] for box in picture.boxes]


def test_what_is_brought_cannot_name_other_files(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    noisy((1, 2, 3), (90, 90), 1).save(secret)
    (tmp_path / "set").mkdir()
    noisy((1, 2, 3), (90, 90), 2).save(tmp_path / "set" / "own.jpg")
    (tmp_path / "set" / "labels.csv").write_text(f"image,label\nown.jpg,cat\n{secret},cat\n../../../secret.jpg,cat\n")
    lines = [{"source-ref": secret.as_uri(), "class": 0,
              "class-metadata": {"class-name": "cat", "type": "groundtruth/image-classification"}}]  # fmt: skip
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        folder = brought(visitor, tmp_path / "set")
        work = imported(visitor, folder, "cats", "csv")
        assert work["trouble"] == ""
        assert "images lie elsewhere than what was brought, and were left out" in " ".join(work["notes"])
        assert entries(home, "cats").keys() == {"own.jpg"}
        manifest: str = visitor.local("bring")["folder"]
        assert send(visitor, manifest, "a.manifest", json.dumps(lines[0]).encode()) == ""
        # It is told before anything is made, and nothing elsewhere is looked at.
        look = visitor.local("bring-look", folder=manifest, format="manifest")
        work = imported(visitor, manifest, "others", "manifest")
        for told in (look["trouble"], work["trouble"]):
            assert "images lie elsewhere than what was brought, and were left out" in told
            assert str(home.path) not in told
        yolo: str = visitor.local("bring")["folder"]
        assert send(visitor, yolo, "set/data.yaml", f"path: {tmp_path}\ntrain: .\nnames: [cat]\n".encode()) == ""
        assert visitor.local("bring-look", folder=yolo)["parts"] == {}
        for odd in (
            "../a.jpg",
            "/etc/a.jpg",
            "a//b.jpg",
            "a/../b.jpg",
            ".",
            "a\0b.jpg",
            "x" * 300,
            "a/" * 40 + "b.jpg",
            "",
        ):
            assert "no file can have this path" in send(visitor, folder, odd, b"data"), odd
        assert "once more" in send(visitor, "../../" + folder, "a.jpg", b"data")
        assert send(visitor, folder, "new/a.txt", b"data") == ""
        assert "another file of this name" in send(visitor, folder, "new/a.txt", b"data")
        assert "another file of this name" in send(visitor, folder, "new/a.txt/b.txt", b"data")
        assert "another file of this name" in send(visitor, folder, "new", b"data")
    assert not [path for path in home.buckets.rglob("*") if path.name.startswith("secret")]
    names = [one["ProjectArn"].split("/")[1] for one in home.call("DescribeProjects")["ProjectDescriptions"]]
    assert names == ["cats"]


def test_what_is_in_buckets_already_stays_there_and_that_is_told(home: Home) -> None:
    (home.buckets / "mine").mkdir()
    noisy((1, 2, 3), (90, 90), 1).save(home.buckets / "mine" / "a.jpg")
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        folder: str = visitor.local("bring")["folder"]
        assert send(visitor, folder, "a.manifest", json.dumps(image_line("mine", "a.jpg", "cat")).encode()) == ""
        work = imported(visitor, folder, "cats", "manifest")
    assert work["trouble"] == ""
    assert any("images are in buckets already, and stay there" in line for line in work["notes"])
    assert entries(home, "cats")["a.jpg"]["source-ref"] == "s3://mine/a.jpg"


def test_pictures_without_labels_are_taken_as_such(home: Home, tmp_path: Path) -> None:
    (tmp_path / "set" / "deep").mkdir(parents=True)
    for number in range(3):
        noisy((1, 2, 3), (90, 90), number).save(tmp_path / "set" / f"{number}.jpg")
    noisy((1, 2, 3), (90, 90), 9).save(tmp_path / "set" / "deep" / "0.jpg")
    (tmp_path / "set" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "set" / "notes.txt").write_text("hello")
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        folder = brought(visitor, tmp_path / "set")
        look = visitor.local("bring-look", folder=folder)
        # The folder below could be a label.
        assert (look["pictures"], look["format"]) == (5, "folders")
        work = imported(visitor, folder, "plain", visitor.local("bring")["plain"])
        assert work["trouble"] == ""
        assert work["notes"] == ["1 pictures can't be used (InvalidImageFormatException): set/broken.png"]
        # Two of one name are two.
        assert len(entries(home, "plain")) == 4
        assert not any(labelling_of(json.dumps(line)) != ((), ()) for line in entries(home, "plain").values())
        # Nothing usable makes nothing.
        empty: str = visitor.local("bring")["folder"]
        send(visitor, empty, "a/broken.jpg", b"no picture")
        work = imported(visitor, empty, "none", "pictures")
        assert work["trouble"].startswith("There are no pictures that can be used.\n")
    names = [one["ProjectArn"].split("/")[1] for one in home.call("DescribeProjects")["ProjectDescriptions"]]
    assert names == ["plain"]


def test_refused_imports_change_nothing(home: Home, tmp_path: Path) -> None:
    source = coco(tmp_path / "set")
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        folder = brought(visitor, source)
        assert "Value 'no name'" in visitor.local("bring-import", folder=folder, project="no name", format="coco")
        assert "choose another one" in visitor.local("bring-import", folder=folder, project="..", format="coco")
        assert "There is no format doc." in visitor.local("bring-look", folder=folder, format="doc")
        assert "There is no format doc." in visitor.local("bring-import", folder=folder, project="a", format="doc")
        assert imported(visitor, folder, "a", "yolo")["trouble"].startswith("set has no data.yaml")
        assert home.call("DescribeProjects")["ProjectDescriptions"] == []
        assert not (home.buckets / "rcl-console").exists()
        assert imported(visitor, folder, "a", "coco")["trouble"] == ""
        assert "has a train dataset already" in imported(visitor, folder, "a", "coco")["trouble"]
        assert "once more" in visitor.local("bring-look", folder="0" * 16)
    # Who is asked nothing more, and did not end it, leaves nothing.
    assert not list((home.path / "cache").glob("rcl-scratch-*"))


def test_what_a_killed_console_kept_is_swept(home: Home) -> None:
    command = [sys.executable, "-m", "rcl_cli", "console", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, env=home.environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        visitor = Visitor(process.stdout.readline().split()[-1])
        assert visitor.enter()
        assert send(visitor, visitor.local("bring")["folder"], "a.jpg", b"data") == ""
        process.kill()
    (kept,) = (home.path / "cache").glob("rcl-scratch-*")
    assert left_behind(home.path / "cache") == [kept]
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        visitor.local("bring")
        assert not kept.exists()


@needs_browser
def test_a_folder_is_looked_at_and_imported(browser: Browser, home: Home, tmp_path: Path) -> None:
    source = coco(tmp_path / "my cells!")
    (source / ".DS_Store").write_bytes(b"x")
    with at_console(browser, home) as (page, _):
        page.locator("input[webkitdirectory]").set_input_files(source)
        dialog = page.locator("dialog.bring")
        expect(dialog.get_by_role("status")).to_have_text("Understood as: COCO.")
        rows = dialog.locator("tbody tr")
        expect(rows.first).to_contain_text("Training4")
        expect(rows.first).to_contain_text("red cell (3)")
        expect(dialog.get_by_label("Name of the new project")).to_have_value("my-cells")
        dialog.get_by_role("button", name="Import").click()
        expect(page.locator("#trail")).to_contain_text("my-cells")
        expect(page.locator(".tile:visible")).to_have_count(5)
        expect(page.locator("#notes")).to_contain_text("my-cells is there.")
        # What is not understood can be labelled here; what is called off leaves nothing.
        page.goto(page.url.partition("#")[0] + "#/")
        pictures = tmp_path / "photos"
        pictures.mkdir()
        for number in range(3):
            noisy((1, 2, 3), (90, 90), number).save(pictures / f"{number}.jpg")
        page.locator("input[webkitdirectory]").set_input_files(pictures)
        expect(dialog.get_by_role("status")).to_contain_text("labelled here")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        page.locator("input[webkitdirectory]").set_input_files(pictures)
        dialog.get_by_role("button", name="Import").click()
        expect(page.locator(".tile:visible")).to_have_count(3)
    assert not list((home.path / "cache").glob("rcl-scratch-*"))
