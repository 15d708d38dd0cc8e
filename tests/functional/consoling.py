"""A real `rcl console` as a process, for tests that come to it as a browser does, or otherwise."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import Home


@dataclass
class Visitor:
    """Asks as a page of the console would.

    Args:
        url: as it was printed.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, body and headers.

        Args:
            headers: instead of those of a page, `_` for `-`; None leaves one out.
        """
        given = {"host": self.host, "origin": f"http://{self.host}", "sec-fetch-site": "same-origin", **self.headers}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[misc]
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers
        connection.close()
        return found

    def enter(self) -> bool:
        """Use the token, as a browser does that is given the URL; whether that let it in."""
        path = f"/?{urlsplit(self.url).query}"
        status, _, headers = self.ask("GET", path, origin=None, sec_fetch_site="none", sec_fetch_mode="navigate")
        if (status, headers["refresh"]) != (200, "0; url=/"):
            return False
        self.headers["cookie"] = headers["set-cookie"].partition(";")[0]
        return True

    def local(self, name: str, **given: Any) -> Any:
        """What a route answers; an error's message where it refuses."""
        _, body, _ = self.ask("POST", f"/local/{name}", json.dumps(given).encode())
        answer = json.loads(body)
        return answer["error"]["message"] if "error" in answer else answer


@contextmanager
def consoling(home: Home, *words: str, **more: str) -> Iterator[tuple[Visitor, subprocess.Popen[str]]]:
    """A visitor with the printed URL, and the process; it is ended by SIGTERM, and must then end well."""
    command = [sys.executable, "-m", "rcl_cli", "console", "--port", "0", "--no-browser", *words]
    log = home.path / "console.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=home.environment(**more), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("rcl console: http://"), log.read_text()
        try:
            yield Visitor(line.split()[-1]), process
            assert process.poll() is None, "the console has ended by itself"
        finally:
            process.terminate()
            assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()
