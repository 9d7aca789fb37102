"""What is inside a message that is encrypted or signed, layer by layer (RFC 8551 3, RFC 2634 1.1). Pure, on octets.

An enveloped layer is opened only where it is the whole message, or the whole of what a layer around it holds: a part
beside others never is, since readers join what parts say and so give away what was inside (EFAIL). What CBC gave back
is shown only where it is a whole MIME entity without a fault, and where no signature in it says that it was changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256

from gateway.mail.mime.part import Kind
from gateway.mail.mime.walk import Walk
from gateway.mail.opened import Layer, LayerKind, Opened, SignatureStatus
from gateway.smime.certificate import Certificate, Unreadable, of
from gateway.smime.cms.algorithms import AUTH_ENVELOPED_DATA, COMPRESSED_DATA, ENVELOPED_DATA, SIGNED_DATA
from gateway.smime.cms.enveloped import OpenedEnvelope, content_type, open_enveloped
from gateway.smime.cms.findings import Finding
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys
from gateway.smime.entity import Entity, Form, canonical, clear_signed, entity_of, is_pkcs7, is_signature, split
from gateway.smime.signer import claimed
from gateway.smime.structure import is_whole
from gateway.smime.trust import Trust
from gateway.smime.verification import Signed, Verifier
from gateway.world.chance import Chance

MAX_LAYERS: Final = 10  # A triple wrap has three; a list's and a gateway's own make five.

# Reasons beside those of `cms.findings` and `certificate`. They appear alike in log, trace, command line and tests.
NOT_THE_WHOLE_MESSAGE: Final = "not-the-whole-message"  # An encrypted part beside others: never opened.
TOO_MANY_LAYERS: Final = "too-many-layers"
ENCODING_BROKEN: Final = "encoding-broken"  # The base64 around the CMS object is damaged.
CONTENT_BROKEN: Final = "content-broken"  # What was decrypted is no whole MIME entity: it may have been changed.

_OTHERS: Final = {COMPRESSED_DATA: Finding.COMPRESSED}
_WRAPPED = re.compile(rb"pkcs7-mime|\.p7m", re.IGNORECASE)
_SIGNED = re.compile(rb"""[;\s]smime-type\s*=\s*"?(?:signed-data|certs-only)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Peeled:
    """One layer taken off. `inside` None: nothing below it is read. `is_loose`: it came out of a cipher that does not
    authenticate, and nothing below proves that nobody has changed it. `openers`: as `Opened` has them. `is_read`: its
    structure is broken, so that every reader finds in it what he can; whoever judges the message has to see it whole.
    """

    layers: tuple[Layer, ...]
    inside: bytes | None = field(repr=False)
    is_loose: bool = False
    openers: tuple[frozenset[str], ...] = ()
    is_read: bool = False


def may_be_wrapped(octets: bytes) -> bool:
    """Whether CMS may be in a message with the content inside, by its type or by its name; a quick look."""
    return _WRAPPED.search(octets) is not None


def open_message(
    octets: bytes,
    keys: DecryptionKeys,
    trust: Trust,
    now: float,
    chance: Chance,
    known: Sequence[Certificate] = (),
) -> Opened:
    """Open and verify all layers of a message, outermost first.

    `keys` are ours; `known`: certificates by which signers may be found beside those of the message; `now` in seconds
    since 1970. Without a layer `octets` are the message. Never raises. Takes some ms for each layer, and 10 ms for each
    MiB: beyond 100 KiB it belongs in a thread.
    """
    entity = entity_of(octets)
    verifier = Verifier(trust, known, claimed(entity.section), now)
    layers: list[Layer] = []
    openers: tuple[frozenset[str], ...] = ()
    is_loose = False
    depth = 0
    while entity.form is not Form.OTHER:
        depth += 1
        if depth > MAX_LAYERS:
            return Opened(layers=(*layers, _unopened(TOO_MANY_LAYERS)))
        peeled = _peel(entity, keys, verifier, chance, is_loose=is_loose)
        layers += peeled.layers
        openers += peeled.openers
        if peeled.inside is None:
            shown = _view(octets, entity) if peeled.is_read and depth > 1 else None  # The first is there as it came.
            return Opened(layers=tuple(layers), octets=shown, openers=openers)
        is_loose = peeled.is_loose
        entity = entity_of(peeled.inside)
    if not any(layer.status is SignatureStatus.BAD for layer in layers) and _has_stray(entity):
        return Opened(layers=(*layers, _unopened(NOT_THE_WHOLE_MESSAGE)))
    return Opened(layers=tuple(layers), octets=_view(octets, entity) if layers else octets, openers=openers)


def _peel(entity: Entity, keys: DecryptionKeys, verifier: Verifier, chance: Chance, *, is_loose: bool) -> _Peeled:
    if (
        not entity.is_plain
    ):  # What one reader opens is something else to the next, who finds in it what rules would miss.
        broken = (
            _bad(Finding.STRUCTURE_BROKEN) if entity.form is Form.CLEAR else _broken(entity, Finding.STRUCTURE_BROKEN)
        )
        return _Peeled((broken,), None, is_read=True)
    if entity.form is Form.CLEAR:
        return _clear(entity, verifier, is_loose=is_loose)
    try:
        der = entity.decoded()
    except ValueError:
        return _Peeled((_broken(entity, ENCODING_BROKEN),), None)
    kind = content_type(der)
    if kind == SIGNED_DATA:
        return _checked(verifier.opaque(der), is_loose=is_loose)
    if kind in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        found = open_enveloped(der, keys, chance)
        del der  # It is as large as what was inside.
        return _enveloped(found, is_loose=is_loose)
    finding = kind if isinstance(kind, Finding) else _OTHERS.get(kind, Finding.CONTENT_TYPE_UNKNOWN)
    return _Peeled((_broken(entity, finding),), None)


def _enveloped(found: OpenedEnvelope, *, is_loose: bool) -> _Peeled:
    recipient = None if found.key is None else _name(found.key)
    if found.content is None:
        return _Peeled((_unopened(found.finding, recipient, found.algorithm),), None)
    inside = canonical(found.content)
    if not found.authenticated and not is_whole(inside):
        return _Peeled((_unopened(CONTENT_BROKEN, recipient, found.algorithm),), None)
    reason = Finding.WEAK_ALGORITHM if found.weak else None  # Opened, but others could have read it too.
    layer = Layer(kind=LayerKind.ENVELOPED, ok=True, recipient=recipient, algorithm=found.algorithm, reason=reason)
    openers = frozenset([key.certificate.fingerprint(SHA256()).hex() for key in found.keys])
    return _Peeled((layer,), inside, is_loose=is_loose or not found.authenticated, openers=(openers,))


def _clear(entity: Entity, verifier: Verifier, *, is_loose: bool) -> _Peeled:
    """multipart/signed. Where it is broken everybody reads what he finds, so nothing is hidden from rules either."""
    parts = clear_signed(entity)
    if parts is None or not is_signature(parts.signature):
        return _Peeled((_bad(Finding.STRUCTURE_BROKEN),), None, is_read=True)
    try:
        der = parts.signature.decoded()
    except ValueError:
        return _Peeled((_bad(ENCODING_BROKEN),), None, is_read=True)
    signed = verifier.detached(der, parts.signed)
    if not parts.is_whole:  # What stands behind the signature is shown by readers and signed by nobody.
        return _Peeled((_bad(Finding.STRUCTURE_BROKEN), *signed.layers), None, is_read=True)
    return _checked(signed, is_loose=is_loose)


def _checked(signed: Signed, *, is_loose: bool) -> _Peeled:
    """What a signed layer holds; nothing where its signature shows that an encrypted content was changed."""
    if signed.content is None or (is_loose and signed.was_changed):
        return _Peeled(signed.layers, None)
    inside = canonical(signed.content)
    if is_loose and not signed.is_proven and not is_whole(inside):
        return _Peeled((*signed.layers, _unopened(CONTENT_BROKEN)), None)
    # A signature over it proves that nobody has changed it: whoever could make another one knows what is inside.
    return _Peeled(signed.layers, inside, is_loose=is_loose and not signed.is_proven)


def _has_stray(entity: Entity) -> bool:
    """Whether some part beside others is encrypted."""
    if entity.head.main not in (b"multipart", b"message"):
        return False
    walk = Walk()
    walk.feed(entity.octets)
    leaves = [part for part in walk.end().parts if part.kind is Kind.LEAF and part.body is not None]
    for part in leaves:
        if is_pkcs7(part.main, part.sub):
            inner = entity_of(entity.octets[part.start : part.end])
            try:
                kind = content_type(inner.decoded())
            except ValueError:
                continue
            if kind in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
                return True
    return False


def _view(message: bytes, entity: Entity) -> bytes:
    """The message as its reader sees it: the fields of the outside, the innermost entity."""
    outer = split(message)
    inner = split(entity.octets)
    fields, body = inner.inner, memoryview(entity.octets)[inner.body :]
    if not inner.inner and not entity.octets.startswith(b"\r\n"):
        # No entity but bare text, as some programs encrypt it; its first lines are no header section.
        fields, body = b"Content-Type: text/plain\r\n", memoryview(entity.octets)
    version = b"" if outer.has_version else b"MIME-Version: 1.0\r\n"
    return b"".join((outer.outer, version, fields, b"\r\n", body))


def _name(key: DecryptionKey) -> str:
    """The address of the certificate that opened it, else its subject."""
    try:
        certificate = of(key.certificate)
    except (Unreadable, ValueError):
        return key.certificate.subject.rfc4514_string()
    return certificate.addresses[0] if certificate.addresses else certificate.subject


def _broken(entity: Entity, reason: str) -> Layer:
    """A layer that can't be read, of the kind that its type names."""
    said = b"" if entity.head.content_type is None else entity.head.content_type.value
    return _bad(reason) if _SIGNED.search(said) else _unopened(reason)


def _unopened(reason: str | None, recipient: str | None = None, algorithm: str | None = None) -> Layer:
    return Layer(kind=LayerKind.ENVELOPED, ok=False, recipient=recipient, algorithm=algorithm, reason=reason)


def _bad(reason: str) -> Layer:
    return Layer(kind=LayerKind.SIGNED, status=SignatureStatus.BAD, reason=reason)
