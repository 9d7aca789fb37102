"""Faces: processes of their own that serve one door and no SMTP (DESIGN 4). The portal is one, mailbox access another.

Each has a place in the settings, a number above all workers, and a spool of that number, so that what it accepts or
sends is kept and delivered as a worker's is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.app.places import Places
from gateway.settings.imap import Imap
from gateway.settings.load import Loaded
from gateway.settings.portal import Portal
from gateway.settings.schema import Settings
from gateway.world.sockets import Socket


@dataclass(frozen=True, slots=True)
class Face:
    """`name` is its section in gateway.toml, and the process' name in logs; `number` that of its spool. `lasting` are
    the keys of the section that take a restart.
    """

    name: str
    number: int
    lasting: tuple[str, ...]
    _section: Callable[[Settings], Portal | Imap | None]

    def section(self, loaded: Loaded) -> Portal | Imap | None:
        """Its section; None where the settings have none, and so no such process."""
        return self._section(loaded.settings)

    def listen(self, loaded: Loaded) -> str | None:
        """HOST:PORT of its door."""
        section = self.section(loaded)
        return None if section is None else section.listen


# The numbers lie above all workers, of whom there are 64 at most.
PORTAL: Final = Face("portal", 900, ("listen", "minimum_tls", "max_connections"), lambda settings: settings.portal)
IMAP: Final = Face("imap", 901, ("listen", "minimum_tls"), lambda settings: settings.imap)
ALL: Final = (PORTAL, IMAP)


def faces(loaded: Loaded) -> tuple[Face, ...]:
    """Those that the settings have."""
    return tuple(face for face in ALL if face.section(loaded) is not None)


def named(name: str) -> Face:
    """The face of that name. Raises LookupError."""
    found = next((face for face in ALL if face.name == name), None)
    if found is None:
        raise LookupError(name)
    return found


def lasting(face: Face, old: Loaded, new: Loaded) -> tuple[tuple[str, object, object], ...]:
    """Each key of the face that can't change while it runs, with its value before and after."""
    was, is_ = face.section(old), face.section(new)
    if was is None or is_ is None:
        return ((face.name, was is None, is_ is None),)
    return tuple((f"{face.name}.{key}", getattr(was, key), getattr(is_, key)) for key in face.lasting)


def spool_numbers(loaded: Loaded, number: int, count: int) -> list[int]:
    """Of the process `number` beside `count` workers: its own spool first, then its share of those of processes that
    are no more. None on PostgreSQL, where all share one.
    """
    if loaded.is_shared:
        return []
    faced = [face.number for face in faces(loaded)]
    return [number, *Places.of(loaded).left_over(number, count, faces=faced)]


class Facing(Protocol):
    """What serves in the process of a face."""

    @property
    def failing(self) -> Mapping[str, str]:
        """What could not be renewed, by its key, for `gateway status`."""

    def sessions(self) -> dict[str, int]:
        """Connections at present, by the place where they came in."""

    async def open(self, door: Socket, tasks: asyncio.TaskGroup) -> None:
        """Serve on that socket. Raises OSError, BadSettings."""

    async def take(self) -> None:
        """Go by the settings and the policy of the moment. Raises OSError, BadSettings; then nothing has changed."""

    async def close(self, seconds: float) -> None:
        """End what is under way, within so many seconds."""
