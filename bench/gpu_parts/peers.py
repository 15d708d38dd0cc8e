"""Peers in processes of their own: `python -m gpu_parts.peers NAME` takes JSON and prints the figures of each epoch."""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def ultralytics(asked: dict[str, Any]) -> list[float]:
    """Seconds of each epoch, with validation, of Ultralytics as it comes."""
    import ultralytics.data.utils as data_utils
    from ultralytics.models.yolo.detect import DetectionTrainer

    # It would look for a font in the network.
    data_utils.check_font = lambda *_a, **_k: None

    class Trainer(DetectionTrainer):
        """Without checkpoints, for which it asks for one more package."""

        def save_model(self) -> bool:
            return False

        def final_eval(self) -> None:
            return None

    trainer = Trainer(overrides={
        "model": "yolov8n.yaml", "pretrained": asked["weights"] if asked["weights"] != "none" else False,
        "data": asked["data"], "epochs": asked["epochs"], "imgsz": asked["size_px"], "batch": asked["batch"],
        "device": asked["device"], "save": False, "plots": False, "verbose": False, "project": asked["folder"],
        "close_mosaic": asked["close_mosaic"], "deterministic": False,
        "amp": "bf16" if asked["device"] != "cpu" else False,
    })  # fmt: skip
    times: list[float] = []
    trainer.add_callback("on_train_epoch_start", lambda _: times.append(time.perf_counter()))
    trainer.add_callback("on_fit_epoch_end", lambda _: times.append(time.perf_counter()))
    trainer.train()
    return [end - begin for begin, end in zip(times[::2], times[1::2], strict=False)]


def loop(asked: dict[str, Any]) -> list[float]:
    """Images a second in each epoch of fine-tuning as a tutorial has it: DataLoader, transforms, AdamW, bfloat16."""
    import torch
    from PIL import Image
    from torchvision import transforms

    from rcl_cli.backends.classifier.backbones import build
    from rcl_cli.config import cpu_cores

    size_px, device = asked["size_px"], asked["device"]
    change = transforms.Compose([
        transforms.RandomResizedCrop(size_px, (0.6, 1)), transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(0.3, 0.3, 0.3), transforms.ToTensor(),
    ])  # fmt: skip

    class Images(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(asked["images"])

        def __getitem__(self, index: int) -> Any:
            with Image.open(asked["images"][index]) as image:
                return change(image.convert("RGB")), asked["labels"][index]

    workers = min(8, cpu_cores()) if device == "cuda" else 0
    loader = torch.utils.data.DataLoader(
        Images(), asked["batch"], shuffle=True, drop_last=True, num_workers=workers, pin_memory=device == "cuda",
        persistent_workers=workers > 0,
    )  # fmt: skip
    network = build(asked["model"], asked["classes"]).module.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    rates = []
    for _ in range(asked["epochs"]):
        began, count = time.perf_counter(), 0
        for images, labels in loader:
            there = images.to(device, memory_format=torch.channels_last, non_blocking=True)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = torch.nn.functional.cross_entropy(network(there), labels.to(device, non_blocking=True))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            count += len(images)
        float(loss)
        rates.append(count / (time.perf_counter() - began))
    return rates


if __name__ == "__main__":
    print(json.dumps({"ultralytics": ultralytics, "loop": loop}[sys.argv[1]](json.load(sys.stdin))))
