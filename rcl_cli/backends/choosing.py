"""Which epoch of a training is kept: the latest of those that do about as well as the best ones on held-out images.

A few held-out images make an epoch look better than its neighbours by chance, and learning rates fall towards the end,
so that later epochs are the better ones (bench/RESULTS.md): what three epochs in a row reach in the mean is good, and
of those that are the latest is kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

# An epoch that reaches so much of the level is as good.
_AS_GOOD = 0.98
State = dict[str, torch.Tensor]


class Kept(NamedTuple):
    """An epoch, counted from 1, its weights, and what whoever told of it wants to know later."""

    epoch: int
    state: State
    about: dict[str, Any]


class Choice:
    """Told of each epoch, keeps the weights of two at most."""

    def __init__(self) -> None:
        self._figures: list[float] = []
        # The best mean of three in a row: what one reaches by luck alone is above it.
        self._level = 0.0
        self._top: Kept | None = None
        self._kept: Kept | None = None

    def add(self, figure: float, state: State, **about: Any) -> None:
        """Tell of the next epoch.

        Args:
            figure: how good it is on held-out images; more is better, 0 is nothing.
            state: its weights, which nobody changes later.
            about: tensors, numbers and lists of them.
        """
        newest = Kept(len(self._figures) + 1, state, about)
        if self._top is None or figure >= self._figures[self._top.epoch - 1]:
            self._top = newest
        self._figures.append(figure)
        recent = self._figures[-3:]
        self._level = max(self._level, sum(recent) / len(recent)) if len(recent) == 3 else 0.0
        if self._is_good(newest):
            self._kept = newest
        elif self._kept is None or not self._is_good(self._kept):
            # The best one always is: no mean is above it.
            self._kept = self._top

    def _is_good(self, one: Kept) -> bool:
        return self._figures[one.epoch - 1] >= _AS_GOOD * self._level

    @property
    def kept(self) -> Kept:
        """What is to be kept, if the training ended now.

        Raises:
            LookupError: there was no epoch.
        """
        if self._kept is None:
            raise LookupError("there was no epoch")
        return self._kept

    def __bool__(self) -> bool:
        return self._kept is not None

    def as_state(self) -> dict[str, Any]:
        """What `of` needs."""
        kept = None if self._kept is None else list(self._kept)
        top = None if self._top is None else list(self._top)
        return {"figures": list(self._figures), "level": self._level, "kept": kept, "top": top}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Choice:
        found = cls()
        found._figures, found._level = list(state["figures"]), float(state["level"])
        found._kept = None if state["kept"] is None else Kept(*state["kept"])
        found._top = None if state["top"] is None else Kept(*state["top"])
        return found
