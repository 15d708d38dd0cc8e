"""Mutated HTTP requests against `rcl serve`; `RCL_FUZZ_REQUESTS` sets how many, `RCL_FUZZ_SEED` which,
`RCL_FUZZ_CONNECTIONS` how many at once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from PIL import Image

from rcl_cli.store import versions
from tests.conftest import Home, image_line, wait_until, write_manifest
from tests.functional.serving import client, serving
from tests.process.mutations import Case, Valid, make_case

REQUESTS = int(os.environ.get("RCL_FUZZ_REQUESTS", "600"))
SEED = os.environ.get("RCL_FUZZ_SEED", "1")
# Cases on their way at once; alone, each shows how long it takes by itself.
CONNECTIONS = int(os.environ.get("RCL_FUZZ_CONNECTIONS", "32"))
ANSWER_TIMEOUT_S = 30
# A server may wait for the rest of a broken request: it could still come.
PATIENCE_S = 0.15
STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "rekognition:CopyProjectVersion", "Resource": "*"}


# --- a store with something of everything, and a valid request for every operation ------------------------------------


def image_bytes(kind: str) -> str:
    out = io.BytesIO()
    Image.new("RGB", (80, 70), (9, 99, 199)).save(out, kind)
    return base64.b64encode(out.getvalue()).decode()


def failed_version(home: Home, project: str, name: str) -> str:
    """A version with which no operation starts a process."""
    arn = f"{project.rpartition('/')[0]}/version/{name}/1690000000000"
    with home.context.database.write() as db:
        (project_id,) = db.execute("SELECT id FROM projects WHERE arn = ?", (project,)).fetchone()
        request = {"OutputConfig": {"S3Bucket": "out", "S3KeyPrefix": "x"}}
        version_id = versions.insert(db, arn, project_id, name, 1690000000000, request)
        versions.move(db, version_id, ("TRAINING_IN_PROGRESS",), "TRAINING_FAILED", "It failed.")
    return arn


def valid_requests(home: Home) -> Valid:
    """Fill the store; all 23 operations with what they would really be sent.

    None of them, and none with a few members changed, can start a training: the project with which it is tried has a
    dataset that can't be trained on.
    """
    lines = [image_line("data", f"{n}.jpg", f"label-{n % 5}") for n in range(40)]
    kept, other, broken = home.project("kept"), home.project("other"), home.project("broken")
    train, victim = home.dataset(kept, "TRAIN", lines), home.dataset(other, "TRAIN", lines[:9])
    test = home.dataset(other, "TEST", lines[9:12])
    home.dataset(broken, "TRAIN", b"no JSON\n")
    policy = {"ProjectArn": kept, "PolicyDocument": json.dumps({"Statement": [STATEMENT]})}
    revisions = [home.call("PutProjectPolicy", **policy, PolicyName=f"p{n}")["PolicyRevisionId"] for n in range(7)]
    version, doomed = failed_version(home, kept, "v"), failed_version(home, kept, "doomed")
    write_manifest(home.buckets / "data" / "new.manifest", lines)
    (home.buckets / "data" / "image.jpg").write_bytes(base64.b64decode(image_bytes("JPEG")))
    tags = {"team": "blue", "Größe / Maß": "ä +=@:-"}
    manifest = {"GroundTruthManifest": {"S3Object": {"Bucket": "data", "Name": "new.manifest", "Version": "1"}}}
    output = {"OutputConfig": {"S3Bucket": "out", "S3KeyPrefix": "models/a"}}
    changes = base64.b64encode("".join(json.dumps(line) + "\n" for line in lines[:3]).encode()).decode()
    page = {"DatasetArn": train, "ContainsLabels": ["label-1", "label-2"], "Labeled": True, "SourceRefContains": "j"}
    training = {"TrainingData": {"Assets": [manifest]}, "TestingData": {"Assets": [manifest], "AutoCreate": False}}
    detect = {"ProjectVersionArn": version, "MaxResults": 5, "MinConfidence": 50.5}
    copied = {"SourceProjectVersionArn": version, "DestinationProjectArn": other, "VersionName": "copy", **output}

    def next_page(operation: str, **params: Any) -> tuple[str, dict[str, Any]]:
        return operation, {**params, "NextToken": home.call(operation, **params)["NextToken"]}

    return [
        ("CreateProject", {"ProjectName": "made", "Feature": "CUSTOM_LABELS", "Tags": tags}),
        ("DescribeProjects", {"ProjectNames": ["kept", "other"], "Features": ["CUSTOM_LABELS"], "MaxResults": 1}),
        next_page("DescribeProjects", MaxResults=1),
        ("DeleteProject", {"ProjectArn": kept}),
        ("CreateDataset", {"ProjectArn": kept, "DatasetType": "TEST", "DatasetSource": manifest, "Tags": tags}),
        ("CreateDataset", {"ProjectArn": other, "DatasetType": "TRAIN", "DatasetSource": {"DatasetArn": train}}),
        ("DescribeDataset", {"DatasetArn": train}),
        ("DeleteDataset", {"DatasetArn": victim}),
        next_page("ListDatasetEntries", **page, HasErrors=False, MaxResults=2),
        next_page("ListDatasetLabels", DatasetArn=train, MaxResults=2),
        ("UpdateDatasetEntries", {"DatasetArn": train, "Changes": {"GroundTruth": changes}}),
        ("DistributeDatasetEntries", {"Datasets": [{"Arn": victim}, {"Arn": test}]}),
        ("CreateProjectVersion", {"ProjectArn": broken, "VersionName": "v", **output, **training, "Tags": tags}),
        ("CreateProjectVersion", {"ProjectArn": broken, "VersionName": "v", **output, "Tags": {"rcl:epochs": "1"}}),
        ("DescribeProjectVersions", {"ProjectArn": kept, "VersionNames": ["v", "w"]}),
        next_page("DescribeProjectVersions", ProjectArn=kept, MaxResults=1),
        ("DeleteProjectVersion", {"ProjectVersionArn": doomed}),
        ("StartProjectVersion", {"ProjectVersionArn": version, "MinInferenceUnits": 1, "MaxInferenceUnits": 2}),
        ("StopProjectVersion", {"ProjectVersionArn": version}),
        ("DetectCustomLabels", {**detect, "Image": {"Bytes": image_bytes("JPEG")}}),
        ("DetectCustomLabels", {**detect, "Image": {"Bytes": image_bytes("PNG")}}),
        ("DetectCustomLabels", {**detect, "Image": {"S3Object": {"Bucket": "data", "Name": "image.jpg"}}}),
        ("CopyProjectVersion", {"SourceProjectArn": kept, **copied, "KmsKeyId": "a", "Tags": tags}),
        ("TagResource", {"ResourceArn": kept, "Tags": tags}),
        ("UntagResource", {"ResourceArn": train, "TagKeys": ["team", "b"]}),
        ("ListTagsForResource", {"ResourceArn": version}),
        ("PutProjectPolicy", {**policy, "PolicyName": "p0", "PolicyRevisionId": revisions[0]}),
        next_page("ListProjectPolicies", ProjectArn=kept, MaxResults=2),
        ("DeleteProjectPolicy", {"ProjectArn": kept, "PolicyName": "p6", "PolicyRevisionId": revisions[5]}),
    ]


# --- the client -------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of the cases.

    Args:
        longest_s: from sending a case to its last answer, with the others on the way.
    """

    answers: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.answers += other.answers
        self.longest_s = max(self.longest_s, other.longest_s)


async def send(writer: asyncio.StreamWriter, case: Case) -> None:
    step = max(1, len(case.data) // 40) if case.manner == "drip" else len(case.data) or 1
    for at in range(0, len(case.data), step):
        writer.write(case.data[at : at + step])
        await writer.drain()
        await asyncio.sleep(0.001 if case.manner == "drip" else 0)
    if case.manner == "half":
        writer.write_eof()
    if case.manner == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def read_answer(reader: asyncio.StreamReader, is_head: bool) -> tuple[int, dict[str, str], bytes] | None:
    """Status, headers and body; None where the connection ends."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    except asyncio.IncompleteReadError as error:
        assert not error.partial, "a head that ends"
        return None
    status, *lines = head.strip().split("\r\n")
    assert re.fullmatch(r"HTTP/1\.1 \d{3} [\w \-]+", status), status
    if status.startswith("HTTP/1.1 100"):
        return await read_answer(reader, is_head)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = b""
    if is_head:
        pass
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.read()
    return int(status.split()[1]), headers, body


def check_answer(status: int, headers: dict[str, str], body: bytes, is_head: bool) -> str:
    """What an answer is, in a few words.

    The only 5xx that is meant is 503 of GET /health, for a store that can't be read or lanes that are full, and neither
    is so here. InternalServerError is never meant.
    """
    assert status < 500, body
    if is_head:
        return f"{status} to HEAD"
    if headers["content-type"].startswith("text/plain"):
        assert (status, body) == (400, b"Invalid HTTP request received.")
        return "400 of the HTTP library"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])
    if headers["content-type"] in ("application/xml", "text/xml"):
        assert status in (400, 405)
        assert ElementTree.fromstring(body).find(".//Message") is not None  # noqa: S314 - rcl wrote it
        return f"{status} to another service"
    document = json.loads(body)
    return f"{status} {document['__type']}" if status >= 400 else f"{status}"


async def play(port: int, case: Case, tally: Tally) -> None:
    is_head = case.data.lstrip().startswith(b"HEAD ")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending, began = asyncio.ensure_future(send(writer, case)), time.monotonic()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S if case.answers else PATIENCE_S):
            if case.manner != "drip" and case.answers is None:
                await asyncio.wait([sending], timeout=PATIENCE_S)
            for _ in range(0 if case.manner in ("close", "reset") else case.answers or 1):
                answer = await read_answer(reader, is_head)
                assert answer or not case.answers, "closed without an answer"
                tally.answers[check_answer(*answer, is_head) if answer else "closed"] += 1
            if case.answers and case.manner == "whole":
                tally.longest_s = max(tally.longest_s, time.monotonic() - began)
    except (TimeoutError, ConnectionError):
        assert not case.answers, "no answer"
        tally.answers["none, or cut off"] += 1
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending
        writer.transport.abort()


def play_alone(port: int, case: Case) -> Tally:
    tally = Tally()
    asyncio.run(play(port, case, tally))
    return tally


async def storm(port: int, numbers: Iterable[int], valid: Valid, tally: Tally, clients: Executor) -> None:
    """Play cases on several connections at once.

    Args:
        clients: processes for what is large or comes several at a time: how long that takes in the server can't be
            seen from a client that is busy with all the others.
    """
    left, loop = iter(numbers), asyncio.get_running_loop()

    async def play_on() -> None:
        for number in left:
            case = make_case(f"{SEED} {number}", valid)
            try:
                if len(case.data) > 2**20 or (case.answers or 0) > 1:
                    tally.add(await loop.run_in_executor(clients, play_alone, port, case))
                else:
                    await play(port, case, tally)
            except Exception as error:  # noqa: BLE001 - whatever it is, its number is wanted
                shown = case.data if len(case.data) < 2000 else case.data[:1000] + b"..." + case.data[-500:]
                tally.failures.append(f"seed {SEED}, case {number} ({case.kind}): {error!r}\n{shown!r}")
                assert len(tally.failures) < 20, "\n\n".join(tally.failures)

    await asyncio.gather(*(play_on() for _ in range(CONNECTIONS)))


# --- the server -------------------------------------------------------------------------------------------------------


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def open_sockets(pid: int) -> int:
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def normal_use(url: str) -> None:
    boto = client(url)
    project = boto.create_project(ProjectName="afterwards", Tags={"a": "b"})["ProjectArn"]
    dataset = boto.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    line = json.dumps(image_line("data", "0.jpg", "cat")).encode()
    boto.update_dataset_entries(DatasetArn=dataset, Changes={"GroundTruth": line})
    assert len(boto.list_dataset_entries(DatasetArn=dataset)["DatasetEntries"]) == 1
    assert boto.list_tags_for_resource(ResourceArn=project)["Tags"] == {"a": "b"}
    boto.delete_dataset(DatasetArn=dataset)
    assert boto.delete_project(ProjectArn=project)["Status"] == "DELETING"


def test_mutated_requests(home: Home) -> None:
    valid, tally = valid_requests(home), Tally()
    assert len({name for name, _ in valid}) == 23
    # Without --debug, what fails inside the HTTP library is not written anywhere.
    with serving(home, "--debug") as (url, pid), ProcessPoolExecutor(2, get_context("spawn")) as clients:
        port, sockets = urlsplit(url).port or 0, open_sockets(pid)
        # Threads and their connections to the store come with the first requests.
        asyncio.run(storm(port, range(REQUESTS // 10), valid, tally, clients))
        warm = memory_mb(pid)
        asyncio.run(storm(port, range(REQUESTS // 10, REQUESTS), valid, tally, clients))
        end = memory_mb(pid)
        print(f"{REQUESTS} cases, memory {warm:.0f} -> {end:.0f} MB, longest {tally.longest_s:.2f} s")
        print(dict(tally.answers.most_common()))
        assert not tally.failures, "\n\n".join(tally.failures)
        normal_use(url)
        assert end < 1.2 * warm + 20, f"seed {SEED}: {warm:.0f} MB grew to {end:.0f} MB"
        wait_until(lambda: open_sockets(pid) <= sockets, 30)
    log = (home.path / "serve.log").read_text("utf-8", "replace")
    assert "Traceback" not in log, log[log.index("Traceback") :][:5000]
    assert list((home.path / "jobs").iterdir()) == [], "a training was started"
