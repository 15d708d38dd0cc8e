"""The weights ladder against a real HTTP server, and weight files that want more than to be read."""

from __future__ import annotations

import hashlib
import http.server
import os
import pickle
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file

from rcl_cli.backends.weights.checkpoints import load_matching, load_tensors
from rcl_cli.backends.weights.choice import Offer, choose_weights
from rcl_cli.domain import Progress
from rcl_cli.errors import ConfigError


class Handler(http.server.BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        cut = self.path.startswith("/cut")
        self.send_header("Content-Length", str(len(data) + 1000 * cut))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    torch.save({"layer.weight": torch.ones(3, 3)}, tmp_path / "good.pt")
    Handler.files = {f"/{kind}/w.pt": (tmp_path / "good.pt").read_bytes() for kind in ("good", "cut")}
    Handler.files["/page/w.pt"] = b"<html>please log in to the hotel's network</html>"
    Handler.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


def choose(
    offers: list[Offer], cache: Path, *, requested: str = "auto", offline: bool = False
) -> tuple[Any, list[Progress]]:
    reports: list[Progress] = []
    return choose_weights(requested, offers, cache, reports.append, offline=offline), reports


def test_download_once_then_cache(server: str, tmp_path: Path) -> None:
    offers = [Offer("m", url=f"{server}/good/w.pt")]
    choice, reports = choose(offers, tmp_path / "cache")
    assert choice.source.startswith("download: ")
    assert any(report.stage == "downloading" for report in reports)
    assert load_tensors(choice.path)["layer.weight"].shape == (3, 3)
    again, _ = choose(offers, tmp_path / "cache", offline=True)
    assert (again.path, again.source) == (choice.path, "cache: w.pt")
    assert Handler.asked == ["/good/w.pt"]


def test_a_damaged_cache_is_fetched_again(server: str, tmp_path: Path) -> None:
    offers = [Offer("m", url=f"{server}/good/w.pt")]
    choice, _ = choose(offers, tmp_path)
    choice.path.write_bytes(b"half")
    assert choose(offers, tmp_path)[0].source.startswith("download: ")
    assert len(Handler.asked) == 2


@pytest.mark.parametrize("kind", ["cut", "page", "none"])
def test_downloads_that_fail_leave_nothing_and_train_from_scratch(server: str, tmp_path: Path, kind: str) -> None:
    choice, reports = choose([Offer("m", url=f"{server}/{kind}/w.pt")], tmp_path)
    assert choice.path is None
    assert any("WARNING" in (report.note or "") for report in reports)
    assert list(tmp_path.glob("*w.pt*")) == []
    assert list(tmp_path.glob(".rcl-*")) == []


def test_a_wrong_hash_is_thrown_away(server: str, tmp_path: Path) -> None:
    wrong = Offer("m", url=f"{server}/good/w.pt", sha256="0" * 64)
    choice, reports = choose([wrong], tmp_path)
    assert choice.path is None
    assert any("wrong hash" in (report.note or "") for report in reports)
    right = hashlib.sha256(Handler.files["/good/w.pt"]).hexdigest()
    assert choose([Offer("m", url=f"{server}/good/w.pt", sha256=right)], tmp_path)[0].path is not None


def test_no_server_means_the_next_rung(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    offers = [Offer("a", url=f"http://127.0.0.1:{port}/w.pt"), Offer("b", package=("rcl_cli", "api/model.json"))]
    choice, _ = choose(offers, tmp_path)
    assert (choice.model, choice.source) == ("b", "package rcl_cli")


def test_offline_asks_nobody(server: str, tmp_path: Path) -> None:
    assert choose([Offer("m", url=f"{server}/good/w.pt")], tmp_path, offline=True)[0].path is None
    assert choose([Offer("m", url=f"{server}/good/w.pt")], tmp_path, requested="none")[0].path is None
    assert Handler.asked == []


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        choose([Offer("m")], tmp_path, requested=str(tmp_path / "none.pt"))


# --- files ------------------------------------------------------------------------------------------------------------


class Evil:
    """Leaves a mark when it is unpickled the ordinary way."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)


def test_tensors_of_a_pickled_module_by_their_own_names(tmp_path: Path) -> None:
    net = Net()
    torch.save({"model": net, "ema": None, "epoch": 5}, tmp_path / "w.pt")
    tensors = load_tensors(tmp_path / "w.pt")
    assert tensors.keys() == net.state_dict().keys()
    assert all(torch.equal(tensors[k], v) for k, v in net.state_dict().items())
    assert load_matching(Net(), tensors) == 7


def test_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert load_tensors(tmp_path / "w.safetensors")["a"].tolist() == [0, 1, 2]


def evil_files(folder: Path, mark: Path) -> Iterator[Path]:
    torch.save({"model": Evil(mark), "w": torch.ones(2)}, folder / "zip.pt")
    yield folder / "zip.pt"
    (folder / "plain.pt").write_bytes(pickle.dumps(Evil(mark)))
    yield folder / "plain.pt"
    torch.save({"model": Evil(mark)}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    yield folder / "legacy.pt"
    (folder / "storages").write_bytes(pickle.dumps(Evil(mark)))
    with tarfile.open(folder / "tar.pt", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.add(folder / "storages", name)
    yield folder / "tar.pt"


def test_no_file_runs_code(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for path in evil_files(tmp_path, mark):
        try:
            load_tensors(path)
        except ConfigError:
            pass
        assert not mark.exists(), path.name


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(ConfigError, match="TorchScript"):
        load_tensors(tmp_path / "script.pt")


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04 half a zip"])
def test_damaged_files_say_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(ConfigError, match="can't be read"):
        load_tensors(tmp_path / "w.pt")
