"""The console in a real Chromium: how fast labelling is, how large galleries scroll, and that no edit is ever lost.

    python bench/console.py speed|gallery|kills|together [--out RESULT.json]

`speed` labels by keys and by drags, beside a page that only shows the same pictures. `gallery` opens and scrolls a
project of 250 000 images, weighs page and server, and has thumbnails made beside a bare loop of Pillow. `kills` edits
while the server is killed, tabs are closed and the network is cut: what the page said was saved must be in the store.
`together` lets two tabs, a shell and a boto3 client edit one dataset. Sizes are options; each ends with 1 where
something is wrong. A figure that misses its bar is told, and is no wrong result: machines are noisy.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["RCL_OFFLINE"] = "1"

from console_parts import gallery, kills, speed, together
from console_parts.common import finish

PARTS = {"speed": speed, "gallery": gallery, "kills": kills, "together": together}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        own = chosen.add_parser(name, help=str(part.__doc__).splitlines()[0])
        part.options_of(own)
        own.add_argument("--out", type=Path, help="a JSON file for all figures")
    options = parser.parse_args()
    finish(options.part, PARTS[options.part].run(options), options.out)


if __name__ == "__main__":
    main()
