"""Octets that are ready to be sent, in the form of pymap's responses."""

from __future__ import annotations

from typing import Protocol

from pymap.bytes import WriteStream
from pymap.parsing.response import CommandResponse, ResponseCode, ResponseNo, ResponseOk, UntaggedResponse


class Wire(Protocol):
    """The connection, as commands see it."""

    async def send(self, octets: bytes) -> None:
        """Write, and wait until the client has taken most of it. Raises ConnectionError."""

    def release(self) -> None:
        """A command is done: forget what was read for it."""


class Ready(UntaggedResponse):
    """Any number of untagged responses, with their line ends. Empty ones say nothing."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self._octets = octets

    def write(self, writer: WriteStream) -> None:
        writer.write(self._octets)

    def __bytes__(self) -> bytes:
        return self._octets


def done(tag: bytes, text: bytes, code: bytes | None = None, *untagged: bytes) -> CommandResponse:
    """OK, behind untagged responses."""
    response = ResponseOk(tag, text, ResponseCode.of(code))
    if untagged:
        response.add_untagged(Ready(b"".join(untagged)))
    return response


def refused(tag: bytes, text: bytes, code: bytes | None = None, *untagged: bytes) -> CommandResponse:
    """NO, behind untagged responses."""
    response = ResponseNo(tag, text, ResponseCode.of(code))
    if untagged:
        response.add_untagged(Ready(b"".join(untagged)))
    return response
