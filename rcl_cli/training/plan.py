"""What every training plan shares, whatever the family."""

from __future__ import annotations

HOLDOUT_SHARE = 0.1
MOST_EPOCHS = 10_000


def default_patience(epochs: int) -> int:
    """Epochs without improvement before stopping; schedules that decay do best near their end."""
    return max(10, epochs // 2)


def patience(asked: int | None, epochs: int, time_budget_s: float | None) -> int:
    """As `default_patience`, but who gives a training so much time wants it used."""
    if asked is not None:
        return asked
    return MOST_EPOCHS if time_budget_s is not None else default_patience(epochs)
