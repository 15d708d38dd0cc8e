"""Help texts of the operations: what each does, in our words, grouped as the API's reference groups them."""

from __future__ import annotations

GROUPS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "Projects",
        {
            "create-project": "Make a project: the place for datasets and models that belong together.",
            "describe-projects": "List projects, newest first, with their datasets.",
            "delete-project": "Delete a project that has no datasets and no models left.",
        },
    ),
    (
        "Datasets",
        {
            "create-dataset": "Make a training or test dataset: from a manifest, from a dataset, or empty.",
            "describe-dataset": "Show a dataset's status and counts.",
            "delete-dataset": "Delete a dataset; the images stay where they are.",
            "list-dataset-entries": "List a dataset's JSON lines, with errors marked.",
            "list-dataset-labels": "List a dataset's labels and how many images use them.",
            "update-dataset-entries": "Add JSON lines to a dataset, or replace those of the same images.",
            "distribute-dataset-entries": "Move a fifth of the training dataset into an empty test dataset.",
        },
    ),
    (
        "Models",
        {
            "create-project-version": "Train a model in the background.",
            "describe-project-versions": "List a project's models, newest first, with status and results.",
            "delete-project-version": "Delete a model that is not running.",
            "copy-project-version": "Copy a model into another project.",
            "put-project-policy": "Attach a policy to a project that says who may copy its models.",
            "list-project-policies": "List a project's policies.",
            "delete-project-policy": "Delete a project's policy.",
            "wait": "Wait until a model is trained or running.",
        },
    ),
    (
        "Tags",
        {
            "tag-resource": "Add tags to a project, a dataset or a model.",
            "untag-resource": "Remove tags.",
            "list-tags-for-resource": "List tags.",
        },
    ),
    (
        "Use",
        {
            "start-project-version": "Load a model and keep it ready for requests.",
            "stop-project-version": "Unload a running model.",
            "detect-custom-labels": "Find labels in an image with a running model.",
        },
    ),
)

LOCAL: dict[str, str] = {
    "compare": "Compare two trained versions on the test images they share.",
    "config": "Show and change settings, and explain where each comes from.",
    "dataset": "Bring labelled images in and out of other tools' formats, look at them, and check them.",
    "detect": "Find labels in many images with one model.",
    "doctor": "Look for what keeps rcl from working on this machine.",
    "draw": "Draw detected boxes and labels into an image.",
    "example": "Make an example project: images and manifests.",
    "export": "Take a trained model away, to run it without rcl.",
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

SUMMARIES: dict[str, str] = {name: text for _, group in GROUPS for name, text in group.items()}
