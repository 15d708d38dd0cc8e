"""A running model against its limits: the bare runtime, `yolo predict`, torch, torchvision.

The detection model is the one that bench/accuracy.py trains on `bccd`; it is trained first where it is not there yet.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratios import BIN, CACHE, DATA, ROOT, clean_environment, compare, process, report_limit, timed

IMAGES = sorted((DATA / "bccd" / "images").glob("*.jpg"))[:64]
CLIENTS, MODELS = 32, 10
# Many connections in a process of their own: `connected` gives what asks about an image.
CROWD = """
import sys, threading, time
clients, count = int(sys.argv[1]), int(sys.argv[2])
{connected}
def work(number):
    ask = connected()
    for index in range(number, count, clients):
        ask(index % len(images))
threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
sys.stdin.readline()
began = time.perf_counter()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(time.perf_counter() - began)
"""
TO_HOST = """
address, nonce, root, *paths = sys.argv[3:]
sys.path.insert(0, root)
from rcl_cli.inference.client import HostConnection
images = [open(path, "rb").read() for path in paths]
def connected():
    host = HostConnection(address, nonce)
    return lambda index: host.detect(images[index], None, None)
"""
TO_SERVE = """
import base64, http.client, json
where, version, *paths = sys.argv[3:]
images = [base64.b64encode(open(path, "rb").read()).decode() for path in paths]
bodies = [json.dumps({"ProjectVersionArn": version, "Image": {"Bytes": image}}) for image in images]
head = {"X-Amz-Target": "RekognitionService.DetectCustomLabels", "Content-Type": "application/x-amz-json-1.1"}
def connected():
    web = http.client.HTTPConnection(where)
    def ask(index):
        web.request("POST", "/", bodies[index], head)
        answer = web.getresponse()
        text = answer.read()
        assert answer.status == 200, text
    return ask
"""
SESSION = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from rcl_cli.backends.registry import load_predictor
predictor = load_predictor(Path(sys.argv[2]), "cpu", 1)
images = [open(path, "rb").read() for path in sys.argv[4:]]
for image in images[:4]: predictor.forward(predictor.prepare(image).pixels[None])
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    for index in range(int(sys.argv[3])):
        predictor.forward(predictor.prepare(images[index % len(images)]).pixels[None])
    print(time.perf_counter() - began, flush=True)
"""


def trained(name: str) -> Path:
    """The home of a trained model."""
    home = CACHE / "accuracy" / name
    if not (home / "models" / "1" / "model.json").exists():
        subprocess.run([sys.executable, ROOT / "bench" / "accuracy.py", name, "--data", str(DATA)], check=True)
    return home


class Running:
    """A model that is being served from a copy of its home."""

    def __init__(self, name: str, folder: Path) -> None:
        self.home = folder / name
        shutil.copytree(trained(name), self.home)
        self.model = self.home / "models" / "1"
        self.environment = clean_environment(RCL_HOME=str(self.home), RCL_OFFLINE="1")
        self.project = self("describe-projects", "--query", "ProjectDescriptions[0].ProjectArn", "--output", "text")
        query = "ProjectVersionDescriptions[0].ProjectVersionArn"
        words = ["describe-project-versions", "--project-arn", self.project, "--query", query, "--output", "text"]
        self.version = self(*words)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [str(BIN / "rcl"), *words], env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    @contextmanager
    def started(self) -> Iterator[tuple[str, str]]:
        """(address, nonce) of the host."""
        self("start-project-version", "--project-version-arn", self.version, "--min-inference-units", "1")
        self("wait", "project-version-running", "--project-arn", self.project)
        try:
            yield self.host()
        finally:
            self("stop-project-version", "--project-version-arn", self.version)

    @property
    def folder(self) -> Path:
        return self.home / "hosts" / "1"

    def host(self) -> tuple[str, str]:
        request = json.loads((self.folder / "request.json").read_text())
        return str(request["address"]), str(request["nonce"])

    def pids(self) -> list[int]:
        """The host and its workers."""
        import psutil

        host = psutil.Process(json.loads((self.folder / "handle").read_text())[0])
        return [host.pid, *(child.pid for child in host.children(recursive=True))]


def memory_mb(pid: int) -> float:
    """Proportional memory: what processes share counts once."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


# --- peers ------------------------------------------------------------------------------------------------------------


def bare(model: Path) -> tuple[Any, Any]:
    """The runtime that serves, and the preprocessing that it needs."""
    from rcl_cli.backends.registry import load_predictor
    from rcl_cli.config import cpu_cores

    predictor = load_predictor(model, "cpu", cpu_cores())
    return predictor.prepare, predictor.forward


def batched_loop(model: Path, images: list[bytes]) -> Callable[[], float]:
    """Images a second of decode and forward in one process, with the best batch size."""
    import numpy as np

    prepare, forward = bare(model)

    def run(batch: int) -> float:
        began = time.perf_counter()
        for start in range(0, len(images), batch):
            forward(np.stack([prepare(image).pixels for image in images[start : start + batch]]))
        return len(images) / (time.perf_counter() - began)

    best = max((1, 2, 4, 8, 16), key=lambda batch: statistics.median(run(batch) for _ in range(3)))
    return lambda: run(best)


def ultralytics_file(model: Path, folder: Path) -> Path:
    """The trained detector as Ultralytics saves one."""
    os.environ["RCL_WORK_DIR"] = str(folder / "ultralytics")
    import torch

    from rcl_cli.backends.registry import read_card
    from rcl_cli.backends.weights.checkpoints import load_tensors
    from rcl_cli.backends.yolo.network import DetectionModel

    card, _ = read_card(model)
    network = DetectionModel(f"{card.model}.yaml", ch=3, nc=len(card.labels), verbose=False)
    network.load_state_dict(load_tensors(model / "weights.safetensors"))
    network.names = dict(enumerate(card.labels))
    network.args = {"imgsz": card.image_size, "task": "detect"}
    path = folder / "peer.pt"
    torch.save({"model": network.half(), "train_args": network.args, "epoch": -1}, path)
    return path


def predict_loop(weights: Path, size_px: int, images: list[Path]) -> Callable[[], float]:
    """Images a second of Ultralytics' `predict` as shipped, in a process of its own: threads are set at import."""
    code = f"""
import sys, time
from ultralytics import YOLO
model = YOLO({str(weights)!r})
paths = sys.argv[1:]
model.predict(paths[0], imgsz={size_px}, verbose=False, save=False)
for _ in sys.stdin:
    began = time.perf_counter()
    for path in paths:
        model.predict(path, imgsz={size_px}, verbose=False, save=False)
    print(len(paths) / (time.perf_counter() - began), flush=True)
"""
    environment = clean_environment(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(weights.parent / "yolo"))
    words = [sys.executable, "-c", code, *map(str, images)]
    peer = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run() -> float:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write("go\n")
        peer.stdin.flush()
        while True:
            line = peer.stdout.readline()
            try:
                return float(line)
            except ValueError:
                assert line, "the peer has ended"

    return run


def eager_loop(model: Path, images: list[bytes]) -> Callable[[], float]:
    """Images a second of a torchvision network in eager mode, one at a time, decoded by Pillow."""
    import io

    import numpy as np
    import torch
    from PIL import Image

    from rcl_cli.backends.registry import load_network, read_card

    card, _ = read_card(model)
    torch.set_num_threads(os.cpu_count() or 1)
    network = load_network(card, model)
    side = (card.image_size, card.image_size)

    def run() -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            for image in images:
                pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB").resize(side, Image.BILINEAR))
                network(torch.from_numpy(pixels.copy())[None])
        return len(images) / (time.perf_counter() - began)

    return run


def throughput(connected: str, to: list[str], images: list[Path], clients: int, count: int) -> Callable[[], float]:
    """Images a second that a client process with so many connections gets answered.

    Args:
        connected, to: `TO_HOST` or `TO_SERVE`, and what they take.
    """
    code = CROWD.replace("{connected}", connected)

    def run() -> float:
        words = [sys.executable, "-c", code, str(clients), str(count), *to, *map(str, images)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            time.sleep(0.5)
            out, _ = client.communicate("go\n")
        return count / float(out)

    return run


@contextmanager
def sessions(model: Path, images: list[Path], count: int) -> Iterator[Callable[[], float]]:
    """Images a second of a single-threaded session for each core, nothing around them."""
    cores = os.cpu_count() or 1
    words = [sys.executable, "-c", SESSION, str(ROOT), str(model), str(count // cores), *map(str, images)]
    peers = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(cores)]

    def said(peer: subprocess.Popen[str]) -> str:
        assert peer.stdout is not None
        return peer.stdout.readline()

    def run() -> float:
        for peer in peers:
            assert peer.stdin is not None
            peer.stdin.write("go\n")
            peer.stdin.flush()
        return count / max(float(said(peer)) for peer in peers)

    assert [said(peer) for peer in peers] == ["ready\n"] * cores
    try:
        yield run
    finally:
        for peer in peers:
            peer.kill()


@contextmanager
def served(running: Running) -> Iterator[str]:
    """Host and port of `rcl serve`."""
    words = [str(BIN / "rcl"), "serve", "--port", "0"]
    with subprocess.Popen(words, env=running.environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1].removeprefix("http://")
        server.terminate()


# --- claims -----------------------------------------------------------------------------------------------------------


def whole_processes(running: Running, peer: Path, size_px: int) -> None:
    image = IMAGES[0]
    yolo = process(
        [BIN / "yolo", "predict", f"model={peer}", f"source={image}", f"imgsz={size_px}", "save=False", "device=cpu"],
        clean_environment(YOLO_OFFLINE="true", YOLO_CONFIG_DIR=str(peer.parent / "yolo")),
    )
    once = process([BIN / "rcl", "detect", "bccd/v1", image, "--once"], running.environment)
    with running.started():
        words = ["detect-custom-labels", "--project-version-arn", running.version, "--image-bytes", f"fileb://{image}"]
        warm = process([BIN / "rcl", *words], running.environment)
        compare(
            "`rcl detect-custom-labels`, warm model, the process",
            "`yolo predict`, the process",
            0.1,
            warm,
            yolo,
            rounds=5,
        )
    compare("`rcl detect --once`, cold, no host", "`yolo predict`, the process", 0.15, once, yolo, rounds=5)


def requests(running: Running) -> None:
    from rcl_cli.inference.client import HostConnection

    image = IMAGES[0].read_bytes()
    prepare, forward = bare(running.model)

    def bare_answer() -> None:
        forward(prepare(image).pixels[None])

    with running.started() as host, HostConnection(*host) as connection:
        compare(
            "one request on an open connection to the host", "decode and bare forward, same runtime", 1.3,
            timed(lambda: connection.detect(image, None, None)), timed(bare_answer), rounds=101, warm=10,
        )  # fmt: skip
        with served(running) as where:
            web = http.client.HTTPConnection(where)
            compare(
                "one request on an open connection to `rcl serve`", "decode and bare forward, same runtime", 1.15,
                timed(lambda: ask(web, running.version, image)), timed(bare_answer), rounds=101, warm=10,
            )  # fmt: skip
            web.close()


def ask(web: http.client.HTTPConnection, version: str, image: bytes) -> None:
    import base64

    body = json.dumps({"ProjectVersionArn": version, "Image": {"Bytes": base64.b64encode(image).decode()}})
    headers = {"X-Amz-Target": "RekognitionService.DetectCustomLabels", "Content-Type": "application/x-amz-json-1.1"}
    web.request("POST", "/", body, headers)
    answer = web.getresponse()
    text = answer.read()
    assert answer.status == 200, text


def load(running: Running, peer: Path, size_px: int) -> None:
    images = [path.read_bytes() for path in IMAGES]
    loop = batched_loop(running.model, images)
    with running.started() as host:
        many = throughput(TO_HOST, [*host, str(ROOT)], IMAGES, CLIENTS, 4 * len(IMAGES))
        compare(
            f"detections a second, {CLIENTS} clients", "batched decode and forward, best batch, one process", 0.9,
            many, loop, at_least=True,
        )  # fmt: skip
        with served(running) as where, sessions(running.model, IMAGES, 4 * len(IMAGES)) as bare_sessions:
            compare(
                f"detections a second through `rcl serve`, {CLIENTS} clients",
                "a bare single-threaded session a core, decode and forward", 0.93,
                throughput(TO_SERVE, [where, running.version], IMAGES, CLIENTS, 4 * len(IMAGES)), bare_sessions,
                at_least=True,
            )  # fmt: skip
        predict = predict_loop(peer, size_px, IMAGES)
        compare(
            f"detections a second, {CLIENTS} clients, CPU", "Ultralytics `predict` loop as shipped", 2, many, predict,
            at_least=True,
        )  # fmt: skip


def classification(folder: Path) -> None:
    running = Running("signs_head", folder)
    paths = sorted((DATA / "signs").rglob("*.jp*g"))[:64] or sorted((DATA / "signs").rglob("*.png"))[:64]
    images = [path.read_bytes() for path in paths]
    eager = eager_loop(running.model, images)
    with running.started() as host:
        many = throughput(TO_HOST, [*host, str(ROOT)], paths, CLIENTS, 4 * len(paths))
        compare(
            f"classifications a second, {CLIENTS} clients, CPU", "torchvision eager loop", 3, many, eager, at_least=True
        )


def idle_memory(running: Running) -> None:
    code = (
        "import sys, time, onnxruntime as o\n"
        "s = o.SessionOptions()\n"
        "s.intra_op_num_threads = int(sys.argv[2])\n"
        "kept = o.InferenceSession(sys.argv[1], s, providers=['CPUExecutionProvider'])\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    words = [sys.executable, "-c", code, str(running.model / "model.onnx"), str(os.cpu_count())]

    def ours() -> float:
        with running.started():
            time.sleep(1)
            return sum(memory_mb(pid) for pid in running.pids())

    def theirs() -> float:
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as peer:
            assert peer.stdout is not None
            peer.stdout.readline()
            found = memory_mb(peer.pid)
            peer.kill()
            return found

    compare(
        "memory of an idle host, all its processes", "bare runtime with the model loaded", 1.25, ours, theirs, rounds=5
    )


def many_models(running: Running) -> None:
    """Ten models that have been busy and rest."""
    from concurrent.futures import ThreadPoolExecutor

    import psutil

    from rcl_cli.inference.client import HostConnection

    into = running("create-project", "--project-name", "many", "--query", "ProjectArn", "--output", "text")
    words = ["--source-project-arn", running.project, "--source-project-version-arn", running.version]
    words += ["--destination-project-arn", into, "--output-config", "S3Bucket=many,S3KeyPrefix=many"]
    versions = [
        running("copy-project-version", *words, "--version-name", f"v{n}", "--query", "ProjectVersionArn", "--output",
                "text")
        for n in range(MODELS)
    ]  # fmt: skip
    while "COPYING_IN_PROGRESS" in running("versions", "many"):
        time.sleep(0.2)
    for version in versions:
        running("start-project-version", "--project-version-arn", version, "--min-inference-units", "1")
    while "STARTING" in running("versions", "many"):
        time.sleep(0.5)
    # Not the folder of the model that was copied with its home.
    hosts = [folder for folder in (running.home / "hosts").iterdir() if folder.is_dir() and folder != running.folder]
    image = IMAGES[0].read_bytes()

    def ask_often(folder: Path) -> None:
        request = json.loads((folder / "request.json").read_text())
        with HostConnection(request["address"], request["nonce"]) as connection:
            for _ in range(16):
                connection.detect(image, None, None)

    for folder in hosts:
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(ask_often, [folder] * 8))
    time.sleep(8)
    pids = [json.loads((folder / "handle").read_text())[0] for folder in hosts]
    everyone = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    report_limit(
        f"{len(hosts)} models that were busy and rest, proportional memory of all processes, MB", "",
        sum(memory_mb(p.pid) for p in everyone), 600,
    )  # fmt: skip
    for version in versions:
        running("stop-project-version", "--project-version-arn", version)


def agreement(running: Running) -> None:
    from accuracy import truth

    from rcl_cli.backends import registry
    from rcl_cli.backends.predictors import predict
    from rcl_cli.domain import Box, Sample
    from rcl_cli.evaluation.metrics import evaluate, match_image

    card, _ = registry.read_card(running.model)
    samples = []
    for image in truth(DATA / "bccd" / "test.manifest"):
        boxes = tuple((name, Box(b[0], b[1], b[2] - b[0], b[3] - b[1])) for name, b in image["boxes"])
        samples.append(Sample(str(DATA / "bccd" / image["key"]), (), boxes))
    figures = []
    for predictor in (
        registry.load_predictor(running.model),
        registry.on_torch(card, running.model, "cpu"),
    ):
        found = predict(predictor, [sample.path for sample in samples])
        matched = [match_image(one, sample) for one, sample in zip(found, samples, strict=True)]
        result = evaluate(card.labels, samples, matched)
        figures.append((result.mean("average_precision"), result.f1))
    for name, ours, torch_s in zip(("AP50", "F1"), *figures, strict=True):
        report_limit(
            f"{name} of the fast runtime, difference from torch ({torch_s:.4f})", "", abs(ours - torch_s), 0.005
        )


def decoding() -> None:
    import io

    import numpy as np
    from PIL import Image

    from rcl_cli.imaging.decode import decode
    from rcl_cli.imaging.geometry import fit_longer_side

    # A photograph, made larger: 12 megapixels of smooth and of fine structure.
    photo = Image.open(IMAGES[0]).convert("RGB").resize((4000, 3000), Image.BICUBIC)
    noise = np.random.default_rng(0).integers(-6, 7, (3000, 4000, 3))
    out = io.BytesIO()
    Image.fromarray((np.asarray(photo) + noise).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    data = out.getvalue()

    def full() -> None:
        with Image.open(io.BytesIO(data)) as image:
            np.asarray(image.convert("RGB").resize((640, 480), Image.BILINEAR))

    compare(
        "a JPEG of 12 megapixels, decoded and resized to 640", "Pillow, full decode and resize", 0.4,
        timed(lambda: fit_longer_side(decode(data, longer_px=640), 640)), timed(full),
    )  # fmt: skip


def main() -> None:
    chosen = set(sys.argv[1:])
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        running = Running("bccd", folder)
        size_px = int(json.loads((running.model / "model.json").read_text())["card"]["image_size"])
        peer = ultralytics_file(running.model, folder)
        claims: dict[str, Callable[[], None]] = {
            "decoding": decoding,
            "processes": lambda: whole_processes(running, peer, size_px),
            "requests": lambda: requests(running),
            "load": lambda: load(running, peer, size_px),
            "classification": lambda: classification(folder),
            "memory": lambda: idle_memory(running),
            "models": lambda: many_models(running),
            "agreement": lambda: agreement(running),
        }
        for claim, measure in claims.items():
            if not chosen or claim in chosen:
                measure()
    # The peer that waits for another round ends with this process.
    os._exit(0)


if __name__ == "__main__":
    main()
