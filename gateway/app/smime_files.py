"""S/MIME by hand, on files, without settings and without a running gateway (`gateway smime open|seal`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.mail.opened import Opened
from gateway.smime.capabilities import cipher_for
from gateway.smime.certificate import Certificate, Identity, Purpose, Unreadable
from gateway.smime.certificate_file import MAX_FILE, Holding, read
from gateway.smime.cms.algorithms import WRITTEN
from gateway.smime.cms.findings import Unusable
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, Recipient, recipient
from gateway.smime.cms.signing import Signer
from gateway.smime.entity import canonical, entity_of
from gateway.smime.opening import open_message
from gateway.smime.sealing import encrypt, sign
from gateway.smime.trust import Trust
from gateway.world.chance import SystemChance

_PEM = b"-----BEGIN "
# A CMS object without a message around it, as `openssl cms -outform DER` writes it.
_BARE = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n"


class FileFault(Exception):
    """The text names the file and what would be right, for people; never a password, never a key."""


@dataclass(frozen=True, slots=True)
class Given:
    """A file with the octets that it holds."""

    path: Path
    octets: bytes


def message_of(octets: bytes) -> bytes:
    """The message in a file, whose lines may end as they do on disk. A bare CMS object counts as a message too."""
    if octets[:1] == b"\x30" and octets[1:2] >= b"\x80":
        return _BARE + octets
    entity = entity_of(octets)
    if entity.head.encoding == b"binary" and entity.body < len(octets):
        return octets  # Its line feeds are content.
    return canonical(octets)


def identities(files: Sequence[Given], passwords: Sequence[str]) -> tuple[Identity, ...]:
    """The private keys in these files, with their certificates. Raises FileFault.

    As many passwords as files: each file has its own; otherwise any password may open any file. A key and its
    certificate may lie in two PEM files.
    """
    found: list[Identity] = []
    loose: list[Given] = []
    for place, one in enumerate(files):
        mine = (passwords[place],) if len(passwords) == len(files) else tuple(passwords)
        try:
            holding = _read(one, mine)
        except FileFault:
            if _PEM not in one.octets or len(files) == 1:
                raise
            loose.append(one)
            continue
        found += holding.identities
        if not holding.identities:
            loose.append(one)
    if loose and all(_PEM in one.octets for one in loose):
        joined = Given(loose[0].path, b"\n".join(one.octets for one in loose))
        found += _read(joined, tuple(passwords)).identities
    if files and not found:
        raise FileFault(f"{files[0].path}: found no private key; right would be a PKCS#12 file, or PEM with both")
    return tuple(found)


def certificates(files: Sequence[Given]) -> tuple[Certificate, ...]:
    """All certificates in these files. Raises FileFault."""
    found: list[Certificate] = []
    for one in files:
        found += _read(one, ()).all
    return tuple(found)


def opened(
    message: bytes,
    keys: Sequence[Identity],
    anchors: Sequence[Certificate],
    now: float,
) -> Opened:
    """Open and verify all layers; `now` in seconds since 1970."""
    usable = []
    for one in keys:
        try:
            usable.append(DecryptionKey.of(one.certificate.x509, one.key))
        except Unusable:
            continue  # One that signs alone opens nothing, and may lie in the same file.
    known = (*anchors, *(one.certificate for one in keys))
    return open_message(message_of(message), DecryptionKeys(usable), Trust(anchors), now, SystemChance(), known)


def recipients(files: Sequence[Given], now: float) -> tuple[Certificate, ...]:
    """For whom to encrypt: of each file the certificates that may be encrypted for; authorities only where there is
    nobody else. Raises FileFault.
    """
    found: list[Certificate] = []
    for one in files:
        there = certificates([one])
        usable = [each for each in there if each.reason(Purpose.ENCRYPT, now) is None]
        usable = [each for each in usable if not each.is_ca] or usable
        if not usable:
            why = there[0].reason(Purpose.ENCRYPT, now)
            raise FileFault(f"{one.path}: found {there[0].subject}, {why}; right would be one that mail may be sent to")
        found += [each for each in usable if each not in found]
    return tuple(found)


def sealed(
    message: bytes,
    to: Sequence[Certificate],
    signers: Sequence[Identity],
    now: float,
    *,
    cipher: str | None,
    opaque: bool,
) -> bytes:
    """The message signed, encrypted, or signed and then encrypted. Raises FileFault."""
    message = message_of(message)
    if signers:
        message = sign(message, [_signer(one, now) for one in signers], now, opaque=opaque)
    if not to:
        return message
    chosen = WRITTEN[cipher] if cipher is not None else cipher_for(to)
    return encrypt(message, [_recipient(one) for one in to], chosen, SystemChance())


def _recipient(certificate: Certificate) -> Recipient:
    try:
        return recipient(certificate.x509)
    except Unusable as error:
        raise FileFault(f"{certificate.subject}: {error}; right would be an RSA, EC or X25519 certificate") from error


def _signer(one: Identity, now: float) -> Signer:
    certificate = one.certificate
    if (reason := certificate.reason(Purpose.SIGN, now)) is not None:
        raise FileFault(f"{certificate.subject}: found {reason}; right would be a certificate that may sign mail now")
    try:
        return Signer.of(certificate.x509, one.key, chain=[above.x509 for above in one.chain])
    except Unusable as error:
        raise FileFault(f"{certificate.subject}: {error}; right would be an RSA, EC or Ed25519 key") from error


def _read(one: Given, passwords: Sequence[str]) -> Holding:
    """What the file holds, by the first password that opens it. Raises FileFault."""
    if len(one.octets) > MAX_FILE:
        raise FileFault(f"{one.path}: found {len(one.octets)} octets; right would be a file of at most {MAX_FILE}")
    fault: Unreadable | None = None
    for password in (*passwords, *(() if passwords else (None,))):
        try:
            return read(one.octets, password)
        except Unreadable as error:
            fault = fault or error
    assert fault is not None  # noqa: S101 - the loop runs at least once
    raise FileFault(f"{one.path}: {fault}") from fault
