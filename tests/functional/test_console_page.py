"""The console in a real Chromium, driven by its mouse and its keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from rcl_cli.local.labelling.lines import labelling_of
from tests.conftest import Home, box_images, box_line, colour_images, image_line, noisy
from tests.functional.browser import needs_browser
from tests.functional.models import Trained
from tests.functional.pages import at_console, counted, drag, saved, usable_by_everybody

pytestmark = needs_browser
ODD_LABEL = "<img src=x onerror=alert(1)>"


def labels(home: Home, dataset: str) -> list[tuple[str, ...]]:
    return [labelling_of(json.dumps(line)).labels for line in home.entries(dataset)]


def test_from_pictures_to_labels_by_keys(browser: Browser, home: Home, tmp_path: Path) -> None:
    files = []
    for number in range(6):
        files.append(tmp_path / f"{number}.jpg")
        noisy((40 * number, 90, 200), (120, 90), number).save(files[-1])
    files.append(tmp_path / "no.jpg")
    files[-1].write_text("no picture")
    # A refused picture is an answer of 400, of which Chromium speaks in the console.
    with at_console(browser, home, may_complain=True) as (page, _):
        page.get_by_label("Name of the new project").fill("shapes")
        page.keyboard.press("Enter")
        page.locator("input[type=file][multiple]").set_input_files(files)
        expect(page.locator(".adder")).to_contain_text("6 added.")
        expect(page.locator("#notes")).to_contain_text("1 left out. no.jpg: Request has invalid image format")
        expect(page.locator(".tile:visible")).to_have_count(6)
        page.locator(".tile").first.click()
        counted(page, "1 of 6")
        page.keyboard.press("b")
        page.get_by_label("New label").fill("round")
        page.keyboard.press("Enter")
        # Two keys an image.
        for number in range(2, 7):
            page.keyboard.press("Space")
            counted(page, f"{number} of 6")
            page.keyboard.press("1")
        saved(page)
        (dataset,) = home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"]
        assert labels(home, dataset["DatasetArn"]) == [("round",)] * 6
        page.keyboard.press("z")
        counted(page, "6 of 6")
        page.keyboard.press("z")
        counted(page, "5 of 6")
        saved(page)
        assert labels(home, dataset["DatasetArn"]) == [("round",)] * 4 + [()] * 2
        page.keyboard.press("Shift+Z")
        page.keyboard.press("n")
        counted(page, "6 of 6")
        saved(page)
        assert labels(home, dataset["DatasetArn"]) == [("round",)] * 5 + [()]


def test_boxes_by_mouse_and_keys(browser: Browser, home: Home) -> None:
    lines = box_images(home, 3, 0)[0]
    first = box_line("data", lines[0]["source-ref"].rpartition("/")[2], (128, 96), (ODD_LABEL, 10, 10, 60, 60))
    first["boxes"]["annotations"][0]["note"] = "kept"
    noisy((90, 90, 90), (128, 96), 0).save(home.buckets / first["source-ref"].removeprefix("s3://"))
    dataset = home.dataset(home.project(), "TRAIN", [first, *lines[1:]])

    def boxes() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = home.entries(dataset)[0].get("boxes", {}).get("annotations", [])
        return found

    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        expect(page.locator(".tile:visible")).to_have_count(3)
        page.locator(".tile").first.click()
        expect(page.locator(".stage .box")).to_have_count(1)
        # Within another box, which is not chosen.
        drag(page, (0.25, 0.25), (0.5, 0.5))
        saved(page)
        new = boxes()[1]
        assert (new["left"], new["top"], new["width"], new["height"]) == pytest.approx((32, 24, 32, 24), abs=1)
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowDown")
        saved(page)
        assert (boxes()[1]["width"], boxes()[1]["top"]) == (new["width"] + 1, new["top"] + 1)
        drag(page, (0.4, 0.4), (0.6, 0.4))
        saved(page)
        assert boxes()[1]["left"] == pytest.approx(new["left"] + 25.6, abs=1)
        page.keyboard.press("d")
        saved(page)
        assert len(boxes()) == 3
        page.keyboard.press("Delete")
        page.locator(".stage").press("Tab")
        page.keyboard.press("Delete")
        saved(page)
        assert boxes()[0]["class_id"] == new["class_id"]
        assert len(boxes()) == 1
        # All of it back, as it was written.
        for _ in range(7):
            page.keyboard.press("z")
        saved(page)
        assert boxes() == first["boxes"]["annotations"]
        expect(page.locator(".stage .box")).to_have_count(1)
        page.keyboard.press("Space")
        counted(page, "2 of 3")
        page.keyboard.press("c")
        saved(page)
        assert len(home.entries(dataset)[1]["boxes"]["annotations"]) == 2
        assert page.get_by_text(ODD_LABEL).count() > 0


@pytest.mark.parametrize("is_mine", [True, False])
def test_conflicts_are_told(browser: Browser, home: Home, is_mine: bool) -> None:
    colour_images(home, 2, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", "0.jpg", "cat"), image_line("data", "1.jpg")])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 2")
        theirs = image_line("data", "0.jpg", "dog", "bird") | {"from": "elsewhere"}
        home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": json.dumps(theirs).encode()})
        page.keyboard.press("1")
        dialog = page.locator("dialog.conflict")
        expect(dialog).to_contain_text("Somebody else changed this image meanwhile.")
        expect(dialog).to_contain_text("dog, bird")
        assert labels(home, dataset)[0] == ("dog", "bird")
        dialog.get_by_role("button", name="Save mine" if is_mine else "Take theirs").click()
        saved(page)
        assert labels(home, dataset)[0] == (() if is_mine else ("dog", "bird"))
        assert home.entries(dataset)[0]["from"] == "elsewhere"


def test_edits_wait_for_a_server_that_was_killed(browser: Browser, home: Home) -> None:
    colour_images(home, 3, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(3)])

    @contextmanager
    def started(port: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        command = [sys.executable, "-m", "rcl_cli", "console", "--no-browser", "--port", port]
        with subprocess.Popen(
            command, env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout
            try:
                yield process, process.stdout.readline().split()[-1]
            finally:
                process.kill()

    with browser.new_page() as page:
        with started("0") as (process, url):
            page.goto(url)
            page.locator(".card a").click()
            page.locator(".tile").first.click()
            counted(page, "1 of 3")
            process.kill()
            process.wait()
            page.keyboard.press("1")
            expect(page.locator(".saved")).to_contain_text("1 not saved")
            page.keyboard.press("Space")
            counted(page, "2 of 3")
            page.keyboard.press("1")
            expect(page.locator(".saved")).to_contain_text("2 not saved")
        with started(str(urlsplit(url).port)):
            saved(page)
            assert labels(home, dataset) == [(), (), ("cat",)]
            page.keyboard.press("z")
            page.keyboard.press("z")
            saved(page)
            assert labels(home, dataset) == [("cat",)] * 3


def test_an_image_is_shown_as_it_was_left(browser: Browser, home: Home) -> None:
    colour_images(home, 3, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(3)])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 3")
        page.keyboard.press("1")
        saved(page)
        page.keyboard.press("ArrowRight")
        counted(page, "2 of 3")
        page.keyboard.press("ArrowLeft")
        counted(page, "1 of 3")
        expect(page.locator(".labels button").first).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("1")
        saved(page)
        expect(page.locator("dialog[open]")).to_have_count(0)
        assert labels(home, dataset) == [("cat",)] * 3


def test_nothing_is_drawn_where_an_image_is_gone(browser: Browser, home: Home) -> None:
    dataset = home.dataset(home.project("p"), "TRAIN", box_images(home, 2, 0)[0])
    before = home.entries(dataset)
    with at_console(browser, home) as (page, _):
        page.locator(".card").wait_for()
        asked = {"method": "POST", "body": json.dumps({"entries": [[dataset, 1], [dataset, 99]]})}
        queue = page.evaluate("asked => fetch('/local/queue', asked).then(answer => answer.json())", asked)["queue"]
        page.goto(f"{page.url.partition('#')[0]}#/p/p/label/0?queue={queue}")
        expect(page.locator(".stage .box")).to_have_count(1)
        page.keyboard.press("Space")
        counted(page, "2 of 2")
        frame = page.locator(".stage").bounding_box()
        assert frame
        page.mouse.move(frame["x"] + frame["width"] / 3, frame["y"] + frame["height"] / 3)
        page.mouse.down()
        page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
        page.mouse.up()
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".stage .box")).to_have_count(1)
    assert home.entries(dataset) == before


def test_edits_that_wait_are_told_in_every_view(browser: Browser, home: Home) -> None:
    """Who leaves the labeller while the server is away loses nothing, and is asked what to do about others' changes."""
    colour_images(home, 2, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(2)])
    with at_console(browser, home, may_complain=True) as (page, _):
        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 2")
        page.route("**/local/save", lambda route: route.abort())
        page.keyboard.press("1")
        expect(page.locator(".saved")).to_contain_text("1 not saved")
        page.keyboard.press("Escape")
        expect(page.locator(".field")).to_be_visible()
        expect(page.locator("#state")).to_contain_text("1 not saved")
        theirs = json.dumps(image_line("data", "0.jpg", "dog")).encode()
        home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": theirs})
        page.unroute("**/local/save")
        dialog = page.locator("dialog.conflict")
        expect(dialog).to_be_visible()
        # Neither a key that is meant for the image nor Escape chooses.
        for key in ("Space", "Enter", "Escape", "Escape", "Escape"):
            page.keyboard.press(key)
        expect(dialog).to_be_visible()
        assert labels(home, dataset)[0] == ("dog",)
        dialog.get_by_role("button", name="Save mine").click()
        expect(page.locator("#state")).to_have_text("")
        assert labels(home, dataset)[0] == ()


def test_keys_wait_for_the_image_that_they_are_meant_for(browser: Browser, home: Home) -> None:
    colour_images(home, 8, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(8)])
    with at_console(browser, home) as (page, _):

        def late(route: Any) -> None:
            page.wait_for_timeout(300)
            route.continue_()

        page.route("**/local/picture?*", late)
        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 8")
        for _ in range(7):
            page.keyboard.press("Space")
            page.keyboard.press("1")
        counted(page, "8 of 8")
        saved(page)
        assert labels(home, dataset) == [("cat",), *[()] * 7]


def test_an_answer_that_was_lost_is_no_conflict(browser: Browser, home: Home) -> None:
    box_images(home, 1, 0)
    line = box_line("data", "x.jpg", (640, 480), ("cat", 10, 10, 60, 60))
    noisy((90, 90, 90), (640, 480), 0).save(home.buckets / "data" / "x.jpg")
    dataset = home.dataset(home.project(), "TRAIN", [line])
    with at_console(browser, home, may_complain=True) as (page, _):
        lost: list[int] = []

        def lose(route: Any) -> None:
            if not lost:
                lost.append(route.fetch().status)
                route.abort()
            else:
                route.continue_()

        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 1")
        page.route("**/local/save", lose)
        drag(page, (0.511, 0.333), (0.777, 0.666))
        page.keyboard.press("ArrowRight")
        saved(page)
        expect(page.locator("dialog[open]")).to_have_count(0)
        assert lost == [200]
        boxes = home.entries(dataset)[0]["boxes"]["annotations"]
        assert len(boxes) == 2
        page.keyboard.press("z")
        page.keyboard.press("z")
        saved(page)
        assert home.entries(dataset)[0]["boxes"] == line["boxes"]


def test_what_others_said_beside_the_same_is_kept(browser: Browser, home: Home) -> None:
    """Somebody gives the label that is given here, and says something else, while this page goes on with the image."""
    colour_images(home, 1, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", "0.jpg", "cat")])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        page.locator(".tile").first.click()
        counted(page, "1 of 1")
        page.get_by_label("New label").fill("dog")

        came: list[bool] = []

        def before_it(route: Any) -> None:
            came.append(True)
            if len(came) > 1:
                route.continue_()
                return
            theirs = {**image_line("data", "0.jpg", "cat", "dog"), "counter": 312}
            home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": json.dumps(theirs).encode()})
            # The next edit is made while this one is on its way.
            page.wait_for_timeout(100)
            route.continue_()

        page.route("**/local/save", before_it)
        page.keyboard.press("Enter")
        page.keyboard.press("1")
        saved(page)
        expect(page.locator("dialog[open]")).to_have_count(0)
        assert (labels(home, dataset), home.entries(dataset)[0]["counter"]) == ([("dog",)], 312)
        page.keyboard.press("z")
        page.keyboard.press("z")
        page.keyboard.press("z")
        saved(page)
        assert (labels(home, dataset), home.entries(dataset)[0]["counter"]) == ([("cat", "dog")], 312)


def test_a_gallery_keeps_its_pictures_when_something_changes(browser: Browser, home: Home) -> None:
    colour_images(home, 4, 0)
    dataset = home.dataset(home.project(), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(4)])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        expect(page.locator(".tile[data-shown]")).to_have_count(4)
        theirs = json.dumps(image_line("data", "0.jpg", "dog")).encode()
        home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": theirs})
        expect(page.locator(".tile").first).to_contain_text("dog")
        expect(page.locator(".tile[data-shown]")).to_have_count(4)


def test_a_dataset_that_could_not_be_made_closes_nothing(browser: Browser, home: Home) -> None:
    project = home.project()
    home.dataset(project, "TRAIN", colour_images(home, 2, 0)[0])
    broken = home.dataset(project, "TEST", b"no manifest")
    assert home.describe(broken)["Status"] == "CREATE_FAILED"
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        expect(page.locator(".tile:visible")).to_have_count(2)


def test_tags_are_set_and_removed(browser: Browser, home: Home) -> None:
    project = home.project("shapes")

    def tags() -> Any:
        return home.call("ListTagsForResource", ResourceArn=project)["Tags"]

    with at_console(browser, home, may_complain=True) as (page, _):
        page.get_by_role("button", name="Tags shapes").click()
        dialog = page.locator("dialog")
        expect(dialog).to_contain_text("There are none.")
        for key, value in (("team", ODD_LABEL), ("team", "blue"), ("Maß", "")):
            dialog.get_by_label("Key").fill(key)
            dialog.get_by_label("Value").fill(value)
            page.keyboard.press("Enter")
            expect(dialog.get_by_label("Key")).to_have_value("" if "<" not in value else key)
        # What the API refuses, it says why.
        expect(page.locator("#notes")).to_contain_text("tags")
        assert tags() == {"team": "blue", "Maß": ""}
        dialog.get_by_role("button", name="Remove team").click()
        expect(dialog.locator("tr")).to_have_count(1)
        assert tags() == {"Maß": ""}


QUICK = {"RCL_TRAINING_EPOCHS": "1", "RCL_TRAINING_IMAGE_SIZE": "64", "RCL_TRAINING_WEIGHTS": "none"}


def test_a_model_is_trained_started_tried_and_deleted(browser: Browser, home: Home) -> None:
    training, testing = box_images(home)
    project = home.project("squares")
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    picture = home.buckets / training[0]["source-ref"].removeprefix("s3://")
    with at_console(browser, home, **QUICK) as (page, _):
        page.locator(".card a").click()
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_text("No model yet")).to_be_visible()
        page.get_by_role("button", name="Train a model").click()
        row = page.locator("tbody tr")
        expect(row).to_contain_text("TRAINING_IN_PROGRESS")
        expect(row).to_contain_text("TRAINING_COMPLETED", timeout=180_000)
        row.get_by_role("button", name="Start v1").click()
        expect(row).to_contain_text("RUNNING", timeout=60_000)
        page.locator(".trial input[type=file]").set_input_files(picture)
        slider = page.get_by_label("From this confidence on")
        slider.fill("0")
        found = page.locator(".trial li")
        expect(found.first).to_contain_text("%")
        version = home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"][0]
        asked = {"ProjectVersionArn": version["ProjectVersionArn"], "Image": {"Bytes": picture.read_bytes()}}
        every = home.call("DetectCustomLabels", **asked, MinConfidence=0)["CustomLabels"]
        expect(found).to_have_count(len(every))
        # Two lines a box.
        assert page.locator(".trial svg rect").count() == 2 * len(every)
        page.get_by_text("The same for scripts and programs").click()
        command = page.get_by_label("CLI").locator("pre").inner_text()
        words = ["bash", "-c", command.replace("rcl ", f"{sys.executable} -m rcl_cli ", 1)]
        done = subprocess.run(words, cwd=picture.parent, env=home.environment(), capture_output=True, text=True)
        assert len(json.loads(done.stdout)["CustomLabels"]) == len(every)
        row.get_by_role("button", name="Stop v1").click()
        expect(row).to_contain_text("STOPPED", timeout=60_000)
        expect(page.get_by_text("Start a model to try it.")).to_be_visible()
        row.get_by_role("button", name="Delete v1").click()
        page.get_by_role("button", name="Keep it as it is").click()
        expect(row).to_contain_text("STOPPED")
        row.get_by_role("button", name="Delete v1").click()
        page.get_by_role("button", name="Delete it").click()
        expect(row).to_have_count(0)


def test_many_images_are_labelled_at_once(browser: Browser, home: Home) -> None:
    colour_images(home, 7, 0)
    box = box_line("data", "6.jpg", (72, 72), ("square", 5, 5, 20, 20))
    lines = [image_line("data", f"{n}.jpg", "cat") for n in range(6)]
    dataset = home.dataset(home.project(), "TRAIN", [*lines, box])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        ticks = page.locator(".choose:visible")
        expect(ticks).to_have_count(7)
        ticks.nth(1).check(force=True)
        ticks.nth(3).click(modifiers=["Shift"], force=True)
        expect(page.locator(".many")).to_contain_text("3 chosen")
        page.get_by_label("Label for the chosen images").fill(ODD_LABEL)
        page.get_by_role("button", name="Give label").click()
        expect(page.locator("#notes")).to_contain_text("3 changed.")
        with_it = [labels(home, dataset)[n] for n in range(7)]
        assert with_it == [("cat",), *[("cat", ODD_LABEL)] * 3, ("cat",), ("cat",), ()]
        expect(page.locator(".many")).to_be_hidden()
        ticks.nth(0).check(force=True)
        page.get_by_role("button", name="Choose all 7").click()
        ticks.nth(5).uncheck(force=True)
        expect(page.locator(".many")).to_contain_text("6 chosen")
        page.get_by_label("Label for the chosen images").fill("cat")
        page.get_by_role("button", name="Take label").click()
        expect(page.locator("#notes")).to_contain_text("5 changed.")
        assert labels(home, dataset) == [(), *[(ODD_LABEL,)] * 3, (), ("cat",), ()]
        assert home.entries(dataset)[6]["boxes"] == box["boxes"]


def test_labels_are_renamed_made_one_and_deleted(browser: Browser, home: Home) -> None:
    colour_images(home, 3, 0)
    box = box_line("data", "2.jpg", (72, 72), ("cat", 5, 5, 20, 20), ("dog", 9, 9, 30, 30))
    box["boxes"]["annotations"][0]["note"] = "kept"
    project = home.project()
    training = home.dataset(project, "TRAIN", [image_line("data", "0.jpg", "cat", "dog"), box])
    testing = home.dataset(project, "TEST", [image_line("data", "1.jpg", "cat")])
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        page.get_by_role("link", name="Labels").click()
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("tbody tr").first).to_contain_text("cat31")
        page.get_by_role("button", name="Rename cat").click()
        page.get_by_label("New name of cat").fill("tiger")
        page.keyboard.press("Enter")
        expect(page.locator("tbody")).to_contain_text("tiger")
        assert labels(home, testing) == [("tiger",)]
        found = home.entries(training)[1]
        assert found["boxes"]["annotations"][0]["note"] == "kept"
        assert [one.label for one in labelling_of(json.dumps(found)).boxes] == ["tiger", "dog"]
        page.get_by_role("button", name="Rename tiger").click()
        page.get_by_label("New name of tiger").fill("dog")
        page.keyboard.press("Enter")
        expect(page.get_by_text("There is a label dog already: both become one.")).to_be_visible()
        page.locator("dialog").get_by_role("button", name="Rename").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        assert labels(home, training) == [("dog",), ()]
        page.get_by_role("button", name="Delete dog").click()
        expect(page.locator("dialog")).to_contain_text("Take dog from 3 images, and its boxes from 1?")
        page.keyboard.press("Escape")
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Delete dog").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No image has a label yet.")).to_be_visible()
        assert home.entries(training)[1].keys() == {"source-ref", "cl-metadata"}


VIEWS = {
    "#/": ".card", "#/p/p": ".tile:visible", "#/p/p/labels": "tbody tr", "#/p/p/models": "h1",
    "#/p/p/label/0": ".stage .box", "#/p/p/check": ".kind li",
}  # fmt: skip


@pytest.mark.usefixtures("installed")
def test_every_view_can_be_used_by_everybody(browser: Browser, home: Home) -> None:
    training, testing = box_images(home, 6, 3)
    project = home.project()
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    with at_console(browser, home) as (page, _):
        page.get_by_role("link", name="p", exact=False).first.click()
        page.get_by_role("link", name="Check").click()
        page.get_by_role("button", name="Check the images").click()
        page.locator(".kind li").first.wait_for()
        page.get_by_role("link", name="rcl").click()
        usable_by_everybody(page, VIEWS)


def test_a_project_is_deleted_with_all_that_it_has(browser: Browser, own_detector: Trained) -> None:
    home = own_detector.home
    home.call("StartProjectVersion", ProjectVersionArn=own_detector.version, MinInferenceUnits=1)
    assert home.wait(own_detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    with at_console(browser, home) as (page, _):
        button = page.get_by_role("button", name="Delete p")
        button.click()
        expect(page.locator("#notes")).to_contain_text("p can't be deleted: v is RUNNING. Stop it first.")
        home.call("StopProjectVersion", ProjectVersionArn=own_detector.version)
        assert home.wait(own_detector.project, "v", leaving="STOPPING")[0] == "STOPPED"
        button.click()
        page.locator("dialog").get_by_role("button", name="Keep it").click()
        assert home.call("DescribeProjects")["ProjectDescriptions"]
        button.click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("There is no project yet.")).to_be_visible()
        assert home.call("DescribeProjects")["ProjectDescriptions"] == []
        assert list((home.buckets / "data").glob("*.jpg"))
