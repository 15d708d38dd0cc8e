"""Pages of the console in a real Chromium, driven by its mouse and its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.conftest import Home
from tests.functional.consoling import consoling
from tools.npm import FOLDER

# The camera's picture is drawn, and nobody is asked whether it may be used.
_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *_CAMERA]


class Complaints:
    """What a page asked of others, and what the browser said about it."""

    def __init__(self, page: Page, own: str) -> None:
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"console: {message.text}"))
        page.on("response", lambda got: self.said.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("request", lambda asked: None if asked.url.startswith((own, "blob:")) else self.said.append(asked.url))
        page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))


@contextmanager
def at_console(browser: Browser, home: Home, *, may_complain: bool = False, **more: str) -> Iterator[tuple[Page, Any]]:
    """A page of a console, and its process."""
    with consoling(home, **more) as (visitor, process):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        complaints = Complaints(page, f"http://{visitor.host}/")
        page.goto(visitor.url)
        try:
            yield page, process
            assert may_complain or complaints.said == [], complaints.said
        finally:
            page.close()


def saved(page: Page) -> None:
    expect(page.locator(".saved")).to_have_attribute("data-state", "saved")


def counted(page: Page, text: str) -> None:
    expect(page.locator("aside .count")).to_have_text(text)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one point of the picture to another, as shares of it."""
    frame = page.locator(".picture img").bounding_box()
    assert frame

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return frame["x"] + point[0] * frame["width"], frame["y"] + point[1] * frame["height"]

    page.mouse.move(*place(start))
    page.mouse.down()
    page.mouse.move(*place(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)))
    page.mouse.move(*place(end))
    page.mouse.up()


def usable_by_everybody(page: Page, views: Mapping[str, str]) -> None:
    """axe-core finds nothing, in the light and in the dark, on wide and on narrow screens.

    Args:
        page: of a console.
        views: what is on the page when it is there, by its address.
    """
    axe = (FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
    page.locator(".card").wait_for()
    base = page.url.partition("#")[0]
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for view, there in views.items():
                page.goto(base + view)
                page.locator(there).first.wait_for()
                page.evaluate(axe)
                found = page.evaluate("axe.run()")["violations"]
                assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], (view, scheme, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
