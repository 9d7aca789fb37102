"""A disk that is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tiny_disk(folder: Path, octets: int) -> Iterator[Path]:
    """`folder` as a file system of its own, of so many octets; what lay in it lies in it again, and does afterwards."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny file system needs root")
    kept = folder.with_name(folder.name + ".kept")
    shutil.copytree(folder, kept)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={octets},mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> Path:
    """Take all room but `left` octets; the file that takes it."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        block = b"\0" * 4096
        while shutil.disk_usage(folder).free > left:
            try:
                file.write(block)
                file.flush()
            except OSError:
                break
    return ballast
