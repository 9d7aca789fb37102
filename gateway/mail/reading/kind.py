"""What kind of message one is, for those who ask (Exchange's MessageTypeMatches)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from gateway.mail.reading.attachment import Attachment
from gateway.mail.reading.header import ReadField
from gateway.mail.reading.structure import Leaf, Structure
from gateway.mail.reading.transfer import decoded_blocks

# Object identifiers as DER: signed-data, enveloped-data (RFC 5652), authEnveloped-data (RFC 5083).
_SIGNED: Final = bytes.fromhex("06092a864886f70d010702")
_ENVELOPED: Final = bytes.fromhex("06092a864886f70d010703")
_AUTH_ENVELOPED: Final = bytes.fromhex("060b2a864886f70d0109100117")
_RIGHTS_TYPES: Final = frozenset(("application/x-microsoft-rpmsg-message",))
_APPROVAL: Final = "x-ms-exchange-organization-approval-"
_TELLING: Final = frozenset(
    (
        "auto-submitted", "x-auto-response-suppress", "content-class", "autoforwarded", "message-context",
        "x-ms-exchange-inbox-rules-loop",
    )
)  # fmt: skip


class MessageKind(StrEnum):
    """The names are those that rules use."""

    OOF = "oof"
    AUTO_FORWARD = "auto_forward"
    ENCRYPTED = "encrypted"
    CALENDARING = "calendaring"
    PERMISSION_CONTROLLED = "permission_controlled"
    VOICEMAIL = "voicemail"
    SIGNED = "signed"
    APPROVAL_REQUEST = "approval_request"
    READ_RECEIPT = "read_receipt"


def kinds_of(
    fields: Sequence[ReadField], structure: Structure, attachments: Sequence[Attachment]
) -> frozenset[MessageKind]:
    """The kinds that a message is, by its header, parts and files. What attached messages are does not count."""
    found = set(_by_header(fields))
    types = {node.type.name for node in structure.nodes if not node.within}
    types |= {leaf.type.name for leaf in structure.leaves if not leaf.within}
    if "multipart/encrypted" in types:
        found.add(MessageKind.ENCRYPTED)
    if "multipart/signed" in types:
        found.add(MessageKind.SIGNED)
    if "text/calendar" in types:
        found.add(MessageKind.CALENDARING)
    if "multipart/voice-message" in types:
        found.add(MessageKind.VOICEMAIL)
    if "message/disposition-notification" in types:
        found.add(MessageKind.READ_RECEIPT)
    if "multipart/report" in types:
        found.discard(MessageKind.OOF)  # Reports are automatic too, and no answers.
    for leaf in structure.leaves:
        if not leaf.within:
            found |= _by_content(leaf)
    for file in attachments:
        if file.type in _RIGHTS_TYPES or any(name.lower() == "message.rpmsg" for name in file.names):
            found.add(MessageKind.PERMISSION_CONTROLLED)
        if not file.within and any(name.lower().endswith((".p7m", ".p7z")) for name in file.names):
            found |= _by_cms(next(iter(file.blocks()), b""))
    return frozenset(found)


def _by_header(fields: Sequence[ReadField]) -> Iterator[MessageKind]:
    values: dict[str, str] = {}
    for field in fields:
        if field.name in _TELLING or field.name.startswith(_APPROVAL):
            values.setdefault(field.name, field.text.strip().lower())
            if field.name.startswith(_APPROVAL):
                yield MessageKind.APPROVAL_REQUEST
    submitted = values.get("auto-submitted", "").partition(";")[0].partition("(")[0].strip()
    suppressed = values.get("x-auto-response-suppress", "")
    if submitted == "auto-replied" or (submitted.startswith("auto-") and ("all" in suppressed or "oof" in suppressed)):
        yield MessageKind.OOF
    if (
        submitted == "auto-forwarded"
        or "x-ms-exchange-inbox-rules-loop" in values
        or values.get("autoforwarded") == "true"
    ):
        yield MessageKind.AUTO_FORWARD
    content = values.get("content-class", "")
    if "calendarmessage" in content:
        yield MessageKind.CALENDARING
    if content.startswith("rpmsg"):
        yield MessageKind.PERMISSION_CONTROLLED
    if "voice" in content or values.get("message-context") == "voice-message":
        yield MessageKind.VOICEMAIL
    if "approval" in content:
        yield MessageKind.APPROVAL_REQUEST


def _by_content(leaf: Leaf) -> set[MessageKind]:
    """S/MIME that is opaque, and PGP that stands in the text."""
    found: set[MessageKind] = set()
    if leaf.type.sub in (b"pkcs7-mime", b"x-pkcs7-mime"):
        for said in leaf.type.parameters.octets(b"smime-type"):
            if b"enveloped" in said.lower():
                found.add(MessageKind.ENCRYPTED)
            elif said.lower().startswith(b"signed"):
                found.add(MessageKind.SIGNED)
        # Where nothing is said, and because what is said need not be so.
        found |= _by_cms(next(iter(decoded_blocks(leaf.source, leaf.start, leaf.end, leaf.encoding)), b""))
    elif leaf.source.find(b"-----BEGIN PGP ", leaf.start, leaf.end) >= 0:
        if leaf.source.find(b"-----BEGIN PGP MESSAGE-----", leaf.start, leaf.end) >= 0:
            found.add(MessageKind.ENCRYPTED)
        if leaf.source.find(b"-----BEGIN PGP SIGNED MESSAGE-----", leaf.start, leaf.end) >= 0:
            found.add(MessageKind.SIGNED)
    return found


def _by_cms(octets: bytes) -> set[MessageKind]:
    """What a CMS structure says that it is, within its first octets (RFC 5652 3)."""
    beginning = octets[:64]
    if _ENVELOPED in beginning or _AUTH_ENVELOPED in beginning:
        return {MessageKind.ENCRYPTED}
    return {MessageKind.SIGNED} if _SIGNED in beginning else set()
