"""Where the newest head of the key-access log lies outside the database: one file, beside the vault or with the data.

Whoever cuts lines off the end of the log has to cut the heads there too; this one, and the line in the gateway's own
log, are out of the database's reach. Leaves out: places that no file can be (a token's objects).
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import orjson

from gateway.keys.access_head import MAX_OCTETS, BadHead, Head, from_told

FILE: Final = "key-log-head"
_VERSION: Final = 1


class HeadPlace(Protocol):
    """Keeps one head, outside the database. Every method blocks and raises OSError."""

    @property
    def name(self) -> str:
        """Where it is, for people."""

    def read(self) -> Head | None:
        """What is kept; None: nothing. Raises BadHead for what is damaged."""

    def keep(self, head: Head) -> None:
        """Keep it from now on, unless what is kept has a higher line."""

    def set_aside(self, line: int) -> str | None:
        """Keep nothing from now on; where the former head lies, for people."""


def read_head(path: Path) -> Head | None:
    """The head in the file at `path`; None where there is no file. Raises BadHead, OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # A pipe must not hold us up.
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor, not a path)
        octets = file.read(MAX_OCTETS + 1)
    if len(octets) > MAX_OCTETS:
        raise BadHead(f"{path} is longer than {MAX_OCTETS} octets: it holds no head of the key-access log")
    try:
        found = orjson.loads(octets)
    except ValueError:
        raise BadHead(f"{path} holds no head of the key-access log: it is no JSON") from None
    if not isinstance(found, dict) or found.get("v") != _VERSION:
        raise BadHead(f"{path} holds no head of the key-access log, or one that a newer gateway wrote")
    try:
        return from_told(found)
    except BadHead as error:
        raise BadHead(f"{path} holds no head of the key-access log: {error}") from None


def octets_of(head: Head) -> bytes:
    """A head as a file holds it."""
    return orjson.dumps({"v": _VERSION, **head.told()}) + b"\n"


class HeadPlaces:
    """Two places as one. The second is for a first one that can't be written, such as a vault that is mounted so."""

    def __init__(self, first: HeadPlace, second: HeadPlace) -> None:
        self._first = first
        self._second = second

    @property
    def name(self) -> str:
        """See HeadPlace."""
        return self._first.name

    def read(self) -> Head | None:
        """The newer of the two."""
        one, other = self._first.read(), self._second.read()
        if one is None or other is None:
            return one or other
        return one if one.line >= other.line else other

    def keep(self, head: Head) -> None:
        """See HeadPlace."""
        try:
            self._first.keep(head)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            self._second.keep(head)

    def set_aside(self, line: int) -> str | None:
        """See HeadPlace."""
        try:
            first = self._first.set_aside(line)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            first = None
        return self._second.set_aside(line) or first


class HeadFile:
    """A `HeadPlace` in a file of mode 0600 below `folder`, which is there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def __repr__(self) -> str:
        return f"HeadFile({str(self._path)!r})"

    @property
    def name(self) -> str:
        """See HeadPlace."""
        return str(self._path)

    def read(self) -> Head | None:
        """See HeadPlace."""
        return read_head(self._path)

    def keep(self, head: Head) -> None:
        """See HeadPlace. On disk when this returns; a crash leaves the old one or the new one."""
        with self._locked():
            try:
                former = self.read()
            except BadHead:
                former = None
            if former is not None and former.line >= head.line:
                return
            draft = self._path.with_name(f"{FILE}.new")  # Ours alone: we hold the lock.
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
                file.write(octets_of(head))
                file.flush()
                os.fsync(descriptor)
            draft.replace(self._path)
            self._sync()

    def set_aside(self, line: int) -> str | None:
        """See HeadPlace. `line`: of the log's line that says who did it, for the name."""
        with self._locked():
            aside = self._path.with_name(f"{FILE}.{line}")
            try:
                self._path.rename(aside)
            except FileNotFoundError:
                return None
            self._sync()
            return str(aside)

    def _sync(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Other processes, each with its own head, wait meanwhile."""
        lock = self._path.with_name(f"{FILE}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
