"""Envelopes: EnvelopedData (RFC 5652 6) with CBC and AuthEnvelopedData (RFC 5083, RFC 5084) with GCM, both ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.smime.cms import ber, der
from gateway.smime.cms.agreement import Agreement
from gateway.smime.cms.algorithms import (
    AUTH_ENVELOPED_DATA,
    CONTENT_CIPHERS,
    DATA,
    ENVELOPED_DATA,
    AlgorithmIdentifier,
    ContentCipher,
    Mode,
    Strength,
)
from gateway.smime.cms.content import Encryption, decrypted
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.smime.cms.identifiers import Identifier, read_identifier, read_issuer_and_serial
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, Recipient
from gateway.smime.cms.transport import unwrapped
from gateway.world.chance import Chance

MOST_TRIES: Final = 16  # Recipient infos that name keys of ours: each wrong one costs a decryption.
MOST_KEYS: Final = 48  # Such infos behind the one that opened it: each costs the use of a private key.


# -- sealing ----------------------------------------------------------------------------------------------------------


def seal_enveloped(content: bytes, recipients: Sequence[Recipient], cipher: ContentCipher, chance: Chance) -> bytes:
    """The content for these recipients, as ContentInfo in DER. CPU: 50 us for each RSA recipient, and the content's.

    Raises ValueError without recipients.
    """
    encryption, head = _begun(len(content), recipients, cipher, chance)
    return head + encryption.whole(content)


def seal_blocks(
    length: int,
    blocks: Iterable[bytes | memoryview],
    recipients: Sequence[Recipient],
    cipher: ContentCipher,
    chance: Chance,
) -> Iterator[bytes]:
    """The same, in pieces of 1 MiB at most, of content that comes in blocks of `length` octets in all.

    Raises ValueError, at the end, where the blocks have another length: what was given out by then is worthless.
    """
    encryption, head = _begun(length, recipients, cipher, chance)
    yield head
    yield from encryption.blocks(blocks)


def _begun(
    length: int, recipients: Sequence[Recipient], cipher: ContentCipher, chance: Chance
) -> tuple[Encryption, bytes]:
    """The encryption of so many octets, and all that stands before them."""
    if not recipients:
        raise ValueError("an envelope has at least one recipient")
    encryption = Encryption(cipher, length, chance)
    infos = der.set_of(*[one.info(encryption.key) for one in recipients])
    return encryption, _sealed_head(cipher, 2 if any(one.version for one in recipients) else 0, infos, encryption)


def _sealed_head(cipher: ContentCipher, version: int, infos: bytes, encryption: Encryption) -> bytes:
    """All that stands before the encrypted content, with the lengths of what is yet to come."""
    kind = ENVELOPED_DATA
    if cipher.mode is Mode.GCM:
        kind, version = AUTH_ENVELOPED_DATA, 0  # RFC 5083 2.1
    length = encryption.encrypted_length
    rest = length + encryption.length_behind
    inner = der.oid(DATA) + encryption.identifier + der.head(0x80, length)
    before = der.integer(version) + infos + der.head(der.SEQUENCE, len(inner) + length) + inner
    before = der.head(der.SEQUENCE, len(before) + rest) + before
    before = der.oid(kind) + der.head(0xA0, len(before) + rest) + before
    return der.head(der.SEQUENCE, len(before) + rest) + before


# -- opening ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEnvelope:
    """What came of opening. `content` is there exactly where `finding` is None.

    `algorithm`: of the content, as `aes256-cbc`, or its identifier; None where it was not found. `key` opened it,
    and `keys`, which it is among, are all of ours for which it was encrypted, as far as was looked.
    `content_type`: the identifier of what is inside, `algorithms.DATA` for mail. `authenticated`: by GCM; else whoever
    carried it could change what is read. `weak`: what is inside could be read by others.
    """

    finding: Finding | None = None
    content: bytes | None = field(default=None, repr=False)
    algorithm: str | None = None
    key: DecryptionKey | None = None
    keys: tuple[DecryptionKey, ...] = ()
    content_type: bytes = DATA
    authenticated: bool = False
    weak: bool = False


@dataclass(frozen=True, slots=True)
class _Envelope:
    """The members that opening needs."""

    infos: list[ber.Element]
    content_type: bytes
    algorithm: AlgorithmIdentifier
    encrypted: ber.Element
    authenticated: bool
    attributes: bytes  # What is authenticated beside the content, in DER.
    tag: bytes


def open_enveloped(octets: bytes | memoryview, keys: DecryptionKeys, chance: Chance) -> OpenedEnvelope:
    """Open EnvelopedData or AuthEnvelopedData with whichever key of ours it names. Never raises, whatever comes.

    Memory: twice the content beside `octets`. What CBC has is not authenticated, so a broken structure inside must
    not be shown to anybody (RFC 8551 6, EFAIL); that is for whoever reads it to see.
    """
    try:
        envelope = _read(octets)
    except Unreadable as error:
        return OpenedEnvelope(finding=error.finding)
    cipher = CONTENT_CIPHERS.get(envelope.algorithm.oid)
    known = OpenedEnvelope(
        algorithm=der.dotted(envelope.algorithm.oid) if cipher is None else cipher.name,
        content_type=envelope.content_type,
        authenticated=envelope.authenticated,
        weak=cipher is not None and cipher.strength is not Strength.GOOD,
    )
    # A cipher of the other kind is not read: who turns GCM into CBC could ask what its octets mean there (RFC 9709 1).
    if cipher is None or (cipher.mode is Mode.GCM) != envelope.authenticated:
        return _failed(known, Finding.ALGORITHM_UNKNOWN)
    finding = Finding.NO_RECIPIENT_OF_OURS
    try:
        every = _content_keys(envelope, cipher, keys, chance)
        for tries, (key, content_key) in enumerate(every, 1):
            if isinstance(content_key, Finding):
                finding = content_key
            else:
                try:
                    content = _content(envelope, cipher, content_key)
                except Unreadable as error:
                    finding = error.finding
                else:
                    return _opened(known, (key, *_others(every, content_key)), content)
            if tries >= MOST_TRIES:
                break
    except Unreadable as error:
        finding = error.finding
    return _failed(known, finding)


def _others(rest: Iterator[tuple[DecryptionKey, bytes | Finding]], content_key: bytes) -> list[DecryptionKey]:
    """Whose recipient infos bring the same content key. To be named in one proves nothing: whoever has got hold of a
    message may add an info that names himself, but not the key that he does not know.
    """
    found: list[DecryptionKey] = []
    try:
        for key, other in islice(rest, MOST_KEYS):
            if isinstance(other, bytes) and compare_digest(other, content_key):
                found.append(key)
    except Unreadable:
        pass  # What stands behind can't be read: those in front of it have opened it all the same.
    return found


def _opened(known: OpenedEnvelope, keys: tuple[DecryptionKey, ...], content: bytes) -> OpenedEnvelope:
    return OpenedEnvelope(
        content=content,
        algorithm=known.algorithm,
        key=keys[0],
        keys=keys,
        content_type=known.content_type,
        authenticated=known.authenticated,
        weak=known.weak,
    )


def _failed(known: OpenedEnvelope, finding: Finding) -> OpenedEnvelope:
    return OpenedEnvelope(finding=finding, algorithm=known.algorithm, content_type=known.content_type, weak=known.weak)


def content_info(octets: bytes | memoryview) -> tuple[bytes, ber.Element]:
    """The type of a ContentInfo and what it holds (RFC 5652 3). Raises Unreadable."""
    members = ber.read(octets).expect(der.SEQUENCE).members(most=2)
    if len(members) != 2:
        raise ber.broken()
    return members[0].oid(), members[1].expect(0xA0).only()


def content_type(octets: bytes | memoryview) -> bytes | Finding:
    """What kind of CMS these octets are, by identifier (`algorithms.SIGNED_DATA` and so on), or why they are none."""
    try:
        return content_info(octets)[0]
    except Unreadable as error:
        return error.finding


def _read(octets: bytes | memoryview) -> _Envelope:
    """EnvelopedData (RFC 5652 6.1) or AuthEnvelopedData (RFC 5083 2.1). Raises Unreadable."""
    kind, data = content_info(octets)
    if kind not in (ENVELOPED_DATA, AUTH_ENVELOPED_DATA):
        raise Unreadable(Finding.CONTENT_TYPE_UNKNOWN)
    members = data.expect(der.SEQUENCE).members(most=8)
    if len(members) < 3:
        raise ber.broken()
    members[0].integer()
    at = 2 if members[1].tag == 0xA0 else 1  # originatorInfo holds certificates for static ECDH
    if len(members) < at + 2:
        raise ber.broken()
    infos = members[at].expect(der.SET).members()
    inner = members[at + 1].expect(der.SEQUENCE).members(most=3)
    if len(inner) < 2:
        raise ber.broken()
    if len(inner) < 3:
        raise Unreadable(Finding.CONTENT_MISSING)
    if inner[2].tag & ~ber.CONSTRUCTED != 0x80:
        raise ber.broken()
    attributes, tag = b"", b""
    if kind == AUTH_ENVELOPED_DATA:
        behind = members[at + 2 :]
        if behind and behind[0].tag == 0xA1:
            # RFC 5083 2.2: authenticated under the tag of a SET, in DER.
            attributes = bytes((der.SET,)) + behind.pop(0).definite()[1:]
        if not behind or behind[0].tag & ~ber.CONSTRUCTED != der.OCTET_STRING:
            raise ber.broken()
        tag = behind[0].octets()
    algorithm = AlgorithmIdentifier.read(inner[1].expect(der.SEQUENCE))
    return _Envelope(infos, inner[0].oid(), algorithm, inner[2], kind == AUTH_ENVELOPED_DATA, attributes, tag)


def _content_keys(
    envelope: _Envelope, cipher: ContentCipher, keys: DecryptionKeys, chance: Chance
) -> Iterator[tuple[DecryptionKey, bytes | Finding]]:
    """For each recipient info that names a key of ours: the content key, or why there is none."""
    for info in envelope.infos:
        if info.tag == der.SEQUENCE:
            members = info.members(most=4)
            if len(members) != 4:
                raise ber.broken()
            algorithm: AlgorithmIdentifier | None = None
            for key in keys.find(read_identifier(members[1])):
                algorithm = algorithm or AlgorithmIdentifier.read(members[2].expect(der.SEQUENCE))
                yield key, _transported(key, algorithm, members[3].octets(), cipher, chance)
        elif info.tag == 0xA1:
            agreement = Agreement.read(info)
            for one in agreement.keys:
                members = one.expect(der.SEQUENCE).members(most=2)
                if len(members) != 2:
                    raise ber.broken()
                for key in keys.find(_agreeing(members[0])):
                    yield key, _agreed(key, agreement, members[1].octets(), cipher, chance)


def _agreeing(element: ber.Element) -> Identifier:
    """KeyAgreeRecipientIdentifier (RFC 5652 6.2.2)."""
    if element.tag == 0xA0:
        members = element.members(most=3)
        if not members:
            raise ber.broken()
        return Identifier(ski=members[0].octets())
    return read_issuer_and_serial(element.expect(der.SEQUENCE))


def _transported(
    key: DecryptionKey, algorithm: AlgorithmIdentifier, encrypted: bytes, cipher: ContentCipher, chance: Chance
) -> bytes | Finding:
    if not isinstance(key.private, RSAPrivateKey):
        return Finding.KEY_DOES_NOT_FIT
    try:
        return unwrapped(key.private, algorithm, encrypted, cipher.key_octets, chance)
    except Unreadable as error:
        return error.finding


def _agreed(
    key: DecryptionKey, agreement: Agreement, wrapped: bytes, cipher: ContentCipher, chance: Chance
) -> bytes | Finding:
    if isinstance(key.private, RSAPrivateKey):
        return Finding.KEY_DOES_NOT_FIT
    try:
        found = agreement.unwrapped(key.private, wrapped)
    except Unreadable as error:
        return error.finding
    # As with RSA: what does not fit fails at the content.
    return found if found is not None and len(found) == cipher.key_octets else chance.octets(cipher.key_octets)


def _content(envelope: _Envelope, cipher: ContentCipher, key: bytes) -> bytes:
    pieces = envelope.encrypted.pieces()
    return decrypted(cipher, envelope.algorithm, key, pieces, tag=envelope.tag, attributes=envelope.attributes)
