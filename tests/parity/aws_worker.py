"""The real aws CLI, that of the Python which runs this, loaded once: every command line runs in a fork of the process.

Reads JSON lists of words from stdin, a line each; answers with JSON of exit code, stdout and stderr.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from awscli.clidriver import create_clidriver

# The aws CLI shows any value of an enum in a skeleton; rcl the first.
random.choice = lambda values: values[0]


def in_child(driver: Any, words: list[str], out: str, err: str) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.dup2(opened, descriptor)
    sys.argv[0] = "aws"
    code = 255
    try:
        code = driver.main(["rekognition", *words])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    driver = create_clidriver()
    driver.session.get_service_model("rekognition")
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        out.touch()
        err.touch()
        for line in sys.stdin:
            pid = os.fork()
            if pid == 0:
                in_child(driver, json.loads(line), str(out), str(err))
            _, status = os.waitpid(pid, 0)
            answer = [os.waitstatus_to_exitcode(status), out.read_text("utf-8"), err.read_text("utf-8")]
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
