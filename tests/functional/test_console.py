"""The console without a browser: who is let in, and what a page can ask."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rcl_cli.local.labelling.gallery import Gallery, next_unlabeled, shown
from rcl_cli.store.entries import EntryFilter
from tests.conftest import Home, box_images, box_line, colour_images, image_line, in_threads, make_home, noisy
from tests.functional.consoling import Visitor, consoling

ODD_LABEL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Visitor]]:
    """A console that nobody gets to change anything in."""
    home = make_home(tmp_path_factory.mktemp("house"))
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        yield home, visitor
    home.context.database.close()


@pytest.fixture
def visitor(home: Home) -> Iterator[Visitor]:
    with consoling(home) as (visitor, _):
        assert visitor.enter()
        yield visitor


def jpeg(seed: int = 0, size: tuple[int, int] = (80, 80)) -> bytes:
    out = io.BytesIO()
    noisy((200, 30, 30), size, seed).save(out, "JPEG")
    return out.getvalue()


def turned_picture(home: Home, name: str, size: tuple[int, int]) -> Path:
    """A picture whose Exif says that it lies on its side; returns its folder."""
    folder = home.buckets / "data"
    folder.mkdir()
    picture = noisy((10, 200, 10), size, 1)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(folder / name, exif=exif)
    return folder


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_a_url_works_once_and_the_next_one_is_printed(home: Home) -> None:
    with consoling(home) as (visitor, _):
        assert visitor.ask("GET", "/", origin=None, sec_fetch_site="none", sec_fetch_mode="navigate")[0] == 401
        assert visitor.ask("POST", "/api/DescribeProjects", b"{}")[0] == 401
        assert visitor.enter()
        assert visitor.ask("GET", "/")[0] == 200
        assert not Visitor(visitor.url).enter()
        printed = re.search(r"http://\S+", (home.path / "console.log").read_text())
        assert printed
        other = Visitor(printed[0])
        assert other.enter()
        assert other.ask("GET", "/")[0] == visitor.ask("GET", "/")[0] == 200


ATTACKS: dict[str, dict[str, str | None]] = {
    "DNS rebinding": {"host": "evil.example:8651", "origin": "http://evil.example:8651"},
    "a name without the port": {"host": "127.0.0.1"},
    "foreign origin": {"origin": "http://evil.example", "sec_fetch_site": None},
    "another port": {"origin": "http://127.0.0.1:1", "sec_fetch_site": "same-site"},
    "a form of another site": {"origin": "null", "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    "a picture of another site": {"origin": None, "sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    "no browser": {"origin": None, "sec_fetch_site": None},
    "no cookie": {"cookie": None},
    "a wrong cookie": {"cookie": "rcl-console-1=x"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_change_nothing(house: tuple[Home, Visitor], attack: str) -> None:
    home, visitor = house
    body = json.dumps({"ProjectName": "evil"}).encode()
    status, _, headers = visitor.ask("POST", "/api/CreateProject", body, **ATTACKS[attack])
    assert status in (401, 403, 421)
    assert "access-control-allow-origin" not in headers
    assert home.call("DescribeProjects")["ProjectDescriptions"] == []
    assert visitor.ask("POST", "/api/DescribeProjects", b"{}")[0] == 200


@pytest.mark.parametrize("attack", ["DNS rebinding", "a picture of another site", "no cookie"])
def test_others_see_nothing(house: tuple[Home, Visitor], attack: str) -> None:
    _, visitor = house
    for path in ("/pages/console.js", "/local/picture?dataset=a&position=1"):
        assert visitor.ask("GET", path, **ATTACKS[attack])[0] in (401, 403, 421)


PATHS = (
    "/pages/..%2froutes.py", "/pages/../routes.py", "/pages/%2e%2e/%2e%2e/errors.py", "/pages/", "/etc/passwd",
    "/pages/report.html%00.js", "/pages/%2fetc%2fpasswd",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_do_not_leave_the_page(house: tuple[Home, Visitor], path: str) -> None:
    _, visitor = house
    status, body, _ = visitor.ask("GET", path)
    assert status in (400, 404)
    assert b"import" not in body


def test_every_answer_forbids_what_a_page_does_not_need(house: tuple[Home, Visitor]) -> None:
    _, visitor = house
    for path in ("/", "/pages/console.js", "/nowhere"):
        _, _, headers = visitor.ask("GET", path)
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    refused = visitor.ask("GET", "/", cookie=None)[2]
    assert "frame-ancestors 'none'" in refused["content-security-policy"]


def test_other_addresses_need_a_word_for_it(home: Home) -> None:
    with pytest.raises(AssertionError, match="--without-tls"), consoling(home, "--host", "0.0.0.0"):
        pass
    with consoling(home, "--host", "0.0.0.0", "--without-tls") as (visitor, _):
        assert visitor.enter()
        assert visitor.ask("GET", "/", host="evil.example")[0] == 421


# --- galleries and pictures -------------------------------------------------------------------------------------------


def test_a_gallery_goes_over_both_datasets(visitor: Visitor, home: Home) -> None:
    project = home.project()
    training, testing = box_images(home, 7, 4)
    home.dataset(project, "TRAIN", [*training, {"source-ref": "s3://data/none.jpg"}])
    home.dataset(project, "TEST", testing)
    found = visitor.local("gallery", project=project, offset=0, limit=500)
    assert found["total"] == 12
    assert [one["source_ref"] for one in found["entries"]] == [
        *(line["source-ref"] for line in training), "s3://data/none.jpg", *(line["source-ref"] for line in testing)
    ]  # fmt: skip
    across = visitor.local("gallery", project=project, offset=6, limit=3)["entries"]
    assert across == found["entries"][6:9]
    assert [one["part"] for one in across] == ["TRAIN", "TRAIN", "TEST"]
    assert visitor.local("gallery", project=project, filter={"labeled": False}, limit=9)["total"] == 1
    assert visitor.local("gallery", project=project, filter={"part": "TEST"}, limit=9)["total"] == 4
    assert visitor.local("next", project=project, after=0) == {"index": 7}
    assert visitor.local("next", project=project, after=9) == {"index": 7}
    assert "cannot be found" in visitor.local("gallery", project="arn:none", limit=1)


def test_an_order_stays_while_entries_change(home: Home) -> None:
    """Who labels what is unlabelled goes through all of it, whatever the filter says of it meanwhile."""
    project = home.project()
    home.dataset(project, "TRAIN", [image_line("data", f"{n}.jpg", *(["cat"] if n % 2 else [])) for n in range(9)])
    gallery, unlabeled = Gallery(), EntryFilter(is_labeled=False)
    before = gallery.listing(home.context, project, unlabeled)
    assert before.total == 5
    changed = json.dumps(image_line("data", "2.jpg", "dog")).encode()
    home.call("UpdateDatasetEntries", DatasetArn=before.parts[0].arn, Changes={"GroundTruth": changed})
    assert gallery.listing(home.context, project, unlabeled).total == 4
    again = gallery.listing(home.context, project, unlabeled, revision=before.revision)
    assert again.total == 5
    assert [one.is_labeled for one in shown(home.context, again, 0, 9) if one] == [False, True, False, False, False]
    assert next_unlabeled(home.context, again, 0) == 2


def test_pictures_are_upright_and_small(visitor: Visitor, home: Home) -> None:
    project = home.project()
    folder = turned_picture(home, "turned.jpg", (900, 300))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    lines = [image_line("data", name) for name in ("turned.jpg", "broken.jpg", "none.jpg")]
    dataset = home.dataset(project, "TRAIN", lines)
    for side, size in ((160, (53, 160)), (640, (213, 640))):
        for _ in range(2):
            _, body, headers = visitor.ask("GET", f"/local/thumbnail?dataset={dataset}&position=1&side={side}")
            assert headers["content-type"] == "image/jpeg"
            with Image.open(io.BytesIO(body)) as small:
                assert small.size == size
    for position in (2, 3):
        _, body, headers = visitor.ask("GET", f"/local/thumbnail?dataset={dataset}&position={position}&side=160")
        assert headers["content-type"] == "image/svg+xml"
    _, body, headers = visitor.ask("GET", f"/local/picture?dataset={dataset}&position=1")
    assert body == (folder / "turned.jpg").read_bytes()
    assert headers["content-type"] == "image/jpeg"
    assert visitor.ask("GET", f"/local/picture?dataset={dataset}&position=3")[2]["content-type"] == "image/svg+xml"
    assert visitor.ask("GET", f"/local/picture?dataset={dataset}&position=x")[0] == 400
    kept = list((home.path / "cache" / "thumbnails").rglob("*.jpg"))
    assert len(kept) == 2
    # Cut off, as by a power cut: made again.
    for path in kept:
        path.write_bytes(path.read_bytes()[:50])
    with Image.open(
        io.BytesIO(visitor.ask("GET", f"/local/thumbnail?dataset={dataset}&position=1&side=160")[1])
    ) as small:
        small.load()


# --- edits ------------------------------------------------------------------------------------------------------------


def opened(visitor: Visitor, project: str, index: int = 0) -> dict[str, Any]:
    entry: dict[str, Any] = visitor.local("gallery", project=project, offset=index, limit=1)["entries"][0]
    return entry


def test_an_edit_is_in_the_store_at_once_and_taken_back(visitor: Visitor, home: Home) -> None:
    project = home.project()
    training, _ = box_images(home, 2, 0)
    dataset = home.dataset(project, "TRAIN", [training[0] | {"mine": {"a": 1.50}}, training[1]])
    entry = opened(visitor, project)
    before = home.entries(dataset)
    boxes = [*entry["boxes"], {"label": ODD_LABEL, "box": [0.1, 0.2, 0.3, 0.4]}]
    named = {"dataset": dataset, "source_ref": entry["source_ref"]}
    saved = visitor.local("save", **named, mark=entry["mark"], labels=["whole"], boxes=boxes)
    assert [one["label"] for one in saved["boxes"]] == [entry["boxes"][0]["label"], ODD_LABEL]
    now = home.entries(dataset)[0]
    assert now["mine"] == {"a": 1.5}
    assert json.loads(saved["line"]) == {key: value for key, value in now.items() if key != "cl-metadata"}
    names = {one["LabelName"] for one in home.call("ListDatasetLabels", DatasetArn=dataset)["DatasetLabelDescriptions"]}
    assert {ODD_LABEL, "whole"} <= names
    back = visitor.local("save", **named, mark=saved["mark"], line=entry["line"])
    assert back["mark"] == entry["mark"]
    assert home.entries(dataset) == before


def test_nothing_is_overwritten_that_was_not_seen(visitor: Visitor, home: Home) -> None:
    project = home.project()
    dataset = home.dataset(project, "TRAIN", colour_images(home, 2, 0)[0])
    entry = opened(visitor, project)
    theirs = image_line("data", "0.jpg", "somebody's")
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": json.dumps(theirs).encode()})
    named = {"dataset": dataset, "source_ref": entry["source_ref"], "labels": ["mine"], "boxes": []}
    answer = visitor.local("save", **named, mark=entry["mark"])
    assert answer["conflict"]["labels"] == ["somebody's"]
    assert home.entries(dataset)[0]["label-0-metadata"]["class-name"] == "somebody's"
    assert visitor.local("save", **named, mark=answer["conflict"]["mark"])["labels"] == ["mine"]
    home.call("DeleteDataset", DatasetArn=dataset)
    assert "cannot be found" in visitor.local("save", **named, mark=entry["mark"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": ["x" * 257], "boxes": []}, "1 to 256 characters"),
        ({"labels": [], "boxes": [{"label": "a", "box": [0, 0, 2, 1], "place": None}]}, "lies in its image"),
        ({"labels": [], "boxes": [{"label": "a", "box": [0, 0, "1", 1]}]}, "four numbers"),
        ({"labels": [], "boxes": [{"label": "a", "box": [0, 0, 1, 1], "place": 9}]}, "does not have"),
        ({"labels": [7], "boxes": []}, "text is missing"),
        ({"labels": []}, "no boxes"),
        ({"line": json.dumps(box_line("data", "other.jpg", (9, 9)))}, "another image's"),
        ({"line": "{"}, "another image's"),
    ],
)  # fmt: skip
def test_odd_edits_change_nothing(visitor: Visitor, home: Home, given: dict[str, Any], said: str) -> None:
    project = home.project()
    dataset = home.dataset(project, "TRAIN", colour_images(home, 1, 0)[0])
    entry, before = opened(visitor, project), home.describe(dataset)
    named = {"dataset": dataset, "source_ref": entry["source_ref"], "mark": entry["mark"]}
    assert said in visitor.local("save", **named, **given)
    assert home.describe(dataset) == before


def test_an_edit_of_an_earlier_line_keeps_what_that_said(visitor: Visitor, home: Home) -> None:
    """Undoing what was never sent: the boxes of then, with all that their line said of them."""
    line = box_line("data", "0.jpg", (72, 72), ("a", 1, 2, 30, 40), ("b", 20, 20, 30, 40))
    line["boxes"]["annotations"][1]["note"] = "kept"
    colour_images(home, 1, 0)
    project = home.project()
    dataset = home.dataset(project, "TRAIN", [line])
    entry = opened(visitor, project)
    named = {"dataset": dataset, "source_ref": entry["source_ref"], "labels": []}
    without = visitor.local("save", **named, mark=entry["mark"], boxes=entry["boxes"][:1])
    moved = [entry["boxes"][0] | {"box": [0.5, 0.5, 0.2, 0.2]}, entry["boxes"][1]]
    saved = visitor.local("save", **named, mark=without["mark"], base=entry["line"], boxes=moved)
    assert json.loads(saved["line"])["boxes"]["annotations"][1] == line["boxes"]["annotations"][1]
    # What the store says already is saved, whoever said it.
    assert visitor.local("save", **named, mark=entry["mark"], base=entry["line"], boxes=moved)["mark"] == saved["mark"]
    other = json.dumps(line | {"source-ref": "s3://data/1.jpg"})
    assert "another image's" in visitor.local("save", **named, mark=saved["mark"], base=other, boxes=[])


def test_what_is_odd_keeps_nobody_from_the_rest(visitor: Visitor, home: Home) -> None:
    colour_images(home, 4, 0)
    project = home.project()
    outside = box_line("data", "0.jpg", (72, 72), ("a", 50, 50, 30, 40))
    numbers = box_line("data", "1.jpg", (72, 72), ("a", 1, 1, 30, 40))
    numbers["boxes"]["annotations"][0]["left"] = 10**400
    unnamed = image_line("data", "2.jpg", "a")
    del unnamed["label-0-metadata"]["class-name"]
    ids = box_line("data", "3.jpg", (72, 72), ("a", 1, 1, 30, 40))
    ids["boxes-metadata"]["class-map"]["01"] = "b"
    dataset = home.dataset(project, "TRAIN", [outside, numbers, unnamed, ids])
    found = visitor.local("gallery", project=project, limit=9)["entries"]
    for number, line in enumerate([outside, numbers, unnamed]):
        named = {"dataset": dataset, "source_ref": found[number]["source_ref"], "mark": found[number]["mark"]}
        saved = visitor.local("save", **named, labels=["new"], boxes=found[number]["boxes"])
        document = json.loads(saved["line"])
        assert {key: document[key] for key in line} == line
        assert saved["labels"] == ["new"]
    named = {"dataset": dataset, "source_ref": found[3]["source_ref"], "mark": found[3]["mark"]}
    boxes = [*found[3]["boxes"], {"label": "b", "box": [0.1, 0.1, 0.3, 0.3]}]
    assert [one["label"] for one in visitor.local("save", **named, labels=[], boxes=boxes)["boxes"]] == ["a", "b"]


def test_pictures_of_others_are_not_looked_at(visitor: Visitor, home: Home, tmp_path: Path) -> None:
    (tmp_path / "private.jpg").write_bytes(jpeg())
    project = home.project()
    dataset = home.dataset(project, "TRAIN", colour_images(home, 1, 0)[0])
    boxes = [{"label": "a", "box": [0, 0, 1, 1]}]
    said = {
        json.dumps(visitor.local("save", dataset=dataset, source_ref=ref, mark="x", labels=[], boxes=boxes))
        for ref in (f"file://{tmp_path}/private.jpg", f"file://{tmp_path}/none.jpg", "s3://data/none.jpg")
    }
    assert said == {json.dumps({"conflict": None})}


ODD_REQUESTS: tuple[dict[str, Any], ...] = (
    {"filter": "abc"}, {"filter": [1]}, {"project": "\ud800"}, {"offset": -1}, {"limit": 1.5},
    {"filter": {"labels": "x"}}, {"filter": {"name": 7}}, {"offset": 2**60}, {"project": None},
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD_REQUESTS)
def test_odd_requests_are_refused(house: tuple[Home, Visitor], odd: dict[str, Any]) -> None:
    _, visitor = house
    status, body, _ = visitor.ask("POST", "/local/gallery", json.dumps({"project": "p", **odd}).encode())
    assert status == 400
    assert json.loads(body)["error"]["message"]


def test_cookies_of_others_are_no_obstacle(house: tuple[Home, Visitor]) -> None:
    _, visitor = house
    others = 'a={"x": 1}; flag; b=c d; ' + visitor.headers["cookie"]
    assert visitor.ask("GET", "/", cookie=others)[0] == 200


def test_pngs_are_seen_as_they_are_labelled(visitor: Visitor, home: Home) -> None:
    """Browsers turn a PNG by its eXIf chunk, and what trains does not."""
    project = home.project()
    turned_picture(home, "turned.png", (300, 100))
    dataset = home.dataset(project, "TRAIN", [image_line("data", "turned.png")])
    _, body, _ = visitor.ask("GET", f"/local/picture?dataset={dataset}&position=1")
    assert b"eXIf" not in body
    with Image.open(io.BytesIO(body)) as seen:
        assert seen.size == (300, 100)


# --- pictures that people bring ---------------------------------------------------------------------------------------


def test_pictures_become_entries_once(visitor: Visitor, home: Home) -> None:
    project = home.project("boards")

    def bring(name: str, data: bytes) -> Any:
        status, body, _ = visitor.ask("POST", f"/local/picture?project={project}&name={name}", data)
        return json.loads(body)["source_ref"] if status == 200 else json.loads(body)["error"]["message"]

    first = bring("a.jpg", jpeg(1))
    assert first == "s3://rcl-console/boards/a.jpg"
    assert bring("a.jpg", jpeg(1)) == first
    second = bring("a.jpg", jpeg(2))
    assert second.startswith("s3://rcl-console/boards/a-")
    assert bring("a.jpg", jpeg(2)) == second
    at_once: set[str] = set()
    with in_threads(4, lambda number: at_once.add(bring("same.jpg", jpeg(20 + number)))) as failures:
        pass
    assert (failures, len(at_once)) == ([], 4)
    assert bring("%E5%AD%97" * 100 + ".jpg", jpeg(6)).endswith(".jpg")
    assert bring("..%2F..%2Fetc%2Fpasswd.jpg", jpeg(3)) == "s3://rcl-console/boards/passwd.jpg"
    assert bring("%3Cb%3E%22%00.jpg", jpeg(4)).startswith("s3://rcl-console/boards/_b_")
    assert "invalid image format" in bring("no.jpg", b"no picture")
    assert "maximum" in bring("wide.jpg", jpeg(5, (4200, 80)))
    assert "15 MB" in bring("huge.jpg", bytes(15 * 2**20 + 1))
    refs = [first, second]
    assert visitor.local("add", project=project, part="TRAIN", source_refs=refs) == {"new": 2}
    assert visitor.local("add", project=project, part="TEST", source_refs=refs) == {"new": 0}
    assert "no picture" in visitor.local("add", project=project, part="TRAIN", source_refs=["file:///etc/passwd"])
    assert "no picture" in visitor.local("add", project=project, part="TRAIN", source_refs=["s3://rcl-console/x.jpg"])
    assert visitor.local("gallery", project=project, limit=9)["total"] == 2


def test_pictures_go_to_the_bucket_of_those_that_are_there(visitor: Visitor, home: Home) -> None:
    project = home.project("p")
    home.dataset(project, "TRAIN", colour_images(home, 3, 0)[0])
    _, body, _ = visitor.ask("POST", f"/local/picture?project={project}&name=new.jpg", jpeg())
    ref = json.loads(body)["source_ref"]
    assert ref == "s3://data/rcl-console/p/new.jpg"
    assert visitor.local("add", project=project, part="TRAIN", source_refs=[ref]) == {"new": 1}


def test_the_page_is_small(house: tuple[Home, Visitor]) -> None:
    _, visitor = house
    pages = Path(__file__).parents[2] / "rcl_cli" / "console" / "pages"
    names = [path.name for path in pages.iterdir()]
    sizes = [len(visitor.ask("GET", f"/pages/{name}")[1]) for name in [*names, "style.css", "drawing.js"]]
    assert all(sizes)
    assert sum(sizes) < 250 * 2**10
