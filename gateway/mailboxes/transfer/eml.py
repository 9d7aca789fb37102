"""Folders of .eml files, a message each: those that `gateway mailbox export` writes, and any others.

    FOLDER/folder.json        version, mailbox, the folder's real name and UIDVALIDITY, keywords by UID
    FOLDER/0000000012,FS.eml  the message of UID 12; flags by Maildir's letters; the file's date is the message's

Only a name like the second one tells flags; any other file that ends with .eml is a message without.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from gateway.mailboxes.transfer.files import read_file, read_message
from gateway.mailboxes.transfer.found import Finding
from gateway.mailboxes.transfer.maildir import FLAGS
from gateway.storage.mailboxes.model import KEYWORD_OCTETS, MOST_KEYWORDS, NAME_OCTETS, SEPARATOR

VERSION: Final = 1
ABOUT: Final = "folder.json"
SUFFIX: Final = ".eml"
_ABOUT_OCTETS: Final = 64 << 20
_NAME: Final = re.compile(r"([0-9]{1,10})(?:,([A-Z]*))?\.eml")
_COMPONENT: Final = 180  # Letters of a folder's name on the disk; a longer one ends with a hash.
_DEPTH: Final = 20
_MAILDIR: Final = ("cur", "new", "tmp")  # Whatever folder has these in it would be taken for a Maildir.


def file_name(uid: int, flags: int) -> str:
    """That of a message."""
    letters = "".join(letter for letter, flag in sorted(FLAGS.items()) if flags & flag)
    return f"{uid:010},{letters}{SUFFIX}"


def uid_of(name: str) -> int | None:
    """The UID in a file's name, None where it is no such name."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


def folder_path(name: str) -> Path:
    """Where a folder's messages lie below the export's own folder: a name that leads nowhere else."""
    return Path(*(_component(part) for part in name.split(SEPARATOR)))


def _component(part: str) -> str:
    # A comma stands in files' names alone, a dot in front is hidden, and `.` and `..` lead elsewhere.
    safe = quote(part, safe=" @+=()&").replace(".", "%2E") or "%"
    if safe.lower() in _MAILDIR:
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) <= _COMPONENT:
        return safe
    return f"{safe[: _COMPONENT - 20]}~{sha256(part.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class About:
    """What folder.json says. `uid_validity`: of which folder the UIDs are (RFC 3501 2.3.1.1), `mailbox`: of which
    mailbox, by its id, since two that were made in one second have the same; None: it does not say.
    """

    name: str | None = None
    keywords: dict[int, tuple[str, ...]] = field(default_factory=dict)
    uid_validity: int | None = None
    mailbox: int | None = None

    def is_other(self, about: About) -> bool:
        """Whether UIDs mean other messages here than there."""
        return self.uid_validity not in (None, about.uid_validity) or self.mailbox not in (None, about.mailbox)

    @property
    def octets(self) -> bytes:
        return orjson.dumps(
            {
                "version": VERSION,
                "name": self.name,
                "mailbox": self.mailbox,
                "uid_validity": self.uid_validity,
                "keywords": {str(uid): list(words) for uid, words in self.keywords.items()},
            },
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )

    @classmethod
    def read(cls, folder: Path) -> About:
        """That of the folder; without such a file, or with one of another form, nothing is known. Blocks."""
        try:
            octets = read_file(folder / ABOUT, _ABOUT_OCTETS)
            if octets is None:
                return cls()
            facts: Any = orjson.loads(octets)
            if facts["version"] != VERSION or not isinstance(facts["name"], str):
                return cls()
            if not 0 < len(facts["name"].encode()) <= NAME_OCTETS:
                return cls()
            words = {int(uid): _words(words) for uid, words in facts["keywords"].items()}
            validity, mailbox = (
                one if isinstance(one, int) else None for one in (facts.get("uid_validity"), facts.get("mailbox"))
            )
            return cls(facts["name"], words, validity, mailbox)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()


def _words(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words[:MOST_KEYWORDS] if word.isascii() and 0 < len(word) <= KEYWORD_OCTETS)


def read_eml(path: Path) -> Finding:
    """One file, or every .eml file of the folder and of those below. Blocks; raises OSError."""
    if path.is_dir():
        yield from _read(path, path, None, 0)
        return
    yield read_message(path, path.name)


def has_eml(path: Path) -> bool:
    """Whether the folder, or one below, holds such a file. Blocks."""
    return any(path.rglob(f"*{SUFFIX}"))


def _read(top: Path, path: Path, name: str | None, depth: int) -> Finding:
    about = About.read(path)
    folder = about.name or name
    inner = []
    for file in sorted(path.iterdir()):
        if file.is_symlink() or file.name.startswith("."):
            continue
        if file.is_dir():
            inner.append(file)
        elif file.name.lower().endswith(SUFFIX):
            found = _NAME.fullmatch(file.name)
            flags = sum(FLAGS.get(letter, 0) for letter in set(found[2] or "")) if found else 0
            words = about.keywords.get(int(found[1]), ()) if found else ()
            yield read_message(file, str(file.relative_to(top)), folder=folder, flags=flags, keywords=words)
    if depth < _DEPTH:
        for one in inner:
            yield from _read(top, one, SEPARATOR.join([*([folder] if folder else []), one.name]), depth + 1)
