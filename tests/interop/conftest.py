"""Interoperation: other people's programs read what we write, over other people's messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def with_cr_lf(octets: bytes) -> bytes:
    """As a client would send the file: each of its line ends is CR LF, and the last line has one too."""
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


@pytest.fixture(scope="session")
def mime_messages(corpus: Path) -> dict[str, bytes]:
    """The corpus of messages by their files' names, as a client would send them."""
    found = {path.name: with_cr_lf(path.read_bytes()) for path in sorted((corpus / "mime").glob("*"))}
    if not found:
        pytest.skip(f"{corpus} has no messages in mime/")
    return found
