"""Edits by keys and mouse while the server is killed, tabs are closed and the network is cut.

What a page showed as saved must be in the store, whatever happened next; and undo takes back the last edits in order.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from typing import Any

from playwright.sync_api import BrowserContext, Error

from console_parts.common import VIEW, Console, at_home, bar, chromium, console_of, drag, entered, pictures, watch
from console_parts.recording import RECORD, Ledger, Said, stored
from tests.conftest import Home, image_line, wait_until

LABELS = ("cat", "dog", "bird")
_KINDS = ("server", "tab", "network")
_LONGEST_S = 60.0
_IS_SAVED = "document.querySelector('.saved')?.dataset.state === 'saved'"


class Labeller:
    """Somebody who labels, and whom things happen to."""

    def __init__(self, home: Home, console: Console, context: BrowserContext, dataset: str, files: list[str]) -> None:
        self.home, self.console, self.context, self.dataset, self.files = home, console, context, dataset, files
        self.chance = random.Random(1)
        self.ledger, self.wrong = Ledger(self.stored()), list[str]()
        self.page = entered(context, console, self.wrong)
        self.done = Counter[str]()
        self.recoveries: list[float] = []
        self.open(0)

    def stored(self) -> dict[str, Said]:
        return stored(self.home, self.dataset, self.files)

    def open(self, index: int) -> None:
        self.page.goto(f"{self.console.base}#/p/p/label/{index}?mode=image")
        self.page.locator(".stage .picture img").wait_for(timeout=_LONGEST_S * 1000)

    # --- edits ---
    def act(self, *, is_whole: bool = True) -> None:
        """One thing that people do.

        Args:
            is_whole: also what may leave everything as it is.
        """
        what = self.chance.choices(("label", "go", "box", "copy"), (60, 25, 10, 5 * is_whole))[0]
        press = self.page.keyboard.press
        if what == "label":
            press(str(self.chance.randint(1, len(LABELS))))
        elif what == "go":
            press(self.chance.choice(("Space", "Space", "ArrowLeft")))
        elif what == "copy":
            press("c")
        else:
            press("0")
            press("b")
            x, y = self.chance.uniform(0.05, 0.6), self.chance.uniform(0.05, 0.6)
            drag(self.page, (x, y), (x + self.chance.uniform(0.1, 0.3), y + self.chance.uniform(0.1, 0.3)))
            press("b")
        self.done[what] += 1

    def answer(self) -> None:
        """Keep what was said here, where the page asks."""
        asked = self.page.locator("dialog.conflict[open]")
        while asked.count():
            self.done["conflicts told"] += 1
            asked.last.get_by_role("button").first.click()

    def settle(self) -> None:
        """Wait until all keys were heeded, and everything is saved."""
        began = time.monotonic()
        self.answer()
        # Keys wait for an image that is on its way: when these were heeded, all were.
        for mode in ("boxes", "image"):
            self._turn(mode)
        while not self.page.evaluate(_IS_SAVED):
            self.answer()
            assert time.monotonic() < began + _LONGEST_S, self.page.locator(".saved").inner_text()
            time.sleep(0.02)
        self.ledger.take(self.page)
        self.recoveries.append(time.monotonic() - began)

    def _turn(self, mode: str) -> None:
        """Press the key for the other mode until the page is in it: where a page asks something, keys go nowhere."""
        chosen = self.page.locator(f"[data-mode={mode}][aria-pressed=true]")
        until = time.monotonic() + _LONGEST_S
        while True:
            self.page.keyboard.press("b")
            again = time.monotonic() + 5
            while time.monotonic() < again:
                if chosen.count():
                    return
                self.answer()
                assert time.monotonic() < until, "the page heeds no key"
                time.sleep(0.02)

    def check(self, when: str) -> None:
        self.ledger.take(self.page)
        self.wrong += self.ledger.lost(self.stored(), when)

    # --- what happens ---
    def disturb(self, kind: str) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.act()
        time.sleep(self.chance.uniform(0, 0.03))
        getattr(self, f"_{kind}")()
        self.done[f"{kind} kills"] += 1

    def _meanwhile(self) -> None:
        for _ in range(self.chance.randint(1, 6)):
            self.act()

    def _server(self) -> None:
        self.console.kill()
        self._meanwhile()
        self.check(f"after kill {self.done.total()}")
        self.console.start()

    def _network(self) -> None:
        self.context.set_offline(True)
        self._meanwhile()
        self.check(f"without network, {self.done.total()}")
        self.context.set_offline(False)

    def _tab(self) -> None:
        self.page.close()
        self.page = self.context.new_page()
        watch(self.page, self.wrong)
        # What the tab said in its last moments, before the next one says anything.
        self.page.goto(f"{self.console.base}pages/icon.svg")
        self.check(f"after tab {self.ledger.tab}")
        self.ledger.tab += 1
        self.open(self.chance.randrange(len(self.files)))

    # --- undo ---
    def undo(self, count: int) -> None:
        """Some edits, all taken back one by one, and done again, with a kill in each of the three."""
        self.settle()
        first, now = len(self.ledger.changes), self.stored()
        for number in range(count):
            self.act(is_whole=False)
            if number == count // 2:
                self.console.kill()
                self.console.start()
        self.settle()
        states = [now]
        for file, before, after in self.ledger.changes[first:]:
            if states[-1][file] != before:
                self.wrong.append(f"{file} was {states[-1][file]}, and the page showed {before}")
            states.append({**states[-1], file: after})
        self._expect(states[-1], "after edits")
        for way, key, expected in (("undo", "z", states[-2::-1]), ("redo", "Shift+Z", states[1:])):
            for number, wanted in enumerate(expected):
                if number == len(expected) // 2:
                    self.console.kill()
                    self.console.start()
                self.page.keyboard.press(key)
                self._expect(wanted, f"{way} {number + 1} of {len(expected)}")
                self.done[way] += 1
        self.settle()

    def _expect(self, wanted: dict[str, Said], when: str) -> None:
        try:
            wait_until(lambda: self.stored() == wanted and self.page.evaluate(_IS_SAVED), 15)
        except AssertionError:
            found = self.stored()
            differ = [
                f"{file}: {found[file]} instead of {wanted[file]}" for file in wanted if found[file] != wanted[file]
            ]
            self.wrong.append(f"{when}: {'; '.join(differ) or 'not said to be saved'}")


def run(options: argparse.Namespace) -> dict[str, Any]:
    with at_home() as home:
        files = pictures(home.buckets / "data", options.images, (160, 120))
        lines = [image_line("data", name, LABELS[number % 3]) for number, name in enumerate(files)]
        dataset = home.dataset(home.project("p"), "TRAIN", lines)
        with console_of(home) as console, chromium() as browser:
            context = browser.new_context(viewport=VIEW)
            context.add_init_script(RECORD)
            one = Labeller(home, console, context, dataset, files)
            began, kills = time.monotonic(), 0
            try:
                _go(one, options)
                kills = sum(one.done[f"{kind} kills"] for kind in _KINDS)
            except (AssertionError, Error) as error:
                one.wrong.append(f"it came to a halt: {error}"[:2000])
            seconds = time.monotonic() - began
            context.close()
        one.wrong += console.complaints()
    figures = {
        "seconds": seconds, "edits": len(one.ledger.changes), "moments said to be saved": one.ledger.claims,
        **dict(sorted(one.done.items())),
        "longest wait until saved, s": max(one.recoveries, default=0.0),
    }  # fmt: skip
    bars = [
        bar("edits", len(one.ledger.changes), options.edits, at_least=True),
        bar("kills", kills, options.kills, at_least=True),
        bar("wrong", len(one.wrong), 0),
    ]
    return {"figures": figures, "bars": bars, "wrong": one.wrong}


def _go(one: Labeller, options: argparse.Namespace) -> None:
    """Kills spread among the edits, of each kind in turn, and now and then a round of undoing."""
    kills, told = 0, time.monotonic()
    while kills < options.kills or len(one.ledger.changes) < options.edits:
        one.act()
        one.answer()
        one.ledger.take(one.page)
        if len(one.ledger.changes) * options.kills >= kills * options.edits and kills < options.kills:
            one.disturb(_KINDS[kills % len(_KINDS)])
            kills += 1
            if kills % options.undo_every == 0:
                one.undo(options.undos)
        if time.monotonic() > told + 30:
            told = time.monotonic()
            print(f"  {len(one.ledger.changes)} edits, {kills} kills, {len(one.wrong)} wrong", flush=True)
    one.settle()
    one.check("at the end")
    one.undo(options.undos)


def options_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--edits", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--undos", type=int, default=12, help="edits that are taken back in a round")
    parser.add_argument("--undo-every", type=int, default=20, help="kills from one round to the next")
