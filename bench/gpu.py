"""What only a GPU can show, in one run of some minutes: trainings, agreement of forms, hosts, faults, experiments.

    tools/gpu_pack.sh                                      # here: gathers what the machine with the GPU lacks
    tools/gpu_run.sh --out results                         # there
    python bench/gpu.py --record results/results.json      # here: writes the section of bench/RESULTS.md

Each part is a process of its own with a time limit, so that one that fails or hangs does not end the others; the most
telling come first. Rows are printed, and written to rows.jsonl, as they come. Without a GPU, `--device cpu --tiny` runs
every part on a few images: a dry run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "RESULTS.md"
BEGIN, END = "<!-- gpu: written by bench/gpu.py -->", "<!-- end of gpu -->"
ROWS = "rows.jsonl"
HEAD = ("part", "what", "figure", "against", "bar", "")


class Part(NamedTuple):
    """Something to find out.

    Args:
        where: `module:function` of gpu_parts.
        limit_s: seconds that it may take.
        least_s: with fewer left it is not begun.
        needs: a part whose trained models it uses.
    """

    where: str
    limit_s: float
    least_s: float
    needs: str = ""


PARTS = {
    "machine": Part("machine:ceilings", 45, 15),
    "detector": Part("training:detector", 110, 60),
    "ultralytics": Part("training:ultralytics", 60, 30, "detector"),
    "host": Part("serving:host", 90, 40, "detector"),
    "classifier": Part("training:classifier", 90, 45),
    "agreement": Part("serving:agreement", 60, 25, "classifier"),
    "tests": Part("machine:tests", 90, 40),
    "kills": Part("faults:kills", 60, 30, "detector"),
    "memory": Part("faults:memory", 80, 40),
    "pair": Part("serving:pair", 60, 30, "classifier"),
    "doctor": Part("machine:doctor", 30, 15),
    "planned": Part("training:planned", 100, 60),
    "experiments": Part("experiments:all_of_them", 90, 30, "detector"),
}


def run_part(name: str, arguments: argparse.Namespace) -> None:
    """Run a part in this process."""
    from gpu_parts.common import Bench

    module, _, function = PARTS[name].where.partition(":")
    bench = Bench(name, arguments.pack, arguments.out, arguments.work, arguments.device, arguments.tiny)
    getattr(import_module(f"gpu_parts.{module}"), function)(bench)


def begin(name: str, arguments: argparse.Namespace, limit_s: float) -> str:
    """Run a part in a process of its own, and say how it ended."""
    words = [sys.executable, str(HERE / "gpu.py"), "--part", name, "--pack", str(arguments.pack)]
    words += ["--out", str(arguments.out), "--work", str(arguments.work), "--device", arguments.device]
    words += ["--tiny"] if arguments.tiny else []
    path = os.pathsep.join([str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "RCL_OFFLINE": "1"}
    with (arguments.out / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"\n===== {name}\n")
        log.flush()
        process = subprocess.Popen(words, env=environment, stderr=log, start_new_session=True)
        try:
            return "done" if process.wait(limit_s) == 0 else f"failed with {process.returncode}"
        except subprocess.TimeoutExpired:
            return f"not done after {limit_s:.0f} s"
        finally:
            # Whatever it started and left behind, but not what detaches itself: hosts and trainers.
            end_group(process)
            end_detached(arguments.work)


def end_group(process: subprocess.Popen[Any]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def end_detached(work: Path) -> None:
    """End trainers and hosts of the run's homes: the next part wants the GPU for itself."""
    import psutil

    left = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(word.startswith("rcl_cli.") for word in line) and any(word.startswith(str(work)) for word in line):
            process.kill()
            left.append(process)
    psutil.wait_procs(left, timeout=10)


def run_all(arguments: argparse.Namespace) -> int:
    """Run the parts, one after the other; 1 if one failed."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in (ROWS, "log.txt"):
        (arguments.out / name).unlink(missing_ok=True)
    began = time.monotonic()
    outcomes: dict[str, dict[str, Any]] = {}
    document: dict[str, Any] = {}
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    print(" | ".join(HEAD), flush=True)
    for name in chosen:
        part, left_s = PARTS[name], arguments.seconds - (time.monotonic() - began)
        limit_s = min(part.limit_s * arguments.patience, left_s)
        started = time.monotonic()
        if part.needs and outcomes.get(part.needs, {"how": "done"})["how"] != "done":
            how = f"not begun: it needs {part.needs}"
        elif left_s < part.least_s:
            how = f"not begun: {left_s:.0f} s left"
        else:
            how = begin(name, arguments, limit_s)
        outcomes[name] = {"how": how, "seconds": round(time.monotonic() - started, 1)}
        # Again after each part: whatever ends this run early, what is known by then is kept.
        document = keep(arguments, outcomes, time.monotonic() - began)
        print(f"----- {name}: {how}, {outcomes[name]['seconds']} s", flush=True)
    failed = [name for name, one in outcomes.items() if one["how"] != "done"]
    missed = sum(Cells(row).verdict == "MISSED" for row in document["rows"])
    print(f"{document['seconds']} s; parts not done: {', '.join(failed) or 'none'}; bars missed: {missed}")
    return 1 if failed else 0


def keep(arguments: argparse.Namespace, outcomes: dict[str, dict[str, Any]], taken_s: float) -> dict[str, Any]:
    """Write results.json and table.md with what is known so far."""
    file = arguments.out / ROWS
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    document = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}", "device": arguments.device, "tiny": arguments.tiny,
        "seconds": round(taken_s), "parts": outcomes, "rows": rows,
    }  # fmt: skip
    (arguments.out / "results.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (arguments.out / "table.md").write_text(table(document), "utf-8")
    return document


def Cells(row: dict[str, Any]) -> Any:
    from gpu_parts.common import Row

    return Row(**row)


def table(document: dict[str, Any]) -> str:
    """The rows as Markdown, and how each part ended."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for row in document["rows"]:
        lines.append(f"| {' | '.join(Cells(row).cells())} |")
    ends = ", ".join(f"{name} {one['how']} ({one['seconds']} s)" for name, one in document["parts"].items())
    return "\n".join([*lines, "", f"Parts: {ends}.", ""])


def record(file: Path, results: Path = RESULTS) -> None:
    """Put a run into RESULTS.md, in place of the last one."""
    document = json.loads(file.read_text("utf-8"))
    if document["device"] != "cuda" or document["tiny"]:
        sys.exit(f"{file} is of a dry run: only runs on a GPU are kept in {results.name}.")
    text = results.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        sys.exit(f"{results} has no place for it: {BEGIN} … {END}")
    results.write_text(f"{before}{BEGIN}\n{document['date']}:\n\n{table(document)}{END}{after}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=ROOT / ".gpu", help="What tools/gpu_pack.sh gathered.")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="For results.json, table.md and log.txt.")
    parser.add_argument("--work", type=Path, help="For models; a temporary folder that goes, unless named.")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--tiny", action="store_true", help="A few images and one epoch: to see that everything runs.")
    parser.add_argument("--only", help=f"Parts, with commas between: {','.join(PARTS)}.")
    parser.add_argument("--seconds", type=float, default=430, help="For all parts together.")
    parser.add_argument("--patience", type=float, default=1, help="Makes the limits of the parts longer.")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--record", type=Path, metavar="FILE", help="Write a run's results.json into RESULTS.md.")
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record)
        return 0
    if unknown := set((arguments.only or "").split(",")) - {"", *PARTS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    arguments.pack, arguments.out = arguments.pack.resolve(), arguments.out.resolve()
    if arguments.part:
        arguments.work = arguments.work.resolve()
        run_part(arguments.part, arguments)
        return 0
    sys.path[:0] = [str(ROOT)]
    with tempfile.TemporaryDirectory(prefix="rcl-gpu-") as folder:
        arguments.work = (arguments.work or Path(folder)).resolve()
        return run_all(arguments)


if __name__ == "__main__":
    sys.exit(main())
