"""What a page said of images and of saving, moment by moment, held against the store."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from playwright.sync_api import Page

from rcl_cli.local.labelling.lines import labelling_of
from rcl_cli.operations.contents import reading
from rcl_cli.store import entries
from tests.conftest import Home

# What the list of labels says behind each: a tick, how many boxes, or both.
Said = Mapping[str, str]
# Each moment is kept beside the page, so that what a tab said last outlives it.
RECORD = """
(() => {
  if (!location.protocol.startsWith("http")) return;
  let last = "";
  const keep = told => {
    const number = Number(localStorage.getItem("number") ?? 0) + 1;
    localStorage.setItem("number", number);
    localStorage.setItem(`moment ${String(number).padStart(9, "0")}`, told);
  };
  // Of edits that follow each other at once, only the last is ever painted; the first is sent by itself.
  const ask = window.fetch;
  window.fetch = (path, options) => {
    if (path === "/local/save") keep(JSON.stringify({ sent: JSON.parse(options.body) }));
    return ask(path, options);
  };
  const look = () => {
    const aside = document.querySelector(".labeller aside"), state = aside?.querySelector(".saved").dataset.state;
    const file = aside?.querySelector(":scope > small").textContent;
    if (!state || !file.endsWith(".jpg")) return;
    const text = (one, name) => one.querySelector(name).textContent;
    const labels = [...aside.querySelectorAll(".labels button")];
    const said = labels.map(one => [text(one, "span"), text(one, "small")]).filter(one => one[1]);
    const told = JSON.stringify({ file, said: Object.fromEntries(said), state });
    if (told === last) return;
    last = told;
    keep(told);
  };
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(document, all);
})();
"""
_TAKE = """() => {
  const keys = Object.keys(localStorage).filter(key => key.startsWith("moment ")).sort();
  return keys.map(key => { const told = localStorage.getItem(key); localStorage.removeItem(key); return told; });
}"""


class Change(NamedTuple):
    file: str
    before: Said
    after: Said


class Ledger:
    """All that pages said of each image, in order, and up to where they said that it was saved.

    Args:
        stored: what the store says at the beginning.
    """

    def __init__(self, stored: Mapping[str, Said]) -> None:
        self.said: dict[str, list[tuple[int, Said]]] = {file: [(-1, said)] for file, said in stored.items()}
        self.safe = dict.fromkeys(stored, 0)
        # What was sent of each since then, painted or not.
        self.sent: dict[str, list[tuple[int, Said]]] = {file: [] for file in stored}
        self.changes: list[Change] = []
        self.tab, self.claims = 0, 0

    def take(self, page: Page) -> None:
        """Read what the page recorded since the last time."""
        for told in page.evaluate(_TAKE):
            moment = json.loads(told)
            if "sent" in moment:
                request = moment["sent"]
                self.sent[request["source_ref"].rpartition("/")[2]].append((self.tab, _asked(request)))
            else:
                self.add(moment)

    def add(self, moment: Mapping[str, Any]) -> None:
        every, said = self.said[moment["file"]], moment["said"]
        tab, before = every[-1]
        if tab != self.tab or before != said:
            if tab == self.tab:
                self.changes.append(Change(moment["file"], before, said))
            every.append((self.tab, said))
        if moment["state"] == "saved":
            self.claims += 1
            for file, known in self.said.items():
                # What a closed tab had not sent yet, nobody said to be saved.
                if known[-1][0] == self.tab:
                    self.safe[file] = len(known) - 1
                self.sent[file] = [one for one in self.sent[file] if one[0] != self.tab]

    def lost(self, stored: Mapping[str, Said], when: str) -> list[str]:
        """Images of which the store says something older than what was said to be saved."""
        wrong = []
        for file, every in self.said.items():
            allowed = [said for _, said in [*every[self.safe[file] :], *self.sent[file]]]
            if stored[file] not in allowed:
                wrong.append(f"{when}: {file} is {dict(stored[file])} in the store, and was shown as saved: {allowed}")
        return wrong


def stored(home: Home, dataset: str, files: list[str]) -> dict[str, Said]:
    """What the store says of images, as pages would."""
    with reading(home.context, dataset, lambda _: None) as (_, db):
        lines = {file: entries.line_of(db, f"s3://data/{file}") or "{}" for file in files}
    return {file: _said(line) for file, line in lines.items()}


def _asked(request: Mapping[str, Any]) -> Said:
    """What a request to save would have an image say."""
    if "line" in request:
        return _said(request["line"])
    return _told(request["labels"], [box["label"] for box in request["boxes"]])


def _said(line: str) -> Said:
    labelling = labelling_of(line)
    return _told(labelling.labels, [one.label for one in labelling.boxes])


def _told(labels: Collection[str], boxes: Sequence[str]) -> Said:
    found = {}
    for label in {*labels, *boxes}:
        count = f"×{boxes.count(label)}" if label in boxes else ""
        found[label] = " ".join(filter(None, ["✓" if label in labels else "", count]))
    return found
