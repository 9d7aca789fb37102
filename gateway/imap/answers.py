"""What a fault is in words of IMAP: the only place where an exception becomes a response (RFC 5530 has the codes).

What is not known is a fault of ours: it may be tried again, and none of its words are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.faults import KeyBroken, MailboxClosed
from gateway.storage.mailbox_blobs import BlobsAway
from gateway.storage.mailboxes.faults import (
    FolderRefused,
    FolderThere,
    NoFolder,
    NoMailbox,
    OverQuota,
    TooManyKeywords,
)
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageAway, StorageBroken, StorageFull


class Refusal(Exception):
    """A command is not done: `NO` with this code and text, both for the client."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Bad(Exception):
    """A command that makes no sense: `BAD` with this text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Answer:
    """`word` is NO or BAD. `is_ours`: a fault that the log is to show whole."""

    word: bytes
    text: str
    code: str | None = None
    is_ours: bool = False

    @property
    def octets(self) -> bytes:
        """As it stands behind the tag: printable ASCII, on one line."""
        text = "".join(letter if " " <= letter <= "~" else "?" for letter in self.text)
        return self.word + (f" [{self.code}] " if self.code else " ").encode("ascii") + text.encode("ascii")


def answer_to(error: Exception) -> Answer:
    """What the client is told."""
    if isinstance(error, Bad):
        return Answer(b"BAD", error.text)
    if isinstance(error, Refusal):
        return Answer(b"NO", error.text, error.code)
    if isinstance(error, KeyBroken):
        return Answer(b"NO", f"{_sentence(error)}; the administrator's log says more", "CORRUPTION")
    if isinstance(error, MailboxClosed):
        return Answer(b"NO", _sentence(error), "UNAVAILABLE")
    if isinstance(error, Damaged):
        return Answer(b"NO", _sentence(error), "CORRUPTION")
    if isinstance(error, OverQuota):
        return Answer(b"NO", "The mailbox is full: delete messages, or ask for a larger quota", "OVERQUOTA")
    if isinstance(error, FolderThere):
        return Answer(b"NO", "There is a folder of that name already", "ALREADYEXISTS")
    if isinstance(error, NoFolder):
        return Answer(b"NO", "There is no such folder", "NONEXISTENT")
    if isinstance(error, NoMailbox):
        return Answer(b"NO", "This mailbox is no more", "NONEXISTENT")
    if isinstance(error, FolderRefused):
        return Answer(b"NO", _sentence(error), "CANNOT")
    if isinstance(error, TooManyKeywords):
        return Answer(b"NO", _sentence(error), "LIMIT")
    if isinstance(error, StorageFull):
        return Answer(b"NO", "There is no room left on the server; please try again later", "UNAVAILABLE", is_ours=True)
    if isinstance(error, StorageBroken | SealBroken | KeysClosed | BlobsAway | TimeoutError):
        text = "A part of the server does not answer; please try again later"
        # A database or keys that are away were told once, by who keeps the connection or the keys.
        return Answer(b"NO", text, "UNAVAILABLE", is_ours=not isinstance(error, StorageAway | KeysClosed))
    return Answer(b"NO", "Something failed here; please try again later", "SERVERBUG", is_ours=True)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
