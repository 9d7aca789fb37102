"""How one process of ours starts another: the same interpreter and the same code, wherever it is started from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gateway
from gateway.world.notify import NAMES


def command(*arguments: str) -> list[str]:
    """The command line of `gateway` with these arguments. No shell."""
    return [*python(), "gateway", *arguments]


def python() -> list[str]:
    """What stands in front of the name of a module that is run. No shell."""
    # -P: without it, whatever lies in the folder in which somebody typed `gateway serve` would be imported before us.
    # no_debug_ranges: a MiB less in each process; by columns of source lines nobody looks anything up here.
    return [sys.executable, "-P", "-X", "no_debug_ranges", "-m"]


def environment() -> dict[str, str]:
    """The environment for `command`: it finds this very package, installed or not."""
    ours = str(Path(gateway.__file__).absolute().parents[1])
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != ours]
    # The service's manager listens to the first process alone.
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    return {**inherited, "PYTHONPATH": os.pathsep.join([ours, *others])}


def confined_environment() -> dict[str, str]:
    """The same for a process that looks at what strangers made: where this package is, and nothing else."""
    return {"PYTHONPATH": environment()["PYTHONPATH"], "LANG": "C.UTF-8"}
