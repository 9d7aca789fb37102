"""What the ladder asks for, without CMS: who has a certificate, who signs, and each way in which it can't be had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from gateway.mail.address import Address, parse_address
from gateway.mail.envelope import Body, Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.terms import Otherwise, Smime, Terms, Wanted
from gateway.protect.reasons import Lack
from gateway.smime import certificate as facts
from gateway.smime.certificate import Certificate, Identity
from gateway.smime.selection import NO_CERTIFICATE, NO_SIGNING_IDENTITY, Choice, Known, Selection
from gateway.smime.trust import Trust
from tests.fakes.clock import FakeClock

CLIENT = Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None, user="ida")
SECRET = b"the plain words"
LETTER = (
    b"From: Ida <ida@corp.example>\r\nTo: Otto <otto@partner.example>, anna@partner.example\r\n"
    b"Subject: one\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + SECRET
    + b"\r\n"
)


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def identity_of(address: str, key: Key | None = None) -> Identity:
    """A certificate and its key, on P-256 where none is given: signed by itself, valid around the time of FakeClock."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    today = datetime.fromtimestamp(FakeClock().now(), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    )
    return Identity(
        facts.of(builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())), key
    )


class FakeMeans:
    """`Means`. Sealed messages say what was done to them in a field `X-Sealed`; their content is upside down.

    `lacks` and `signing`: what can't be had. `broken`: names of methods that raise. `asked` is what was sealed.
    """

    def __init__(self, *known: str) -> None:
        self.known: dict[str, Certificate] = {one: identity_of(one).certificate for one in known}
        self.signing: Identity | Lack = Lack(NO_SIGNING_IDENTITY)
        self.lacks: dict[str, Lack] = {}
        self.broken: set[str] = set()
        self.authors: tuple[Address, ...] = ()
        self.asked: list[tuple[str, ...]] = []

    def recipient(self, address: Address) -> Certificate | Lack:
        self._check("recipient")
        if (lack := self.lacks.get(address.text)) is not None:
            return lack
        return self.known.get(address.text, Lack(NO_CERTIFICATE))

    async def signer(self, authors: Sequence[Address]) -> Identity | Lack:
        self._check("signer")
        self.authors = tuple(authors)
        return self.signing

    def encrypt(self, octets: bytes, certificates: Sequence[Certificate]) -> bytes:
        self._check("encrypt")
        names = tuple(one.addresses[0] for one in certificates)
        self.asked.append(("encrypt", *names))
        return _wrapped(
            octets, b"application/pkcs7-mime; smime-type=enveloped-data", b"for " + " ".join(names).encode()
        )

    def sign(self, octets: bytes, identity: Identity) -> bytes:
        self._check("sign")
        name = identity.certificate.addresses[0]
        self.asked.append(("sign", name))
        kind = b'multipart/signed; protocol="application/pkcs7-signature"'
        return _wrapped(octets, kind, b"by " + name.encode(), turned=False)

    def is_encrypted(self, octets: bytes) -> bool:
        self._check("is_encrypted")
        return b"really enveloped" in octets

    def _check(self, name: str) -> None:
        if name in self.broken:
            raise ValueError(SECRET)


class FakeCertificates:
    """Those of these identities; `ours`: by which addresses we have the keys. `error` is raised for each key."""

    def __init__(self, clock: FakeClock, *identities: Identity, ours: tuple[Address, ...] = ()) -> None:
        self.clock = clock
        self.identities = {one.certificate.fingerprint: one for one in identities}
        known = [
            Known(one.certificate, one.certificate.addresses, has_key=one.certificate.addresses[0] in map(str, ours))
            for one in identities
        ]
        self.selection = Selection(known)
        self.trust = Trust(imported=[one.certificate for one in identities])
        self.error: Exception | None = None
        self.opened: list[str] = []

    def recipient(self, address: Address) -> Choice:
        return self.selection.recipient(address, self.clock.now())

    def signer(self, address: Address) -> Choice:
        return self.selection.signer(address, self.clock.now())

    def identity(self, known: Known) -> Identity:
        if self.error is not None:
            raise self.error
        self.opened.append(known.certificate.addresses[0])
        return self.identities[known.certificate.fingerprint]


def _wrapped(octets: bytes, kind: bytes, note: bytes, *, turned: bool = True) -> bytes:
    head, _, body = octets.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-")]
    return b"\r\n".join([*kept, b"X-Sealed: " + note, b"Content-Type: " + kind, b"", body[::-1] if turned else body])


def letter(
    *recipients: str,
    octets: bytes = LETTER,
    smime: Smime | None = Smime.ENCRYPT,
    otherwise: Otherwise = Otherwise.REJECT,
    wanted: bool = True,
    sender: str | None = "ida@corp.example",
    client: Client | None = CLIENT,
) -> Mail:
    """A copy that the rule `Partners` wants protected so."""
    found = Wanted(rule="Partners", smime=smime, otherwise=otherwise) if wanted else None
    return Mail(
        id="Q1",
        received=1000.0,
        envelope=Envelope(
            sender=None if sender is None else parse_address(sender),
            recipients=tuple(Recipient(parse_address(one)) for one in recipients),
            body=Body.EIGHT_BIT_MIME,
        ),
        message=Message(octets[:MAX_HEAD], Held(octets)),
        client=client,
        connector="submission",
        terms=Terms(wanted=found),
    )
