"""Processes of rcl's own modules: from any folder, with the modules that this process has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import rcl_cli
from rcl_cli import child


@pytest.mark.parametrize("has_path", [True, False])
def test_they_run_this_rcl_and_find_what_pythonpath_names(
    has_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the one in the folder that they are started in."""
    (tmp_path / "rcl_cli").mkdir()
    (tmp_path / "rcl_cli" / "__init__.py").write_text("raise SystemExit('another rcl')")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "said.py").write_text("import rcl_cli; print(rcl_cli.__file__)")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if has_path:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "more"))
    done = subprocess.run(
        child.command("said"), env=child.environment(MORE="x"), cwd=tmp_path, capture_output=True, text=True
    )
    if has_path:
        assert (done.returncode, done.stdout.strip()) == (0, rcl_cli.__file__)
    else:
        assert "No module named said" in done.stderr
    assert child.environment(MORE="x")["MORE"] == "x"
