"""What every benchmark shares: two sides measured in turns, their ratio, and the table in RESULTS.md.

Machines differ and are noisy; what carries over is how two things compare that were measured in the same minutes. So
both sides take turns, and the ratio is that of their medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = Path(os.environ.get("RCL_BENCH_DATA", ROOT.parent / "shared" / "data"))
CACHE = HERE / ".cache"
RECORD, RESULTS, README = HERE / "ratios.json", HERE / "RESULTS.md", HERE.parent / "README.md"
BEGIN, END = "<!-- ratios: written by bench/ratios.py -->", "<!-- end of ratios -->"
BIN = Path(sys.executable).parent
ROUNDS = int(os.environ.get("RCL_BENCH_ROUNDS", "7"))


@dataclass(frozen=True)
class Ratio:
    """One claim.

    Args:
        program: the benchmark that measures it.
        bar: what the ratio may be at most, or must be at least.
        at_least: which of the two.
        spread: the smallest and the largest ratio of single rounds.
        device: where.
    """

    program: str
    claim: str
    against: str
    bar: float
    ratio: float
    spread: tuple[float, float]
    rounds: int
    at_least: bool = False
    note: str = ""
    device: str = "CPU"
    date: str = ""

    @property
    def holds(self) -> bool:
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment, as a user has it: bytecode is kept."""
    unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    return {k: v for k, v in os.environ.items() if k not in unwanted} | more


def process(words: Sequence[str | Path], environment: Mapping[str, str]) -> Callable[[], float]:
    """Seconds of a whole process that must end well."""

    def run() -> float:
        began = time.perf_counter()
        done = subprocess.run([str(w) for w in words], env=environment, capture_output=True, check=False)
        took = time.perf_counter() - began
        if done.returncode:
            sys.exit(f"{words} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        return took

    return run


def timed(work: Callable[[], Any]) -> Callable[[], float]:
    """Seconds of a call."""

    def run() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return run


def compare(
    claim: str,
    against: str,
    bar: float,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    rounds: int = ROUNDS,
    warm: int = 1,
    at_least: bool = False,
    note: str = "",
    device: str = "CPU",
) -> Ratio:
    """Let both sides take turns, and keep the ratio of their medians.

    Args:
        ours, theirs: each call gives what one round took, or did per second where more is better.
        warm: rounds that do not count.
    """
    pairs = []
    for number in range(warm + rounds):
        # Whoever goes second may find a warmer machine.
        if number % 2:
            right, left = theirs(), ours()
        else:
            left, right = ours(), theirs()
        if number >= warm:
            pairs.append((left, right))
    ratio = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    single = sorted(a / b for a, b in pairs)
    program = Path(sys.argv[0]).name
    found = Ratio(
        program, claim, against, bar, round(ratio, 4), (round(single[0], 3), round(single[-1], 3)), rounds,
        at_least, note, device, f"{datetime.now(UTC):%Y-%m-%d}",
    )  # fmt: skip
    report(found)
    return found


def report_limit(claim: str, unit: str, value: float, limit: float, device: str = "CPU") -> None:
    """A figure that must not pass a limit, as a ratio to it."""
    ratio = round(value / limit, 4)
    note, today = f"{value:.3g} {unit}".strip(), f"{datetime.now(UTC):%Y-%m-%d}"
    report(
        Ratio(
            Path(sys.argv[0]).name, claim, f"{limit:g} {unit}", 1, ratio, (ratio, ratio), 1, False, note, device, today
        )
    )


def report(found: Ratio) -> None:
    """Print a ratio, and put it into the record and the table."""
    sign = "≥" if found.at_least else "≤"
    verdict = "holds" if found.holds else "MISSED"
    print(
        f"{found.claim} / {found.against}: {found.ratio:.3f} ({found.spread[0]:.3f}–{found.spread[1]:.3f}), "
        f"bar {sign} {found.bar}: {verdict}{' - ' + found.note if found.note else ''}",
        flush=True,
    )
    rows = json.loads(RECORD.read_text()) if RECORD.exists() else []
    rows = [row for row in rows if (row["claim"], row["device"]) != (found.claim, found.device)]
    rows.append(asdict(found))
    RECORD.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    write_table([Ratio(**row) for row in rows])


def write_table(rows: Sequence[Ratio]) -> None:
    lines = [
        "| what | against | bar | ratio | single rounds | program | on |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: (r.program, r.claim)):
        sign = "≥" if row.at_least else "≤"
        ratio = f"{row.ratio:.3f}" if row.holds else f"**{row.ratio:.3f}**"
        claim = f"{row.claim} ({row.note})" if row.note else row.claim
        lines.append(
            f"| {claim} | {row.against} | {sign} {row.bar:g} | {ratio} | {row.spread[0]:.2f}–{row.spread[1]:.2f}, "
            f"{row.rounds} | `{row.program}` | {row.device}, {row.date} |"
        )
    text = RESULTS.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    RESULTS.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")
    write_readme({(row.claim, row.against): row.ratio for row in rows})


def write_readme(ratios: Mapping[tuple[str, str], float]) -> None:
    """Bring README's rows, a choice of the table's, up to date: claim and what it is held against say which."""
    lines = README.read_text("utf-8").split("\n")
    for at, line in enumerate(lines):
        claim, against, *_ = [cell.strip() for cell in line.strip("|").split("|")] if line.count("|") == 4 else ["", ""]
        if (claim, against) in ratios:
            lines[at] = f"| {claim} | {against} | {ratios[claim, against]:.3f} |"
    README.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write_table([Ratio(**row) for row in json.loads(RECORD.read_text())])
