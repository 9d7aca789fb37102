"""What kind of files a path holds, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.mailboxes.transfer.eml import SUFFIX, has_eml, read_eml
from gateway.mailboxes.transfer.found import BadSource, Finding, Found
from gateway.mailboxes.transfer.maildir import is_maildir, read_maildir
from gateway.mailboxes.transfer.mbox import Form, read_mbox


def read_source(path: Path, form: Form = Form.MBOXRD, *, told: Callable[[int], None] = lambda octets: None) -> Finding:
    """The messages of an mbox file, a Maildir, an .eml file or a folder of such. Blocks.

    `told` is given the octets that were read so far. Raises BadSource, OSError; so does the reading itself.
    """
    if path.is_dir():
        if is_maildir(path) or any(is_maildir(inner) for inner in path.iterdir() if inner.is_dir()):
            return _counted(read_maildir(path), told)
        if has_eml(path):
            return _counted(read_eml(path), told)
        raise BadSource(f"{path} is no Maildir (cur, new) and holds no {SUFFIX} file")
    if not path.exists():
        raise BadSource(f"there is no {path}")
    if path.suffix.lower() == SUFFIX:
        return _counted(read_eml(path), told)
    return read_mbox(path, form, told=told)


def _counted(finding: Finding, told: Callable[[int], None]) -> Finding:
    octets = 0
    for one in finding:
        if isinstance(one, Found):
            octets += len(one.octets)
            told(octets)
        yield one


def octets_of(path: Path) -> int:
    """Octets of the file, or of all files below the folder. Blocks; raises OSError."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
