"""What conditions and actions of several parts hold. Values; `gateway.rules.shapes` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from gateway.mail.address import Address
from gateway.mail.terms import Otherwise, Smime


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses from `first` to `last`, both included, as numbers; `version` 4 or 6. `text` is as it was written."""

    version: int
    first: int
    last: int
    text: str

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether `address` is one of them; an IPv4 address inside IPv6 (RFC 4291 2.5.5.2) counts as what it is."""
        if isinstance(address, IPv6Address) and (inner := address.ipv4_mapped) is not None:
            address = inner
        return address.version == self.version and self.first <= int(address) <= self.last


@dataclass(frozen=True, slots=True)
class HeaderWords:
    """Words, any of them, in a header field of that name (lower case)."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderPatterns:
    """Patterns of RE2, any of them, in a header field of that name (lower case)."""

    name: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedData:
    """So many distinct values of the data type `name`, each with a confidence (1 to 100) between the two bounds.

    `max_count` None: no upper bound.
    """

    name: str
    min_count: int = 1
    max_count: int | None = None
    min_confidence: int = 1
    max_confidence: int = 100


@dataclass(frozen=True, slots=True)
class WantedResult:
    """An authentication result: one of `verdicts` (words of RFC 8601 2.7) for `method` (`dkim`)."""

    method: str
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedSmime:
    """What `apply_smime` asks for, and what becomes of a recipient for whom it can't be had."""

    what: Smime
    otherwise: Otherwise = Otherwise.REJECT


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a client reads after 550: an enhanced code (RFC 3463), 5.7.1 or 5.7.900 to 5.7.999, and a text."""

    text: str
    code: str = "5.7.1"


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A header field to be set: its name as it shall be written, and its value, decoded and on one line."""

    name: str
    value: str


class Location(StrEnum):
    """Where a disclaimer stands."""

    APPEND = "append"
    PREPEND = "prepend"


class Fallback(StrEnum):
    """What becomes of a message that a disclaimer can't be put into."""

    WRAP = "wrap"
    IGNORE = "ignore"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Disclaimer:
    """HTML with %%tokens%% of the sender."""

    text: str
    location: Location = Location.APPEND
    fallback: Fallback = Fallback.WRAP


class NotifyMode(StrEnum):
    """Whether the sender's mail goes on when he is told, and which override of his lets it go on."""

    NOTIFY_ONLY = "notify_only"
    REJECT_MESSAGE = "reject_message"
    REJECT_UNLESS_FALSE_POSITIVE_OVERRIDE = "reject_unless_false_positive_override"
    REJECT_UNLESS_SILENT_OVERRIDE = "reject_unless_silent_override"
    REJECT_UNLESS_EXPLICIT_OVERRIDE = "reject_unless_explicit_override"


@dataclass(frozen=True, slots=True)
class SenderNotice:
    """What the sender is told. `text` "": a sentence of ours; `code` is that of a refusal."""

    mode: NotifyMode
    text: str = ""
    code: str = "5.7.1"


class ReportItem(StrEnum):
    """What an incident report may hold."""

    SENDER = "sender"
    RECIPIENTS = "recipients"
    SUBJECT = "subject"
    CC = "cc"
    BCC = "bcc"
    SEVERITY = "severity"
    OVERRIDE = "override"
    RULE_DETECTIONS = "rule_detections"
    FALSE_POSITIVE = "false_positive"
    DATA_CLASSIFICATIONS = "data_classifications"
    ID_MATCH = "id_match"
    ATTACH_ORIGINAL_MAIL = "attach_original_mail"


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """To whom a report goes, and what it holds."""

    to: Address
    content: tuple[ReportItem, ...]
