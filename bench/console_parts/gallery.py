"""A project of very many images: opened, scrolled from end to end, weighed; and how fast thumbnails are made.

The pictures are a few real ones under as many names as there are entries.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
from PIL import Image, ImageOps
from playwright.sync_api import Browser, BrowserContext, Page

from console_parts.common import (
    SIZE,
    VIEW,
    Console,
    at_home,
    bar,
    chromium,
    console_of,
    entered,
    pictures,
    show,
    spread,
    watch,
)
from tests.conftest import Home, box_line, image_line

SIDE_PX = 320
LABELS = [f"label-{number:02d}" for number in range(20)]
_MB = 2**20
# Decoded pictures are Chromium's: it keeps up to a thousand, and gives them up when memory is short.
_WEIGHED = ("page", "page without decoded pictures", "server")
# When the first thumbnail is on the screen, and when all of the first screen are.
_FIRST = """
(() => {
  const own = window.bench = { first: 0, screen: 0 };
  own.done = new Promise(done => { own.finish = done; });
  const whole = tile => tile.dataset.shown;
  const look = () => {
    const seen = [...document.querySelectorAll(".tile")].filter(tile => {
      const at = tile.getBoundingClientRect();
      return at.width && at.top < innerHeight && at.bottom > 0;
    });
    const told = name => requestAnimationFrame(() => { own[name] ||= performance.now(); });
    if (!own.first && seen.some(whole)) told("first");
    if (seen.length && seen.every(whole)) { told("screen"); requestAnimationFrame(own.finish); return; }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
# Frame times while something scrolls; a step each frame, or none where wheel events come from outside.
_SCROLL = """
([selector, seconds, isStepped]) => new Promise(done => {
  const field = document.querySelector(selector), frames = [], tasks = [];
  const far = field.scrollHeight - field.clientHeight, from = field.scrollTop;
  const watch = new PerformanceObserver(list => { for (const one of list.getEntries()) tasks.push(one.duration); });
  watch.observe({ entryTypes: ["longtask"] });
  let begin = 0, last = 0;
  const step = now => {
    begin ||= now;
    if (last) frames.push(now - last);
    last = now;
    const share = (now - begin) / (1000 * seconds);
    if (isStepped) field.scrollTop = from + (far - from) * Math.min(1, share);
    if (share < 1) { requestAnimationFrame(step); return; }
    watch.disconnect();
    done({ frames, tasks, top: field.scrollTop, far });
  };
  requestAnimationFrame(step);
})
"""
_JUMP = """
async share => {
  const field = document.querySelector(".field");
  field.scrollTop = field.scrollHeight * share;
  const isThere = one => one.querySelector("small") && one.querySelector("[data-shown]");
  const slots = () => [...document.querySelectorAll(".slot")].filter(one => one.style.display !== "none");
  for (let frame = 0; frame < 3 || !slots().every(isThere); frame++) await new Promise(requestAnimationFrame);
}
"""
_EMPTY = '<div id="field" style="height:100vh;overflow-y:scroll"><div style="height:8000000px"></div></div>'


def project_of(home: Home, entries: int, real: int) -> str:
    """A project with so many entries, a quarter of them with boxes; the dataset's ARN."""
    bucket = home.buckets / "data"
    names = pictures(bucket / "real", real)
    lines = []
    for number in range(entries):
        key = f"{number // 1000:03d}/image-{number:06d}.jpg"
        path = bucket / key
        if number % 1000 == 0:
            path.parent.mkdir()
        path.hardlink_to(bucket / "real" / names[number % real])
        label = LABELS[number % len(LABELS)]
        boxes = [(label, 50 + 300 * at, 80, 250, 300) for at in range(3)]
        lines.append(image_line("data", key, label) if number % 4 else box_line("data", key, SIZE, *boxes))
    manifest = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    return home.dataset(home.project("p"), "TRAIN", manifest)


# --- first paint ------------------------------------------------------------------------------------------------------


def painted(context: BrowserContext, console: Console, wrong: list[str]) -> tuple[float, float]:
    """Seconds from the begin of a navigation to the first thumbnail, and to a whole screen of them."""
    page = context.new_page()
    watch(page, wrong)
    page.add_init_script(_FIRST)
    show(page, console, "p")
    first, screen = page.evaluate("bench.done.then(() => [bench.first / 1000, bench.screen / 1000])")
    page.close()
    return first, screen


def paints(home: Home, browser: Browser, rounds: int, wrong: list[str]) -> dict[str, list[tuple[float, float]]]:
    """With a server that has just been started, no thumbnails and an empty browser; and with all of it warm."""
    found: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with console_of(home) as console:
            context = browser.new_context(viewport=VIEW)
            entered(context, console, wrong)
            for path in (home.path / "cache" / "thumbnails").rglob("*.jpg"):
                path.unlink()
            found["cold"].append(painted(context, console, wrong))
            found["warm"].append(painted(context, console, wrong))
            context.close()
    return found


# --- scrolling --------------------------------------------------------------------------------------------------------


def frames_of(page: Page, selector: str, seconds: float, *, is_stepped: bool) -> dict[str, Any]:
    """Frame times without those of the first second, and how long the page's own tasks over 50 ms took."""
    found: dict[str, Any] = page.evaluate(_SCROLL, [selector, seconds, is_stepped])
    begun, steady = 0.0, []
    for one in found["frames"]:
        begun += one
        if begun > 1000:
            steady.append(one)
    return {**found, "frames": steady or found["frames"]}


def scrolled(page: Page, browser: Browser, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """From end to end, by the wheel, and what an empty page does in the same way."""
    found = {"end to end": frames_of(page, ".field", options.scroll_s, is_stepped=True)}
    page.evaluate("document.querySelector('.field').scrollTop = 0")
    page.wait_for_timeout(1000)
    frame = page.locator(".field").bounding_box()
    assert frame
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.evaluate(f"given => {{ window.rolling = ({_SCROLL})(given); }}", [".field", options.wheel_s, False])
    until = time.monotonic() + options.wheel_s
    while time.monotonic() < until:
        page.mouse.wheel(0, 240)
        page.wait_for_timeout(16)
    rolled = page.evaluate("window.rolling")
    found["wheel"] = {**rolled, "frames": rolled["frames"][60:] or rolled["frames"]}
    with browser.new_page(viewport=VIEW) as empty:
        empty.set_content(_EMPTY)
        found["empty page"] = frames_of(empty, "#field", options.wheel_s, is_stepped=True)
    return found


def shown_at(page: Page, share: float) -> list[str]:
    """Names on the screen once everything there is loaded."""
    page.evaluate(_JUMP, share)
    return list(page.locator(".tile:visible small").all_inner_texts())


# --- memory -----------------------------------------------------------------------------------------------------------


def weight_mb(pid: int) -> dict[str, float]:
    """Of a process with its children: what is its own share, and what is resident."""
    process = psutil.Process(pid)
    every = [one.memory_full_info() for one in (process, *process.children(recursive=True))]
    return {"pss": sum(one.pss for one in every) / _MB, "rss": sum(one.rss for one in every) / _MB}


def renderer_of(browser: Browser, page: Page) -> int:
    """The process of a page: the one that computes while the page does."""

    def seconds() -> dict[int, float]:
        session = browser.new_browser_cdp_session()
        every = session.send("SystemInfo.getProcessInfo")["processInfo"]
        session.detach()
        return {one["id"]: one["cpuTime"] for one in every if one["type"] == "renderer"}

    before = seconds()
    page.evaluate("() => { const until = performance.now() + 1500; while (performance.now() < until); }")
    after = seconds()
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0.0))


def discardable_mb(browser: Browser, page: Page, pid: int) -> float:
    """How much of a process are decoded pictures that Chromium gives up when memory is short."""
    session, events, ended = browser.new_browser_cdp_session(), list[Any](), list[Any]()
    session.on("Tracing.dataCollected", lambda found: events.extend(found["value"]))
    session.on("Tracing.tracingComplete", lambda found: ended.append(found))
    config = {
        "includedCategories": ["disabled-by-default-memory-infra"],
        "memoryDumpConfig": {"triggers": []},
    }
    session.send("Tracing.start", {"traceConfig": config})
    session.send("Tracing.requestMemoryDump", {"levelOfDetail": "detailed"})
    session.send("Tracing.end")
    until = time.monotonic() + 30
    while not ended and time.monotonic() < until:
        page.wait_for_timeout(50)
    session.detach()
    dumps = [one["args"].get("dumps", {}) for one in events if one.get("ph") == "v" and one.get("pid") == pid]
    sizes = [one["allocators"]["discardable"]["attrs"]["size"]["value"] for one in dumps if "allocators" in one]
    return max((int(size, 16) / _MB for size in sizes), default=0.0)


def heap_mb(page: Page) -> dict[str, float]:
    """JavaScript's, as it is, and without what nobody needs any more."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    found = {}
    for name in ("before collecting", "after collecting"):
        metrics = session.send("Performance.getMetrics")["metrics"]
        found[name] = next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize") / _MB
        session.send("HeapProfiler.collectGarbage")
    session.detach()
    return found


# --- thumbnails -------------------------------------------------------------------------------------------------------


def bare_thumbnail(side_px: int, is_tight: bool, path: Path) -> int:
    """
    Args:
        is_tight: let the decoder go as low as what is wanted, which a square that holds it does not.
    """
    with Image.open(path) as image:
        width, height = (side_px * side / max(image.size) if is_tight else side_px for side in image.size)
        image.draft("RGB", (round(width), round(height)))
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
        out = io.BytesIO()
        upright.save(out, "JPEG", quality=80)
    return len(out.getvalue())


class Asking:
    """What pages ask for, by one that the console has let in, on connections that stay open."""

    def __init__(self, console: Console, cookie: str, project: str, connections: int) -> None:
        self.console, self.project, self.connections = console, project, connections
        self.headers = {"cookie": cookie, "sec-fetch-site": "same-origin"}
        self.wrong: list[str] = []

    def rate(self, positions: range) -> float:
        """New thumbnails a second, with the listing that they are asked by."""
        began = time.perf_counter()
        entries = self._listed(positions)
        parts = [entries[number :: self.connections] for number in range(self.connections)]
        with ThreadPoolExecutor(self.connections) as pool:
            list(pool.map(self._ask, parts))
        return len(entries) / (time.perf_counter() - began)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.console.port, timeout=60)

    def _listed(self, positions: range) -> list[dict[str, Any]]:
        connection = self._connection()
        wanted = {"project": self.project, "filter": {}, "offset": positions[0] - 1, "limit": len(positions)}
        connection.request("POST", "/local/gallery", json.dumps(wanted), self.headers)
        entries = json.loads(connection.getresponse().read())["entries"]
        connection.close()
        assert [one["position"] for one in entries] == list(positions)
        return list(entries)

    def _ask(self, entries: list[dict[str, Any]]) -> None:
        connection = self._connection()
        for one in entries:
            named = {"dataset": one["dataset"], "position": one["position"], "side": SIDE_PX, "of": one["source_ref"]}
            connection.request("GET", f"/local/thumbnail?{urlencode(named)}", headers=self.headers)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != 200 or not data.startswith(b"\xff\xd8"):
                self.wrong.append(f"thumbnail {one['position']}: {answer.status} {answer.headers['content-type']}")
            elif one["position"] % 50 == 0 and max(Image.open(io.BytesIO(data)).size) != SIDE_PX:
                self.wrong.append(f"thumbnail {one['position']} is not {SIDE_PX} wide")
        connection.close()


def thumbnails(home: Home, ask: Asking, options: argparse.Namespace) -> dict[str, list[float]]:
    """Rates of the server and of the bare loop, in turns, on the same pictures."""
    rates: dict[str, list[float]] = {"server": [], "bare": [], "bare, tight": []}
    paths = [home.buckets / "data" / "real" / f"{number % options.real:06d}.jpg" for number in range(options.real)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count()) as pool:
        pool.map(partial(bare_thumbnail, SIDE_PX, True), paths[: 4 * (os.cpu_count() or 1)], 1)

        def bare(is_tight: bool) -> float:
            began = time.perf_counter()
            pool.map(partial(bare_thumbnail, SIDE_PX, is_tight), paths, 8)
            return len(paths) / (time.perf_counter() - began)

        for number, first in enumerate(_fresh(home, options)):
            turns: list[tuple[str, Callable[[], float]]] = [
                ("server", partial(ask.rate, range(first, first + len(paths)))),
                ("bare", partial(bare, False)),
                ("bare, tight", partial(bare, True)),
            ]
            for name, turn in turns[:: 1 if number % 2 else -1]:
                rates[name].append(turn())
    return rates


def _fresh(home: Home, options: argparse.Namespace) -> Iterator[int]:
    """First positions of stretches, each with every picture once, whose thumbnails are made anew."""
    stretches = list(range(1, options.entries - options.real + 2, options.real))
    random.Random(1).shuffle(stretches)
    for number in range(options.rounds):
        for path in (home.path / "cache" / "thumbnails").rglob("*.jpg"):
            path.unlink()
        yield stretches[number % len(stretches)]


# --- all of it --------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> dict[str, Any]:
    wrong: list[str] = []
    with at_home(options.folder) as home, chromium() as browser:
        dataset = project_of(home, options.entries, options.real)
        if home.describe(dataset)["Status"] != "CREATE_COMPLETE":
            wrong.append(str(home.describe(dataset)))
        first = paints(home, browser, options.paints, wrong)
        with console_of(home) as console:
            context = browser.new_context(viewport=VIEW)
            page = entered(context, console, wrong)
            cookie = "; ".join(f"{one['name']}={one['value']}" for one in context.cookies())
            page.close()
            page = context.new_page()
            watch(page, wrong)
            show(page, console, "p")
            page.locator(".tile[data-shown]").first.wait_for()
            pid = renderer_of(browser, page)
            weights = {"page, just opened": weight_mb(pid)}
            moves = scrolled(page, browser, options)
            began = time.perf_counter()
            names = {share: shown_at(page, share) for share in (0.5, 1.0)}
            jump_s = (time.perf_counter() - began) / len(names)
            weights |= {"server": weight_mb(console.pid), "page": weight_mb(pid)}
            pictures_mb = discardable_mb(browser, page, pid)
            weights["page without decoded pictures"] = {"pss": weights["page"]["pss"] - pictures_mb}
            heap = heap_mb(page)
            context.close()
            if f"image-{options.entries - 1:06d}.jpg" not in names[1.0]:
                wrong.append(f"the end of the gallery shows {names[1.0]}")
            middle = [abs(int(name[6:12]) / options.entries - 0.5) for name in names[0.5]]
            if not middle or min(middle) > 0.01:
                wrong.append(f"the middle of the gallery shows {names[0.5]}")
            (project,) = home.call("DescribeProjects")["ProjectDescriptions"]
            ask = Asking(console, cookie, project["ProjectArn"], options.connections)
            rates = thumbnails(home, ask, options)
            weights["server after thumbnails"] = weight_mb(console.pid)
            wrong += ask.wrong + console.complaints()
    found = _found(first, moves, weights, heap, rates, wrong)
    found["figures"]["from a jump to a whole screen, s"] = jump_s
    return found


def _found(
    first: dict[str, list[tuple[float, float]]], moves: dict[str, dict[str, Any]], weights: dict[str, dict[str, float]],
    heap: dict[str, float], rates: dict[str, list[float]], wrong: list[str],
) -> dict[str, Any]:  # fmt: skip
    figures: dict[str, Any] = {}
    for name, every in first.items():
        figures[f"to the first thumbnail, {name}, s"] = spread([one[0] for one in every])
        figures[f"to a whole screen, {name}, s"] = spread([one[1] for one in every])
    for name, move in moves.items():
        over = {"over 100 ms": sum(one > 100 for one in move["frames"]), "longest task": max(move["tasks"], default=0)}
        figures[f"frames, {name}, ms"] = {**spread(move["frames"]), **over, "px": move["top"]}
    for name, weight in weights.items():
        figures[f"memory, {name}, MB"] = weight
    medians = {name: statistics.median(every) for name, every in rates.items()}
    figures |= {"JavaScript's heap, MB": heap, "thumbnails a second": medians}
    for name in ("bare", "bare, tight"):
        turns = [server / bare for server, bare in zip(rates["server"], rates[name], strict=True)]
        figures[f"thumbnails, server to {name}, by turns"] = {"smallest": min(turns), **spread(turns)}
    bars = [
        bar(f"to the first thumbnail, {name}, median, s", statistics.median(one[0] for one in every), 1.5)
        for name, every in first.items()
    ]
    bars += [bar(f"longest frame, {name}, ms", max(moves[name]["frames"]), 100) for name in ("end to end", "wheel")]
    bars += [bar(f"memory, {name}, PSS, MB", weights[name]["pss"], 200) for name in _WEIGHED]
    ratio = medians["server"] / medians["bare"]
    bars.append(bar("thumbnails, server against bare Pillow on all cores", ratio, 0.8, at_least=True))
    return {"figures": figures, "bars": bars, "wrong": wrong, "rates": rates, "paints": first}


def options_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--entries", type=int, default=250_000)
    parser.add_argument("--real", type=int, default=500, help="pictures that are different")
    parser.add_argument("--paints", type=int, default=5, help="rounds of opening the gallery")
    parser.add_argument("--scroll-s", type=float, default=60, help="from end to end")
    parser.add_argument("--wheel-s", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="of thumbnails, each of all pictures")
    parser.add_argument("--connections", type=int, default=6, help="as browsers open to a host")
    parser.add_argument("--folder", type=Path, help="where the home is made: 250 000 links, some 250 MB")
