"""Writes completions/ and man/ from the command tree; `--check` changes nothing and exits 1 when one is stale."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import completions, manpages  # noqa: E402 - found through the line above


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    scripts = {"rcl.bash": completions.bash(), "_rcl": completions.zsh(), "rcl.fish": completions.fish()}
    files = {ROOT / "completions" / name: text for name, text in scripts.items()}
    return files | {ROOT / "man" / name: text for name, text in manpages.pages().items()}


def stale(files: dict[Path, str]) -> list[str]:
    """What is not as it would be written, or is written no more."""
    found = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    for folder in {path.parent for path in files}:
        found += [path for path in folder.glob("*") if path not in files]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def main() -> int:
    files = generated()
    if "--check" in sys.argv[1:]:
        names = stale(files)
        if names:
            print(f"stale: {', '.join(names)}; run `make gen`", file=sys.stderr)
        return 1 if names else 0
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in stale(files):
        (ROOT / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
