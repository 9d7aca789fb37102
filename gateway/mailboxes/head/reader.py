"""Reads a message's form while its octets come, so that a large one is never in memory as a whole."""

from __future__ import annotations

from gateway.mailboxes.head.head import Head
from gateway.mailboxes.head.scan import Scan


class HeadReader:
    """Made for one message: `feed` it all octets in order, in pieces as they come, then ask `end` for its head."""

    def __init__(self) -> None:
        self._scan = Scan()

    def feed(self, octets: bytes) -> None:
        """Take the next octets."""
        self._scan.feed(octets)

    def end(self) -> Head:
        """The head, after the last octet. To be called once."""
        return Head.of_parts(self._scan.end())
