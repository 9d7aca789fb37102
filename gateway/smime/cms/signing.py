"""Making signatures: SignedData (RFC 5652 5), with the content beside it or inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.smime.cms import attributes, der
from gateway.smime.cms.algorithms import DATA, SIGNED_DATA, Digest
from gateway.smime.cms.findings import Unusable
from gateway.smime.cms.identifiers import Named
from gateway.smime.cms.schemes import Scheme, scheme_for, signs_by_pss_alone

_VERSION: Final = 1  # RFC 5652 5.1: content of type data, attributes of certificates none, signers by issuer and serial
_VERSION_BY_SKI: Final = 3


class SigningKey(Protocol):
    """A private key that signs, wherever it lies. It may block; it raises what its place raises (a vault: KeyFault)."""

    def sign(self, data: bytes, scheme: Scheme) -> bytes:
        """A signature over `data` in that scheme: ECDSA's in DER, the others' as they are."""


class MemoryKey:
    """A private key in this process' memory."""

    __slots__ = ("_private", "_sign")

    def __init__(self, private: object) -> None:
        """Raises Unusable for a key that does not sign."""
        if (sign := _signs(type(private))) is None:  # type: ignore[arg-type]  # Classes are hashable, whatever mypy says.
            raise Unusable("a key of this kind signs no mail")
        self._private = private
        self._sign = sign

    def __repr__(self) -> str:
        return "MemoryKey()"

    def __reduce__(self) -> str:
        raise TypeError("private keys are not pickled: they must not leave the process")

    def sign(self, data: bytes, scheme: Scheme) -> bytes:
        return self._sign(self._private, data, scheme)


def _signs_rsa(private: rsa.RSAPrivateKey, data: bytes, scheme: Scheme) -> bytes:
    return private.sign(data, scheme.padding, scheme.digest.make())


def _signs_ecdsa(private: ec.EllipticCurvePrivateKey, data: bytes, scheme: Scheme) -> bytes:
    return private.sign(data, _ecdsa(scheme.digest))


def _signs_alone(private: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey, data: bytes, scheme: Scheme) -> bytes:
    return private.sign(data)


@lru_cache(maxsize=16)
def _ecdsa(digest: Digest) -> ec.ECDSA:
    return ec.ECDSA(digest.make())


@lru_cache(maxsize=64)  # To ask this of abstract classes takes a twelfth of a signature by P-256.
def _signs(kind: type) -> Callable[[Any, bytes, Scheme], bytes] | None:
    """How a private key of that class signs; None for one that does not."""
    if issubclass(kind, rsa.RSAPrivateKey):
        return _signs_rsa
    if issubclass(kind, ec.EllipticCurvePrivateKey):
        return _signs_ecdsa
    return _signs_alone if issubclass(kind, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else None


@dataclass(frozen=True, slots=True)
class Signer:
    """One who signs. Worth keeping: what does not change between messages is ready in it."""

    scheme: Scheme
    key: SigningKey = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)  # His own, then those above it, in DER.
    identifier: bytes = field(repr=False)
    version: int = field(repr=False)
    told: tuple[bytes, ...] = field(repr=False)  # The attributes that are the same each time.

    @classmethod
    def of(
        cls,
        certificate: x509.Certificate,
        key: SigningKey | object,
        *,
        chain: Iterable[x509.Certificate] = (),
        pss: bool = False,
        by_ski: bool = False,
        encryption: x509.Certificate | None = None,
        capabilities: bytes = attributes.OUR_CAPABILITIES,
    ) -> Signer:
        """`key`: a private key of `cryptography`, or one elsewhere. `chain` goes into each signature.

        `encryption`: the certificate to which answers are to be encrypted, None: none is told. `capabilities` in DER
        (RFC 8551 2.5.2), empty: none. Raises Unusable for a certificate or key that signs no mail.
        """
        named = Named.of(certificate)
        try:
            scheme = scheme_for(certificate.public_key(), pss=pss or signs_by_pss_alone(certificate))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Unusable("its public key can't be used here") from error
        octets = certificate.public_bytes(Encoding.DER)
        told = [attributes.signing_certificate(octets, named)]
        if capabilities:
            told.append(attributes.attribute(attributes.CAPABILITIES, capabilities))
        if encryption is not None:
            told.append(attributes.key_preference(Named.of(encryption)))
        inside = [octets, *(one.public_bytes(Encoding.DER) for one in chain)]
        if encryption is not None:
            inside.append(encryption.public_bytes(Encoding.DER))  # Or nobody can answer to it.
        return cls(
            scheme=scheme,
            key=_signing_key(key),
            certificates=tuple(dict.fromkeys(inside)),
            identifier=der.element(0x80, named.ski) if by_ski else named.issuer_and_serial(),
            version=_VERSION_BY_SKI if by_ski else _VERSION,
            told=tuple(told),
        )

    def with_key(self, key: SigningKey) -> Signer:
        """The same, who signs with that key."""
        return Signer(  # `replace` takes three times that, for each message.
            self.scheme, key, self.certificates, self.identifier, self.version, self.told
        )

    @property
    def micalg(self) -> str:
        """For the parameter of multipart/signed (RFC 8551 3.5.3.2)."""
        return self.scheme.digest.name

    def info(self, digest: bytes, now: float | None) -> bytes:
        """The signer info over content of that digest, in DER. What the key's place raises."""
        before, behind = _told(self.told, len(digest), None if now is None else int(now))
        signed = before + digest + behind
        signature = der.octet_string(self.key.sign(signed, self.scheme))
        # RFC 5652 5.4: signed as a SET, sent as [0]
        return der.element(
            der.SEQUENCE,
            _named(self.version, self.identifier, self.scheme.digest.identifier),
            b"\xa0",
            signed[1:],
            self.scheme.identifier,
            signature,
        )


@lru_cache(maxsize=64)  # Of one second there are hundreds.
def _told(told: tuple[bytes, ...], length: int, now: int | None) -> tuple[bytes, bytes]:
    """The SET of attributes in DER, up to the content's digest of `length` octets, and from there on. Where the digest
    stands does not hang on what it is: the attributes differ in octets before that.
    """
    placeholder = attributes.attribute(attributes.MESSAGE_DIGEST, der.octet_string(bytes(length)))
    made = [attributes.CONTENT_IS_DATA, placeholder, *told]
    if now is not None:
        made.append(attributes.signing_time(now))
    signed = der.set_of(*made)
    at = signed.index(placeholder) + len(placeholder)
    return signed[: at - length], signed[at:]


@lru_cache(maxsize=64)
def _named(version: int, identifier: bytes, digest: bytes) -> bytes:
    """What a signer info begins with."""
    return der.integer(version) + identifier + digest


@lru_cache(maxsize=64)
def _set_of(*parts: bytes) -> bytes:
    """`der.set_of` of what is the same in each signature: certificates, digests."""
    return der.set_of(*parts)


def _signing_key(key: object) -> SigningKey:
    """One elsewhere as it is; the keys of `cryptography` have a `sign` too, each with other arguments."""
    if type(key).__module__.startswith("cryptography.") or not hasattr(key, "sign"):
        return MemoryKey(key)
    return cast("SigningKey", key)


def sign(
    content: bytes | memoryview | Sequence[bytes | memoryview],
    signers: Sequence[Signer],
    *,
    now: float | None,
    detached: bool = True,
) -> bytes:
    """SignedData over the content (in one block or several) as ContentInfo in DER, all signers in one.

    `detached`: the content stays outside (multipart/signed), else it is inside. `now`: seconds since 1970 for the
    signing time, None: none is told. Raises ValueError without a signer, and what a key's place raises.
    """
    if not signers:
        raise ValueError("nobody is there to sign")
    blocks = [content] if isinstance(content, (bytes, memoryview)) else content
    digests = {one.scheme.digest.oid: one.scheme.digest for one in signers}
    found = {oid: digest.of(blocks) for oid, digest in digests.items()}
    infos = der.set_of(*[one.info(found[one.scheme.digest.oid], now) for one in signers])
    certificates = dict.fromkeys(octets for one in signers for octets in one.certificates)
    before = der.integer(max([one.version for one in signers]))
    before += _set_of(*[digest.identifier for digest in digests.values()])
    behind = b"\xa0" + _set_of(*certificates)[1:] + infos
    if detached:
        return _whole(before + der.sequence(der.oid(DATA)), (), 0, behind)
    length = sum(map(len, blocks))
    inside = der.head(der.OCTET_STRING, length)
    inside = der.oid(DATA) + der.head(0xA0, len(inside) + length) + inside
    return _whole(before + der.head(der.SEQUENCE, len(inside) + length) + inside, blocks, length, behind)


def _whole(before: bytes, blocks: Iterable[bytes | memoryview], length: int, behind: bytes) -> bytes:
    """ContentInfo around SignedData, whose content is joined in once."""
    rest = length + len(behind)
    before = der.head(der.SEQUENCE, len(before) + rest) + before
    before = der.oid(SIGNED_DATA) + der.head(0xA0, len(before) + rest) + before
    return b"".join((der.head(der.SEQUENCE, len(before) + rest), before, *blocks, behind))
