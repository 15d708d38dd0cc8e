"""Make the pictures of docs/console.md: `python tools/film.py` goes through the loop in Chromium, ten minutes or so."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.accuracy import package_file
from tests.conftest import make_home
from tests.functional.browser import BROWSER
from tests.functional.consoling import consoling
from tests.functional.film import boards, film
from tests.functional.pages import FLAGS

OUT = Path(__file__).parents[1] / "docs" / "console"
# Twenty pictures teach little from scratch: pretrained weights from a package, as the benchmarks have them.
OPTIONS = {
    "RCL_TRAINING_MODEL": "yolov8n",
    "RCL_TRAINING_WEIGHTS": package_file("tau_fibrils_yolo", "model/100ep.pt"),
    "RCL_TRAINING_IMAGE_SIZE": "320",
    "RCL_TRAINING_EPOCHS": "100",
}


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        training, later = boards(Path(folder) / "new", 0, 20), boards(Path(folder) / "later", 20, 5)
        with consoling(home, **OPTIONS) as (visitor, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
            page = browser.new_page(viewport={"width": 1200, "height": 760})

            def shot(name: str) -> None:
                page.wait_for_timeout(400)
                page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=78)
                print(name, flush=True)

            page.goto(visitor.url)
            film(page, training, later, shot)
            browser.close()
        project = home.call("DescribeProjects")["ProjectDescriptions"][0]["ProjectArn"]
        for version in home.call("DescribeProjectVersions", ProjectArn=project)["ProjectVersionDescriptions"]:
            if version["Status"] == "RUNNING":
                home.call("StopProjectVersion", ProjectVersionArn=version["ProjectVersionArn"])


main()
