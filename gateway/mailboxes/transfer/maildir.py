"""Messages of a Maildir: files in `cur` and `new`, flags behind `:2,`; folders as Maildir++ or as a tree has them.

Maildir++ puts a folder `A/B` into `.A.B` beside cur and new; other programs into folders within folders. Names may be
in the modified UTF-7 of RFC 3501 5.1.3, as Dovecot writes them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.mailboxes.transfer.files import read_message
from gateway.mailboxes.transfer.found import Finding
from gateway.storage.mailboxes.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, SEPARATOR

FLAGS: Final = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
_INFO: Final = re.compile(r"[:;!]2,([A-Za-z]*)$")  # Windows has no colon in names.
_SHIFTED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_DEPTH: Final = 20  # Folders within folders.


def is_maildir(path: Path) -> bool:
    """Whether messages lie right there."""
    return (path / "cur").is_dir() or (path / "new").is_dir()


def read_maildir(path: Path) -> Finding:
    """Every message of it and of the folders below. Blocks; raises OSError."""
    for folder, place in sorted(_folders(path, 0), key=lambda one: one[0] or ""):
        for part in ("new", "cur"):
            if not (place / part).is_dir():
                continue
            for file in sorted((place / part).iterdir()):
                if file.name.startswith("."):
                    continue
                info = _INFO.search(file.name)
                flags = sum(FLAGS.get(letter, 0) for letter in set(info[1])) if info else 0
                yield read_message(file, str(file.relative_to(path)), folder=folder, flags=flags)


def _folders(path: Path, depth: int, name: str | None = None) -> Iterator[tuple[str | None, Path]]:
    if is_maildir(path):
        yield name, path
    if depth == _DEPTH:
        return
    for inner in path.iterdir():
        if inner.name in ("cur", "new", "tmp") or inner.is_symlink() or not inner.is_dir():
            continue
        parts = inner.name[1:].split(".") if inner.name.startswith(".") else [inner.name]
        decoded = [folder_name(part).replace(SEPARATOR, "_") for part in parts]
        if all(decoded):
            yield from _folders(inner, depth + 1, SEPARATOR.join([*([name] if name else []), *decoded]))


def folder_name(text: str) -> str:
    """`Entw&APw-rfe` as `Entwürfe`; what is not in that form stays as it is."""

    def plain(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        letters = found[1].replace(",", "/")
        try:
            return b64decode(letters + "=" * (-len(letters) % 4), validate=True).decode("utf-16-be")
        except ValueError:
            return found[0]

    return _SHIFTED.sub(plain, text)
