"""What the console shows of models: judged, compared, asked about images that nobody has labelled yet."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from rcl_cli.local.labelling.answers import Answers, least_sure
from rcl_cli.local.labelling.gallery import Gallery
from rcl_cli.local.labelling.lines import labelling_of
from rcl_cli.local.models.report import report_of
from rcl_cli.local.models.thresholds import thresholds_of
from rcl_cli.local.models.watching import named_version
from rcl_cli.store import answers
from rcl_cli.store.entries import EntryFilter
from tests.conftest import Home, box_images, noisy, wait_until
from tests.functional.browser import needs_browser
from tests.functional.consoling import consoling
from tests.functional.models import Trained
from tests.functional.pages import at_console, counted, saved, usable_by_everybody

pytestmark = needs_browser


@pytest.fixture(params=["classifier", "detector"])
def model(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue(request.param)
    return found


def go(page: Page, view: str) -> None:
    page.locator(".card").wait_for()
    page.goto(page.url.partition("#")[0] + view)


def test_judging_says_what_the_report_says(browser: Browser, model: Trained) -> None:
    version = named_version(model.home.context, "p/v")
    report = report_of(model.home.context, version)
    with at_console(browser, model.home) as (page, _):
        go(page, "#/p/p/models")
        page.locator("tbody a", has_text="v").click()
        whole = report["summary"]["AggregatedEvaluationResults"]
        for name, key in (("F1", "F1Score"), ("precision", "Precision"), ("recall", "Recall")):
            expect(page.locator(f'[data-figure="{name}"]')).to_have_text(f"{whole[key]:.3f}")
        table = page.get_by_label("What was taken for what").locator("tbody tr")
        shown = [[int(text.replace("·", "0")) for text in row.locator("td").all_inner_texts()] for row in table.all()]
        assert shown == report["confusion"]
        # All of them, not the first few.
        counts = {kind: len(page_answers(page, kind)) for kind in ("Wrong", "Missed", "Right")}
        said = [match for image in _judged(model) for match in image.matches]
        reached = [one for one in said if one.detection.score >= report["thresholds"][one.detection.label]]
        assert counts["Right"] == sum(one.truth is not None for one in reached)
        assert counts["Wrong"] == len(reached) - counts["Right"]
        assert counts["Missed"] == sum(len(image.truth) for image in _judged(model)) - counts["Right"]


def _judged(model: Trained) -> list[Any]:
    from rcl_cli.evaluation import evidence

    return list(evidence.read(model.home.context.layout.model(1)))


def page_answers(page: Page, kind: str) -> list[str]:
    page.get_by_role("group", name="Answers").get_by_role("button", name=kind).click()
    more = page.get_by_role("button", name="Show more")
    while more.is_visible():
        more.click()
    return page.locator(".answer").all_inner_texts()


def test_thresholds_move_figures_and_are_saved(browser: Browser, own_detector: Trained) -> None:
    home = own_detector.home
    version = named_version(home.context, "p/v")
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p/judge/v")
        slider = page.get_by_label("Threshold of red")
        slider.fill("1")
        row = page.get_by_label("Thresholds").locator("tbody tr", has_text="red")
        expect(row.locator("td").nth(1)).to_have_text("0.000")
        expect(page.get_by_text("Not saved yet")).to_be_visible()
        assert thresholds_of(home.context, version)[0].own is None
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#notes")).to_contain_text("the model uses them from now on")
        assert {one.label: one.own for one in thresholds_of(home.context, version)}["red"] == 1
        page.get_by_role("button", name="Back to the assumed ones").click()
        expect(page.get_by_text("with the best F1 on the test set")).to_be_visible()
        assert [one.own for one in thresholds_of(home.context, version)] == [None, None]


def test_one_key_leads_from_an_answer_to_its_labels(browser: Browser, own_detector: Trained) -> None:
    home = own_detector.home
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p/judge/v?kind=missed&label=red")
        answers = page.locator(".answer")
        answers.first.focus()
        page.keyboard.press("ArrowRight")
        expect(answers.nth(1)).to_be_focused()
        name = answers.nth(1).locator("small").inner_text()
        page.keyboard.press("Enter")
        expect(page.locator("aside > small")).to_have_text(name)
        page.locator(".stage .box").wait_for()
        # Through all that the gallery shows, and back to it.
        page.keyboard.press("Space")
        expect(page.locator("aside > small")).not_to_have_text(name)
        page.keyboard.press("Escape")
        expect(page.get_by_role("group", name="Answers").get_by_role("button", name="Missed")).to_have_attribute(
            "aria-pressed", "true"
        )
        assert "label=red" in page.url


def test_versions_are_compared(browser: Browser, two: Trained) -> None:
    with at_console(browser, two.home) as (page, _):
        go(page, "#/p/p/models")
        expect(page.get_by_label("The version before")).to_have_value("v")
        expect(page.get_by_label("The version after")).to_have_value("w")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("v → w")
        expect(page.locator(".fact").first).to_contain_text("→")
        expect(page.locator("td", has_text="1").first).to_be_visible()
        expect(page.get_by_text("test images that both have. F1 changes by")).to_be_visible()


def test_many_pictures_and_the_camera_are_tried(browser: Browser, detector: Trained, tmp_path: Path) -> None:
    for number in range(3):
        noisy((200, 30, 30), (160, 120), number).save(tmp_path / f"{number}.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    with at_console(browser, detector.home) as (page, _):
        go(page, "#/p/p/models")
        trial = page.locator(".trial")
        trial.locator("input[type=file]").set_input_files(sorted(tmp_path.iterdir()))
        expect(trial.locator(".count")).to_have_text("1 of 3")
        # However little the model is sure of.
        page.get_by_label("From this confidence on").fill("0")
        expect(trial.locator("li").first).to_be_visible()
        trial.get_by_role("button", name="Next image").click()
        expect(trial.locator(".count")).to_have_text("2 of 3")
        expect(trial.locator(".shot img")).to_have_attribute("alt", "1.jpg")
        trial.get_by_role("button", name="Camera").click()
        expect(trial.locator("video")).to_be_visible()
        page.wait_for_function("document.querySelector('.trial video').videoWidth > 0")
        trial.get_by_role("button", name="Take the picture").click()
        expect(trial.locator(".shot img")).to_have_attribute("alt", "camera.jpg")
        page.get_by_label("From this confidence on").fill("0")
        expect(trial.locator("li").first).to_contain_text("%")
        # The camera is off again.
        expect(trial.get_by_role("button", name="Camera")).to_be_visible()
        trial.locator("input[type=file]").set_input_files(tmp_path / "notes.txt")
        expect(page.locator("#notes")).to_contain_text("There is no JPEG and no PNG among them.")


def test_a_model_is_taken_away(browser: Browser, own_detector: Trained, tmp_path: Path) -> None:
    home = own_detector.home
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p/models")
        page.get_by_role("button", name="Export v").click()
        dialog = page.locator("dialog")
        dialog.get_by_role("button", name="Export").click()
        link = dialog.get_by_role("link", name="Download (onnx)")
        link.wait_for(timeout=90_000)
        expect(dialog.get_by_role("status")).to_contain_text("test images")
        with page.expect_download() as download:
            link.click()
        assert download.value.suggested_filename == "p-v-onnx.zip"
        download.value.save_as(tmp_path / "export.zip")
    shutil.unpack_archive(tmp_path / "export.zip", tmp_path)
    picture = next((home.buckets / "data").glob("*.jpg"))
    script = [sys.executable, str(tmp_path / "p-v-onnx" / "run.py"), str(picture)]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["found"] is not None
    # Nothing is left of it.
    assert not list((home.path / "cache").glob("rcl-scratch-*"))


def test_exports_that_cannot_be_are_told(own_detector: Trained) -> None:
    with consoling(own_detector.home) as (visitor, _):
        assert visitor.enter()
        assert visitor.local("export", version="p/v", form="doc").startswith("There is no form doc")
        assert "not kept any more" in visitor.local("exported", version="p/v", form="onnx")
        assert visitor.ask("GET", "/local/export-file?version=p/v&form=onnx")[0] == 400
        assert visitor.local("export", version="p/v", form="tensorrt") == visitor.local("export")
        wait_until(lambda: bool(visitor.local("exported", version="p/v", form="tensorrt")["is_over"]), 90)
        standing = visitor.local("exported", version="p/v", form="tensorrt")
        assert not standing["is_there"]
        assert "TensorRT" in standing["told"] or "tensorrt" in standing["told"]


@pytest.mark.usefixtures("installed")
def test_everybody_can_judge_and_compare(browser: Browser, detector: Trained) -> None:
    views = {
        "judge/v": ".fact", "compare/v/v": ".fact", "training/v": ".watch pre", "feedback": "form",
        "models": "tbody tr",
    }  # fmt: skip
    with at_console(browser, detector.home) as (page, _):
        usable_by_everybody(page, {f"#/p/p/{view}": there for view, there in views.items()})


def unlabelled(home: Home, project: str, count: int) -> str:
    """Images of one red square each, at the end of the training set."""
    lines = []
    for number in range(count):
        image = noisy((120, 120, 120), (128, 96), 900 + number)
        image.paste(noisy((200, 30, 40), (40, 40), number), (10 + 8 * number, 20))
        image.save(home.buckets / "data" / f"new-{number}.jpg")
        lines.append(json.dumps({"source-ref": f"s3://data/new-{number}.jpg"}))
    described = home.call("DescribeProjects")["ProjectDescriptions"][0]
    arn: str = next(one["DatasetArn"] for one in described["Datasets"] if one["DatasetType"] == "TRAIN")
    home.call("UpdateDatasetEntries", DatasetArn=arn, Changes={"GroundTruth": "\n".join(lines).encode()})
    return arn


def test_a_model_says_first_what_people_accept_or_leave(browser: Browser, own_detector: Trained) -> None:
    home = own_detector.home
    home.call("StartProjectVersion", ProjectVersionArn=own_detector.version, MinInferenceUnits=1)
    assert home.wait(own_detector.project, "v", leaving="STARTING")[0] == "RUNNING"
    arn = unlabelled(home, own_detector.project, 3)
    # As a better model would have said; this one has seen too little.
    with answers.writing(Answers(home.context, named_version(home.context, "p/v")).path) as db:
        for number in range(3):
            answers.put(db, f"s3://data/new-{number}.jpg", json.dumps([_said("red", 99, 0.1), _said("green", 60, 0.5)]))
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p/label/0?is=unlabeled&name=new-")
        counted(page, "1 of 3")
        page.get_by_label("Pre-labels by").select_option("v")
        ghosts = page.locator(".box.ghost")
        page.locator(".prelabels input[type=range]").fill("0.9")
        expect(ghosts).to_have_count(1)
        page.locator(".prelabels input[type=range]").fill("0.5")
        expect(ghosts).to_have_count(2)
        page.keyboard.press("Enter")
        expect(page.locator(".box:not(.ghost)")).to_have_count(1)
        expect(ghosts).to_have_count(1)
        saved(page)
        assert [_names(one) for one in home.entries(arn)[-3:]] == [["red"], [], []]
        page.keyboard.press("Space")
        counted(page, "2 of 3")
        expect(ghosts).to_have_count(2)
        page.keyboard.press("x")
        expect(ghosts).to_have_count(0)
        page.keyboard.press("Space")
        counted(page, "3 of 3")
        page.locator(".prelabels").get_by_role("button", name="Accept green").click()
        expect(page.locator(".box:not(.ghost)")).to_have_count(1)
        ghosts.first.click()
        expect(page.locator(".box:not(.ghost)")).to_have_count(2)
        saved(page)
        assert [_names(one) for one in home.entries(arn)[-3:]] == [["red"], [], ["green", "red"]]
        page.keyboard.press("z")
        page.keyboard.press("z")
        page.keyboard.press("ArrowLeft")
        counted(page, "2 of 3")
        page.keyboard.press("Space")
        page.keyboard.press("a")
        saved(page)
        assert [_names(one) for one in home.entries(arn)[-3:]] == [["red"], [], ["red", "green"]]


def _said(label: str, confidence: float, left: float) -> dict[str, Any]:
    sides = {"Left": left, "Top": 0.2, "Width": 0.3, "Height": 0.4}
    return {"Name": label, "Confidence": confidence, "Geometry": {"BoundingBox": sides}}


def _names(line: dict[str, Any]) -> list[str]:
    said = labelling_of(json.dumps(line))
    return [one.label for one in said.boxes]


def test_an_order_that_is_chosen_before_models_are_known_waits_for_them(browser: Browser, classifier: Trained) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "DescribeProjectVersions" in json.dumps([route.request.url, dict(route.request.headers)]):
            held.append(route)
        else:
            route.continue_()

    with at_console(browser, classifier.home) as (page, _):
        page.locator(".card").wait_for()
        page.route("**/*", hold)
        go(page, "#/p/p")
        page.get_by_label("Order", exact=True).select_option("unsure")
        wait_until(lambda: page.wait_for_timeout(20) is None and bool(held))
        expect(page.get_by_label("Order", exact=True)).to_have_value("unsure")
        for route in held:
            route.continue_()
        expect(page.get_by_role("button", name="Ask the model about these")).to_be_visible()
        assert "sort=unsure" in page.url
        page.unroute("**/*")


def test_images_in_the_order_of_what_a_model_says(browser: Browser, own_detector: Trained) -> None:
    home = own_detector.home
    arn = unlabelled(home, own_detector.project, 3)
    version = named_version(home.context, "p/v")
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p")
        page.get_by_label("Order", exact=True).select_option("unsure")
        button = page.get_by_role("button", name="Ask the model about these")
        # It does not run.
        expect(button).to_be_disabled()
        expect(page.get_by_text("Known of 0 images.")).to_be_visible()
        home.call("StartProjectVersion", ProjectVersionArn=own_detector.version, MinInferenceUnits=1)
        assert home.wait(own_detector.project, "v", leaving="STARTING")[0] == "RUNNING"
        page.reload()
        button.click()
        # One of its images is no picture, and one is not there.
        expect(page.locator("#notes")).to_contain_text("2 can't be read", timeout=60_000)
        known = Answers(home.context, version).count()
        expect(page.get_by_text(f"Known of {known} images.")).to_be_visible()
        expect(page.locator(".tile:visible")).to_have_count(known)
        page.get_by_label("Order", exact=True).select_option("disagrees")
        expect(page.locator(".tile:visible")).not_to_have_count(known)
        names = page.locator(".tile:visible small").all_inner_texts()
        # Nobody said anything of those.
        assert not [name for name in names if name.startswith("new-")]
        # What the model says is still there when it does not run any more, and after a change of the labels.
        home.call("StopProjectVersion", ProjectVersionArn=own_detector.version)
        line = {**home.entries(arn)[0], "source-ref": "s3://data/new-0.jpg"}
        home.call("UpdateDatasetEntries", DatasetArn=arn, Changes={"GroundTruth": json.dumps(line).encode()})
        page.get_by_label("Order", exact=True).select_option("unsure")
        expect(page.locator(".tile:visible")).to_have_count(known)


def test_a_training_is_watched_and_stopped(browser: Browser, home: Home) -> None:
    training, testing = box_images(home)
    project = home.project()
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    with at_console(browser, home, RCL_TRAINING_WEIGHTS="none") as (page, _):
        go(page, "#/p/p/models")
        page.get_by_text("Options").click()
        page.get_by_label("epochs").fill("500")
        page.get_by_label("image size").fill("64")
        page.get_by_label("patience").fill("500")
        page.get_by_role("button", name="Train a model").click()
        page.locator("tbody a", has_text="v1").click()
        expect(page.get_by_role("img", name="loss by epoch")).to_be_visible(timeout=120_000)
        expect(page.locator(".watch pre")).to_contain_text("epoch 1 of 500", timeout=30_000)
        page.get_by_role("button", name="Stop training").click()
        page.locator("dialog").get_by_role("button", name="Keep it").click()
        assert home.status(project, "v1")[0] == "TRAINING_IN_PROGRESS"
        page.get_by_role("button", name="Stop training").click()
        page.locator("dialog").get_by_role("button", name="Stop training").click()
        expect(page.locator(".watch b")).to_have_text("TRAINING_FAILED", timeout=60_000)
        assert home.status(project, "v1") == ("TRAINING_FAILED", "The training was stopped.")


def test_options_that_make_no_sense_begin_nothing(browser: Browser, home: Home) -> None:
    training, _ = box_images(home, 4, 0)
    project = home.project()
    home.dataset(project, "TRAIN", training)
    with at_console(browser, home, may_complain=True) as (page, _):
        go(page, "#/p/p/models")
        page.get_by_text("Options").click()
        for name, value, said in (
            ("epochs", "many", "epochs can't be 'many'"), ("weights", "/etc/passwd", "chosen by rcl train"),
        ):  # fmt: skip
            page.get_by_label(name).fill(value)
            page.get_by_role("button", name="Train a model").click()
            expect(page.locator("#notes p").last).to_contain_text(said)
            page.get_by_label(name).fill("")
        assert home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"] == []


def test_orders_of_models_are_their_own_filters(own_detector: Trained) -> None:
    home, gallery = own_detector.home, Gallery()
    version = named_version(home.context, "p/v")
    model = Answers(home.context, version)
    with answers.writing(model.path) as db:
        for number in range(6):
            answers.put(db, f"s3://data/box-{number}.jpg", json.dumps([_said("red", 40 + number, 0.1)]))
    every, red = (
        gallery.ordered(
            gallery.listing(home.context, own_detector.project, one),
            "x",
            lambda listing: least_sure(home.context, listing, model),
        )
        for one in (EntryFilter(), EntryFilter(labels=("red",)))
    )
    assert (every.total, red.total) == (6, 3)
    assert every.revision != red.revision
    for one in (every, red):
        assert gallery.order_of_before(one.revision) == one
    assert gallery.order_of_before("x") is None


def test_what_a_version_said_goes_with_it(own_detector: Trained) -> None:
    home = own_detector.home
    model = Answers(home.context, named_version(home.context, "p/v"))
    with answers.writing(model.path) as db:
        answers.put(db, "s3://data/1.jpg", "[]")
    assert model.count() == 1
    home.call("DeleteProjectVersion", ProjectVersionArn=own_detector.version)
    assert list(model.path.parent.glob("*")) == []


def test_labels_may_have_names_of_javascript(browser: Browser, own_detector: Trained) -> None:
    """Of what every object has there."""
    home = own_detector.home
    folder = home.context.layout.model(1)
    for name in ("model.json", "predictions.jsonl"):
        text = (folder / name).read_text("utf-8")
        text = text.replace('"red"', '"constructor"').replace('"green"', '"__proto__"')
        (folder / name).write_text(text.replace('"loss": ', '"loss": NaN, "was": ', 1), "utf-8")
    with at_console(browser, home) as (page, _):
        go(page, "#/p/p/judge/v")
        expect(page.get_by_label("Threshold of constructor")).to_be_visible()
        page.get_by_label("Threshold of __proto__").fill("0.75")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#notes")).to_contain_text("the model uses them from now on")
        found = thresholds_of(home.context, named_version(home.context, "p/v"))
        assert {one.label: one.own for one in found} == {"constructor": None, "__proto__": 0.75}
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
