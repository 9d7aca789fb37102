"""What is installed is pinned, with hashes, and the same for running and testing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(path: Path) -> dict[str, tuple[str, int]]:
    """Each package of a lock file with its version and its count of hashes."""
    joined = re.sub(r"\\\n", " ", path.read_text("utf-8"))
    found: dict[str, tuple[str, int]] = {}
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = re.match(r"([a-z0-9._-]+)==([^ ;]+)", line)
            assert match, f"{path.name}: not pinned: {line}"
            found[match[1]] = (match[2], line.count("--hash=sha256:"))
    return found


def wanted(names: list[str]) -> set[str]:
    return {re.split(r"[<>=~!\[; ]", name)[0].lower() for name in names}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_package_has_a_hash(path: Path) -> None:
    assert pins(path)
    assert [name for name, (_, hashes) in pins(path).items() if hashes == 0] == []


def test_running_and_testing_have_the_same_versions() -> None:
    run, test = pins(ROOT / "requirements/run.txt"), pins(ROOT / "requirements/test.txt")
    assert {name: pin for name, pin in test.items() if name in run} == run


def test_what_pyproject_wants_is_locked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    assert wanted(settings["build-system"]["requires"]) <= set(pins(ROOT / "requirements/build.txt"))
    assert wanted(project["dependencies"]) <= set(pins(ROOT / "requirements/run.txt"))
    assert wanted(project["optional-dependencies"]["test"]) <= set(pins(ROOT / "requirements/test.txt"))
