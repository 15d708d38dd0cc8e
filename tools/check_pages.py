"""Checks the types of the pages' JavaScript with TypeScript's compiler; `--must` fails where that can't run, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.npm import FOLDER, NoPackagesError, node_with_packages  # noqa: E402 - found through the line above


def main() -> int:
    try:
        node = node_with_packages()
    except NoPackagesError as error:
        print(f"the types of pages are not checked: {error}", file=sys.stderr)
        return 1 if "--must" in sys.argv[1:] else 0
    compiler = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
    return subprocess.run([node, compiler, "--project", "tools/pages"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
