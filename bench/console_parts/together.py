"""Two tabs, a shell and a boto3 client that edit one dataset: no update is lost, every conflict is told.

All writes that were acknowledged are logged with their times, and held against what `order.py` says can have happened:
a page that puts its edit over another line than it has shown is found out, and so is one that drops what others wrote.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from playwright.sync_api import BrowserContext, Page

from console_parts.common import VIEW, Console, at_home, bar, chromium, console_of, drag, entered, pictures, watch
from console_parts.order import Event, is_possible
from rcl_cli.local.labelling.lines import labelling_of
from rcl_cli.local.labelling.saving import as_saved
from rcl_cli.operations.contents import reading
from rcl_cli.store import entries
from tests.conftest import Home, image_line
from tests.functional.serving import client, serving

LABELS = ("cat", "dog", "bird")
STAMP = "stamp"
_LONGEST_S = 60.0
# All that a page sends and hears about saving, with the times.
_LISTEN = """
(() => {
  const log = window.log = [], real = window.fetch, clock = () => (performance.timeOrigin + performance.now()) / 1000;
  window.fetch = async (path, options) => {
    if (path !== "/local/save") return real(path, options);
    const one = { sent: JSON.parse(options.body), begin: clock(), end: null, answer: null };
    log.push(one);
    const answer = await real(path, options), copy = await answer.clone().json();
    Object.assign(one, { end: clock(), answer: copy });
    return answer;
  };
})();
"""


class Books:
    """What everybody was told, by file."""

    def __init__(self, home: Home, dataset: str, files: list[str]) -> None:
        self.home, self.dataset, self.files = home, dataset, files
        self.events: dict[str, list[Event]] = {file: [] for file in files}
        self.lines: dict[str, str] = {}
        self.done, self.wrong = Counter[str](), list[str]()
        self.first = self.stored()
        self._lock = threading.Lock()

    def stored(self) -> dict[str, str]:
        """The marks of all lines that are in the store."""
        with reading(self.home.context, self.dataset, lambda _: None) as (_, db):
            return {file: self._known(entries.line_of(db, ref_of(file)) or "") for file in self.files}

    def _known(self, line: str) -> str:
        mark = as_saved(line).mark
        self.lines[mark] = line
        return mark

    def wrote(self, who: str, lines: list[str], begin: float, *, is_sure: bool) -> None:
        """What a program wrote in one go."""
        with self._lock:
            self.done[f"{who} writes" if is_sure else f"{who} refusals"] += 1
            for line in lines:
                event = Event(who, begin, time.time(), None, self._known(line), is_sure=is_sure)
                self.events[json.loads(line)["source-ref"].rpartition("/")[2]].append(event)

    def heard(self, who: str, one: dict[str, Any]) -> None:
        """What a page asked and was answered."""
        sent, answer = one["sent"], one["answer"] or {}
        file, told = sent["source_ref"].rpartition("/")[2], answer.get("conflict", answer)
        if told is None:
            self.wrong.append(f"{who}: {file} is said to be gone")
        elif "line" not in told:
            self.wrong.append(f"{who}: {file}: {answer.get('error', 'no answer')}")
        else:
            mark = self._known(told["line"])
            is_told = "conflict" in answer
            self.done[f"{who} {'conflicts' if is_told else 'saves'}"] += 1
            self.events[file].append(Event(who, one["begin"], one["end"], sent["mark"], mark, is_told))
            if not is_told:
                self._check_saved(who, file, sent, told["line"])

    def _check_saved(self, who: str, file: str, sent: dict[str, Any], line: str) -> None:
        """A save must say what was wanted, and leave what others wrote beside it."""
        said = labelling_of(line)
        found = sorted(said.labels), sorted(one.label for one in said.boxes)
        if "line" in sent:
            before = labelling_of(sent["line"])
            wanted = sorted(before.labels), sorted(one.label for one in before.boxes)
        else:
            wanted = sorted(sent["labels"]), sorted(one["label"] for one in sent["boxes"])
        if found != wanted:
            self.wrong.append(f"{who}: {file} was saved as {found} instead of {wanted}")
        shown, way = self.lines.get(sent["mark"]), "an undo or redo" if "line" in sent else "an edit"
        if shown is None:
            self.wrong.append(f"{who}: {file} was saved over a line that nobody wrote")
        elif stamp_of(shown) != stamp_of(line) and as_saved(line).mark not in self._programs(file):
            self.wrong.append(f"{who}: {file} had {stamp_of(shown)}, and has {stamp_of(line)} after {way}")

    def _programs(self, file: str) -> set[str]:
        """Marks of lines that programs wrote: a page that wanted just that was told that it is saved."""
        return {one.result for one in self.events[file] if one.needs is None}

    def judge(self) -> None:
        last = self.stored()
        for file, events in self.events.items():
            if not is_possible(events, self.first[file], last[file]):
                told = "; ".join(f"{one.who} {one.begin:.3f} {one.needs} → {one.result}" for one in events)
                self.wrong.append(f"{file}: no order explains what was told: {self.first[file]}; {told}; {last[file]}")


def ref_of(file: str) -> str:
    return f"s3://data/{file}"


def stamp_of(line: str) -> str:
    return str(json.loads(line).get(STAMP))


# --- programs ---------------------------------------------------------------------------------------------------------


def writer(who: str, put: Callable[[bytes], bool], books: Books, until: float, pause_s: float) -> None:
    """Put lines of its own in the place of what is there, again and again.

    Args:
        put: whether it was acknowledged.
    """
    chance = random.Random(who)
    number = 0
    while time.time() < until:
        lines = []
        for file in chance.sample(books.files, chance.randint(1, 2)):
            number += 1
            labels = chance.sample(LABELS, chance.randint(0, 2))
            lines.append(json.dumps({**image_line("data", file, *labels), STAMP: f"{who} {number}"}))
        begin = time.time()
        is_sure = put("\n".join(lines).encode())
        books.wrote(who, lines, begin, is_sure=is_sure)
        time.sleep(chance.uniform(0, 2 * pause_s))


def shell_put(home: Home, dataset: str) -> Callable[[bytes], bool]:
    path = home.path / "changes.jsonl"

    def put(lines: bytes) -> bool:
        path.write_bytes(lines)
        words = ["update-dataset-entries", "--dataset-arn", dataset, "--changes", f"GroundTruth@=fileb://{path}"]
        done = subprocess.run(
            [sys.executable, "-m", "rcl_cli", *words], env=home.environment(), capture_output=True, check=False
        )
        return done.returncode == 0

    return put


def sdk_put(url: str, dataset: str) -> Callable[[bytes], bool]:
    rekognition = client(url)

    def put(lines: bytes) -> bool:
        try:
            rekognition.update_dataset_entries(DatasetArn=dataset, Changes={"GroundTruth": lines})
        except (ClientError, BotoCoreError):
            return False
        return True

    return put


# --- tabs -------------------------------------------------------------------------------------------------------------


class Tab:
    """Somebody at a page, who is asked where others changed the same image, and answers."""

    def __init__(self, who: str, context: BrowserContext, console: Console, books: Books) -> None:
        self.who, self.books, self.chance, self.asked = who, books, random.Random(who), 0
        self.page: Page = context.new_page()
        watch(self.page, books.wrong)
        self.page.goto(f"{console.base}#/p/p/label/0?mode=image")
        self.page.locator(".stage .picture img").wait_for()

    def act(self) -> None:
        self.answer()
        press = self.page.keyboard.press
        what = self.chance.choices(("label", "go", "undo", "redo", "box"), (50, 25, 8, 4, 13))[0]
        if what == "label":
            self.turn("image")
            press(str(self.chance.randint(1, len(LABELS))))
        elif what == "go":
            press(self.chance.choice(("Space", "Space", "ArrowLeft", "n")))
        elif what == "undo":
            press("z")
        elif what == "redo":
            press("Shift+Z")
        else:
            self.box()
        self.books.done[f"{self.who} acts"] += 1

    def turn(self, mode: str) -> None:
        """Into a mode; where the page asks something just then, the key goes nowhere."""
        if not self.page.locator(f"[data-mode={mode}][aria-pressed=true]").count():
            self.page.keyboard.press("b")

    def box(self) -> None:
        """Draw one; now and then call it something else, or take it away."""
        self.turn("boxes")
        self.page.keyboard.press("0")
        x, y = self.chance.uniform(0.05, 0.6), self.chance.uniform(0.05, 0.6)
        if not self.page.locator("dialog[open]").count():
            drag(self.page, (x, y), (x + self.chance.uniform(0.1, 0.3), y + self.chance.uniform(0.1, 0.3)))
        self.page.keyboard.press(self.chance.choice(("Delete", "2", "ArrowLeft", "c")))

    def answer(self) -> None:
        """Say whose version it is to be, wherever the page asks."""
        dialogs = self.page.locator("dialog.conflict[open]")
        while dialogs.count():
            self.asked += 1
            # The one on top, which has the focus: one that Escape was pressed on came up again.
            top = self.page.locator("dialog.conflict[open]:focus-within")
            (top if top.count() else dialogs).last.get_by_role("button").nth(self.chance.randint(0, 1)).click()

    def settle(self) -> None:
        until = time.monotonic() + _LONGEST_S
        calm = 0
        while calm < 10:
            self.answer()
            state = self.page.locator(".saved").get_attribute("data-state")
            calm = calm + 1 if state == "saved" and not self.page.locator("dialog.conflict").count() else 0
            assert time.monotonic() < until, f"{self.who}: {self.page.locator('.saved').inner_text()}"
            self.page.wait_for_timeout(50)

    def tell(self) -> None:
        """Enter all that the page was told into the books."""
        for one in self.page.evaluate("log"):
            self.books.heard(self.who, one)
        told = self.books.done[f"{self.who} conflicts"]
        if told != self.asked:
            self.books.wrong.append(f"{self.who} was told of {told} conflicts, and showed {self.asked}")


def run(options: argparse.Namespace) -> dict[str, Any]:
    with at_home() as home:
        files = pictures(home.buckets / "data", options.images, (160, 120))
        lines = [image_line("data", name, LABELS[number % 3]) for number, name in enumerate(files)]
        dataset = home.dataset(home.project("p"), "TRAIN", lines)
        books = Books(home, dataset, files)
        with serving(home) as (url, _), console_of(home) as console, chromium() as browser:
            context = browser.new_context(viewport=VIEW)
            entered(context, console, books.wrong).close()
            context.add_init_script(_LISTEN)
            tabs = [Tab(who, context, console, books) for who in ("first tab", "second tab")]
            until = time.time() + 60 * options.minutes
            threads = [
                threading.Thread(target=writer, args=(who, put, books, until, options.pause_s))
                for who, put in (("shell", shell_put(home, dataset)), ("boto3", sdk_put(url, dataset)))
            ]
            for thread in threads:
                thread.start()
            chance = random.Random(1)
            try:
                while time.time() < until:
                    chance.choice(tabs).act()
                    time.sleep(chance.choice((0, 0, 0.02, 0.1)))
            finally:
                for thread in threads:
                    thread.join()
            for tab in tabs:
                tab.settle()
            for tab in tabs:
                tab.tell()
            context.close()
        books.wrong += console.complaints() + _complaints(home.path / "serve.log")
        books.judge()
    done = dict(sorted(books.done.items()))
    bars = [bar("wrong", len(books.wrong), 0)]
    for name in (
        "shell writes",
        "boto3 writes",
        *(f"{tab.who} {what}" for tab in tabs for what in ("saves", "conflicts")),
    ):
        bars.append(bar(name, books.done[name], 1, at_least=True))
    return {"figures": done, "bars": bars, "wrong": books.wrong}


def _complaints(log: Path) -> list[str]:
    text = log.read_text("utf-8", "replace")
    return ["a traceback in the log of rcl serve"] if "Traceback" in text else []


def options_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--pause-s", type=float, default=0.3, help="of a program, from one write to the next")
