"""Surgical edits: which octets of a message are others, and everything between them as it came (DESIGN 1)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mail.mime.encode import Encoding


@dataclass(frozen=True, slots=True)
class Edit:
    """Octets `start` to `end` of a message leave either as `octets`, or in a transfer encoding, with `octets` behind.

    `start` and `end` are alike where something is put in.
    """

    start: int
    end: int
    octets: bytes = b""
    encoding: Encoding | None = None
