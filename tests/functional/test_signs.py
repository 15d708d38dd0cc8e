"""Colours and keys of labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from rcl_cli.errors import InvalidParameter, ResourceNotFound
from rcl_cli.local.labelling.signs import Sign, rename_sign, set_sign, signs_of
from tests.conftest import Home, image_line, in_threads, noisy
from tests.functional.browser import needs_browser
from tests.functional.pages import at_console, counted, saved

ODD = "<b>Größe</b> \u202e"


def test_a_key_is_of_one_label(home: Home) -> None:
    project, other = home.project(), home.project("q")
    set_sign(home.context, project, ODD, colour="#00ff7f", key="3")
    set_sign(home.context, project, "cat", key="4")
    set_sign(home.context, project, "dog", key="3")
    set_sign(home.context, project, "dog", colour="#123456")
    assert signs_of(home.context, project) == {ODD: Sign("#00ff7f"), "cat": Sign("", "4"), "dog": Sign("#123456", "3")}
    assert signs_of(home.context, other) == {}
    set_sign(home.context, project, "cat", key="")
    assert signs_of(home.context, project).keys() == {ODD, "dog"}


def test_they_go_with_the_label(home: Home) -> None:
    project = home.project()
    set_sign(home.context, project, "cat", colour="#111111", key="1")
    set_sign(home.context, project, "dog", colour="#222222", key="2")
    rename_sign(home.context, project, "cat", "kitten")
    assert signs_of(home.context, project)["kitten"] == Sign("#111111", "1")
    # That of the label that was there stays.
    rename_sign(home.context, project, "kitten", "dog")
    assert signs_of(home.context, project) == {"dog": Sign("#222222", "2")}
    rename_sign(home.context, project, "dog", None)
    rename_sign(home.context, project, "never", "seen")
    assert signs_of(home.context, project) == {}


@pytest.mark.parametrize(
    "sign", [Sign("red"), Sign("#12345"), Sign("#12345g"), Sign("", "0"), Sign("", "12"), Sign("", "x")]
)
def test_what_makes_no_sense_is_refused(sign: Sign, home: Home) -> None:
    project = home.project()
    with pytest.raises(InvalidParameter):
        set_sign(home.context, project, "cat", colour=sign.colour, key=sign.key)
    assert signs_of(home.context, project) == {}


def test_those_of_projects_that_are_gone_go(home: Home) -> None:
    project, other = home.project(), home.project("q")
    set_sign(home.context, project, "cat", colour="#111111")
    home.call("DeleteProject", ProjectArn=project)
    with pytest.raises(ResourceNotFound):
        set_sign(home.context, project, "cat", colour="#111111")
    set_sign(home.context, other, "cat", colour="#111111")
    assert len(list(home.context.layout.signs.glob("*.json"))) == 1
    (kept,) = home.context.layout.signs.glob("*.json")
    kept.write_text("{}")
    assert signs_of(home.context, other) == {}
    set_sign(home.context, other, "cat", colour="#222222")
    assert signs_of(home.context, other) == {"cat": Sign("#222222")}


def test_many_at_once_lose_nothing(home: Home) -> None:
    project = home.project()
    with in_threads(8, lambda number: set_sign(home.context, project, f"label {number}", colour="#111111")) as failures:
        pass
    assert not failures
    assert len(signs_of(home.context, project)) == 8


@needs_browser
def test_labels_are_known_by_what_somebody_chose(browser: Browser, home: Home) -> None:
    (home.buckets / "data").mkdir()
    for number in range(2):
        noisy((200, 30, 30), (90, 90), number).save(home.buckets / "data" / f"{number}.jpg")
    lines: list[Any] = [image_line("data", "0.jpg", "cat"), image_line("data", "1.jpg", "dog")]
    dataset = home.dataset(home.project("shop"), "TRAIN", lines)
    with at_console(browser, home) as (page, _):
        page.get_by_role("link", name="shop").click()
        page.get_by_role("link", name="Labels").click()
        page.get_by_label("Key of dog").select_option("1")
        page.get_by_label("Colour of dog").fill("#00ff7f")
        expect(page.get_by_label("Key of cat")).to_have_value("")
        expect(page.get_by_label("Key of cat")).to_contain_text("2 (by its place)")
        expect(page.get_by_label("Colour of dog")).to_have_value("#00ff7f")
        page.get_by_role("link", name="Images").click()
        page.locator(".tile").first.click()
        # Labels that say no place are given to whole images.
        counted(page, "1 of 2")
        expect(page.locator(".labels button").nth(1).locator("kbd")).to_have_text("1")
        expect(page.locator(".labels i").nth(1)).to_have_css("background-color", "rgb(0, 255, 127)")
        page.keyboard.press("1")
        saved(page)
    first = json.dumps(home.entries(dataset)[0])
    assert '"dog"' in first
    assert '"cat"' in first
