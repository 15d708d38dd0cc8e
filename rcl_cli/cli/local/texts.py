"""What each local command does, as `rcl --help` lists them."""

from __future__ import annotations

LOCAL: dict[str, str] = {
    "compare": "Compare two trained versions on the test images they share.",
    "config": "Show and change settings, and explain where each comes from.",
    "console": "Label, look, judge and correct in a browser.",
    "dataset": "Bring labelled images in and out of other tools' formats, look at them, and check them.",
    "detect": "Find labels in many images with one model.",
    "doctor": "Look for what keeps rcl from working on this machine.",
    "draw": "Draw detected boxes and labels into an image.",
    "example": "Make an example project: images and manifests.",
    "export": "Take a trained model away, to run it without rcl.",
    "feedback": "Bring images that a model met at work back to its project, least sure first.",
    "logs": "Show the log of a model's training or host.",
    "pull": "Bring a project's datasets from an AWS account, with their images.",
    "push": "Bring a project's datasets into an AWS account, with their images.",
    "report": "Write a page about how good a trained version is.",
    "serve": "Answer AWS SDKs and the aws CLI over HTTP.",
    "status": "Show projects, their newest versions, and what is running.",
    "thresholds": "Show, set or reset from what score on labels count.",
    "train": "Train a model from a folder of pictures, and start it.",
    "versions": "Show the versions of a project, and how good they are.",
}
