"""Transparency of DATA (RFC 5321 4.5.2): a line that begins with a dot gets another one. Content is CR LF clean."""

from __future__ import annotations

from typing import Final

END: Final = b".\r\n"


def stuffed(octets: bytes) -> bytes:
    """A whole message as it goes over the wire, the final dot included."""
    if _has_line(octets):
        octets = octets.replace(b"\r\n.", b"\r\n..")
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets + (END if not octets or octets.endswith(b"\r\n") else b"\r\n" + END)


def _has_line(octets: bytes) -> bool:
    """Whether a line behind the first begins with a dot. Base64, most of a large message, has none to look at."""
    return octets.find(b"\r\n.", 0, octets.rfind(b".") + 1) >= 0


class Stuffing:
    """The same for a message in blocks, whose borders may lie anywhere."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # The last two octets that went before; a message begins at the start of a line.

    def block(self, octets: bytes) -> bytes:
        """The next block as it goes over the wire."""
        if not octets:
            return octets
        tail = self._tail
        self._tail = octets[-2:] if len(octets) > 1 else tail[-1:] + octets
        if _has_line(octets):
            octets = octets.replace(b"\r\n.", b"\r\n..")
        if tail == b"\r\n" and octets.startswith(b"."):
            return b"." + octets
        if tail.endswith(b"\r") and octets.startswith(b"\n."):
            return b"\n." + octets[1:]
        return octets

    def end(self) -> bytes:
        """What ends the message."""
        return END if self._tail == b"\r\n" else b"\r\n" + END
