"""No room."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw

SIZE = 32 << 20  # Octets of the whole file system.


@contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """`folder` as a file system of its own; what lay in it lies in it again."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tiny file system needs root")
    kept = folder.with_name(folder.name + ".kept")
    shutil.copytree(folder, kept)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """Take all room but `left` octets."""
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


def send(gateway: Gateway, mark: str, size: int) -> str:
    """The last reply."""
    with Raw(gateway.port, seconds=30) as client:
        client.hello()
        said = client.ask("MAIL FROM:<ida@corp.example>")
        if not said.startswith("250"):
            return said
        said = client.ask("RCPT TO:<otto@partner.example>")
        if not said.startswith("250"):
            return said
        said = client.ask("DATA")
        if not said.startswith("354"):
            return said
        line = b"x" * 76 + b"\r\n"
        client.send(f"Subject: {mark}\r\n\r\n".encode() + line * (size // len(line)))
        return client.ask(".")


@pytest.mark.parametrize(
    ("min_free", "left", "size"),
    [(8 << 20, 4 << 20, 4096), (0, 200 << 10, 1 << 20), (0, 0, 4096)],
    ids=["below min_free", "no room for a large one", "no room at all"],
)
def test_a_full_disk_answers_452_and_stores_nothing(
    make_gateway: Callable[..., Gateway], min_free: int, left: int, size: int
) -> None:
    with ExitStack() as stack:
        hop = stack.enter_context(Hop({"MAIL": "451 4.3.0 later"}))
        gateway = make_gateway(HOP=hop.port, MIN_FREE=min_free)
        disk = stack.enter_context(tiny_disk(gateway.folder / "data"))
        stack.callback(gateway.stop)
        gateway.start()
        assert send(gateway, "before", 4096).startswith("250")
        ballast = fill(disk, left)
        time.sleep(1.2)  # The room that is left is looked at once a second.
        for _ in range(3):
            assert send(gateway, "refused", size).startswith("452 4.3.1 ")
        ballast.unlink()
        until(lambda: send(gateway, "after", size).startswith("250"), "room to be noticed", 15)
        assert len(gateway.queue()) == 2
        hop.healthy()
        subjects = [got.octets.split(b"Subject: ")[1].split(b"\r\n")[0] for got in hop.wait(2)]
        assert sorted(subjects) == [b"after", b"before"]
        gateway.drained()
        assert not list((gateway.folder / "data").rglob("*.tmp"))
