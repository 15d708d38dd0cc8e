"""Who else calls `rcl serve`: web pages, SDKs that want the service's own error members, other services' clients."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from rcl_cli.errors import UsageError
from rcl_cli.server.cors import origin_of
from rcl_cli.server.others import meant_for_others
from tests.conftest import Home, Run, make_home
from tests.functional.browser import needs_browser, opened
from tests.functional.serving import client, serving

PAGE = "http://localhost:3000"
OTHER = "https://demo.example.com"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-target"}
# A page that does what the AWS SDK for JavaScript does, and shows what it could read.
DEMO = """<!DOCTYPE html><p id=told>nothing</p><script>
const told = (text) => { document.getElementById("told").textContent = text; };
fetch("URL", {method: "POST", body: "{}", headers: {"X-Amz-Target": "RekognitionService.DescribeProjects",
  "Content-Type": "application/x-amz-json-1.1", "amz-sdk-request": "attempt=1", "x-amz-date": "20260101T000000Z"}})
  .then(async (answer) => told(`read ${answer.headers.get("x-amzn-requestid").length} ${await answer.text()}`))
  .catch((error) => told(`refused ${error}`));
</script>"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = make_home(tmp_path_factory.mktemp("others") / "home")
    with serving(home, "--allow-origin", PAGE, "--allow-origin", f"{OTHER.upper()}:443/") as (url, _):
        yield url
    home.context.database.close()


Answer = tuple[int, dict[str, str], bytes]


def ask(url: str, method: str = "POST", path: str = "/", **headers: str) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, b"{}" if method == "POST" else None, named)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def call(url: str, operation: str = "DescribeProjects", **headers: str) -> Answer:
    return ask(url, X_Amz_Target=f"RekognitionService.{operation}", **headers)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_errors_have_the_members_that_each_sdk_reads(served: str) -> None:
    status, headers, text = call(served, "CreateProject")
    said = json.loads(text)
    assert (status, said.keys()) == (400, {"__type", "Code", "Logref", "Message"})
    assert said["__type"] == said["Code"] == "ValidationException"
    assert said["Logref"] == headers["x-amzn-requestid"]
    assert "projectName" in said["Message"]
    with pytest.raises(ClientError, match=r"\(ValidationException\).*projectName") as caught:
        client(served, config={"parameter_validation": False}).create_project()
    assert caught.value.response["Error"] == {"Code": "ValidationException", "Message": said["Message"]}


# --- other services ---------------------------------------------------------------------------------------------------


def of_service(name: str, url: str, **config: Any) -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    settings = Config(retries={"total_max_attempts": 1}, **config)
    return boto3.Session().client(name, endpoint_url=url, config=settings, **keys)


@pytest.mark.parametrize("config", [{}, {"signature_version": UNSIGNED}], ids=["signed", "unsigned"])
def test_s3_is_told_in_its_own_words(served: str, config: dict[str, Any]) -> None:
    s3 = of_service("s3", served, s3={"addressing_style": "path"}, **config)
    for words in (
        lambda: s3.get_object(Bucket="some", Key="a/b.jpg"),
        lambda: s3.put_object(Bucket="some", Key="a.jpg", Body=b"x" * 1000),
        lambda: s3.list_objects_v2(Bucket="some"),
        lambda: s3.delete_objects(Bucket="some", Delete={"Objects": [{"Key": "a"}]}),
    ):
        with pytest.raises(ClientError, match=r"not S3\. Set AWS_ENDPOINT_URL_REKOGNITION instead of") as caught:
            words()
        assert caught.value.response["Error"]["Code"] == "MethodNotAllowed"
        metadata = caught.value.response["ResponseMetadata"]
        assert metadata["HTTPStatusCode"] == 405
        assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]
    with pytest.raises(ClientError, match="405"):
        s3.head_object(Bucket="some", Key="a")
    s3.close()


def test_s3_with_a_presigned_url_and_without_a_bucket(served: str) -> None:
    s3 = of_service("s3", served, signature_version="s3v4")
    with pytest.raises(ClientError, match="not S3"):
        s3.list_buckets()
    url = s3.generate_presigned_url("list_buckets")
    status, headers, text = ask(served, "GET", f"/?{urlsplit(url).query}")
    assert (status, headers["content-type"]) == (405, "application/xml")
    assert b"<Code>MethodNotAllowed</Code>" in text
    s3.close()


@pytest.mark.parametrize(
    ("service", "operation"), [("sts", "get_caller_identity"), ("iam", "list_users"), ("sns", "list_topics")]
)
def test_services_with_the_query_protocol_are_told_in_their_own_words(
    served: str, service: str, operation: str
) -> None:
    other = of_service(service, served)
    with pytest.raises(ClientError, match=rf"not {service.upper()}\. Set AWS_ENDPOINT_URL_REKOGNITION") as caught:
        getattr(other, operation)()
    error = caught.value.response["Error"]
    assert (error["Code"], error["Type"]) == ("InvalidAction", "Sender")
    other.close()


def test_neither_rekognition_nor_people_are_taken_for_others(served: str) -> None:
    assert client(served).describe_projects()["ProjectDescriptions"] == []
    assert call(served, Content_Type="application/x-www-form-urlencoded")[0] == 200
    status, headers, text = ask(served, "GET")
    assert (status, headers["content-type"]) == (405, "application/x-amz-json-1.1")
    assert "GET /health" in json.loads(text)["Message"]


# --- web pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_browsers_of_allowed_pages_are_let_through(served: str, origin: str) -> None:
    status, headers, text = ask(served, "OPTIONS", Origin=origin, **ASKS)
    assert (status, text) == (200, b"")
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-methods"] == "POST"
    assert {"authorization", "x-amz-target", "amz-sdk-request", "content-type"} <= set(
        headers["access-control-allow-headers"].split(", ")
    )
    for operation, expected in (("DescribeProjects", 200), ("CreateProject", 400), ("Nothing", 400)):
        status, headers, _ = call(served, operation, Origin=origin)
        assert status == expected
        assert headers["access-control-allow-origin"] == origin
        assert "x-amzn-requestid" in headers["access-control-expose-headers"]
        assert headers["vary"] == "Origin"
        assert "access-control-allow-methods" not in headers


@pytest.mark.parametrize("origin", ["null", "http://localhost:3001", f"{PAGE}.evil.com", "http://LOCALHOST:3000"])
def test_browsers_of_other_pages_are_not(served: str, origin: str) -> None:
    for status, headers, _ in (ask(served, "OPTIONS", Origin=origin, **ASKS), call(served, Origin=origin)):
        assert status in (400, 405)
        assert not {name for name in headers if name.startswith("access-control")}


def test_a_page_on_the_internet_may_reach_this_machine_where_it_is_allowed(served: str) -> None:
    asks = {**ASKS, "Access-Control-Request-Private-Network": "true"}
    assert ask(served, "OPTIONS", Origin=OTHER, **asks)[1]["access-control-allow-private-network"] == "true"


def test_nobody_is_asked_for_permission_without_the_option(home: Home) -> None:
    with serving(home) as (url, _):
        for answer in (call(url), call(url, Origin=PAGE), ask(url, "OPTIONS", Origin=PAGE, **ASKS)):
            assert not {name for name in answer[1] if name.startswith("access-control") or name == "vary"}
        assert call(url, Origin=PAGE)[0] == 400


def test_signatures_are_demanded_of_pages_too(home: Home, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    keys.chmod(0o600)
    with serving(home, "--access-key-file", str(keys), "--allow-origin", PAGE) as (url, _):
        assert ask(url, "OPTIONS", Origin=PAGE, **ASKS)[0] == 200
        status, headers, text = call(url, Origin=PAGE)
        assert (status, json.loads(text)["Code"]) == (400, "MissingAuthenticationTokenException")
        assert headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("HTTPS://Example.com:443/", "https://example.com"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://a-b.example", "https://a-b.example"),
    ],
)
def test_origins_as_browsers_send_them(given: str, origin: str) -> None:
    assert origin_of(given) == origin


@pytest.mark.parametrize(
    "given", ["*", "null", "", "localhost:3000", "ftp://a", "http://a/page", "http://a b", "file:///x"]
)
def test_what_is_no_origin(given: str) -> None:
    with pytest.raises(UsageError, match="scheme, host and port"):
        origin_of(given)


def test_a_wrong_origin_is_told_before_anything_is_served(rcl: Run) -> None:
    done = rcl("serve", "--port", "0", "--allow-origin", "*")
    assert done.returncode == 252
    assert "--allow-origin *: it must be the scheme, host and port" in done.stderr


class Site(http.server.BaseHTTPRequestHandler):
    """A web site of one page, which asks the server whose URL is in its path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(DEMO.replace("URL", f"http://{self.path[1:]}/").encode())

    def log_message(self, *_: object) -> None:
        """Tests say nothing."""


@needs_browser
@pytest.mark.parametrize("allowed", [True, False])
def test_a_real_page(home: Home, tmp_path: Path, allowed: bool) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        page = f"http://127.0.0.1:{site.server_port}"
        with serving(home, "--allow-origin", page if allowed else OTHER) as (url, _):
            document = opened(f"{page}/{urlsplit(url).netloc}", tmp_path / "profile", may_complain=not allowed)
        site.shutdown()
    assert ('read 36 {"ProjectDescriptions":[]}' if allowed else "refused TypeError") in document


def test_a_scope_of_any_length_is_looked_through_at_once() -> None:
    long = "Credential=" * 20_000
    assert meant_for_others("POST", "/", long, {}, "id") is None
    assert meant_for_others("POST", "/", "", {"authorization": long}, "id") is None
