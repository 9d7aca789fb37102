"""Imports go only downwards, and the contracts that say so do bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import CODE, ROOT


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=50)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the gateway that a test may spoil."""
    shutil.copytree(CODE, tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_only_downwards() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_import_upwards_is_found(copy: Path) -> None:
    (copy / "gateway/storage/upwards.py").write_text("import gateway.smtp\n")
    result = lint(copy)
    assert result.returncode == 1
    assert "gateway.storage.upwards -> gateway.smtp" in result.stdout


def test_a_package_without_a_place_is_found(copy: Path) -> None:
    (copy / "gateway/helpers").mkdir()
    (copy / "gateway/helpers/__init__.py").write_text("")
    result = lint(copy)
    assert result.returncode == 1
    assert "gateway.helpers" in result.stdout


def test_values_that_do_io_are_found(copy: Path) -> None:
    (copy / "gateway/mail/loud.py").write_text("import asyncio\n")
    result = lint(copy)
    assert result.returncode == 1
    assert "gateway.mail.loud -> asyncio" in result.stdout
