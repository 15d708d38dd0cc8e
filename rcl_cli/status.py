"""Statuses of the API's resources, and the sets of them that matter together.

Plain strings, not an enum: they go as they are into SQLite, JSON and YAML, and cost nothing when a command starts.
"""

from __future__ import annotations

from typing import Final


class VersionStatus:
    """Where a project version stands; DEPRECATED and EXPIRED are the service's alone."""

    TRAINING_IN_PROGRESS: Final = "TRAINING_IN_PROGRESS"
    TRAINING_COMPLETED: Final = "TRAINING_COMPLETED"
    TRAINING_FAILED: Final = "TRAINING_FAILED"
    COPYING_IN_PROGRESS: Final = "COPYING_IN_PROGRESS"
    COPYING_COMPLETED: Final = "COPYING_COMPLETED"
    COPYING_FAILED: Final = "COPYING_FAILED"
    STARTING: Final = "STARTING"
    RUNNING: Final = "RUNNING"
    FAILED: Final = "FAILED"
    STOPPING: Final = "STOPPING"
    STOPPED: Final = "STOPPED"
    DELETING: Final = "DELETING"


class DatasetStatus:
    """Where a dataset stands. Those in progress do not occur here: changes are made inside the call."""

    CREATE_IN_PROGRESS: Final = "CREATE_IN_PROGRESS"
    CREATE_COMPLETE: Final = "CREATE_COMPLETE"
    CREATE_FAILED: Final = "CREATE_FAILED"
    UPDATE_IN_PROGRESS: Final = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE: Final = "UPDATE_COMPLETE"
    UPDATE_FAILED: Final = "UPDATE_FAILED"
    DELETE_IN_PROGRESS: Final = "DELETE_IN_PROGRESS"


class FeedbackState:
    """Where an image stands that a model answered about: whether people judged the answers, and how."""

    WAITING: Final = "WAITING"
    RIGHT: Final = "RIGHT"
    WRONG: Final = "WRONG"
    CORRECTED: Final = "CORRECTED"


# A process makes the model.
MAKING = (VersionStatus.TRAINING_IN_PROGRESS, VersionStatus.COPYING_IN_PROGRESS)
# A process serves it, or is about to, or is ending.
HOSTED = (VersionStatus.STARTING, VersionStatus.RUNNING, VersionStatus.STOPPING)
# A process is at work.
WORKED_ON = (*MAKING, *HOSTED)
# There is no model and there will be none.
WITHOUT_MODEL = (VersionStatus.TRAINING_FAILED, VersionStatus.COPYING_FAILED)
# There is a model that may be started.
STARTABLE = (
    VersionStatus.TRAINING_COMPLETED,
    VersionStatus.COPYING_COMPLETED,
    VersionStatus.STOPPED,
    VersionStatus.FAILED,
)
# There is a model.
TRAINED = (*STARTABLE, *HOSTED)
# Nothing is at work, so it may go.
DELETABLE = (*STARTABLE, *WITHOUT_MODEL)

# What a dataset may be copied from.
COPYABLE = (DatasetStatus.CREATE_COMPLETE, DatasetStatus.UPDATE_COMPLETE, DatasetStatus.UPDATE_FAILED)
CHANGING = (DatasetStatus.CREATE_IN_PROGRESS, DatasetStatus.UPDATE_IN_PROGRESS, DatasetStatus.DELETE_IN_PROGRESS)

# Nothing of it is in a dataset.
UNENTERED = (FeedbackState.WAITING, FeedbackState.WRONG)
