"""The files that rules stand in, read once: what was judged is what works, whatever becomes of the files afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.rules.fault import Fault
from gateway.rules.flaw import BadValue

MAX_FILE: Final = 4 << 20  # Octets. A thousand rules with five thousand words take a tenth of it.
MAX_FILES: Final = 1_000
MAX_ALL: Final = 16 << 20  # Octets of all files: a supervisor holds them, and hands them to each worker.
TYPES: Final = "types"  # The folder below, for data types.
_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class RuleFile:
    """`name` is its path below the folder, such as `types/own.yaml`."""

    name: str
    text: str = field(repr=False)

    @property
    def is_types(self) -> bool:
        """Whether it holds data types."""
        return "/" in self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFiles:
    """What stands in `folder`, in the order in which it is read. `faults`: of files that can't be read; `warnings`: of
    what is overlooked.
    """

    folder: Path
    files: tuple[RuleFile, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def read_files(folder: Path) -> RuleFiles:
    """The files of `folder`. Reads from the disk: on an event loop call it in a thread."""
    faults: list[Fault] = []
    paths = _paths(folder, faults)
    if (folder / TYPES).is_dir():
        paths += _paths(folder / TYPES, faults)
    warnings = tuple(_overlooked(folder))
    files: list[RuleFile] = []
    left = MAX_ALL
    for path in paths:
        try:
            text = _text(path)
        except BadValue as error:
            flaw = error.flaws[0]
            faults.append(Fault(file=str(path), line=flaw.line, found=flaw.found, right=flaw.right))
            continue
        left -= len(text.encode())
        if left < 0:
            right = f"at most {MAX_ALL} octets in all files"
            faults.append(Fault(file=str(folder), found="more rules than can be handed to a worker", right=right))
            break
        files.append(RuleFile(path.relative_to(folder).as_posix(), text))
    return RuleFiles(folder=folder, files=tuple(files), faults=tuple(faults), warnings=warnings)


def kept_files(folder: Path, texts: Sequence[tuple[str, str]]) -> RuleFiles:
    """Files that were read before, by their names, whatever lies in `folder` now."""
    return RuleFiles(folder=folder, files=tuple([RuleFile(name, text) for name, text in texts]))


def _paths(folder: Path, faults: list[Fault]) -> list[Path]:
    """The files of rules in `folder`, in the order of their names; those that are hidden are an editor's."""
    right = "a folder with rules in *.yaml, which the gateway may read"
    try:
        found = sorted(path for path in folder.iterdir() if _is_rules(path))
    except OSError as error:
        what = "no such folder" if isinstance(error, FileNotFoundError) else f"that it can't be read: {error.strerror}"
        faults.append(Fault(file=str(folder), found=what, right=right))
        return []
    if len(found) > MAX_FILES:
        faults.append(Fault(file=str(folder), found=f"{len(found)} files", right=f"at most {MAX_FILES}"))
        return []
    return found


def _is_rules(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _overlooked(folder: Path) -> Iterator[Fault]:
    """Folders in `folder` with files that look like rules: nothing is read from there."""
    try:
        below = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != TYPES]
        for path in below:
            if not path.name.startswith(".") and any(_is_rules(one) for one in path.iterdir()):
                right = "rules in the folder above, or another name than *.yaml"
                yield Fault(file=str(path), found="rules from which none is read", right=right, severity="warning")
    except OSError:  # `_paths` tells what is wrong with the folder itself; others are none of ours.
        return


def _text(path: Path) -> str:
    """What the file holds. Raises BadValue."""
    try:
        if not path.is_file():
            raise BadValue("no file", "a file of YAML")
        with path.open("rb") as stream:
            octets = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise BadValue(f"that it can't be read: {error.strerror}", "a file that the gateway may read") from error
    if len(octets) > MAX_FILE:
        raise BadValue(f"more than {MAX_FILE} octets", "several files")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise BadValue("octets that are not UTF-8", "a file saved as UTF-8", line) from error
