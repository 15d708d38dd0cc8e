"""How far a training is."""

from __future__ import annotations

import time

import pytest

from rcl_cli.backends.pacing import Pace, warm_then_cosine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_by_steps(clock: list[float]) -> None:
    pace = Pace(10, None, is_bounded=False)
    clock[0] += 1e6
    assert [pace.share(step) for step in (0, 5, 10, 12)] == [0, 0.5, 1, 1]
    assert [pace.is_over(step) for step in (9, 10)] == [False, True]


def test_by_time_however_many_steps(clock: list[float]) -> None:
    pace = Pace(10, 100.0, is_bounded=False)
    clock[0] += 25
    assert pace.share(1000) == 0.25
    assert not pace.is_over(1000)
    clock[0] += 70
    assert not pace.is_over(0)
    assert pace.is_over(0, reserve_s=6)
    clock[0] += 10
    assert pace.share(0) == 1
    assert pace.is_over(0)


def test_by_whichever_is_further(clock: list[float]) -> None:
    pace = Pace(10, 100.0, is_bounded=True)
    clock[0] += 25
    assert pace.share(1) == 0.25
    assert pace.share(5) == 0.5
    assert pace.is_over(10)
    kept = pace.state()
    clock[0] += 1000
    again = Pace(10, 7.0, is_bounded=True)
    again.go_on(kept, again_s=4.0)
    # What was spent before, and what it took to get there again, of the budget that it had.
    assert again.share(2) == pytest.approx(0.29)
    assert Pace(0, 0.0, is_bounded=False).is_over(0)


def test_rates_rise_and_fall() -> None:
    shares = [share / 100 for share in range(101)]
    factors = [warm_then_cosine(share) for share in shares]
    assert max(factors) == pytest.approx(1)
    assert factors.index(max(factors)) == 10
    assert factors[:11] == sorted(factors[:11])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[0] > 0
    assert factors[-1] == pytest.approx(0.01)
