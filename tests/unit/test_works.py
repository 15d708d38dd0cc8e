"""What ended a work is told in one way, whatever it was."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from rcl_cli.errors import InvalidParameter, UsageError
from rcl_cli.local.works import trouble_of
from rcl_cli.operations.resources import NOT_FOUND
from rcl_cli.store.entry_files import EntriesGoneError
from tests.conftest import Home


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidParameter("A box has four numbers."), "A box has four numbers."),
        (UsageError("There are no images."), "There are no images."),
        (EntriesGoneError("abc"), NOT_FOUND),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "is full: make room on it"),
        (sqlite3.DatabaseError("odd"), "odd."),
    ],
)
def test_what_may_happen_is_told_in_words(
    error: Exception, told: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in trouble_of(home.context, error)
    assert capsys.readouterr().err == ""


def test_a_fault_of_rcl_stands_in_the_log(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert trouble_of(home.context, KeyError("name")) == "KeyError: 'name'"
    assert "KeyError: 'name'" in capsys.readouterr().err
