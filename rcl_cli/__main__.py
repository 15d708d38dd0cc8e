"""Entry point of `rcl`."""

from __future__ import annotations

import sys


def main() -> None:
    try:
        if sys.argv[1:2] == ["complete"]:
            from rcl_cli.cli.complete import main as complete

            sys.exit(complete(sys.argv[2:]))
        from rcl_cli.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
