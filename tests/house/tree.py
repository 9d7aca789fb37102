"""The files of the house, as its tests look at them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "gateway"
_BUILT = {"var", "build", "dist", "__pycache__"}


def sources() -> list[Path]:
    """Every Python file of the gateway."""
    return sorted(path for path in CODE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    """`path` as the house speaks of it."""
    return path.relative_to(ROOT).as_posix()


def committed() -> list[Path]:
    """Every file that is committed or would be; outside a checkout, every file that was not built."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)
        if listed.returncode == 0:
            names = {name for name in listed.stdout.decode().split("\0") if name}
            return sorted(ROOT / name for name in names if (ROOT / name).is_file())
    return sorted(path for path in ROOT.rglob("*") if path.is_file() and not _is_built(path))


def _is_built(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    hidden = [part for part in parts if part.startswith(".") and part not in (".ci", ".gitignore")]
    return bool(hidden) or not _BUILT.isdisjoint(parts) or any(part.endswith(".egg-info") for part in parts)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file; of any other file none."""
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return []
