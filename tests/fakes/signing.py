"""Keys that sign, in a vault without a file, and dkimpy as the judge of what is signed with them."""

from __future__ import annotations

import dkim

from gateway.authenticate.dkim.publish import record_name, record_text
from gateway.authenticate.signing import Signing, SigningKeys, Terms
from gateway.keys.vault import KeyType
from gateway.mail.address import parse_address
from gateway.mail.envelope import Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.storage.dkim_keys import Algorithm, DkimKey, Use
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault

TYPES = {Algorithm.RSA: KeyType.RSA_2048, Algorithm.ED25519: KeyType.ED25519}
LETTER = (
    b"Received: from a.example\r\n\tby b.example\r\nFrom: Ida Berg <ida@corp.example>\r\nTo: otto@partner.example\r\n"
    b"Subject: one\r\n two \r\nDate: Tue, 3 Nov 2026 09:12:00 +0100\r\nMessage-ID: <c0ffee@corp.example>\r\n\r\n"
    b"Hello,  Otto. \r\n\r\nIda\r\n\r\n\r\n"
)


def key_of(
    vault: FakeVault,
    domain: str = "corp.example",
    selector: str = "s1",
    algorithm: Algorithm = Algorithm.ED25519,
    use: Use = Use.ACTIVE,
) -> DkimKey:
    """A new key in `vault`, and what is known of it."""
    name = f"dkim.{domain}.{selector}"
    vault.create(name, TYPES[algorithm])
    return DkimKey(
        id=f"id of {name}",
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        vault=vault.name,
        key=name,
        version=1,
        public=vault.public_key(name),
        use=use,
        created=1.0,
    )


class House:
    """A signing stage with these keys. `told` and `counted` are what it said; `ours`: whether mail is from our side."""

    def __init__(self, vault: FakeVault, *keys: DkimKey, required: bool = True) -> None:
        self.vault = vault
        self.keys = keys
        self.clock = FakeClock()
        self.ours = True
        self.told: list[dict[str, object]] = []
        self.counted: list[tuple[str, tuple[str, ...]]] = []
        self.signing = Signing(
            Terms(required=required),
            vaults={vault.name: vault},
            is_ours=lambda client, connector: self.ours,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append({"level": level, "event": event, **facts}),
            count=lambda name, labels: self.counted.append((name, labels)),
        )
        self.signing.use(SigningKeys(keys))

    def close(self) -> None:
        self.signing.close()

    def verdict(self, octets: bytes, place: int = 0) -> bool:
        """dkimpy's, on the signature at `place` from the top."""
        return passes(octets, *self.keys, place=place)


def passes(octets: bytes, *keys: DkimKey, place: int = 0) -> bool:
    """Whether dkimpy takes the signature at `place` from the top for good; `keys` are what the DNS has."""
    zone = {record_name(key).encode() + b".": record_text(key).encode() for key in keys}
    judge = dkim.DKIM(octets, minkey=1024)
    try:
        return bool(judge.verify(idx=place, dnsfunc=lambda name, timeout=5: zone.get(name)))
    except dkim.ValidationError:  # Of the body's hash.
        return False


def mail_of(octets: bytes, *, client: Client | None = None, id_: str = "Q1") -> Mail:
    """A mail with these octets, in memory."""
    return mail_from(Message(octets[:MAX_HEAD], Held(octets)), client=client, id_=id_)


def mail_from(message: Message, *, client: Client | None = None, id_: str = "Q1") -> Mail:
    """A mail with this message."""
    recipient = Recipient(parse_address("otto@partner.example"))
    envelope = Envelope(sender=parse_address("ida@corp.example"), recipients=(recipient,))
    return Mail(id=id_, received=1.0, envelope=envelope, message=message, client=client)
