"""`rcl serve` as a process, with real clients: HTTP's corners, signatures, overload, draining."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from rcl_cli.server.application import MAX_BODY_BYTES
from rcl_cli.server.peers import can_be_told
from rcl_cli.server.serving import listen
from rcl_cli.server.signature import make_access_keys
from tests.conftest import Home, Run, image_line, make_home, noisy, wait_until, write_manifest
from tests.functional.serving import client, serving

TYPE = "application/x-amz-json-1.1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    home = make_home(tmp_path_factory.mktemp("served") / "home")
    with serving(home, "--access-log") as (url, _):
        yield home, url
    home.context.database.close()


def ask(
    url: str, body: bytes | str = b"{}", target: str = "DescribeProjects", method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    named = {"X-Amz-Target": f"RekognitionService.{target}", "Content-Type": TYPE}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/", body, {**named, **more})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    lower = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, lower, json.loads(text) if text else None


def test_answers_carry_type_length_and_id(served: tuple[Home, str]) -> None:
    status, headers, document = ask(served[1])
    assert (status, headers["content-type"], document) == (200, TYPE, {"ProjectDescriptions": []})
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])
    assert int(headers["content-length"]) == len('{"ProjectDescriptions":[]}')


@pytest.mark.parametrize(
    ("body", "target", "status", "kind"),
    [
        ("", "DescribeProjects", 200, None),
        ("{}", "DescribeFish", 400, "UnknownOperationException"),
        ("{}", "", 400, "UnknownOperationException"),
        ("{", "DescribeProjects", 400, "SerializationException"),
        ("[]", "DescribeProjects", 400, "SerializationException"),
        ("null", "DescribeProjects", 400, "SerializationException"),
        ('{"MaxResults": NaN}', "DescribeProjects", 400, "SerializationException"),
        ('{"MaxResults": "5"}', "DescribeProjects", 400, "SerializationException"),
        ('{"MaxResults": 1e999}', "DescribeProjects", 400, "SerializationException"),
        ('{"ProjectNames": [null]}', "DescribeProjects", 400, "SerializationException"),
        ("[" * 100_000, "DescribeProjects", 400, "SerializationException"),
        ('{"x":' * 50_000 + "1" + "}" * 50_000, "DescribeProjects", 400, "SerializationException"),
        (b"\xff\xfe{}", "DescribeProjects", 400, "SerializationException"),
        ('{"MaxResults": 101}', "DescribeProjects", 400, "ValidationException"),
        ('{"ProjectName": "\\ud800"}', "CreateProject", 400, "SerializationException"),
        ('{"unknown": {"a": 1}, "NextToken": null}', "DescribeProjects", 200, None),
        ('{"ProjectVersionArn": "' + "a" * 30 + '", "Image": {"Bytes": "no base64!"}}', "DetectCustomLabels", 400, "SerializationException"),
    ],
)  # fmt: skip
def test_bodies(served: tuple[Home, str], body: bytes | str, target: str, status: int, kind: str | None) -> None:
    answer, headers, document = ask(served[1], body, target)
    assert answer == status
    assert document.get("__type") == kind
    assert headers["content-type"] == TYPE


def test_other_methods_and_health(served: tuple[Home, str]) -> None:
    status, headers, document = ask(served[1], method="PUT")
    assert (status, document["__type"], headers["connection"]) == (405, "UnknownOperationException", "close")
    parts = urlsplit(served[1])
    for method in ("GET", "HEAD"):
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request(method, "/health")
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        # A body that nobody reads must not keep the connection.
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert text == b"" if method == "HEAD" else json.loads(text)["status"] == "ok"


def test_web_pages_are_refused(served: tuple[Home, str]) -> None:
    status, _, document = ask(served[1], Origin="http://example.com")
    assert (status, document["__type"]) == (400, "AccessDeniedException")


def test_a_body_of_seven_megabytes_is_read_and_a_larger_one_refused(served: tuple[Home, str]) -> None:
    boto = client(served[1])
    arn = "arn:aws:rekognition:us-east-1:123456789012:project/p/dataset/train/1690000000000"
    with pytest.raises(boto.exceptions.ResourceNotFoundException):
        boto.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": b"x" * 5_242_880})
    with pytest.raises(ClientError, match="ValidationException"):
        boto.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": b"x" * 5_242_881})
    with pytest.raises(ClientError, match=f"larger than {MAX_BODY_BYTES} bytes"):
        boto.update_dataset_entries(DatasetArn=arn, Changes={"GroundTruth": b"x" * 20_000_000})
    assert boto.describe_projects()["ProjectDescriptions"] == []


def test_keep_alive_and_pipelining(served: tuple[Home, str]) -> None:
    parts = urlsplit(served[1])
    head = f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Amz-Target: RekognitionService.DescribeProjects\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode() * 5)
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n1\r\n}}\r\n0\r\n\r\n".encode())
        received = b""
        while received.count(b"ProjectDescriptions") < 6:
            received += connection.recv(65536)
        assert received.count(b"HTTP/1.1 200") == 6


def test_answers_leave_at_once() -> None:
    """A body that waits until the client acknowledges its head comes 40 ms late."""
    with (
        listen("127.0.0.1", 0) as bound,
        socket.create_connection(bound.getsockname()),
        bound.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_region_of_the_signature_shapes_arns(served: tuple[Home, str]) -> None:
    boto, west = client(served[1]), client(served[1], region_name="us-west-2")
    arn = west.create_project(ProjectName="west")["ProjectArn"]
    assert ":us-west-2:" in arn
    assert [p["ProjectArn"] for p in boto.describe_projects(ProjectNames=["west"])["ProjectDescriptions"]] == [arn]
    boto.delete_project(ProjectArn=arn)


def test_access_log(served: tuple[Home, str]) -> None:
    home, url = served
    ask(url, target="CreateProject")
    line = re.compile(r"^\S+Z 127\.0\.0\.1 CreateProject 400 ValidationException \d+ms \d+B [0-9a-f-]{36}$", re.M)
    # Written once the answer is on its way.
    wait_until(lambda: line.search((home.path / "serve.log").read_text()) is not None)


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(
        "[default]\naws_access_key_id = AKIDME\naws_secret_access_key = s3cr3t%(x)s\n\n[other]\nregion = x\n"
    )
    path.chmod(0o600)
    return path


def test_only_signed_requests_are_answered_where_keys_are_asked_for(home: Home, key_file: Path) -> None:
    with serving(home, "--host", "0.0.0.0", "--access-key-file", str(key_file)) as (url, _):
        url = url.replace("0.0.0.0", "127.0.0.1")
        good = {"aws_access_key_id": "AKIDME", "aws_secret_access_key": "s3cr3t%(x)s"}
        boto = client(url, **good)
        odd = {"Größe": "ä ö  ü"}
        arn = boto.create_project(ProjectName="p", Tags=odd)["ProjectArn"]
        assert boto.list_tags_for_resource(ResourceArn=arn)["Tags"] == odd
        for keys, code in (
            ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
            ({"aws_access_key_id": "AKIDYOU"}, "UnrecognizedClientException"),
        ):
            with pytest.raises(ClientError) as caught:
                client(url, **good | keys).describe_projects()
            assert caught.value.response["Error"]["Code"] == code
        status, _, document = ask(url)
        assert (status, document["__type"]) == (400, "MissingAuthenticationTokenException")
        assert ask(url, Authorization="Basic abc")[2]["__type"] == "IncompleteSignatureException"


def test_a_signature_speaks_of_one_request_at_one_time(home: Home, key_file: Path) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def signed(url: str, body: bytes, **headers: str) -> dict[str, str]:
        request = AWSRequest("POST", url + "/", headers={"X-Amz-Target": "RekognitionService.CreateProject"} | headers)
        request.data = body
        SigV4Auth(Credentials("AKIDME", "s3cr3t%(x)s"), "rekognition", "us-east-1").add_auth(request)
        return dict(request.headers.items())

    body = b'{"ProjectName": "p"}'
    with serving(home, "--access-key-file", str(key_file)) as (url, _):
        headers = signed(url, body)
        assert ask(url, b'{"ProjectName": "q"}', **headers)[2]["__type"] == "InvalidSignatureException"
        other = headers | {"X-Amz-Target": "RekognitionService.DeleteProject"}
        assert ask(url, body, **other)[2]["__type"] == "InvalidSignatureException"
        old = headers | {"X-Amz-Date": "20200101T000000Z"}
        assert ask(url, body, **old)[2]["__type"] == "InvalidSignatureException"
        unsigned_target = re.sub("x-amz-target;?", "", headers["Authorization"])
        missing = headers | {"Authorization": unsigned_target.replace(";,", ",")}
        assert ask(url, body, **missing)[2]["__type"] == "IncompleteSignatureException"
        assert ask(url, body, **headers | {"Host": "["})[2]["__type"] == "InvalidSignatureException"
        lying = signed(url, body, **{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
        assert ask(url, body, **lying)[2]["__type"] == "InvalidSignatureException"
        assert home.call("DescribeProjects")["ProjectDescriptions"] == []
        assert ask(url, body, **signed(url, body))[0] == 200


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("[default]\naws_access_key_id = AKIDME\naws_secret_access_key = s\n", 0o644, "chmod 600"),
        ("[default]\naws_access_key_id = AKIDME\n", 0o600, "needs a profile"),
        ("AKIDME:very-secret", 0o600, "not in the format"),
        (None, 0o600, "can't be read"),
    ],
)
def test_access_key_files_that_cannot_be_used(rcl: Run, tmp_path: Path, text: str | None, mode: int, says: str) -> None:
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    done = rcl("serve", "--port", "0", "--access-key-file", str(path))
    assert (done.returncode, done.stdout) == (253, "")
    assert says in done.stderr
    assert "very-secret" not in done.stderr


def test_other_machines_only_with_keys(rcl: Run) -> None:
    done = rcl("serve", "--host", "0.0.0.0", "--port", "0")
    assert (done.returncode, done.stdout) == (252, "")
    assert "--access-key-file" in done.stderr


def test_a_port_that_is_taken(rcl: Run, served: tuple[Home, str]) -> None:
    done = rcl("serve", "--port", str(urlsplit(served[1]).port))
    assert (done.returncode, done.stdout) == (252, "")
    assert "Address already in use" in done.stderr


# --- overload, slowness, the end --------------------------------------------------------------------------------------


def test_overload_is_refused_at_once() -> None:
    """A lane with one thread and one place, all taken."""
    import asyncio

    from rcl_cli.errors import ProvisionedThroughputExceeded
    from rcl_cli.server.lanes import Lane

    async def scenario() -> None:
        lane, go = Lane("test", threads=1, waiting=1), threading.Event()
        taken = [asyncio.ensure_future(lane.run(go.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ProvisionedThroughputExceeded):
            await lane.run(lambda: None)
        go.set()
        await asyncio.gather(*taken)
        assert await lane.run(lambda: 7) == 7
        lane.close()
        # What can't begin takes no place.
        with pytest.raises(RuntimeError):
            await lane.run(lambda: 7)
        assert not lane.is_busy()

    asyncio.run(scenario())


def test_work_that_ends_oddly_is_answered() -> None:
    import asyncio

    from rcl_cli.server.lanes import Lane

    async def scenario() -> None:
        lane = Lane("test", threads=1, waiting=1)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await lane.run(lambda: next(iter([])))
        assert not lane.is_busy()
        lane.close()

    asyncio.run(scenario())


@contextmanager
def serving_timeout(url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    yield connection
    connection.close()


def test_more_requests_than_places(home: Home) -> None:
    """A store that is locked for a moment: most requests are refused at once, none waits without end, none fails."""
    with serving(home) as (url, _), home.context.database.write():
        answers: list[str] = []

        def one(number: int) -> None:
            _, _, document = ask(url, json.dumps({"ProjectName": f"p{number}"}), "CreateProject")
            answers.append(document.get("__type", "made"))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(330)]
        for thread in threads:
            thread.start()
        refused = 330 - 16 - 256
        wait_until(lambda: len(answers) >= refused)
        assert set(answers) == {"ProvisionedThroughputExceededException"}
        home.context.database.connection.execute("COMMIT")
        for thread in threads:
            thread.join()
        home.context.database.connection.execute("BEGIN")
    assert answers.count("made") == 330 - refused
    assert answers.count("ProvisionedThroughputExceededException") == refused


def test_sigterm_finishes_what_was_begun(home: Home, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rcl_cli", "serve", "--port", "0"]
    with subprocess.Popen(command, env=home.environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answers: list[Any] = []
        with home.context.database.write():
            body = json.dumps({"ProjectName": "late"})
            asking = threading.Thread(target=lambda: answers.append(ask(url, body, "CreateProject")))
            asking.start()
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
        asking.join()
        assert answers[0][0] == 200
        assert process.wait(30) == 0
    assert len(home.call("DescribeProjects")["ProjectDescriptions"]) == 1


def test_asked_twice_it_ends_at_once(home: Home) -> None:
    """Even while a thread waits for a store that somebody else holds."""
    command = [sys.executable, "-m", "rcl_cli", "serve", "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=home.environment(), text=True, **pipes) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with home.context.database.write():
            with contextlib.suppress(OSError, http.client.HTTPException), serving_timeout(url) as connection:
                connection.request(
                    "POST", "/", b'{"ProjectName": "p"}', {"X-Amz-Target": "RekognitionService.CreateProject"}
                )
                for _ in range(2):
                    time.sleep(0.5)
                    process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM


def test_ctrl_c_ends_it(home: Home) -> None:
    command = [sys.executable, "-m", "rcl_cli", "serve", "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=home.environment(), text=True, **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr is not None
        assert process.stderr.read().strip() == ""


def test_a_store_that_cannot_be_read_is_an_unhealthy_server(home: Home) -> None:
    with serving(home) as (url, _):
        home.context.database.close()
        for name in ("rcl.db", "rcl.db-wal", "rcl.db-shm"):
            (home.path / name).unlink(missing_ok=True)
        (home.path / "rcl.db").mkdir()
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 503
        connection.close()


def test_the_command_as_a_client_of_another_store(home: Home, rcl: Run, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "RCL_HOME": str(other)}
    home.dataset(home.project("far"), "TRAIN", [image_line("data", f"{n}.jpg", "cat") for n in range(130)])
    with serving(home) as (url, _):
        far = rcl("describe-projects", "--endpoint-url", url, **keys)
        assert far.stdout == rcl("describe-projects").stdout
        assert not other.exists()
        dataset = json.loads(far.stdout)["ProjectDescriptions"][0]["Datasets"][0]["DatasetArn"]
        words = ("list-dataset-entries", "--dataset-arn", dataset, "--output", "text")
        assert rcl(*words, "--endpoint-url", url, **keys).stdout == rcl(*words).stdout
        failed = rcl("create-project", "--project-name", "far", "--endpoint-url", url, **keys)
        assert failed.returncode == 254
        assert failed.stderr == rcl("create-project", "--project-name", "far").stderr
        unsigned = rcl(
            "describe-projects", "--endpoint-url", url, RCL_HOME=str(other), AWS_EC2_METADATA_DISABLED="true"
        )
        assert unsigned.returncode == 253
        assert "Unable to locate credentials" in unsigned.stderr
        none = rcl("describe-projects", "--endpoint-url", url, "--no-sign-request", RCL_HOME=str(other))
        assert none.stdout == far.stdout
    gone = rcl("describe-projects", "--endpoint-url", url, **keys)
    assert gone.returncode == 255
    assert f'Could not connect to the endpoint URL: "{url}/"' in gone.stderr
    wrong = rcl("describe-projects", "--endpoint-url", url, "--profile", "nobody", **keys)
    assert (wrong.returncode, "The config profile (nobody) could not be found" in wrong.stderr) == (255, True)


# --- who is answered, and when ----------------------------------------------------------------------------------------

_STRANGER = """
import encodings.idna, http.client, os, sys
os.setuid(65534)
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
for method, path in (("POST", "/"), ("GET", "/health")):
    connection.request(method, path, "{}", {"X-Amz-Target": "RekognitionService.DescribeProjects"})
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"""


@pytest.mark.skipif(os.getuid() != 0 or not can_be_told(), reason="needs another user, and a table of sockets")
def test_other_users_of_the_machine_are_answered_only_where_that_is_asked_for(home: Home) -> None:
    for words, status in (((), 400), (("--anyone-local",), 200)):
        with serving(home, *words) as (url, _):
            port = str(urlsplit(url).port)
            done = subprocess.run([sys.executable, "-c", _STRANGER, port], capture_output=True, text=True, cwd="/")
            first, second = done.stdout.splitlines()
            assert first.startswith(str(status)), done.stderr
            assert ("AccessDenied" in first, "--anyone-local" in first) == ((status == 400),) * 2
            assert second.startswith("200")
            assert ask(url)[0] == 200


def test_where_users_cannot_be_told_apart_a_key_is_made(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = make_access_keys(path)
    assert (len(made), path.stat().st_mode & 0o777, make_access_keys(path)) == (1, 0o600, made)


def raw(url: str, head: str, *, seconds: float = 20) -> str:
    """What is answered to the head of a request whose body does not come."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=seconds) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: here\r\n{head}\r\n\r\n".encode())
        return connection.makefile("rb").read().decode()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Authorization: Basic x", "IncompleteSignatureException"),
        ("Authorization: {form}, SignedHeaders=host, Signature={zeros}", "IncompleteSignatureException"),
        ("X-Amz-Date: 20200101T000000Z\r\nAuthorization: {signed}", "InvalidSignatureException"),
        ("X-Amz-Date: {now}\r\nAuthorization: {signed}", "UnrecognizedClientException"),
        ("X-Amz-Date: {now}\r\nAuthorization: {other}", "InvalidSignatureException"),
    ],
)
def test_what_a_head_shows_to_be_wrong_is_refused_before_its_body(keyed: str, head: str, kind: str) -> None:
    now = datetime.now(UTC)
    form = f"AWS4-HMAC-SHA256 Credential=AKIDNOBODY/{now:%Y%m%d}/us-east-1/rekognition/aws4_request"
    rest = f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}"
    told = head.format(
        form=form, zeros="0" * 64, now=f"{now:%Y%m%dT%H%M%SZ}", signed=f"{form}, {rest}",
        other=f"{form.replace('/rekognition/', '/s3/').replace('NOBODY', 'EXAMPLE')}, {rest}",
    )  # fmt: skip
    target = "X-Amz-Target: RekognitionService.DescribeProjects"
    answer = raw(keyed, f"{target}\r\nContent-Length: 8000000\r\n{told}".rstrip())
    assert (kind in answer, "connection: close" in answer) == (True, True), answer


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("keyed")
    keys = folder / "keys"
    keys.write_text("[a]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n")
    keys.chmod(0o600)
    home = make_home(folder / "home")
    with serving(home, "--access-key-file", str(keys)) as (url, _):
        yield url
    home.context.database.close()


def test_a_large_request_without_a_signature_hears_why(keyed: str) -> None:
    unsigned = client(keyed, config={"signature_version": UNSIGNED})
    version = "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v/1"
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        unsigned.detect_custom_labels(ProjectVersionArn=version, Image={"Bytes": bytes(4_000_000)})


def test_a_request_whose_length_is_told_twice_is_refused(served: tuple[Home, str]) -> None:
    order = ("Content-Length: 2", "Transfer-Encoding: chunked")
    for told in (order, order[::-1]):
        answer = raw(served[1], "\r\n".join(told) + "\r\n\r\n2\r\n{}\r\n0")
        assert (answer.split()[1], "connection: close" in answer) == ("400", True), answer


def test_a_body_that_comes_byte_by_byte_is_given_up_soon(served: tuple[Home, str]) -> None:
    began = time.monotonic()
    assert "RequestTimeoutException" in raw(
        served[1], "X-Amz-Target: RekognitionService.DescribeProjects\r\nContent-Length: 8000000"
    )
    # A whole body has a minute; one that does not come has the first seconds.
    assert time.monotonic() - began < 15


# --- what clients may name --------------------------------------------------------------------------------------------


def test_clients_name_objects_in_buckets_and_no_files(served: tuple[Home, str], tmp_path: Path) -> None:
    home, url = served
    api = client(url)
    secret = tmp_path / "secret.jpg"
    lines = "".join(json.dumps({**image_line("pics", f"{n}.jpg", "cat")}) + "\n" for n in range(9))
    named = json.dumps({**image_line("pics", "x.jpg", "cat"), "source-ref": secret.as_uri()}) + "\n"
    project = api.create_project(ProjectName="files")["ProjectArn"]
    dataset = api.create_dataset(ProjectArn=project, DatasetType="TRAIN")["DatasetArn"]
    api.update_dataset_entries(DatasetArn=dataset, Changes={"GroundTruth": (lines + named).encode()})
    found = api.describe_dataset(DatasetArn=dataset)["DatasetDescription"]
    assert (found["Status"], found["DatasetStats"]["TotalEntries"]) == ("UPDATE_COMPLETE", 9)
    api.update_dataset_entries(DatasetArn=dataset, Changes={"GroundTruth": named.encode()})
    assert api.describe_dataset(DatasetArn=dataset)["DatasetDescription"]["Status"] == "UPDATE_FAILED"
    # From a manifest in a bucket neither.
    (home.buckets / "lists").mkdir(exist_ok=True)
    (home.buckets / "lists" / "x.manifest").write_text(named)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "lists", "Name": "x.manifest"}}}
    made = api.create_dataset(ProjectArn=project, DatasetType="TEST", DatasetSource=source)["DatasetArn"]
    assert api.describe_dataset(DatasetArn=made)["DatasetDescription"]["Status"] == "CREATE_FAILED"
    # What the command line of this machine put there may be changed.
    home.call("UpdateDatasetEntries", DatasetArn=dataset, Changes={"GroundTruth": named.encode()})
    relabelled = named.replace("cat", "dog")
    api.update_dataset_entries(DatasetArn=dataset, Changes={"GroundTruth": relabelled.encode()})
    entries = api.list_dataset_entries(DatasetArn=dataset, SourceRefContains="secret")["DatasetEntries"]
    assert ["dog" in one for one in entries] == [True]


def test_trainings_that_clients_start_from_manifests_open_no_files(served: tuple[Home, str], tmp_path: Path) -> None:
    home, url = served
    api = client(url)
    lines = []
    for number in range(20):
        path = tmp_path / f"{number}.jpg"
        noisy((200, 40, 40), (64, 64), number).save(path)
        lines.append({**image_line("pics", "x", "red" if number % 2 else "blue"), "source-ref": path.as_uri()})
    write_manifest(home.buckets / "lists" / "all.manifest", lines)
    project = api.create_project(ProjectName="trained")["ProjectArn"]
    data = {"Assets": [{"GroundTruthManifest": {"S3Object": {"Bucket": "lists", "Name": "all.manifest"}}}]}
    api.create_project_version(
        ProjectArn=project, VersionName="v", OutputConfig={"S3Bucket": "out", "S3KeyPrefix": "o"},
        TrainingData=data, TestingData={"AutoCreate": True},
        Tags={"rcl:epochs": "1", "rcl:image_size": "64", "rcl:weights": "none"},
    )  # fmt: skip
    assert home.wait(project, "v")[0] == "TRAINING_FAILED"
    results = [path.read_text() for path in (home.buckets / "out").rglob("*") if path.is_file()]
    assert "ERROR_INVALID_SOURCE_REF_FORMAT" in "".join(results)


@pytest.mark.parametrize("operation", ["create_project", "tag_resource", "create_project_version"])
def test_clients_name_no_file_as_weights(served: tuple[Home, str], operation: str) -> None:
    api = client(served[1])
    tags = {"rcl:weights": "/etc/passwd"}
    project = api.create_project(ProjectName=f"weights-{operation}")["ProjectArn"]
    output = {"S3Bucket": "out", "S3KeyPrefix": "o"}
    given: dict[str, Any] = {
        "create_project": {"ProjectName": f"w2-{operation}"},
        "tag_resource": {"ResourceArn": project},
        "create_project_version": {"ProjectArn": project, "VersionName": "v", "OutputConfig": output},
    }[operation]
    with pytest.raises(ClientError, match="weights can be auto or none here"):
        getattr(api, operation)(**given, Tags=tags)
