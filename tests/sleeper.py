"""Work that takes its time: `python -m tests.sleeper FOLDER`."""

import sys
import time
from pathlib import Path

from rcl_cli.compute.folder import WorkFolder
from rcl_cli.compute.local import begin

if __name__ == "__main__":
    begin(WorkFolder(*[Path(sys.argv[1])] * 3))
    time.sleep(60)
