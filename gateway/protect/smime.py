"""S/MIME as the ladder and the stage `open` ask for it: certificates and keys that were imported, joined with CMS.

Leaves out: looking certificates up elsewhere (LDAP, harvesting).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from gateway.mail.address import Address
from gateway.mail.opened import Opened
from gateway.protect.opening import KeysAway
from gateway.protect.reasons import VAULT_AWAY, Lack
from gateway.protect.workroom import Workroom
from gateway.smime.capabilities import cipher_for
from gateway.smime.certificate import Certificate, Identity
from gateway.smime.cms import ber
from gateway.smime.cms.algorithms import AES256_GCM, SHA256, SHA384, SHA512, WRITTEN, Digest
from gateway.smime.cms.enveloped import open_enveloped
from gateway.smime.cms.findings import Finding, Unusable
from gateway.smime.cms.identifiers import Identifier
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, Recipient, recipient
from gateway.smime.cms.schemes import Kind, Scheme
from gateway.smime.cms.signing import MemoryKey, Signer
from gateway.smime.entity import Form, entity_of
from gateway.smime.opening import may_be_wrapped, open_message
from gateway.smime.sealing import encrypt, sign
from gateway.smime.selection import NO_CERTIFICATE, NO_SIGNING_IDENTITY, Choice, Known, Selection
from gateway.smime.terms import SmimeTerms
from gateway.smime.trust import Trust
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock

REMEMBERED: Final = 4096  # Recipients and signers made ready, all forgotten at once.
_DIGESTS: Final = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Certificates(Protocol):
    """What was imported, at this moment. Answers from memory, in any thread."""

    @property
    def selection(self) -> Selection:
        """All that is known."""

    @property
    def trust(self) -> Trust:
        """By whom signatures are judged."""

    def recipient(self, address: Address) -> Choice:
        """The certificate to encrypt for `address` now."""

    def signer(self, address: Address) -> Choice:
        """The identity that signs what `address` has written: his own, his domain's, else the setting's."""

    def identity(self, known: Known) -> Identity:
        """A certificate of ours with its private key. Raises KeysClosed, SealBroken."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """What does not change from message to message. `reads_gcm`: his certificate says that he reads AES-256-GCM."""

    recipient: Recipient
    reads_gcm: bool


class _Absent:
    """In place of a private key, in what is remembered."""

    def sign(self, data: bytes, scheme: Scheme) -> bytes:
        """A fault of ours: whoever signs puts the key in."""
        raise RuntimeError("nothing is signed without a key")


class Smime:
    """`Means` and `Opener` of one process. `terms` gives those of the moment."""

    def __init__(
        self, certificates: Certificates, terms: Callable[[], SmimeTerms], *, clock: Clock, chance: Chance
    ) -> None:
        self._certificates = certificates
        self._terms = terms
        self._clock = clock
        self._chance = chance
        self._ready: dict[str, _Ready] = {}  # By fingerprint.
        self._signers: dict[
            tuple[str, str], Signer
        ] = {}  # Likewise, without their keys: how long those stay is not ours to say.

    # -- Means --------------------------------------------------------------------------------------------------------

    def recipient(self, address: Address) -> Certificate | Lack:
        """See `Means`."""
        choice = self._certificates.recipient(address)
        return choice.certificate or Lack(choice.reason or NO_CERTIFICATE, passing=choice.passing)

    async def signer(self, authors: Sequence[Address]) -> Identity | Lack:
        """See `Means`."""
        reason = NO_SIGNING_IDENTITY
        for address in authors:
            choice = self._certificates.signer(address)
            if choice.passing:
                return Lack(choice.reason or NO_SIGNING_IDENTITY, passing=True)
            if choice.certificate is None or choice.known is None:
                reason = choice.reason or reason
                continue
            try:
                return self._certificates.identity(choice.known)
            except (KeysClosed, SealBroken):
                return Lack(VAULT_AWAY, passing=True)
        return Lack(reason)

    def encrypt(self, octets: bytes, certificates: Sequence[Certificate]) -> bytes:
        """See `Means`."""
        ready = [self._made_ready(one) for one in certificates]
        cipher = WRITTEN[self._terms().cipher]
        if all(one.reads_gcm for one in ready):
            cipher = AES256_GCM
        return encrypt(octets, [one.recipient for one in ready], cipher, self._chance)

    def sign(self, octets: bytes, identity: Identity) -> bytes:
        """See `Means`."""
        signer = self._signer(identity).with_key(MemoryKey(identity.key))
        return sign(octets, [signer], self._clock.now(), opaque=self._terms().sign_opaque)

    def is_encrypted(self, octets: bytes) -> bool:
        """See `Means`."""
        entity = entity_of(octets)
        if entity.form is not Form.CMS or not entity.is_plain:
            return False  # Text in the header section, which the next hop may take for the body's first lines.
        if entity.head.encoding == b"base64" and not _is_base64(octets[entity.body :]):
            return False  # Something stands beside it that a reader of base64 passes over.
        try:
            der = entity.decoded()
        except ValueError:
            return False
        # With no key at all whatever is whole, and encrypted for anybody, ends there. Under a cipher that keeps nobody
        # out it counts as clear, and is encrypted once more.
        opened = open_enveloped(der, DecryptionKeys(), self._chance)
        if opened.finding is not Finding.NO_RECIPIENT_OF_OURS or opened.weak:
            return False
        return not der[len(ber.read(der).raw) :].strip(b"\r\n")  # Nothing stands behind it.

    def _made_ready(self, certificate: Certificate) -> _Ready:
        ready = self._ready.get(certificate.fingerprint)
        if ready is None:
            if len(self._ready) >= REMEMBERED:
                self._ready.clear()
            # RSA PKCS #1 v1.5 brings keys no more where FIPS 140 counts (NIST SP 800-131A).
            sealed_to = recipient(certificate.x509, oaep=self._terms().fips)
            ready = _Ready(sealed_to, cipher_for((certificate,)) is AES256_GCM)
            self._ready[certificate.fingerprint] = ready
        return ready

    def _signer(self, identity: Identity) -> Signer:
        wanted = self._terms().digest
        mark = (identity.certificate.fingerprint, wanted)
        signer = self._signers.get(mark)
        if signer is None:
            if len(self._signers) >= REMEMBERED:
                self._signers.clear()
            chain = [one.x509 for one in identity.chain]
            signer = Signer.of(identity.certificate.x509, _Absent(), chain=chain)
            signer = self._signers[mark] = replace(signer, scheme=_with_digest(signer.scheme, _DIGESTS[wanted]))
        return signer

    # -- Opener -------------------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """See `Opener`."""
        return self._certificates.selection.has_keys or bool(self._certificates.trust.anchors)

    async def open(self, octets: bytes, work: Workroom) -> Opened | None:
        """See `Opener`."""
        if not self.is_on and not may_be_wrapped(octets):
            return None  # A signature beside what is signed hides nothing, and there is nobody to judge it by.
        certificates = self._certificates
        keys = _Ours(certificates)
        known = [one.certificate for one in certificates.selection.all]
        now = self._clock.now()
        job = partial(open_message, octets, keys, certificates.trust, now, self._chance, known)
        opened = await work.run(len(octets), job, slow=True)  # RSA and paths to anchors take milliseconds.
        if keys.away:
            raise KeysAway
        return opened


def _is_base64(body: bytes) -> bool:
    """Whether it is nothing but base64 in lines, with padding at its end alone: words are letters of it too."""
    letters = body.translate(None, b"\r\n\t ")
    bare = letters.rstrip(b"=")
    return len(letters) % 4 == 0 and len(letters) - len(bare) < 3 and not bare.translate(None, _BASE64)


def _with_digest(scheme: Scheme, digest: Digest) -> Scheme:
    """The scheme with that digest, where it leaves a choice: an elliptic curve's is never weaker than the curve, and
    Ed25519 and Ed448 have one of their own.
    """
    match scheme.kind:
        case Kind.RSA:
            return replace(scheme, digest=digest)
        case Kind.PSS:  # RFC 4055 3.1: a salt as long as the digest, which is used for the mask too.
            return replace(scheme, digest=digest, mask=digest, salt=digest.make().digest_size)
        case Kind.ECDSA:
            return (
                scheme
                if scheme.digest.make().digest_size >= digest.make().digest_size
                else replace(scheme, digest=digest)
            )
        case _:
            return scheme


class _Ours(DecryptionKeys):
    """Our keys, each opened only when a recipient info names it. `away`: one was named that can't be had now."""

    __slots__ = ("_certificates", "away")

    def __init__(self, certificates: Certificates) -> None:
        super().__init__()
        self._certificates = certificates
        self.away = False

    def __bool__(self) -> bool:
        return self._certificates.selection.has_keys

    def find(self, identifier: Identifier) -> list[DecryptionKey]:
        """See `DecryptionKeys`."""
        found: list[DecryptionKey] = []
        for known in self._certificates.selection.openers(identifier.serial, identifier.ski):
            try:
                identity = self._certificates.identity(known)
                key = DecryptionKey.of(identity.certificate.x509, identity.key)
            except (KeysClosed, SealBroken):
                self.away = True
                continue
            except Unusable:
                continue  # One that signs alone.
            if key.named.is_meant(identifier):
                found.append(key)
        return found
