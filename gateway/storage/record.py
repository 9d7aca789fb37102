"""Records: what a message leaves elsewhere, written with it in one commit of the spool and moved on from there (DESIGN 4).

Their first kind is the trace: events and what a message can be found by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.observe.events import Event, Found

TRACE = "trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`uid` is unique in all spools, so that moving a record twice leaves it there once."""

    message: str
    uid: int
    events: Sequence[Event]
    found: Found | None = None
