"""How many workers a host has: more for who is busy for long, fewer for who is idle for longer."""

from __future__ import annotations

from rcl_cli.inference.scaling import Scaling


def test_a_host_grows_only_after_a_while_of_full_hands() -> None:
    scaling = Scaling(1, 3, 0.0)
    assert [scaling.decide([20], now) for now in (0.0, 0.5, 0.9, 1.0)] == [0, 0, 0, 1]
    # The new one must have had time to take its share, and to get ready before.
    assert scaling.decide([20, None], 1.5) == 0
    assert scaling.decide([20, 20], 2.1) == 0
    assert scaling.decide([20, 20], 2.6) == 1
    assert [scaling.decide([20, 20, 20], now) for now in (4.0, 9.0)] == [0, 0], "more than the most"


def test_a_short_rush_does_not_count() -> None:
    scaling = Scaling(1, 3, 0.0)
    assert [scaling.decide([load], now) for load, now in ((20, 0.6), (0, 1.2), (20, 1.8))] == [0, 0, 0]


def test_a_host_that_is_idle_for_long_shrinks_to_its_least() -> None:
    scaling, workers, changes = Scaling(1, 3, 0.0), 3, []
    for tick in range(400):
        if change := scaling.decide([0] * workers, tick / 2):
            workers += change
            changes.append(tick / 2)
    assert (workers, changes) == (1, [30.0, 60.0])
