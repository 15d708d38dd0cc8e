"""Imports Ultralytics with its side effects off: no network, no analytics, no files outside rcl's own folders."""

from __future__ import annotations

import json
import logging
import os
from functools import cache

from rcl_cli.backends.libraries import libraries_folder
from rcl_cli.config import cpu_cores

_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "neptune", "hub")


@cache
def quieted() -> None:
    """Import Ultralytics quietly, once; whoever imports something of it calls this before."""
    # Of CPU threads for training Ultralytics alone would leave one core idle.
    threads = cpu_cores()
    config_dir = libraries_folder() / "ultralytics"
    config_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        YOLO_CONFIG_DIR=str(config_dir),
        YOLO_OFFLINE="true",
        YOLO_AUTOINSTALL="false",
        YOLO_VERBOSE="false",
        ULTRALYTICS_SAFE_LOAD="true",
        OMP_NUM_THREADS=str(threads),
        MPLBACKEND="Agg",
    )
    from PIL import Image

    pillows_own = Image.open
    from ultralytics.utils import LOGGER, SETTINGS, torch_utils

    # Ultralytics puts a function of its own in front, which answers a bad image by looking for another package.
    Image.open = pillows_own

    off = {"sync": False, "vscode_msg": False, "openvino_msg": False, "api_key": ""}
    off.update(dict.fromkeys(_INTEGRATIONS, False))
    folders = {"datasets_dir": "datasets", "weights_dir": "weights", "runs_dir": "runs"}
    off.update({name: str(config_dir / folder) for name, folder in folders.items()})
    SETTINGS.update({name: value for name, value in off.items() if name in SETTINGS})
    torch_utils.NUM_THREADS = threads
    LOGGER.setLevel(logging.WARNING)
    logging.getLogger("rcl").debug("ultralytics settings: %s", json.dumps(dict(SETTINGS), default=str))
