"""Images that change their part: for training, for testing, or out of the project."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from rcl_cli.errors import InvalidParameter
from rcl_cli.local.labelling.parts import Moved, move_entries, remove_entries, split
from rcl_cli.store import entries
from tests.conftest import Home, box_images, image_line, wait_until
from tests.functional.browser import needs_browser
from tests.functional.consoling import consoling
from tests.functional.pages import at_console


def refs(home: Home, dataset: str) -> list[str]:
    return [line["source-ref"].rpartition("/")[2] for line in home.entries(dataset)]


def labels(home: Home, dataset: str) -> dict[str, int]:
    found = home.call("ListDatasetLabels", DatasetArn=dataset)["DatasetLabelDescriptions"]
    return {one["LabelName"]: one["LabelStats"]["EntryCount"] for one in found}


def test_images_go_from_one_part_to_the_other(home: Home) -> None:
    project = home.project()
    odd = {**image_line("data", "2.jpg", "dog"), "mine": {"kept": [1, 2.50]}}
    train = home.dataset(
        project, "TRAIN", [image_line("data", "1.jpg", "cat"), odd, image_line("data", "3.jpg", "cat")]
    )
    test = home.dataset(project, "TEST", [image_line("data", "9.jpg", "cat"), image_line("data", "3.jpg", "dog")])
    before = home.entries(train)[1]
    told = move_entries(home.context, project, {train: [2, 3, 77]}, "TEST")
    # The other part has one of them, labelled otherwise: neither is lost.
    assert told == Moved(1, 1)
    assert (refs(home, train), refs(home, test)) == (["1.jpg", "3.jpg"], ["9.jpg", "3.jpg", "2.jpg"])
    assert home.entries(test)[2] == before
    assert before["mine"] == odd["mine"]
    assert (labels(home, train), labels(home, test)) == ({"cat": 2}, {"cat": 1, "dog": 2})
    described = home.call("DescribeDataset", DatasetArn=train)["DatasetDescription"]
    assert described["DatasetStats"] == {"LabeledEntries": 2, "TotalEntries": 2, "TotalLabels": 1, "ErrorEntries": 0}
    assert move_entries(home.context, project, {test: [3]}, "TRAIN") == Moved(1, 0)
    assert refs(home, train) == ["1.jpg", "3.jpg", "2.jpg"]
    assert labels(home, train) == {"cat": 2, "dog": 1}


def test_a_part_that_is_not_there_is_made(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(3)])
    assert move_entries(home.context, project, {train: [1]}, "TEST") == Moved(1, 0)
    kinds = {one["DatasetType"] for one in home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"]}
    assert kinds == {"TRAIN", "TEST"}
    assert move_entries(home.context, project, {train: []}, "TEST") == Moved(0, 0)


def test_images_are_taken_out_of_both_parts(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(3)])
    test = home.dataset(project, "TEST", [image_line("data", "9.jpg", "dog")])
    assert remove_entries(home.context, project, {train: [1, 3], test: [1, 5]}) == 3
    assert (refs(home, train), refs(home, test)) == (["1.jpg"], [])
    assert (labels(home, train), labels(home, test)) == ({"cat": 1}, {})
    # The next one is found by its name and its place like any other.
    new = json.dumps(image_line("data", "new.jpg", "bird")).encode()
    home.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": new})
    assert refs(home, train) == ["1.jpg", "new.jpg"]


def test_images_of_other_projects_stay(home: Home) -> None:
    project, other = home.project(), home.project("other")
    train = home.dataset(other, "TRAIN", [image_line("data", "1.jpg", "cat")])
    home.dataset(project, "TRAIN", [image_line("data", "2.jpg", "cat")])
    with pytest.raises(InvalidParameter, match="of another project"):
        remove_entries(home.context, project, {train: [1]})
    with pytest.raises(InvalidParameter, match="of another project"):
        move_entries(home.context, project, {train: [1]}, "TEST")
    assert refs(home, train) == ["1.jpg"]


def test_moving_beside_others_loses_nothing(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(40)])
    test = home.dataset(project, "TEST", [image_line("data", "t.jpg", "cat")])

    def work(number: int) -> None:
        if number % 2:
            line = json.dumps(image_line("data", f"new-{number}.jpg", "dog")).encode()
            home.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": line})
        else:
            move_entries(home.context, project, {train: [number + 1, number + 2]}, "TEST")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(24)))
    every = refs(home, train) + refs(home, test)
    assert len(every) == len(set(every)) == 40 + 1 + 12
    for dataset in (train, test):
        with home.context.entry_files.reading(_file(home, dataset)) as db:
            assert entries.count(db) == entries.state(db).counts


def _file(home: Home, dataset: str) -> str:
    from rcl_cli.operations.contents import described

    return described(home.context, dataset).file


def test_a_fifth_is_for_testing(home: Home) -> None:
    project = home.project()
    train = home.dataset(
        project, "TRAIN", [image_line("data", f"{n}.jpg", "cat" if n % 2 else "dog") for n in range(20)]
    )
    assert split(home.context, project) == 4
    assert len(refs(home, train)) == 16
    with pytest.raises(InvalidParameter, match="must be empty"):
        split(home.context, project)
    bare = home.project("bare")
    home.dataset(bare, "TRAIN", [{"source-ref": f"s3://data/{n}.jpg"} for n in range(20)])
    with pytest.raises(InvalidParameter):
        split(home.context, bare)


@needs_browser
def test_parts_in_the_browser(browser: Browser, home: Home) -> None:
    training, _ = box_images(home, 10, 0)
    project = home.project()
    train = home.dataset(project, "TRAIN", training)
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        expect(page.locator(".choose:visible")).to_have_count(10)
        page.get_by_role("button", name="Split 80/20").click()
        expect(page.locator("#notes")).to_contain_text("2 images are for testing now.")
        page.get_by_label("Part").select_option("TEST")
        expect(page.locator(".choose:visible")).to_have_count(2)
        page.locator(".choose:visible").first.check(force=True)
        with page.expect_download() as began:
            page.get_by_role("button", name="Download manifest").click()
        lines = Path(began.value.path()).read_text("utf-8").splitlines()
        assert (began.value.suggested_filename, len(lines)) == ("chosen.manifest", 1)
        assert json.loads(lines[0])["boxes"]["annotations"]
        page.get_by_role("button", name="To training").click()
        expect(page.locator("#notes")).to_contain_text("1 moved.")
        expect(page.locator(".choose:visible")).to_have_count(1)
        assert len(refs(home, train)) == 9
        page.get_by_label("Part").select_option("TRAIN")
        expect(page.locator(".choose:visible")).to_have_count(9)
        page.locator(".choose:visible").first.check(force=True)
        page.get_by_role("button", name="Choose all 9").click()
        page.locator(".choose:visible").nth(3).uncheck(force=True)
        page.get_by_role("button", name="Remove").click()
        page.locator("dialog").get_by_role("button", name="Keep it").click()
        assert len(refs(home, train)) == 9
        page.get_by_role("button", name="Remove").click()
        page.locator("dialog").get_by_role("button", name="Remove").click()
        expect(page.locator("#notes")).to_contain_text("8 removed.")
        expect(page.locator(".choose:visible")).to_have_count(1)
        assert len(refs(home, train)) == 1


def test_what_is_done_waits_until_a_range_is_chosen(browser: Browser, home: Home) -> None:
    training, _ = box_images(home, 6, 0)
    train = home.dataset(home.project(), "TRAIN", training)
    with at_console(browser, home) as (page, _):
        page.locator(".card a").click()
        boxes = page.locator(".choose:visible")
        expect(boxes).to_have_count(6)
        boxes.nth(1).check(force=True)
        # Which images lie between is long in coming.
        held: list[Route] = []
        page.route("**/local/gallery", lambda route: held.append(route))
        boxes.nth(4).click(modifiers=["Shift"], force=True)
        page.get_by_role("button", name="Remove").click()
        wait_until(lambda: bool(held or page.wait_for_timeout(50)))
        for one in held:
            one.continue_()
        page.unroute("**/local/gallery")
        expect(page.locator("dialog")).to_contain_text("Take 4 images out of the project?")
        page.locator("dialog").get_by_role("button", name="Remove").click()
        expect(page.locator("#notes")).to_contain_text("4 removed.")
    assert refs(home, train) == ["box-0.jpg", "box-5.jpg"]


def test_a_split_that_can_not_be_locks_nothing(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", [{"source-ref": f"s3://data/{n}.jpg"} for n in range(6)])
    with pytest.raises(InvalidParameter, match="has a label yet"):
        split(home.context, project)
    described = home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"]
    assert [(one["DatasetType"], one["Status"]) for one in described] == [("TRAIN", "CREATE_COMPLETE")]
    # Nor does an update of somebody else's that failed.
    home.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": b'{"source-ref": "s3://other/x.jpg"}'})
    assert home.call("DescribeDataset", DatasetArn=train)["DatasetDescription"]["Status"] == "UPDATE_FAILED"
    assert move_entries(home.context, project, {train: [1]}, "TEST") == Moved(1, 0)
    assert remove_entries(home.context, project, {train: [2]}) == 1


def test_a_part_has_pictures_of_one_bucket(home: Home) -> None:
    project = home.project()
    train = home.dataset(project, "TRAIN", [image_line("data", "1.jpg", "cat")])
    home.dataset(project, "TEST", [image_line("other", "2.jpg", "cat")])
    with pytest.raises(InvalidParameter, match="in the bucket data, those of the other part in other"):
        move_entries(home.context, project, {train: [1]}, "TEST")
    assert refs(home, train) == ["1.jpg"]
    assert home.call("DescribeDataset", DatasetArn=train)["DatasetDescription"]["Status"].endswith("_COMPLETE")


def test_what_is_chosen_is_what_was_seen(home: Home) -> None:
    """Positions may be another image's by now, and a filter may fit others."""
    project = home.project()
    train = home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(4)])
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        seen = visitor.local("gallery", project=project, limit=1)["revision"]
        chosen = {"project": project, "revision": seen, "entries": {train: [4, 4]}}
        new = json.dumps(image_line("data", "new.jpg", "dog")).encode()
        # An edit of somebody else's takes no position away.
        edited = json.dumps(image_line("data", "0.jpg", "dog")).encode()
        home.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": edited})
        assert visitor.local("assign", add=["seen"], **chosen) == {"changed": 1}
        assert remove_entries(home.context, project, {train: [4]}) == 1
        home.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": new})
        for way, more in (("remove", {}), ("move", {"part": "TEST"}), ("assign", {"add": ["x"]})):
            assert "others by now" in visitor.local(way, **chosen, **more), way
            # All that fit, as they were at a moment of which nothing is known any more.
            every = {"project": project, "filter": {}, "revision": "gone.1", "except": {}}
            assert "others by now" in visitor.local(way, **every, **more), way
        assert refs(home, train) == ["0.jpg", "1.jpg", "2.jpg", "new.jpg"]
        assert visitor.local("gallery", project=project, filter={"sort": []}) == "A text is missing, or is none."
