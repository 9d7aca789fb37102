"""Which gateway this is: its version, and a mark of the files that it was started from.

After an update of the files the command line is the new one, and the gateway that runs the old one until it is
restarted. Each says which it is, so that what only one of the two knows is not taken for a fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import gateway
from gateway import __version__

VERSION: Final = "version"  # In a question and in its answer.
MARK: Final = "files"  # In an answer. Versions of one number may differ, where they come of a repository.

_RESTART: Final = "`systemctl restart gateway`, or stop `gateway serve` and start it again"


@dataclass(frozen=True, slots=True)
class Build:
    """What the command line and the gateway that runs tell each other of themselves."""

    version: str
    mark: str

    @property
    def facts(self) -> dict[str, str]:
        """As they stand in each answer."""
        return {VERSION: self.version, MARK: self.mark}

    def to_older(self, question: Mapping[str, Any]) -> str | None:
        """What a command of a version that says nothing of itself has to be told beside a fault."""
        if VERSION in question:
            return None  # It compares by itself.
        return (
            f"the running gateway is version {self.version}, and the command that asked is of an older one: use the "
            "`gateway` that is installed with it"
        )


def difference(answer: Mapping[str, Any]) -> str | None:
    """What whoever asked has to know, where the answer is of another version than this. None: it is of the same."""
    version = answer.get(VERSION)
    if version is None:
        told = f"the running gateway is of an older version, this command is version {__version__}"
    elif version != __version__:
        told = f"the running gateway is version {version}, this command is version {__version__}"
    elif answer.get(MARK) != mark():
        told = f"the running gateway was started from other files than this command has, both of version {__version__}"
    else:
        return None
    return (
        f"{told}; what only one of them knows fails until both are the same. After an update of the files restart the "
        f"gateway: {_RESTART}"
    )


def own() -> Build:
    """This process's. Reads the names of the package's files, once: a gateway is what it was started from."""
    return Build(__version__, mark())


@cache
def mark() -> str:
    """Changes with the names and sizes of the package's files. Blocks for some milliseconds."""
    files = sorted(_files(Path(gateway.__file__).parent, Path()))
    return sha256(repr(files).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _files(folder: str | Path, below: Path) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == "__pycache__":
                continue  # Python writes there as it runs.
            if entry.is_dir():
                yield from _files(entry.path, below / entry.name)
            else:
                yield str(below / entry.name), entry.stat().st_size
