"""Images that a model met at work: into the queue, judged, and into the training set."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from rcl_cli.domain import Box
from rcl_cli.errors import InvalidParameter, ResourceInUse, ResourceNotFound, ResourceNotReady, UsageError
from rcl_cli.local import events
from rcl_cli.local.datasets.exports import export_images
from rcl_cli.local.datasets.imports import Request as ImportRequest
from rcl_cli.local.datasets.imports import import_images
from rcl_cli.local.feedback.adding import Outcome, Request, add
from rcl_cli.local.feedback.overview import status
from rcl_cli.local.feedback.verifying import Verified, queued, verify, waiting
from rcl_cli.local.labelling.lines import Drawn, Labelling, labelling_of
from rcl_cli.local.labelling.many import change_many, labels_given
from rcl_cli.manifest.document import load
from rcl_cli.manifest.line import parse_line
from rcl_cli.store import feedback
from rcl_cli.store.feedback import Item
from tests.conftest import COLOURS, Home, box_line, image_line, in_threads, noisy, wait_until
from tests.functional.conftest import place_of
from tests.functional.conftest import running as running_model
from tests.functional.consoling import consoling
from tests.functional.models import Trained, copied

ROOT = Path(__file__).resolve().parents[2]
SAID = ({"Name": "red", "Confidence": 80.0}, {"Name": "green", "Confidence": 20.0})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A model that runs, in a home whose datasets tests may change."""
    yield from running_model(tmp_path_factory, "feedback", boxes=False)


@pytest.fixture
def running(model: Trained) -> Trained:
    """With an empty queue."""
    with model.home.context.database.write() as db:
        db.execute("DELETE FROM feedback")
    return model


def pictures(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colour = list(COLOURS.values())[number % 3]
        noisy(colour, (72, 72), 1000 + seed + number).save(folder / f"{folder.name}-{number}.jpg")
    return folder


def process(home: Home, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rcl_cli", "feedback", *words]
    environment = home.environment(PYTHONPATH=str(ROOT))
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rcl(home: Home, *words: str) -> tuple[int, str, str]:
    with process(home, *words) as running:
        out, err = running.communicate(timeout=300)
    return running.returncode, out, " ".join(err.split())


def added(home: Home, *words: str, code: int = 0) -> dict[str, Any]:
    done = rcl(home, "add", "p", *words, "--json")
    assert done[0] == code, done
    found: dict[str, Any] = json.loads(done[1])
    return found


def counts(found: dict[str, Any]) -> tuple[int, ...]:
    return tuple(found[key] for key in ("added", "replaced", "in_queue", "in_datasets")) + (len(found["left_out"]),)


def silent(_: events.Event) -> None:
    pass


# --- adding -----------------------------------------------------------------------------------------------------------


def test_a_folder_waits_least_sure_first(running: Trained, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "door", 5)
    (folder / "text.jpg").write_text("I am no picture")
    (folder / "cut.jpg").write_bytes((folder / "door-0.jpg").read_bytes()[:700])
    found = added(running.home, str(folder), code=255)
    assert found["version"] == "p/v"
    assert counts(found) == (5, 0, 0, 0, 2)
    assert {Path(one["where"]).name for one in found["left_out"]} == {"text.jpg", "cut.jpg"}
    assert {one["why"] for one in found["left_out"]} == {"Request has invalid image format"}
    queue = waiting(running.home.context, running.project)
    assert sorted((one.unsureness for one in queue), reverse=True) == [one.unsureness for one in queue]
    assert {one.source_ref for one in queue} == {f"s3://data/rcl-console/p/door-{n}.jpg" for n in range(5)}
    for one in queue:
        assert (one.origin, one.version, one.state) == (str(folder), "p/v", "WAITING")
        assert sum(answer["Confidence"] for answer in one.answers) == pytest.approx(100)
        margin = one.answers[0]["Confidence"] - one.answers[1]["Confidence"]
        assert one.unsureness == pytest.approx(1 - margin / 100)
        image = (running.home.buckets / one.source_ref.removeprefix("s3://")).read_bytes()
        assert image == (folder / Path(one.source_ref).name).read_bytes()
        claimed = {label["Name"] for label in running.detect(image)}
        assert set(one.labelling.labels) == claimed
    assert [one.source_ref for one in waiting(running.home.context, running.project, 1, 2)] == [
        one.source_ref for one in queue[1:3]
    ]
    # Once more: nothing is added twice.
    assert counts(added(running.home, str(folder), code=255)) == (0, 0, 5, 0, 2)
    code, out, err = rcl(running.home, "add", "p", str(folder))
    assert (code, out) == (255, "p/v: 0 added, 5 in the queue already\n")
    assert "text.jpg: Request has invalid image format" in err
    assert "2 images or lines were left out; everything else was added." in err


def test_a_prefix_stays_where_it_is_and_datasets_are_left_alone(running: Trained, tmp_path: Path) -> None:
    pictures(running.home.buckets / "camera" / "monday", 2, seed=50)
    assert counts(added(running.home, "s3://camera/monday/")) == (2, 0, 0, 0, 0)
    assert {one.source_ref for one in waiting(running.home.context, running.project)} == {
        f"s3://camera/monday/monday-{n}.jpg" for n in range(2)
    }
    # 1.jpg and 10.jpg to 19.jpg are in one of the datasets.
    assert counts(added(running.home, "s3://data/1")) == (0, 0, 0, 11, 0)


def test_same_names_in_two_folders_are_two_images(running: Trained, tmp_path: Path) -> None:
    one, two = pictures(tmp_path / "a" / "same", 2), pictures(tmp_path / "b" / "same", 2, seed=70)
    shutil.copy(one / "same-0.jpg", tmp_path / "b" / "same" / "same-0.jpg")
    assert counts(added(running.home, str(one), str(two), str(one))) == (3, 0, 3, 0, 0)
    assert len(waiting(running.home.context, running.project)) == 3


def answered(folder: Path, *lines: Any) -> str:
    path = folder / "found.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


@pytest.fixture
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A model that does not run."""
    made = copied(place_of(tmp_path_factory), tmp_path_factory.mktemp("feedback") / "home", boxes=False)
    yield made
    made.home.context.database.close()


def test_what_detect_wrote_is_taken_over(running: Trained, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "shop", 3, seed=90)
    (folder / "text.jpg").write_text("I am no picture")
    words = [sys.executable, "-m", "rcl_cli", "detect", "p/v", str(folder), "-o", str(tmp_path / "found.jsonl")]
    environment = running.home.environment(PYTHONPATH=str(ROOT))
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 255
    found = added(running.home, str(tmp_path / "found.jsonl"), code=255)
    assert counts(found) == (3, 0, 0, 0, 1)
    assert "line 4" in found["left_out"][0]["where"]
    assert "text.jpg: Request has invalid image format" in found["left_out"][0]["why"]
    assert {one.origin for one in waiting(running.home.context, running.project)} == {str(tmp_path / "found.jsonl")}


def test_broken_lines_are_named_and_the_others_added(stopped: Trained, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "shop", 3)
    refs = [(folder / f"shop-{number}.jpg").as_uri() for number in range(3)]
    (folder / "text.jpg").write_text("I am no picture")

    def line(ref: str, *answers: Any) -> dict[str, Any]:
        return {"source-ref": ref, "CustomLabels": list(answers)}

    box = {"BoundingBox": {"Left": 0, "Top": 0, "Width": "1", "Height": 1}}
    path = answered(
        tmp_path,
        line(refs[0], *SAID), "{", "[]", '{"source-ref": 1}', '{"source-ref": "\\ud800"}', "",
        {"source-ref": refs[1], "Error": {"Code": "X", "Message": "It broke."}},
        line((folder / "nowhere.jpg").as_uri(), *SAID),
        line("s3://none/at-all.jpg", *SAID),
        line((folder / "text.jpg").as_uri(), *SAID),
        line(refs[1], {"Name": "unicorn", "Confidence": 99.0}),
        line(refs[1], {"Name": "red", "Confidence": 101}),
        line(refs[1], {"Name": "red", "Confidence": 50, "Geometry": box}),
        {"source-ref": refs[1], "CustomLabels": {}},
        line(refs[2]),
    )  # fmt: skip
    # Nobody has to run where everything is answered.
    found = added(stopped.home, path, code=255)
    assert counts(found) == (2, 0, 0, 0, 12)
    said = {one["where"].rpartition("/")[2]: one["why"] for one in found["left_out"]}
    assert said["found.jsonl, line 2"] == "no JSON object with a source-ref"
    assert said["found.jsonl, line 7"].endswith("shop-1.jpg: It broke.")
    assert "can't be read" in said["nowhere.jpg"]
    assert "can't be read" in said["at-all.jpg"]
    whys = {one["why"] for one in found["left_out"]}
    assert "the model has no label 'unicorn': another one answered" in whys
    assert "its CustomLabels are no list" in whys
    first, second = waiting(stopped.home.context, stopped.project)
    # Nothing at all was found in one; the other has a clear answer.
    assert (first.answers, first.unsureness, first.labelling) == ((), 0.75, Labelling())
    assert second.answers == SAID
    assert second.unsureness == pytest.approx(0.4)


def test_answers_of_a_newer_version_take_the_place_of_older_ones(stopped: Trained, tmp_path: Path) -> None:
    home, folder = stopped.home, pictures(tmp_path / "shop", 2)
    lines = [{"source-ref": (folder / f"shop-{number}.jpg").as_uri(), "CustomLabels": SAID} for number in range(2)]
    path = answered(tmp_path, *lines)
    assert counts(added(home, path)) == (2, 0, 0, 0, 0)
    output = {"S3Bucket": "out", "S3KeyPrefix": "copies"}
    home.call(
        "CopyProjectVersion", SourceProjectArn=stopped.project, SourceProjectVersionArn=stopped.version,
        DestinationProjectArn=stopped.project, VersionName="w", OutputConfig=output,
    )  # fmt: skip
    assert home.wait(stopped.project, "w", leaving="COPYING_IN_PROGRESS")[0] == "COPYING_COMPLETED"
    first, _ = waiting(home.context, stopped.project)
    verify(home.context, stopped.project, first.source_ref, "RIGHT")
    # What was judged is in the training set by now.
    found = added(home, path)
    assert (found["version"], counts(found)) == ("p/w", (0, 1, 0, 1, 0))
    assert counts(added(home, path, "--version", "v")) == (0, 0, 1, 1, 0)
    by_version = {one.name: (one.waiting, one.right) for one in status(home.context, "p")[0].versions}
    assert by_version == {"p/w": (1, 0), "p/v": (0, 1)}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nobody", "shop"), 254, "There is no project nobody; rcl status lists them."),
        (("p", "shop"), 254, "p/v is not running (TRAINING_COMPLETED), so nobody can be asked. Start it: rcl start-"),
        (("p", "shop", "--version", "w"), 254, "There is no version p/w"),
        (("p", "shop", "--version", "q/v"), 254, "There is no version q/v"),
        (("p", "empty.jsonl"), 252, "There are no images in empty.jsonl."),
        (("p", "list.jsonl"), 254, "p/v is not running"),
        (("q", "shop"), 254, "The project q has no model yet"),
        (("p",), 252, "Missing argument"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(
    words: tuple[str, ...], code: int, message: str, stopped: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stopped.home.project("q")
    pictures(tmp_path / "shop", 1)
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "list.jsonl").write_text('{"source-ref": "s3://camera/a.jpg"}\n')
    pictures(stopped.home.buckets / "camera", 1)
    shutil.copy(tmp_path / "shop" / "shop-0.jpg", stopped.home.buckets / "camera" / "a.jpg")
    got, out, err = rcl(stopped.home, "add", *words)
    assert (got, out) == (code, ""), err
    assert message in err
    assert waiting(stopped.home.context, stopped.project) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere", "is no file, folder"), ("empty", "There are no images in empty"), ("s3://none/x", "out of reach")],
)
def test_sources_without_images_are_refused(
    source: str, message: str, running: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        add(running.home.context, Request("p", (source,)), silent)


def test_who_comes_from_elsewhere_names_no_files(running: Trained, tmp_path: Path) -> None:
    context = running.home.context._replace(names_files=False)
    for source in (str(pictures(tmp_path / "shop", 1)), answered(tmp_path, {"source-ref": "file:///etc/hosts"})):
        with pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
            add(context, Request("p", (source,)), silent)


def test_a_page_brings_what_detect_wrote(stopped: Trained, tmp_path: Path) -> None:
    home = stopped.home
    folder = home.buckets / "work"
    pictures(folder, 2)
    refs = [f"s3://work/{path.name}" for path in sorted(folder.iterdir())]
    secret = pictures(tmp_path / "secret", 1)
    lines = [
        {"source-ref": refs[0], "CustomLabels": SAID}, {"source-ref": refs[1], "CustomLabels": SAID},
        {"source-ref": next(secret.iterdir()).as_uri(), "CustomLabels": SAID},
        {"source-ref": str(next(secret.iterdir())), "CustomLabels": SAID},
    ]  # fmt: skip
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with consoling(home) as (visitor, _):
        assert visitor.enter()

        def bring(content: bytes, **given: str) -> Any:
            named = {"project": stopped.project, "name": "../found.jsonl", **given}
            status, answer, _ = visitor.ask("POST", f"/local/feedback-list?{urlencode(named)}", content)
            if status != 200:
                return json.loads(answer)["error"]["message"]
            wait_until(lambda: bool(visitor.local("feedback-adding", project=named["project"])["is_over"]))
            return visitor.local("feedback-adding", project=named["project"])

        told = bring(body)
        assert (told["added"], told["left_out"]) == (2, 2)
        assert "images in buckets only" in told["first_left_out"][0]
        assert {one.origin for one in waiting(home.context, stopped.project)} == {"found.jsonl"}
        # Answers are there already; without any, somebody has to be asked.
        assert bring(body)["in_queue"] == 2
        assert "is not running" in bring(b'{"source-ref": "s3://work/new.jpg"}\n')["trouble"]
        assert "There are no images in found.jsonl" in bring(b"\n")["trouble"]
        assert bring(b"no JSON\n")["left_out"] == 1
        assert "project" in bring(body, project="nobody's")["trouble"]
        assert "larger than 64 MB" in bring(b" " * (2**26 + 1))


def test_two_at_once_add_every_image_once(running: Trained, tmp_path: Path) -> None:
    one, two = pictures(tmp_path / "a" / "same", 6, seed=200), pictures(tmp_path / "b" / "same", 6, seed=300)
    both = [process(running.home, "add", "p", str(one), str(two), "--json") for _ in range(2)]
    found = [json.loads(each.communicate(timeout=300)[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum(each["added"] for each in found) == 12
    assert sum(each["in_queue"] for each in found) == 12
    queue = waiting(running.home.context, running.project)
    assert len(queue) == 12
    kept = {(running.home.buckets / item.source_ref.removeprefix("s3://")).read_bytes() for item in queue}
    assert kept == {path.read_bytes() for folder in (one, two) for path in folder.iterdir()}


def in_queue(home: Home) -> int:
    return int(home.context.database.connection.execute("SELECT COUNT(*) FROM feedback").fetchone()[0])


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_whoever_is_stopped_leaves_what_was_added(way: signal.Signals, running: Trained, tmp_path: Path) -> None:
    home, folder = running.home, pictures(tmp_path / f"many-{way}", 150, seed=400)
    with process(home, "add", "p", str(folder)) as adding:
        wait_until(lambda: in_queue(home) > 0 or adding.poll() is not None)
        adding.send_signal(way)
        _, err = adding.communicate(timeout=60)
    before = in_queue(home)
    assert 0 < before <= 150
    if way == signal.SIGINT and adding.returncode == 130:
        assert f"Stopped: {before} images were added and stay" in " ".join(err.split())
    found = added(home, str(folder))
    assert (found["added"], found["in_queue"]) == (150 - before, before)
    assert in_queue(home) == 150


def test_a_flow_tells_how_far_it_is(running: Trained, tmp_path: Path) -> None:
    told: list[events.Event] = []
    outcome = add(
        running.home.context, Request(running.project, (str(pictures(tmp_path / "few", 3, 900)),)), told.append
    )
    assert outcome == Outcome("p/v", 3, 0, 0, 0, ())
    assert told == [events.Counted("asking about images", 0), events.Counted("asking about images", 3)]


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(home: Home) -> Home:
    """A project with a queue: five images in a bucket, about which a model said something."""
    home.dataset(home.project(), "TRAIN", [image_line("data", "old.jpg", "red")])
    queue(home, *[f"s3://data/new/new-{number}.jpg" for number in range(5)])
    pictures(home.buckets / "data" / "new", 5)
    return home


def queue(home: Home, *refs: str, answers: tuple[dict[str, Any], ...] = SAID, claimed: tuple[int, ...] = (0,)) -> None:
    version = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v1/1"
    items = [
        Item(ref, "./camera", version, 1, answers, claimed, 1 - number / 10, "WAITING", 1, 1, None)
        for number, ref in enumerate(refs)
    ]
    with home.context.database.write() as db:
        feedback.put(db, 1, items)


def project_of(home: Home) -> str:
    return str(home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"])


def dataset_of(home: Home, kind: str = "TRAIN") -> str:
    every = home.call("DescribeProjects")["ProjectDescriptions"][0]["Datasets"]
    return next(str(one["DatasetArn"]) for one in every if one["DatasetType"] == kind)


def judge(home: Home, number: int, verdict: str, labelling: Labelling | None = None) -> Verified:
    return verify(home.context, project_of(home), f"s3://data/new/new-{number}.jpg", verdict, labelling)


def entry(home: Home, number: int) -> str | None:
    found = home.call("ListDatasetEntries", DatasetArn=dataset_of(home), SourceRefContains=f"new-{number}")
    return next(iter(found["DatasetEntries"]), None)


def states(home: Home) -> dict[str, int]:
    one = status(home.context, "p")[0].counts
    return {"waiting": one.waiting, "right": one.right, "wrong": one.wrong, "corrected": one.corrected}


def test_what_is_right_becomes_an_entry_that_says_where_it_came_from(shop: Home) -> None:
    said = judge(shop, 0, "RIGHT")
    assert said == Verified("RIGHT", dataset_of(shop), "s3://data/new/new-0.jpg")
    text = entry(shop, 0) or ""
    line = parse_line(text)
    assert (line.problems, [label.name for label in line.labels]) == ((), ["red"])
    version = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v1/1"
    assert json.loads(text)["rcl-feedback"] == {"origin": "./camera", "version": version, "verdict": "RIGHT"}
    # The same again changes nothing, another one is refused.
    assert judge(shop, 0, "RIGHT") == said
    for verdict in ("WRONG", "CORRECTED"):
        with pytest.raises(ResourceInUse, match=r"judged already \(RIGHT\)"):
            judge(shop, 0, verdict, Labelling(("blue",)) if verdict == "CORRECTED" else None)
    assert entry(shop, 0) == text
    assert states(shop) == {"waiting": 4, "right": 1, "wrong": 0, "corrected": 0}
    assert len(waiting(shop.context, project_of(shop))) == 4
    (judged,) = waiting(shop.context, project_of(shop), state="RIGHT")
    assert judged == queued(shop.context, project_of(shop), "s3://data/new/new-0.jpg")
    assert (judged.source_ref, judged.verified_ms is None) == (said.source_ref, False)


def test_what_is_wrong_is_corrected_later(shop: Home) -> None:
    assert judge(shop, 1, "WRONG") == judge(shop, 1, "WRONG") == Verified("WRONG", None, None)
    assert entry(shop, 1) is None
    said = judge(shop, 1, "CORRECTED", Labelling(("blue", "green")))
    assert judge(shop, 1, "CORRECTED", Labelling(("green", "blue"))) == said
    assert labelling_of(entry(shop, 1) or "").labels == ("blue", "green")
    # Somebody is about to label it: what the model claims is not said by anybody, and not trained on.
    judge(shop, 2, "CORRECTED")
    assert labelling_of(entry(shop, 2) or "").labels == ()
    assert json.loads(entry(shop, 2) or "")["rcl-feedback"]["verdict"] == "CORRECTED"
    assert states(shop) == {"waiting": 3, "right": 0, "wrong": 0, "corrected": 2}
    assert status(shop.context, "p")[0].versions[0].share_right == 0


def test_boxes_come_as_people_would_have_drawn_them(home: Home) -> None:
    home.project()
    pictures(home.buckets / "data" / "new", 2)
    box = {"BoundingBox": {"Left": -0.01, "Top": 0.5, "Width": 0.51, "Height": 0.6}}
    said = tuple({"Name": "red", "Confidence": score, "Geometry": box} for score in (90.0, 20.0))
    queue(home, "s3://data/new/new-0.jpg", "s3://data/new/new-1.jpg", answers=said)
    # The dataset is made where there is none.
    judge(home, 0, "RIGHT")
    line = parse_line(entry(home, 0) or "")
    assert (line.problems, len(line.labels)) == ((), 1)
    assert line.labels[0].box == pytest.approx(Box(0, 0.5, 0.5, 0.5))
    drawn = Labelling(boxes=(Drawn("dog", Box(0.25, 0.25, 0.5, 0.5)),))
    judge(home, 1, "CORRECTED", drawn)
    assert judge(home, 1, "CORRECTED", drawn).state == "CORRECTED"
    assert parse_line(entry(home, 1) or "").labels == ((("dog", Box(0.25, 0.25, 0.5, 0.5))),)
    with pytest.raises(ResourceInUse):
        judge(home, 1, "CORRECTED", Labelling(boxes=(Drawn("cat", Box(0.25, 0.25, 0.5, 0.5)),)))


def test_where_nothing_is_there_is_nothing_to_train_on(shop: Home) -> None:
    queue(shop, "s3://data/new/new-9.jpg", claimed=())
    assert judge(shop, 9, "RIGHT") == Verified("RIGHT", None, None)
    assert judge(shop, 3, "CORRECTED", Labelling()) == Verified("CORRECTED", None, None)
    assert entry(shop, 9) is entry(shop, 3) is None
    assert states(shop) == {"waiting": 4, "right": 1, "wrong": 0, "corrected": 1}


@pytest.mark.parametrize("again", ["RIGHT", "WRONG", "CORRECTED"])
def test_a_process_that_dies_between_the_two_writes_loses_nothing(
    again: str, shop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> bool:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("rcl_cli.local.feedback.verifying.feedback.settle", die)
        with pytest.raises(Died):
            judge(shop, 0, "RIGHT")
    text = entry(shop, 0)
    assert text is not None
    assert states(shop)["waiting"] == 5
    if again == "RIGHT":
        judge(shop, 0, again)
    else:
        # What was written counts, whoever wrote it; it is changed where it is.
        with pytest.raises(ResourceInUse, match=r"judged already \(RIGHT\)"):
            judge(shop, 0, again, Labelling(("blue",)) if again == "CORRECTED" else None)
    assert entry(shop, 0) == text
    assert states(shop) == {"waiting": 4, "right": 1, "wrong": 0, "corrected": 0}


def test_of_two_at_once_one_is_told_that_it_came_too_late(shop: Home) -> None:
    verdicts = ("RIGHT", "CORRECTED")
    for number in range(4):
        said = [None, Labelling(("blue",))]

        def both(index: int, number: int = number, said: list[Labelling | None] = said) -> None:
            judge(shop, number, verdicts[index], said[index])

        with in_threads(2, both) as failures:
            pass
        assert [type(one) for one in failures] == [ResourceInUse]
        (item,) = [
            one
            for state in verdicts
            for one in waiting(shop.context, project_of(shop), state=state)
            if one.source_ref.endswith(f"new-{number}.jpg")
        ]  # fmt: skip
        text = entry(shop, number) or ""
        assert json.loads(text)["rcl-feedback"]["verdict"] == item.state
        assert labelling_of(text).labels == (("red",) if item.state == "RIGHT" else ("blue",))


def test_what_people_said_elsewhere_meanwhile_stays(shop: Home) -> None:
    train, lines = dataset_of(shop), [image_line("data", f"new/new-{number}.jpg", "blue") for number in (0, 1)]
    bare = {"source-ref": "s3://data/new/new-2.jpg", "mine": [1]}
    changes = "".join(f"{json.dumps(line)}\n" for line in [*lines, bare])
    shop.call("UpdateDatasetEntries", DatasetArn=train, Changes={"GroundTruth": changes.encode()})
    with pytest.raises(ResourceInUse, match=r"judged already \(CORRECTED\)"):
        judge(shop, 0, "RIGHT")
    assert judge(shop, 1, "CORRECTED", Labelling(("blue",))).state == "CORRECTED"
    assert load(entry(shop, 0) or "") == lines[0]
    # Nobody said anything of this one.
    judge(shop, 2, "RIGHT")
    filled = json.loads(entry(shop, 2) or "")
    assert (filled["mine"], labelling_of(json.dumps(filled)).labels) == ([1], ("red",))
    shop.dataset(project_of(shop), "TEST", [image_line("data", "new/new-3.jpg", "red")])
    with pytest.raises(ResourceInUse, match="in the TEST dataset"):
        judge(shop, 3, "RIGHT")
    assert judge(shop, 3, "WRONG").state == "WRONG"


def test_an_image_in_another_bucket_is_copied_into_that_of_the_dataset(shop: Home) -> None:
    pictures(shop.buckets / "camera", 1, seed=7)
    queue(shop, "s3://camera/camera-0.jpg")
    said = [verify(shop.context, project_of(shop), "s3://camera/camera-0.jpg", "RIGHT") for _ in range(2)]
    assert said[0] == said[1] == Verified("RIGHT", dataset_of(shop), "s3://data/rcl-console/p/camera-0.jpg")
    copy = shop.buckets / "data" / "rcl-console" / "p" / "camera-0.jpg"
    assert copy.read_bytes() == (shop.buckets / "camera" / "camera-0.jpg").read_bytes()
    assert shop.describe(dataset_of(shop))["DatasetStats"]["TotalEntries"] == 2


def test_a_dataset_that_was_deleted_meanwhile_is_made_again(shop: Home) -> None:
    judge(shop, 0, "RIGHT")
    shop.call("DeleteDataset", DatasetArn=dataset_of(shop))
    judge(shop, 0, "CORRECTED", Labelling(("blue",)))
    assert labelling_of(entry(shop, 0) or "").labels == ("blue",)
    assert states(shop)["corrected"] == 1


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("s3://data/nothing.jpg", "RIGHT"), ResourceNotFound, "not in the queue of p"),
        (("s3://data/new/new-0.jpg", "GREAT"), InvalidParameter, "'GREAT' is none of WRONG, RIGHT, CORRECTED"),
        (("s3://data/new/new-0.jpg", "RIGHT", Labelling(("a",))), InvalidParameter, "goes with the verdict CORRECTED"),
        (("s3://data/new/new-0.jpg", "CORRECTED", Labelling(("",))), InvalidParameter, "A label has 1 to"),
    ],
)
def test_verdicts_that_make_no_sense_change_nothing(
    words: tuple[Any, ...], error: type[Exception], message: str, shop: Home
) -> None:
    with pytest.raises(error, match=message):
        verify(shop.context, project_of(shop), *words)
    assert states(shop)["waiting"] == 5
    with pytest.raises(ResourceNotFound):
        verify(shop.context, "arn:nobody", "s3://data/new/new-0.jpg", "RIGHT")
    # Answers that took the place of those that somebody looks at are not judged unseen.
    with pytest.raises(ResourceInUse, match=r"p/v1 answered about s3://data/new/new-0\.jpg meanwhile"):
        verify(shop.context, project_of(shop), "s3://data/new/new-0.jpg", "RIGHT", seen="arn:of:another:one")
    assert states(shop)["waiting"] == 5
    with pytest.raises(InvalidParameter, match="is none of"):
        waiting(shop.context, project_of(shop), state="LATER")


def test_where_it_came_from_survives_edits_and_manifests(shop: Home, tmp_path: Path) -> None:
    judge(shop, 0, "RIGHT")
    origin = json.loads(entry(shop, 0) or "")["rcl-feedback"]
    change_many(shop.context, dataset_of(shop), [2], labels_given(["blue"], ["red"]))
    edited = json.loads(entry(shop, 0) or "")
    assert (edited["rcl-feedback"], labelling_of(json.dumps(edited)).labels) == (origin, ("blue",))
    # Without labels it is one of those that nobody labelled yet, and no fault.
    change_many(shop.context, dataset_of(shop), [2], labels_given([], ["blue"]))
    assert [code.code.code for code in parse_line(entry(shop, 0) or "").problems] == ["WARNING_UNANNOTATED_RECORD"]
    change_many(shop.context, dataset_of(shop), [2], labels_given(["blue"], []))
    noisy(COLOURS["red"], (72, 72), 1).save(shop.buckets / "data" / "old.jpg")
    export_images(shop.context, "p", "manifest", tmp_path / "out", None, silent)
    (manifest,) = (tmp_path / "out").rglob("train.manifest")
    assert [json.loads(line).get("rcl-feedback") for line in manifest.read_text().splitlines()] == [None, origin]
    import_images(shop.context, ImportRequest(manifest, project="copy"), silent)
    arn = next(
        one["Datasets"][0]["DatasetArn"]
        for one in shop.call("DescribeProjects")["ProjectDescriptions"]
        if "/copy/" in one["ProjectArn"]
    )
    assert [line.get("rcl-feedback") for line in shop.entries(arn)] == [None, origin]


# --- how far it is ----------------------------------------------------------------------------------------------------


def test_status_counts_what_was_judged(shop: Home) -> None:
    judge(shop, 0, "RIGHT")
    judge(shop, 1, "WRONG")
    shop.project("bare")
    code, out, _ = rcl(shop, "status", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, [one["name"] for one in found]) == (0, ["p"])
    keys = ("waiting", "right", "wrong", "corrected", "share_right")
    assert [found[0][key] for key in keys] == [3, 1, 1, 0, 0.5]
    assert [(one["name"], one["share_right"]) for one in found[0]["versions"]] == [("p/v1", 0.5)]
    shown = rcl(shop, "status", "p")[1]
    assert "p/v1" in shown
    assert "50%" in shown
    bare = json.loads(rcl(shop, "status", "bare", "--json")[1])
    assert (bare["waiting"], bare["share_right"], bare["versions"]) == (0, None, [])
    assert rcl(shop, "status", "nobody")[0] == 254


def test_no_model_is_one_error(home: Home, tmp_path: Path) -> None:
    home.project()
    with pytest.raises(ResourceNotReady, match="has no model yet: train one"):
        add(home.context, Request("p", (str(pictures(tmp_path / "x", 1)),)), silent)


def test_whatever_lies_under_the_key_does_no_harm(shop: Home) -> None:
    for odd in (1, "x", [1], {"verdict": ["RIGHT"]}):
        line = {**box_line("data", "new/new-0.jpg", (72, 72), ("red", 1, 1, 30, 30)), "rcl-feedback": odd}
        shop.call(
            "UpdateDatasetEntries", DatasetArn=dataset_of(shop), Changes={"GroundTruth": json.dumps(line).encode()}
        )
        with pytest.raises(ResourceInUse):
            judge(shop, 0, "RIGHT")
        assert load(entry(shop, 0) or "") == line
