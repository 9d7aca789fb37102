"""The values of stored mailboxes. Times are seconds since 1970; sizes and quotas are octets.

Flags are one integer: the bits `SEEN` to `DRAFT` are the system flags (RFC 3501 2.3.2), bit `KEYWORD` + n is the n-th
of the folder's keywords.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16
RECENT: Final = 32  # Kept free: this store knows no \\Recent.
KEYWORD: Final = 8  # The bit of a folder's first keyword.
MOST_KEYWORDS: Final = 55  # Bits 8 to 62 of a signed number.
KEYWORD_OCTETS: Final = 100  # Of one keyword's name.
NAME_OCTETS: Final = 1000  # Of a folder's whole name, in UTF-8.
MOST_DEPTH: Final = 50  # Parts of a folder's name.
MOST_FOLDERS: Final = 5000  # In one mailbox.
MOST_NAMES: Final = 1000  # Aliases and catch-alls of one mailbox.

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"
CONTENT_ID: Final = 16  # Octets of a content's id.
BLOB_NAME: Final = 16  # Octets of a blob's name; as text it has twice as many hexadecimal digits.
SPECIAL: Final = {  # What a new mailbox has besides INBOX, and what each is for (RFC 6154 2).
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Trash": "\\Trash",
    "Junk": "\\Junk",
    "Archive": "\\Archive",
}


def content_id(now: float, drawn: bytes) -> bytes:
    """A new content's id of CONTENT_ID drawn octets, the first of which give way to the time (seconds since 1970).

    So new rows stand beside each other in the index of ids, and a commit writes few of its pages.
    """
    return int(now * 1000).to_bytes(6, "big") + drawn[6:CONTENT_ID]


class MailboxState(StrEnum):
    """`removing`: its names are free, and what it held is going. `removed`: all of it is gone, and nobody hears of it;
    its row alone stays until every UIDVALIDITY that it gave lies in the past.
    """

    READY = "ready"
    REMOVING = "removing"
    REMOVED = "removed"


class PolicyState(StrEnum):
    """`purging`: a custodian's order waits for its grace to end; `purged`: no copy of its key is left."""

    READY = "ready"
    PURGING = "purging"
    PURGED = "purged"


class NameKind(StrEnum):
    """What a name is to its mailbox."""

    ADDRESS = "address"
    ALIAS = "alias"
    CATCH_ALL = "catch_all"


class CopyKind(StrEnum):
    """Which key wraps a copy of a policy's key."""

    ROOT_A = "root_a"
    ROOT_B = "root_b"
    AVAILABILITY = "availability"


class FlagChange(StrEnum):
    """How flags are set (RFC 3501 6.4.6)."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A mailbox key under a policy's key (`policy` its id, None: under the domain key `mailboxes`).

    `policy_version` is that of the key which wraps it: the policy's, or 0.
    """

    version: int
    policy: int | None
    policy_version: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox. `next_key` is there while its contents are being wrapped anew; contents lie under one of the two.

    `used` counts each message's size, a copy's too; `messages` likewise.
    """

    id: int
    address: str
    account: str
    policy: int | None
    key: WrappedKey
    next_key: WrappedKey | None
    quota: int | None
    used: int
    messages: int
    created: float
    state: MailboxState


@dataclass(frozen=True, slots=True)
class MailboxName:
    """An address, an alias, or `*@` and a domain, and whose it is."""

    name: str
    kind: NameKind
    mailbox: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder. `modseq` is that of its last change (HIGHESTMODSEQ, RFC 7162 3.1.2.1)."""

    id: int
    mailbox: int
    name: str
    uid_validity: int
    uid_next: int
    modseq: int
    exists: int
    unseen: int
    special_use: str | None
    subscribed: bool
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One message in a folder. `content` is the content's id."""

    uid: int
    modseq: int
    flags: int
    date: float
    size: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """Messages of a folder by rising UID, 20 octets each: `uids` of type I, `flags` and `modseqs` of type q."""

    uids: array[int]
    flags: array[int]
    modseqs: array[int]

    def __len__(self) -> int:
        return len(self.uids)


@dataclass(frozen=True, slots=True)
class Measures:
    """For searching without any content, by rising UID: `dates` in seconds since 1970, `sizes` in octets, both of type
    q; `uids` of type I.
    """

    uids: array[int]
    dates: array[int]
    sizes: array[int]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a folder since a modseq: what is new or has other flags, what is gone, and the modseq now.

    Not `complete`: it is too long ago to tell what is gone; whoever asked looks at all entries anew.
    """

    entries: Entries
    expunged: tuple[int, ...]
    modseq: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FlagsSet:
    """Which messages have other flags now, and which had changed after `unchanged_since` and were left (RFC 7162)."""

    changed: Entries
    failed: tuple[int, ...]
    modseq: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied or moved: UIDs as they were and as they are in the target, in pairs (RFC 4315 3, COPYUID)."""

    uid_validity: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRow:
    """A message's octets: how many, in which blobs, and sealed under version `key_version` of the mailbox's key the map
    (which opens them) and the head (what a list of messages shows; may be empty).
    """

    id: bytes
    mailbox: int
    key_version: int
    size: int
    blobs: tuple[str, ...]
    map: bytes = field(repr=False)
    head: bytes = field(repr=False)
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """What is added to a folder. `flags` are system flags alone. `token` stands for the delivery that brings it: what
    came by that token before is not added again.
    """

    content: ContentRow
    date: float
    flags: int = 0
    keywords: tuple[str, ...] = ()
    token: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedCopy:
    """A policy's key under one of its roots or the availability key."""

    kind: CopyKind
    vault: str
    key: str
    key_version: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """A data encryption policy. `version` is that of its key; `edition` changes with every writing of the row.

    `custodian` is the public key (PEM) of whoever may order its end, `purge` what is known of such an order, and in the
    end the certificate: JSON values alone.
    """

    id: int
    name: str
    state: PolicyState
    version: int
    copies: tuple[WrappedCopy, ...]
    is_default: bool
    custodian: bytes | None
    created: float
    changed: float
    purge: Mapping[str, Any] | None = None
    edition: int = 0
