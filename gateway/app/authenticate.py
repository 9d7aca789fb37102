"""Judging one message by hand, without settings and without a running gateway (`gateway authenticate`)."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.authenticate.dkim.verify import Verifier
from gateway.mail.authentication import Authentication
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.world.clock import SystemClock
from gateway.world.dns import SystemNames
from gateway.world.zone_file import ZoneNames

TIMEOUT = 10.0  # Seconds for a question to the DNS.
_BARE = re.compile(rb"\r\n|\r|\n")


def message_of(octets: bytes) -> Message:
    """The message in a file, where lines may end as they do on disk; on the wire they end in CR LF."""
    octets = _BARE.sub(b"\r\n", octets)
    return Message(octets[:MAX_HEAD], Held(octets))


async def authenticate(message: Message, zone: Path | None) -> Authentication:
    """What is found out about `message`; `zone` is a file of records in place of the DNS. Raises ZoneFault, OSError."""
    clock = SystemClock()
    if zone is not None:
        return await Verifier(ZoneNames(zone), clock).verify(message)
    names = SystemNames([], TIMEOUT, clock)
    try:
        return await Verifier(names, clock).verify(message)
    finally:
        await names.close()
