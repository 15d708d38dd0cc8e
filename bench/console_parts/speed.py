"""How fast labelling is, by keys and by mouse, beside a page that does nothing but show the same pictures.

Times are taken in the page, from a key's or the pointer's event until what it led to was painted.
"""

from __future__ import annotations

import argparse
import http.server
import json
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from console_parts.common import VIEW, at_home, bar, chromium, console_of, drag, entered, pictures, show, spread, watch
from rcl_cli.local.labelling.lines import labelling_of
from tests.conftest import Home, image_line

LABEL = "cat"
# Two frames: what was changed before the first is on the screen when the second begins.
_WATCH = """
(() => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const image = () => document.querySelector(".stage .picture img, #only");
  const state = () => document.querySelector(".saved")?.dataset.state;
  const until = is => new Promise(done => {
    if (is()) { done(); return; }
    const watch = new MutationObserver(() => { if (is()) { watch.disconnect(); done(); } });
    watch.observe(document, { subtree: true, childList: true, attributes: true });
  });
  const own = window.bench = { keys: 0, next: [], saved: [], failed: 0 };
  own.wait = async (list, count) => { while (own[list].length < count) await frame(); return own[list].at(-1); };
  addEventListener("keydown", async event => {
    own.keys++;
    if (event.key !== " ") return;
    const before = image()?.src, from = event.timeStamp;
    await until(() => image() && image().src !== before);
    await image().decode().catch(() => { own.failed++; });
    await frame(); await frame();
    own.next.push(performance.now() - from);
  }, true);
  addEventListener("pointerup", async event => {
    const from = event.timeStamp;
    await until(() => state() !== "saved");
    await until(() => state() === "saved");
    const said = performance.now() - from;
    await frame(); await frame();
    own.saved.push([said, performance.now() - from]);
  }, true);
})();
"""
# The baselines: one that asks for a picture when it is wanted, one that asks for a few before.
_BARE = """<!doctype html>
<style>body { margin: 0; background: #15181d } img { width: 100vw; height: 100vh; object-fit: contain }</style>
<img id="only" alt=""><script>
const query = new URLSearchParams(location.search), image = document.getElementById("only"), kept = new Map();
let at = Number(query.get("first"));
const name = number => `/${String(number).padStart(6, "0")}.jpg`;
function ahead() {
  for (let next = at + 1; next <= at + Number(query.get("ahead")); next++) {
    if (kept.has(next)) continue;
    const one = new Image();
    one.src = name(next);
    one.decode().catch(() => {});
    kept.set(next, one);
  }
}
image.src = name(at);
ahead();
addEventListener("keydown", event => {
  if (event.key !== " ") return;
  event.preventDefault();
  image.src = name(++at);
  ahead();
});
</script>"""


@contextmanager
def showing(folder: Path) -> Iterator[str]:
    """A server of files, and of the page that shows them."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def do_GET(self) -> None:
            if not self.path.startswith("/?"):
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(_BARE.encode())))
            self.end_headers()
            self.wfile.write(_BARE.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def press(page: Page, keys: tuple[str, ...], count: int, think_ms: float) -> list[float]:
    """Go through images by keys, the last of which asks for the next one; milliseconds until that is painted."""
    times = []
    for _ in range(count):
        page.wait_for_timeout(think_ms)
        before = page.evaluate("bench.next.length")
        for key in keys:
            page.keyboard.press(key)
        times.append(float(page.evaluate("count => bench.wait('next', count)", before + 1)))
    return times


def by_keys(
    page: Page, bare: dict[str, tuple[Page, str]], images: int, blocks: int, think_ms: float
) -> dict[str, list[float]]:
    """Blocks in turns: the console, and each page that only shows pictures."""
    times: dict[str, list[float]] = {"console": [], **{name: [] for name in bare}}
    each = images // blocks
    for block in range(blocks):
        page.bring_to_front()
        times["console"] += press(page, ("1", "Space"), each, think_ms)
        for name, (other, url) in bare.items():
            other.bring_to_front()
            other.goto(f"{url}&first={block * each}")
            other.wait_for_function("document.getElementById('only').complete")
            times[name] += press(other, ("Space",), each, think_ms)
    return times


def by_drags(page: Page, count: int, think_ms: float) -> list[list[float]]:
    """A box in each image, in one drag; milliseconds until *Saved* is said, and until that is painted."""
    times = []
    for number in range(count):
        page.wait_for_timeout(think_ms)
        assert drag(page, (0.2, 0.2), (0.5, 0.6))
        times.append(page.evaluate("count => bench.wait('saved', count)", number + 1))
        page.keyboard.press("Space")
        expect(page.locator("aside .count")).to_contain_text(f"{number + 2} of ")
    return times


def project_of(home: Home, images: int) -> str:
    """A project whose label is known from a test image; the ARN of what is to be labelled, one more for the end."""
    names = pictures(home.buckets / "data", images + 2)
    project = home.project("p")
    home.dataset(project, "TEST", [image_line("data", names[-1], LABEL)])
    return home.dataset(project, "TRAIN", [image_line("data", name) for name in names[:-1]])


def run(options: argparse.Namespace) -> dict[str, Any]:
    images = options.images - options.images % options.blocks
    wrong: list[str] = []
    with at_home() as home:
        dataset = project_of(home, max(images, options.boxes))
        with console_of(home) as console, chromium() as browser, showing(home.buckets / "data") as bare_url:
            context = browser.new_context(viewport=VIEW)
            context.add_init_script(_WATCH)
            page = entered(context, console, wrong)
            show(page, console, "p/label/0?part=TRAIN&mode=image")
            expect(page.locator("aside .count")).to_contain_text("1 of ")
            bare = {}
            for name, ahead in (("bare", 0), ("bare, 4 ahead", 4)):
                other = context.new_page()
                watch(other, wrong)
                bare[name] = (other, f"{bare_url}?ahead={ahead}")
            times = by_keys(page, bare, images, options.blocks, options.think_ms)
            keys, failed = page.evaluate("[bench.keys, bench.failed]")
            expect(page.locator(".saved")).to_have_attribute("data-state", "saved")
            page.bring_to_front()
            show(page, console, "p/label/0?part=TRAIN&mode=boxes")
            expect(page.locator("aside .count")).to_contain_text("1 of ")
            drags = by_drags(page, options.boxes, options.think_ms)
            expect(page.locator(".saved")).to_have_attribute("data-state", "saved")
            context.close()
        wrong += console.complaints() + (["a picture could not be decoded"] if failed else [])
        wrong += _missing(home, dataset, images, options.boxes)
    medians = {name: statistics.median(every) for name, every in times.items()}
    painted = [one[1] for one in drags]
    ratios = {name: medians["console"] / medians[name] for name in bare}
    return {
        "figures": {
            **{f"key to next image painted, {name}, ms": spread(every) for name, every in times.items()},
            **{f"ratio to {name}": ratio for name, ratio in ratios.items()},
            "keys an image": keys / images,
            "drag to saved said, ms": spread([one[0] for one in drags]),
            "drag to saved painted, ms": spread(painted),
        },
        "bars": [
            bar("keys an image", keys / images, 2),
            bar("drag to saved painted, median, ms", statistics.median(painted), 150),
        ],
        "wrong": wrong,
        "times": {**times, "drags": drags},
    }  # fmt: skip


def _missing(home: Home, dataset: str, images: int, boxes: int) -> list[str]:
    lines: list[str] = []
    token: dict[str, str] = {}
    while True:
        found = home.call("ListDatasetEntries", DatasetArn=dataset, MaxResults=100, **token)
        lines += found["DatasetEntries"]
        if not found.get("NextToken"):
            break
        token = {"NextToken": found["NextToken"]}
    wrong = []
    for number, line in enumerate(lines):
        said = labelling_of(line)
        wanted = ((LABEL,) if number < images else (), 1 if number < boxes else 0)
        if (said.labels, len(said.boxes)) != wanted:
            name = json.loads(line)["source-ref"]
            wrong.append(f"{name} has {said.labels} and {len(said.boxes)} boxes instead of {wanted}")
    return wrong


def options_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--boxes", type=int, default=50, help="images that get a box by a drag")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--think-ms", type=float, default=100, help="between painted and the next key")
