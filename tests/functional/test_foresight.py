"""What a training would be like is what it is then like."""

from __future__ import annotations

import http.client
import re
import threading
import time
from contextlib import suppress

import psutil
import pytest
from playwright.sync_api import Browser, expect

from rcl_cli.errors import InvalidParameter, ResourceNotFound, UsageError
from rcl_cli.local.models.foresight import ASKED, foresee
from rcl_cli.local.models.watching import log_of
from tests.conftest import Home, box_images, colour_images, image_line, wait_until
from tests.functional.browser import needs_browser
from tests.functional.consoling import consoling
from tests.functional.pages import at_console

QUICK = {"rcl:epochs": "1", "rcl:weights": "none"}


@pytest.mark.parametrize(("boxes", "has_test"), [(False, False), (True, True)])
def test_the_plan_is_the_one_that_is_made(boxes: bool, has_test: bool, home: Home) -> None:
    project = home.project()
    training, testing = (box_images if boxes else colour_images)(home)
    home.dataset(project, "TRAIN", training if has_test else training + testing)
    if has_test:
        home.dataset(project, "TEST", testing)
    home.call("TagResource", ResourceArn=project, Tags={"rcl:batch": "4"})
    found = foresee(home.context, project, {"epochs": "1", "weights": "none"})
    assert found.trouble == ""
    choices = {one.what: one for one in found.choices}
    assert {what for what, one in choices.items() if one.is_asked} == {"batch", "epochs", "weights"}
    assert choices["batch"].why == choices["epochs"].why == ASKED
    assert all(one.why for one in found.choices)
    output = {"S3Bucket": "out", "S3KeyPrefix": "p"}
    made = home.call("CreateProjectVersion", ProjectArn=project, VersionName="v", OutputConfig=output, Tags=QUICK)
    assert home.wait(project, "v")[0] == "TRAINING_COMPLETED"
    (line,) = [
        line
        for line in "".join(log_of(home.context, made["ProjectVersionArn"], host=False)).splitlines()
        if "plan: " in line
    ]
    counts = re.search(r"(\d+) images to train on, (\d+) held out", line)
    assert counts
    assert choices["held out"].value == f"{counts[2]} images"
    assert (
        choices["tested on"].value
        == f"{len(testing) if has_test else round((len(training) + len(testing)) / 5)} images"
    )
    for name in ("model", "device", "image_size", "batch", "epochs", "patience"):
        assert f"{name}='{choices[name].value}'" in line or f"{name}={choices[name].value}," in line, name


def test_a_training_that_would_fail_is_told_before(home: Home) -> None:
    project = home.project()
    with pytest.raises(UsageError, match="no images to train on"):
        foresee(home.context, project, {})
    home.dataset(project, "TRAIN", [image_line("data", "gone.jpg", "cat"), image_line("data", "too.jpg", "dog")])
    assert foresee(home.context, project, {}).trouble
    with pytest.raises(InvalidParameter, match="epochs"):
        foresee(home.context, project, {"epochs": "none"})
    with pytest.raises(ResourceNotFound):
        foresee(home.context, project.replace("/p/", "/q/"), {})


def test_a_newer_question_ends_an_older_one_and_so_does_the_end(home: Home) -> None:
    project = home.project()
    training, _ = box_images(home)
    home.dataset(project, "TRAIN", training)
    with consoling(home) as (visitor, process):
        assert visitor.enter()

        def ask() -> None:
            # What is not answered before the end is broken off.
            with suppress(OSError, http.client.HTTPException, ValueError):
                visitor.local("plan", project=project)

        asking = [threading.Thread(target=ask) for _ in range(12)]
        for thread in asking:
            thread.start()
        began = time.monotonic()
        assert visitor.local("projects")["projects"]
        wait_until(lambda: bool(children(process.pid)))
    # Twelve plans after each other would take a minute.
    assert time.monotonic() - began < 30
    for thread in asking:
        thread.join(30)


def children(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


@needs_browser
def test_a_page_shows_what_would_be_chosen_and_why(browser: Browser, home: Home) -> None:
    project = home.project()
    training, testing = box_images(home)
    home.dataset(project, "TRAIN", training)
    home.dataset(project, "TEST", testing)
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        page.get_by_role("link", name="Models").click()
        page.locator(".options summary").click()
        expect(page.locator(".plan")).to_contain_text("The test set.", timeout=60_000)
        # Which one depends on the weights that are installed.
        (model,) = [one.value for one in foresee(home.context, project, {}).choices if one.what == "model"]
        expect(page.locator("input[name=model]")).to_have_attribute("placeholder", model)
        expect(page.locator(".options label", has_text="image size")).to_contain_text("A small box is")
        with pytest.raises(UsageError, match="cuda:7 is not there"):
            foresee(home.context, project, {"device": "cuda:7"})
        page.locator("input[name=epochs]").fill("7")
        page.locator("input[name=epochs]").press("Tab")
        asked = page.locator(".options label").filter(has=page.locator("input[name=epochs]"))
        expect(asked).to_contain_text(ASKED, timeout=60_000)
