"""What the measurements of the console share: a console that can be killed, a browser, pictures, figures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.conftest import Home, make_home
from tests.functional.browser import BROWSER

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = (1280, 960)
VIEW: ViewportSize = {"width": 1280, "height": 800}


class Console:
    """`rcl console` as a process on one port, which may be killed and started again."""

    def __init__(self, home: Home) -> None:
        self.home, self.port, self.url = home, 0, ""
        self.process: subprocess.Popen[str] | None = None
        self.log = home.path / "console.log"

    def start(self) -> None:
        words = [sys.executable, "-m", "rcl_cli", "console", "--no-browser", "--port", str(self.port)]
        with self.log.open("a") as errors:
            self.process = subprocess.Popen(
                words, env=self.home.environment(), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line.startswith("rcl console: http://"), self.log.read_text()
        self.url = line.split()[-1]
        self.port = urlsplit(self.url).port or 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(60) == 0

    def complaints(self) -> list[str]:
        """Why its log is not what it should be."""
        text = self.log.read_text("utf-8", "replace")
        return [f"a traceback: {text[text.index('Traceback') :][:2000]}"] if "Traceback" in text else []


@contextmanager
def at_home(folder: Path | None = None) -> Iterator[Home]:
    """An empty home."""
    with tempfile.TemporaryDirectory(prefix="rcl-console-", dir=folder) as name:
        home = make_home(Path(name))
        try:
            yield home
        finally:
            home.context.database.close()


@contextmanager
def console_of(home: Home) -> Iterator[Console]:
    made = Console(home)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=_FLAGS)
        yield opened
        opened.close()


def entered(context: BrowserContext, console: Console, errors: list[str]) -> Page:
    """A page that the console has let in; what its scripts raise is kept."""
    page = context.new_page()
    watch(page, errors)
    page.goto(console.url)
    page.locator("#view > section").wait_for()
    return page


def watch(page: Page, errors: list[str]) -> None:
    page.on("pageerror", lambda error: errors.append(f"an error in the page: {error}"))


def show(page: Page, console: Console, address: str) -> None:
    """Another view, from the start."""
    page.goto("about:blank")
    page.goto(f"{console.base}#/p/{address}")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """From one point of the picture to another, as shares of it; whether there is a picture."""
    frame = page.evaluate("document.querySelector('.picture img')?.getBoundingClientRect().toJSON()")
    if not frame:
        return False
    places = [(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*((a + b) / 2 for a, b in zip(*places, strict=True)))
    page.mouse.move(*places[1])
    page.mouse.up()
    return True


def picture(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Soft clouds, grain and shapes: about as hard to decode as a photograph."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 255, (max(2, size[1] // 80), max(2, size[0] // 80), 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.normal(0, 10, (size[1], size[0], 1)).astype(np.float32)
    image = Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        side = int(rng.integers(size[0] // 20, size[0] // 5))
        pen.ellipse((x, y, x + side, y + side), fill=tuple(int(one) for one in rng.integers(0, 255, 3)))
    return image


def pictures(folder: Path, count: int, size: tuple[int, int] = SIZE) -> list[str]:
    """Write JPEGs; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:06d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        picture(number, size).save(folder / name, quality=85)
    return names


# --- figures ----------------------------------------------------------------------------------------------------------


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median, high quantiles and the largest."""
    ordered = sorted(times)
    return {
        "median": statistics.median(ordered),
        "p90": ordered[int(len(ordered) * 0.9)],
        "p99": ordered[int(len(ordered) * 0.99)],
        "max": ordered[-1],
        "count": len(ordered),
    }


def bar(name: str, value: float, limit: float, *, at_least: bool = False) -> dict[str, Any]:
    """A figure held against what it should be."""
    holds = value >= limit if at_least else value <= limit
    return {"name": name, "value": round(value, 3), "bar": limit, "at_least": at_least, "holds": holds}


def finish(name: str, found: Mapping[str, Any], out: Path | None) -> None:
    """Tell and write what was found; ends with 1 where something is wrong.

    Args:
        found: `figures`, `bars` and `wrong`.
    """
    print(f"\n{name}")
    for key, value in found["figures"].items():
        text = ", ".join(f"{k} {_short(v)}" for k, v in value.items()) if isinstance(value, dict) else _short(value)
        print(f"  {key}: {text}")
    for one in found["bars"]:
        sign = "≥" if one["at_least"] else "≤"
        print(f"  {'holds' if one['holds'] else 'MISSES'}: {one['name']}: {one['value']} ({sign} {one['bar']})")
    for one in found["wrong"][:20]:
        print(f"  WRONG: {one}")
    if out:
        out.write_text(json.dumps({"subcommand": name, **found}, indent=1))
    sys.exit(1 if found["wrong"] else 0)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
