"""What a check finds, shown in the console and mended there."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from rcl_cli.local.datasets.checking.findings import Finding
from rcl_cli.local.datasets.checks import Request, check_images
from rcl_cli.local.datasets.mending import Mended, is_for_all, mend, way_of
from rcl_cli.local.labelling.lines import labelling_of
from tests.conftest import Home, box_line, image_line, wait_until
from tests.functional.browser import needs_browser
from tests.functional.consoling import consoling
from tests.functional.pages import at_console
from tests.functional.test_dataset_check import Set, scene, spoil

ROOT = Path(__file__).resolve().parents[2]


def checked(home: Home, project: str = "p") -> list[Finding]:
    return check_images(home.context, Request((project,)), lambda _: None)


def mendable(findings: Sequence[Finding]) -> list[Finding]:
    return [one for one in findings if way_of(one)]


def done(found: Mended) -> tuple[int, int]:
    return found.removed, found.changed


def names(home: Home, dataset: str) -> list[str]:
    return [line["source-ref"].rpartition("/")[2] for line in home.entries(dataset)]


def boxes(home: Home, dataset: str, name: str) -> list[tuple[str, float, float, float, float]]:
    (line,) = [line for line in home.entries(dataset) if line["source-ref"].endswith(f"/{name}")]
    return [(one.label, *(round(side, 3) for side in one.box)) for one in labelling_of(json.dumps(line)).boxes]


def test_all_that_can_be_mended_is_gone_afterwards(home: Home) -> None:
    made = Set(home.buckets / "photos")
    spoil(made)
    made.write()
    project = home.project()
    for part in ("train", "test"):
        home.dataset(project, part.upper(), (made.bucket / f"{part}.manifest").read_bytes())
    found = checked(home)
    kinds = {one.kind for one in mendable(found)}
    assert kinds >= {
        "missing-image",
        "duplicate-image",
        "duplicate-across-parts",
        "box-outside",
        "tiny-box",
        "label-typo",
    }
    assert min(done(mend(home.context, project, mendable(found)))) > 0
    left = checked(home)
    # Copies that are labelled differently stay, all of them.
    assert {one.kind for one in mendable(left)} == {"duplicate-image"}
    open_ = {image for one in left if one.kind == "contradicting-duplicates" for image in one.images}
    assert all(open_.issuperset(one.images) for one in mendable(left))
    # What people have to look at is as it was, but for what is there no more.
    looked_at = {one.kind for one in found} - kinds
    counts = [Counter(one.kind for one in every if one.kind in looked_at) for every in (found, left)]
    assert counts[1] <= counts[0]
    assert counts[1]["contradicting-duplicates"] == counts[0]["contradicting-duplicates"] > 0
    assert mend(home.context, project, left) == Mended(0, 0, frozenset(range(len(left))))


@pytest.fixture
def shop(home: Home) -> Home:
    """Pictures a, b and c, each another; and `same-a.jpg`, which is a."""
    folder = home.buckets / "photos"
    folder.mkdir(parents=True)
    for number, name in enumerate("abc"):
        scene(number).save(folder / f"{name}.jpg")
    shutil.copy(folder / "a.jpg", folder / "same-a.jpg")
    return home


def test_of_copies_the_labelled_one_stays(shop: Home) -> None:
    project = shop.project()
    lines: list[Any] = [{"source-ref": "s3://photos/a.jpg"}, image_line("photos", "same-a.jpg", "cat")]
    train = shop.dataset(project, "TRAIN", [*lines, image_line("photos", "b.jpg", "dog")])
    copies = Finding("duplicate-image", ("s3://photos/a.jpg", "s3://photos/same-a.jpg"), "", "train")
    # Found once more, in another order, and in the other part: one of them stays whatever is mended at once.
    again = [copies, copies._replace(images=copies.images[::-1]), copies._replace(kind="near-duplicate")]
    assert done(mend(shop.context, project, again)) == (1, 0)
    assert names(shop, train) == ["same-a.jpg", "b.jpg"]
    assert done(mend(shop.context, project, again)) == (0, 0)


def test_nothing_goes_that_says_what_nothing_else_says(shop: Home) -> None:
    project = shop.project()
    given = {"a.jpg": "cat", "same-a.jpg": "dog", "b.jpg": "owl"}
    train = shop.dataset(project, "TRAIN", [image_line("photos", name, label) for name, label in given.items()])
    test = shop.dataset(project, "TEST", [{"source-ref": "s3://photos/b.jpg"}])
    pair = ("s3://photos/a.jpg", "s3://photos/same-a.jpg")
    findings = [
        Finding("duplicate-image", pair, "", "train"), Finding("near-duplicate", pair, "", "train"),
        # The test set knows nothing of it.
        Finding("same-source", ("s3://photos/b.jpg",), ""),
    ]  # fmt: skip
    assert mend(shop.context, project, findings) == Mended(0, 0, frozenset({0, 1, 2}))
    assert names(shop, train) == ["a.jpg", "same-a.jpg", "b.jpg"]
    assert names(shop, test) == ["b.jpg"]


def test_images_that_were_only_away_stay(shop: Home) -> None:
    project = shop.project()
    train = shop.dataset(project, "TRAIN", [image_line("photos", f"{name}.jpg", "cat") for name in ("a", "b", "gone")])
    (shop.buckets / "photos").rename(shop.buckets / "away")
    found = [one for one in checked(shop) if one.kind == "missing-image"]
    assert len(found) == 3
    assert done(mend(shop.context, project, found)) == (0, 0)
    # As the folder is that a disk is mounted on.
    (shop.buckets / "photos").mkdir()
    assert done(mend(shop.context, project, found)) == (0, 0)
    (shop.buckets / "photos").rmdir()
    (shop.buckets / "away").rename(shop.buckets / "photos")
    assert done(mend(shop.context, project, found)) == (1, 0)
    assert names(shop, train) == ["a.jpg", "b.jpg"]


def test_boxes_stay_where_the_size_is_another(shop: Home) -> None:
    project = shop.project()
    width, height = scene(0).size
    lines = [
        box_line("photos", "a.jpg", (width // 2, height // 2), ("cat", width // 2 - 20, 10, 60, 50)),
        box_line("photos", "b.jpg", (height, width), ("cat", 200, 10, 30, 50)),
        # Beyond the image, wholly: nobody knows what it was around.
        box_line("photos", "c.jpg", (width, height), ("cat", width + 5, 10, 30, 50)),
    ]
    train = shop.dataset(project, "TRAIN", lines)
    before = shop.entries(train)
    found = mendable(checked(shop))
    assert len([one for one in found if one.kind == "box-outside"]) == 3
    assert done(mend(shop.context, project, found)) == (0, 0)
    assert shop.entries(train) == before


def test_what_may_be_as_it_should_be_is_mended_one_by_one() -> None:
    for kind in ("label-typo", "near-duplicate", "near-duplicate-across-parts", "tiny-box"):
        finding = Finding(kind, (), "")
        assert way_of(finding)
        assert not is_for_all(finding)


def test_a_check_is_of_the_project_whatever_folders_there_are(
    shop: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = shop.project("pets")
    shop.dataset(project, "TRAIN", [image_line("photos", "gone.jpg", "cat")])
    (tmp_path / "pets" / "dog").mkdir(parents=True)
    scene(9).save(tmp_path / "pets" / "dog" / "rex.jpg")
    monkeypatch.chdir(tmp_path)
    with consoling(shop, PYTHONPATH=str(ROOT)) as (visitor, _):
        assert visitor.enter()
        visitor.local("check", project=project)
        wait_until(lambda: bool(visitor.local("checked", project=project)["is_over"]))
        assert "missing-image" in {one["kind"] for one in visitor.local("checked", project=project)["kinds"]}


def test_what_is_in_both_parts_stays_in_the_test_set(shop: Home) -> None:
    project = shop.project()
    train = shop.dataset(project, "TRAIN", [image_line("photos", f"{name}.jpg", "cat") for name in "abc"])
    test = shop.dataset(project, "TEST", [image_line("photos", name, "cat") for name in ("same-a.jpg", "b.jpg")])
    found = checked(shop)
    across = [one for one in found if one.kind in ("duplicate-across-parts", "same-source")]
    assert len(across) == 2
    # One that is in the test set no more is needed where it is.
    position = {name: number for number, name in enumerate(names(shop, test), 1)}
    with consoling(shop) as (visitor, _):
        assert visitor.enter()
        assert visitor.local("remove", project=project, entries={test: [position["b.jpg"]]}) == {"removed": 1}
    assert done(mend(shop.context, project, across)) == (1, 0)
    assert names(shop, train) == ["b.jpg", "c.jpg"]
    assert names(shop, test) == ["same-a.jpg"]


def test_boxes_are_cut_and_go_and_others_stay(shop: Home) -> None:
    project = shop.project()
    width, height = scene(0).size
    lines = [
        box_line("photos", "a.jpg", (width, height), ("cat", -20, 10, 60, 50), ("cat", 10, 10, 50, 50)),
        box_line("photos", "b.jpg", (width, height), ("cat", 10, 10, 2, 50), ("dog", 10, 10, 50, 50)),
        box_line("photos", "c.jpg", (width, height), *[(one, 10, 10, 50, 50) for one in ("cat", "cat", "dog")]),
    ]  # fmt: skip
    train = shop.dataset(project, "TRAIN", lines)
    found = mendable(checked(shop))
    assert {one.kind for one in found} == {"box-outside", "tiny-box", "overlapping-boxes"}
    assert done(mend(shop.context, project, found)) == (0, 3)

    def shares(label: str, left: float, top: float, right: float, bottom: float) -> tuple[Any, ...]:
        sides = (left / width, top / height, (right - left) / width, (bottom - top) / height)
        return label, *(round(side, 3) for side in sides)

    whole = shares("cat", 10, 10, 60, 60)
    assert boxes(shop, train, "a.jpg") == [shares("cat", 0, 10, 40, 60), whole]
    assert boxes(shop, train, "b.jpg") == [("dog", *whole[1:])]
    assert boxes(shop, train, "c.jpg") == [whole, ("dog", *whole[1:])]
    assert shop.entries(train, HasErrors=True) == []


def test_labels_that_are_one_become_one(shop: Home) -> None:
    project = shop.project()
    given = {"a.jpg": "cat", "b.jpg": "cat", "c.jpg": "Cat"}
    train = shop.dataset(project, "TRAIN", [image_line("photos", name, label) for name, label in given.items()])
    (finding,) = [one for one in checked(shop) if one.kind == "label-spelling"]
    assert finding.labels == ("cat", "Cat")
    assert done(mend(shop.context, project, [finding])) == (0, 1)
    labels = [labelling_of(json.dumps(line)).labels for line in shop.entries(train)]
    assert labels == [("cat",)] * 3


def test_a_page_asks_and_is_told(shop: Home) -> None:
    project = shop.project()
    lines = [image_line("photos", name, "cat") for name in ("a.jpg", "same-a.jpg", "gone.jpg")]
    train = shop.dataset(project, "TRAIN", [*lines, {"source-ref": "s3://photos/b.jpg"}])
    with consoling(shop) as (visitor, _):
        assert visitor.enter()

        def ask(what: str, **given: Any) -> Any:
            return visitor.local(what, project=project, **given)

        assert ask("checked") == {"check": None}
        assert "once more" in ask("findings", check="", kind="missing-image", limit=9)
        assert ask("check") == {}
        wait_until(lambda: bool(ask("checked")["is_over"]))
        told = ask("checked")
        assert (told["done"], told["trouble"]) == (4, "")
        kinds = {one["kind"]: one for one in told["kinds"]}
        assert {kind: (one["open"], one["mendable"]) for kind, one in kinds.items() if one["mendable"]} == {
            "missing-image": (1, 1), "duplicate-image": (1, 1),
        }  # fmt: skip
        (missing,) = ask("findings", check=told["check"], kind="missing-image", limit=9)["findings"]
        assert missing["entries"] == [
            {"source_ref": "s3://photos/gone.jpg", "dataset": train, "part": "TRAIN", "position": 3}
        ]
        found = ask("queue-findings", check=told["check"], kind="unlabelled-image", number=None)
        assert found == {"entries": [[train, 4]]}
        (unlabelled,) = ask("findings", check=told["check"], kind="unlabelled-image", limit=9)["findings"]
        refused = ask("mend", check=told["check"], kind="unlabelled-image", number=unlabelled["number"])
        assert refused == "Somebody has to look at that."
        mended = ask("mend", check=told["check"], kind="missing-image", number=missing["number"])
        assert mended == {"removed": 1, "changed": 0, "left": 0}
        mended = ask("mend", check=told["check"], kind="duplicate-image", number=None)
        assert mended == {"removed": 1, "changed": 0, "left": 0}
        assert names(shop, train) == ["a.jpg", "b.jpg"]
        told = ask("checked")
        assert {one["kind"]: one["open"] for one in told["kinds"]}["missing-image"] == 0
        (missing,) = ask("findings", check=told["check"], kind="missing-image", limit=9)["findings"]
        assert (missing["is_mended"], missing["entries"]) == (True, [])
        assert ask("check") == {}
        wait_until(lambda: bool(ask("checked")["is_over"]))
        assert "once more" in ask("mend", check=told["check"], kind="missing-image", number=None)
        empty = shop.project("empty")
        assert visitor.local("check", project=empty) == "The project has no images yet."


@needs_browser
def test_findings_are_mended_by_buttons_and_looked_at(browser: Browser, shop: Home) -> None:
    project = shop.project("shop")
    lines = [image_line("photos", name, "<i>cat</i>") for name in ("a.jpg", "same-a.jpg", "c.jpg")]
    train = shop.dataset(project, "TRAIN", [*lines, {"source-ref": "s3://photos/b.jpg"}])
    with at_console(browser, shop) as (page, _):
        page.get_by_role("link", name="shop").click()
        page.get_by_role("link", name="Check").click()
        page.get_by_role("button", name="Check the images").click()
        kind = page.locator(".kind", has_text="Duplicate image")
        expect(kind.locator("li")).to_have_count(1)
        expect(kind.locator("img")).to_have_count(2)
        expect(page.get_by_text("<i>cat</i>': 3 training images")).to_be_visible()
        kind.get_by_role("button", name="Keep one, remove the others").click()
        page.locator("dialog").get_by_role("button", name="Keep one, remove the others").click()
        expect(kind).to_contain_text("Mended")
        expect(page.locator("#notes")).to_contain_text("1 taken out of the project.")
        assert names(shop, train) == ["a.jpg", "c.jpg", "b.jpg"]
        page.locator(".kind", has_text="Unlabelled image").get_by_role("button", name="Look at them").click()
        expect(page.locator("aside > small")).to_have_text("b.jpg")
        page.keyboard.press("Escape")
        expect(page.locator("h1")).to_have_text("Check")
        # What was found is still there for whoever comes back.
        expect(kind).to_contain_text("Mended")
