"""Which epoch of a training is kept."""

from __future__ import annotations

import pytest
import torch

from rcl_cli.backends.choosing import Choice


def kept(figures: list[float]) -> int:
    choice = Choice()
    for number, figure in enumerate(figures, 1):
        choice.add(figure, {"epoch": torch.tensor(number)})
    assert int(choice.kept.state["epoch"]) == choice.kept.epoch
    return choice.kept.epoch


def test_a_lucky_epoch_is_not_kept() -> None:
    assert kept([0.1, 0.3, 0.4, 0.62, 0.45, 0.5, 0.54, 0.55]) == 8


def test_one_that_gets_worse_for_good_is_kept_from_before() -> None:
    assert kept([0.1, 0.4, 0.6, 0.62, 0.6, 0.5, 0.4, 0.3]) == 5


def test_of_equals_the_last_is_kept() -> None:
    assert kept([0.5, 0.5, 0.5]) == 3
    assert kept([0.0, 0.0]) == 2
    assert kept([0.4]) == 1
    assert kept([0.6, 0.61, 0.605, 0.6]) == 4


def test_a_slow_fall_is_seen_from_the_peak() -> None:
    assert kept([0.6 - 0.005 * n for n in range(40)]) <= 4


def test_a_loss_that_runs_away_at_the_end_is_not_kept() -> None:
    assert kept([0.3, 0.5, 0.6, 0.6, 0.0]) == 4
    assert kept([0.01, 0.02, 0.5, 0.0]) == 3


def test_a_bad_epoch_between_good_ones_is_not_kept() -> None:
    assert kept([0.1, 0.2, 0.40, 0.25, 0.45]) == 5
    assert kept([0.1, 0.2, 0.40, 0.25]) == 3


def test_it_goes_on_where_it_was() -> None:
    figures = [0.2, 0.4, 0.7, 0.5, 0.52, 0.5, 0.45, 0.4]
    for parted in range(1, len(figures)):
        choice = Choice()
        for number, figure in enumerate(figures, 1):
            if number == parted + 1:
                choice = Choice.of(choice.as_state())
            choice.add(figure, {"epoch": torch.tensor(number)})
        assert choice.kept.epoch == kept(figures)


def test_without_epochs_there_is_nothing() -> None:
    assert not Choice()
    with pytest.raises(LookupError):
        _ = Choice().kept
