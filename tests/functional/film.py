"""The whole loop in the browser alone: from pictures to a model, to its mistakes, to a better model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from playwright.sync_api import Page, expect

from rcl_cli.examples.circuits import draw_board
from tests.functional.pages import counted, drag, saved

SIZE = (320, 256)
_TRAINING_MS = 1_800_000


class Board(NamedTuple):
    """A picture of a circuit board, and what is on it.

    Args:
        parts: (label, (left, top, width, height) in pixels).
    """

    path: Path
    parts: list[tuple[str, tuple[int, int, int, int]]]


def boards(folder: Path, first: int, count: int) -> list[Board]:
    """Draw boards, each of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(first, first + count):
        image, parts = draw_board(np.random.default_rng(7000 + number), SIZE)
        path = folder / f"board-{number:02}.jpg"
        image.save(path, quality=92)
        made.append(Board(path, parts))
    return made


def film(page: Page, training: Sequence[Board], later: Sequence[Board], shot: Callable[[str], None]) -> None:
    """Go through all of it by mouse and keys.

    Args:
        page: that shows an empty home.
        training: to be labelled first.
        later: pictures from work, which the first model is asked about, and that are corrected.
        shot: called at the moments that are worth a picture.
    """
    page.get_by_label("Name of the new project").fill("circuits")
    shot("01-a-new-project")
    page.keyboard.press("Enter")
    page.locator("input[type=file][multiple]").set_input_files([board.path for board in training])
    expect(page.locator(".adder")).to_contain_text(f"{len(training)} added.", timeout=60_000)
    expect(page.locator(".tile:visible")).to_have_count(len(training))
    shot("02-pictures-dropped")
    _label_all(page, training, shot)
    page.get_by_role("link", name="Images").click()
    page.get_by_role("button", name="Split 80/20").click()
    expect(page.locator("#notes")).to_contain_text("are for testing now.")
    page.locator(".tile svg rect").first.wait_for()
    shot("04-all-labelled")
    page.get_by_role("link", name="Labels").click()
    page.locator("tbody tr").first.wait_for()
    shot("05-labels")
    _train(page, "v1", shot, "06-training")
    page.get_by_role("button", name="Start v1").click()
    expect(page.locator("tbody tr", has_text="v1")).to_contain_text("RUNNING", timeout=60_000)
    _judge(page, shot)
    page.get_by_role("link", name="Models").click()
    page.locator(".trial input[type=file]").set_input_files(later[0].path)
    expect(page.locator(".trial li").first).to_be_visible(timeout=30_000)
    page.locator(".trial").scroll_into_view_if_needed()
    shot("09-tried")
    _correct(page, later, shot)
    _train(page, "v2", None, "")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("v1 → v2")
    page.locator(".fact").first.wait_for()
    shot("12-compared")


def _label_all(page: Page, training: Sequence[Board], shot: Callable[[str], None]) -> None:
    by_name = {board.path.name: board for board in training}
    page.locator(".tile").first.click()
    for number in range(1, len(training) + 1):
        counted(page, f"{number} of {len(training)}")
        _draw(page, by_name[page.locator("aside > small").inner_text()])
        if number == 2:
            shot("03-boxes-by-mouse-and-keys")
        page.keyboard.press("Space")
    saved(page)


def _draw(page: Page, board: Board) -> None:
    """Draw all parts of a board: a label by its key, or its name where it is new, and a drag."""
    for label, (left, top, width, height) in board.parts:
        names = page.locator(".labels > li > button[aria-pressed] > span").all_inner_texts()
        if label in names:
            page.keyboard.press(str(names.index(label) + 1))
        else:
            page.get_by_label("New label").fill(label)
            page.keyboard.press("Enter")
        before = page.locator(".box:not(.ghost)").count()
        drag(page, (left / SIZE[0], top / SIZE[1]), ((left + width) / SIZE[0], (top + height) / SIZE[1]))
        expect(page.locator(".box:not(.ghost)")).to_have_count(before + 1)
        page.keyboard.press("Escape")
    saved(page)


def _train(page: Page, name: str, shot: Callable[[str], None] | None, title: str) -> None:
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Train a model").click()
    row = page.locator("tbody tr", has_text=name)
    expect(row).to_contain_text("TRAINING_IN_PROGRESS")
    if shot:
        expect(row).to_contain_text(re.compile("epoch . of|TRAINING_COMPLETED"), timeout=120_000)
        shot(title)
    expect(row).to_contain_text("TRAINING_COMPLETED", timeout=_TRAINING_MS)


def _judge(page: Page, shot: Callable[[str], None]) -> None:
    page.locator("tbody tr", has_text="v1").get_by_role("link").click()
    page.locator(".fact").first.wait_for()
    page.get_by_role("group", name="Answers").get_by_role("button", name="Missed").click()
    page.locator(".answer img").first.wait_for()
    shot("07-judged")
    page.get_by_role("heading", name="Thresholds").scroll_into_view_if_needed()
    page.mouse.wheel(0, 600)
    page.wait_for_timeout(300)
    shot("08-thresholds-and-curves")


def _correct(page: Page, later: Sequence[Board], shot: Callable[[str], None]) -> None:
    """What the model says of pictures from work is corrected, and goes into the training set."""
    by_name = {board.path.name: board for board in later}
    page.get_by_role("link", name="Feedback").click()
    page.get_by_role("heading", name="Feedback").wait_for()
    page.locator("input[type=file][multiple]").set_input_files([board.path for board in later])
    expect(page.locator("#notes")).to_contain_text(f"{len(later)} added", timeout=60_000)
    for number in range(len(later)):
        page.locator(".shot.large img").wait_for()
        if not number:
            shot("10-feedback")
        page.keyboard.press("c")
        counted(page, "1 of 1")
        board = by_name[page.locator("aside > small").inner_text()]
        boxes = page.locator(".box:not(.ghost)")
        while left := boxes.count():
            page.keyboard.press("Tab")
            page.keyboard.press("Delete")
            expect(boxes).to_have_count(left - 1)
        _draw(page, board)
        if not number:
            shot("11-corrected")
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name=f"Corrected {number + 1}")).to_be_visible()
