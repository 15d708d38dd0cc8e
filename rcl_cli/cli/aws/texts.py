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

SUMMARIES: dict[str, str] = {name: text for _, group in GROUPS for name, text in group.items()}
