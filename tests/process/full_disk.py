"""Fills a disk of its own under a home, and tries everything on it; run in a mount namespace by test_trouble.py.

python full_disk.py HOME_OF_A_TRAINED_DETECTOR EMPTY_FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.conftest import make_home, wait_until

SIZE = "90m"


def fill(place: Path) -> None:
    """Take all the room that there is on a disk, and what came free since it was last taken."""
    with (place / "ballast").open("ab", buffering=0) as out:
        with suppress(OSError):
            found = os.statvfs(place)
            os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, found.f_bavail * found.f_frsize)
        for block in (2**20, 2**12, 1):
            with suppress(OSError):
                while out.write(b"x" * block):
                    pass


def empty(place: Path) -> None:
    (place / "ballast").unlink()


def main() -> None:
    source, place = Path(sys.argv[1]), Path(sys.argv[2])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], check=True)
    shutil.copytree(source, place / "home")
    home = make_home(place / "home")
    project = home.call("DescribeProjects")["ProjectDescriptions"][0]
    arn = project["ProjectArn"]
    version = home.call("DescribeProjectVersions", ProjectArn=arn)["ProjectVersionDescriptions"][0]["ProjectVersionArn"]
    home.call("StartProjectVersion", ProjectVersionArn=version, MinInferenceUnits=1)
    home.wait(arn, "v", leaving="STARTING")
    home.context.database.close()
    environment = {**os.environ, "RCL_HOME": str(home.path), "TMPDIR": str(place), "RCL_OFFLINE": "1"}

    said = {}

    def rcl(name: str, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "rcl_cli", *words], env=environment, capture_output=True, text=True, timeout=120
        )
        said[name] = (done.returncode, (done.stdout + done.stderr)[-600:])

    fill(place)
    training = ["create-project-version", "--project-arn", arn, "--version-name", "more"]
    image = str(next((home.buckets / "data").glob("*.jpg")))
    rcl("create-project", "create-project", "--project-name", "more")
    rcl("describe-projects", "describe-projects")
    rcl("list-dataset-entries", "list-dataset-entries", "--dataset-arn", "p/train", "--max-items", "1")
    rcl("status", "status")
    rcl(
        "detect-custom-labels",
        "detect-custom-labels",
        "--project-version-arn",
        version,
        "--image-bytes",
        f"fileb://{image}",
    )
    rcl("stop-project-version", "stop-project-version", "--project-version-arn", version)
    wait_until(lambda: (rcl("versions", "versions", "p"), "STOPPED" in said["versions"][1])[1])
    rcl("doctor", "doctor", "--quick")
    rcl("delete-dataset", "delete-dataset", "--dataset-arn", "p/test")
    rcl("delete-project-version", "delete-project-version", "--project-version-arn", version)
    # Nothing of what the home kept for this is left, and others fill what they can.
    (home.path / ".room").unlink(missing_ok=True)
    fill(place)
    rcl("describe-projects without room", "describe-projects")
    rcl("list-dataset-entries without room", "list-dataset-entries", "--dataset-arn", "p/train", "--max-items", "1")
    rcl("create-project-version", *training, "--output-config", "S3Bucket=out,S3KeyPrefix=x")
    empty(place)
    rcl("create-project again", "create-project", "--project-name", "again")
    with sqlite3.connect(home.path / "rcl.db") as db:
        said["integrity"] = (0, db.execute("PRAGMA integrity_check").fetchone()[0])
    print(json.dumps(said))


if __name__ == "__main__":
    main()
