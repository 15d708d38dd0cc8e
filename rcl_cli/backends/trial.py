"""Whether the libraries that train can be loaded, and what they can run on, as a line of JSON.

A process of its own: a broken library may end it.
"""

from __future__ import annotations

import importlib
import json
from typing import Any


def main() -> None:
    from rcl_cli.backends.libraries import libraries_folder

    libraries_folder()
    import torch

    for name in ("cv2", "onnxruntime", "torchvision"):
        importlib.import_module(name)
    from rcl_cli.backends.yolo.quiet import quieted

    quieted()
    found: dict[str, Any] = {
        "cuda": torch.version.cuda,
        "usable": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if found["usable"]:
        cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        found["names"] = [f"{card.name}, {card.total_memory / 2**30:.0f} GiB" for card in cards]
        try:
            # Says more than that the card is there: whether this torch has code for it, and room.
            pixels, kernel = torch.ones(1, 3, 8, 8, device="cuda"), torch.ones(2, 3, 3, 3, device="cuda")
            torch.nn.functional.conv2d(pixels, kernel).cpu()
        except RuntimeError as error:
            found["trouble"] = str(error).strip().splitlines()[0]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
