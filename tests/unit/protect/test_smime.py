"""Certificates and keys joined with CMS: what is sealed can be opened, and what is said of keys is true."""

from __future__ import annotations

from base64 import b64decode, encodebytes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway.mail.address import parse_address
from gateway.mail.opened import LayerKind, SignatureStatus
from gateway.protect.opening import KeysAway
from gateway.protect.reasons import VAULT_AWAY, Lack
from gateway.protect.smime import Smime
from gateway.protect.workroom import Workroom
from gateway.smime.certificate import CERTIFICATE_EXPIRED, Identity
from gateway.smime.cms.algorithms import CONTENT_CIPHERS
from gateway.smime.cms.recipients import recipient
from gateway.smime.sealing import encrypt
from gateway.smime.selection import NO_CERTIFICATE, NO_SIGNING_IDENTITY, Selection
from gateway.smime.terms import SmimeTerms
from gateway.smime.trust import Trust
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import SystemChance
from tests.fakes.clock import FakeClock
from tests.fakes.protection import LETTER, SECRET, FakeCertificates, Key, identity_of

OTTO, IDA = parse_address("otto@partner.example"), parse_address("ida@corp.example")


KEYS: dict[str, Callable[[], Key | None]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: None,
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


class House:
    """S/MIME with a certificate for Otto and an identity for Ida."""

    def __init__(self, now: float = FakeClock().now(), **terms: object) -> None:
        otto, ida = identity_of("otto@partner.example"), identity_of("ida@corp.example")
        self.clock = FakeClock(now)
        self.certificates = FakeCertificates(self.clock, otto, ida, ours=(IDA,))
        self.terms = SmimeTerms(**terms)  # type: ignore[arg-type]
        self.smime = Smime(self.certificates, lambda: self.terms, clock=self.clock, chance=SystemChance())
        self.otto, self.ida = otto, ida
        self.executor = ThreadPoolExecutor(1)
        self.work = Workroom(self.executor)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.executor.shutdown()


async def test_what_is_encrypted_for_us_is_opened_with_the_key_that_it_names(house: House) -> None:
    octets = house.smime.encrypt(LETTER, [house.otto.certificate, house.ida.certificate])
    assert SECRET not in octets
    assert b"smime-type=enveloped-data" in octets
    opened = await house.smime.open(octets, house.work)
    assert opened is not None
    assert opened.octets is not None
    assert SECRET in opened.octets
    assert [(one.kind, one.ok, one.recipient) for one in opened.layers] == [
        (LayerKind.ENVELOPED, True, "ida@corp.example")
    ]
    assert house.certificates.opened == ["ida@corp.example"]


async def test_what_is_encrypted_for_others_needs_no_key_of_ours(house: House) -> None:
    house.certificates.error = KeysClosed("closed")
    opened = await house.smime.open(house.smime.encrypt(LETTER, [house.otto.certificate]), house.work)
    assert opened is not None
    assert [one.ok for one in opened.layers] == [False]
    assert opened.octets is None


@pytest.mark.parametrize("error", [KeysClosed("closed"), SealBroken("broken")])
async def test_a_key_that_is_named_and_cannot_be_had_is_no_finding(house: House, error: Exception) -> None:
    octets = house.smime.encrypt(LETTER, [house.ida.certificate])
    house.certificates.error = error
    with pytest.raises(KeysAway):
        await house.smime.open(octets, house.work)
    assert await house.smime.signer([IDA]) == Lack(VAULT_AWAY, passing=True)


async def test_what_is_signed_is_found_good(house: House) -> None:
    identity = await house.smime.signer([IDA])
    assert isinstance(identity, Identity)
    opened = await house.smime.open(house.smime.sign(LETTER, identity), house.work)
    assert opened is not None
    assert [(one.status, one.signer) for one in opened.layers] == [(SignatureStatus.GOOD, "ida@corp.example")]


async def test_both_lie_one_in_the_other(house: House) -> None:
    octets = house.smime.encrypt(house.smime.sign(LETTER, house.ida), [house.ida.certificate])
    opened = await house.smime.open(octets, house.work)
    assert opened is not None
    assert [one.kind for one in opened.layers] == [LayerKind.ENVELOPED, LayerKind.SIGNED]


async def test_who_has_nothing_is_told_why(house: House) -> None:
    stranger = parse_address("x@else.example")
    assert house.smime.recipient(stranger) == Lack(NO_CERTIFICATE)
    assert house.smime.recipient(OTTO) == house.otto.certificate
    assert await house.smime.signer([OTTO]) == Lack(NO_SIGNING_IDENTITY)
    assert await house.smime.signer([]) == Lack(NO_SIGNING_IDENTITY)
    assert await house.smime.signer([stranger, IDA]) == house.ida


async def test_a_certificate_that_has_ended_is_used_for_nothing() -> None:
    house = House(FakeClock().now() + 31 * 86400)
    assert house.smime.recipient(OTTO) == Lack(CERTIFICATE_EXPIRED)
    assert await house.smime.signer([IDA]) == Lack(CERTIFICATE_EXPIRED)


def test_the_settings_choose_cipher_and_form() -> None:
    house = House(cipher="aes256-gcm", sign_opaque=True)
    assert b"authEnveloped-data" in house.smime.encrypt(LETTER, [house.otto.certificate])
    assert b"smime-type=signed-data" in house.smime.sign(LETTER, house.ida)


@pytest.mark.parametrize("kind", ["rsa", "p256", "ed25519"])
@pytest.mark.parametrize(("digest", "micalg"), [("sha256", b"sha-256"), ("sha512", b"sha-512")])
async def test_the_settings_choose_the_digest_where_the_key_leaves_a_choice(
    kind: str, digest: str, micalg: bytes
) -> None:
    house = House(digest=digest)
    identity = identity_of(IDA.text, KEYS[kind]())
    octets = house.smime.sign(LETTER, identity)
    assert b"micalg=" + (b"sha-512" if kind == "ed25519" else micalg) in octets
    house.certificates.trust = Trust(imported=[identity.certificate])
    opened = await house.smime.open(octets, house.work)
    assert opened is not None
    assert [one.status for one in opened.layers] == [SignatureStatus.GOOD]


def test_only_what_is_encrypted_by_its_octets_counts_as_encrypted(house: House) -> None:
    octets = house.smime.encrypt(LETTER, [house.otto.certificate])
    assert house.smime.is_encrypted(octets)
    head, _, body = octets.partition(b"\r\n\r\n")
    for other in (
        SECRET,
        b"",
        body[: len(body) // 2],
        body + b"(" + SECRET + b")\r\n",
        b"AAAA\r\n",
        b"\xc3\xa4!\r\n" + body,
        body + b"\r\nthe secret in letters\r\n",
        b"the secret in letters now\r\n" + body,
        encodebytes(b64decode(body) + SECRET),
        encodebytes(b64decode(body) + b"=") + encodebytes(SECRET),
    ):
        assert not house.smime.is_encrypted(head + b"\r\n\r\n" + other)
    binary = head.replace(b"base64", b"binary") + b"\r\n\r\n" + b64decode(body)
    assert house.smime.is_encrypted(binary + b"\r\n")
    assert not house.smime.is_encrypted(binary + SECRET)


@pytest.mark.parametrize("name", ["des-ede3-cbc", "rc2-cbc"])
def test_what_its_sender_put_under_a_weak_cipher_is_encrypted_once_more(house: House, name: str) -> None:
    """What a rule wants encrypted leaves under AES; a cipher that keeps nobody out would be taken for it."""
    weak = next(one for one in CONTENT_CIPHERS.values() if one.name == name)
    try:
        octets = encrypt(LETTER, [recipient(house.otto.certificate.x509)], weak, SystemChance())
    except UnsupportedAlgorithm:
        pytest.skip("RC2 is not in this build of OpenSSL")
    assert not house.smime.is_encrypted(octets)
    assert house.smime.is_encrypted(house.smime.encrypt(octets, [house.otto.certificate]))


@pytest.mark.parametrize("line", [b"the secret, which the next hop takes for the body", b"Content-Type: text/plain"])
def test_text_in_the_header_section_of_what_is_encrypted_makes_it_not_so(house: House, line: bytes) -> None:
    """It went on as it came: without the empty line many a host takes such text for the body, which left in clear."""
    octets = house.smime.encrypt(LETTER, [house.otto.certificate])
    for odd in (
        octets.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1),
        octets.replace(b"Content-Type: ", line + b"\r\nContent-Type: ", 1),
    ):
        assert not house.smime.is_encrypted(odd)
        again = house.smime.encrypt(odd, [house.otto.certificate])
        assert line not in again


def test_what_is_signed_or_neither_is_not_encrypted(house: House) -> None:
    assert not house.smime.is_encrypted(house.smime.sign(LETTER, house.ida))
    assert not house.smime.is_encrypted(LETTER)


def test_with_keys_or_anchors_there_is_something_to_do(house: House) -> None:
    assert house.smime.is_on
    house.certificates.selection = Selection()
    assert not house.smime.is_on
    house.certificates.trust = Trust([house.otto.certificate])
    assert house.smime.is_on


async def test_what_is_signed_around_is_read_without_keys_and_anchors(house: House) -> None:
    """Where only partners' certificates were known, rules saw no word of it, and it left without its protection."""
    identity = await house.smime.signer([IDA])
    assert isinstance(identity, Identity)
    house.terms = SmimeTerms(sign_opaque=True)
    around = house.smime.sign(LETTER, identity)
    house.terms = SmimeTerms()
    beside, both = house.smime.sign(LETTER, identity), house.smime.sign(around, identity)
    house.certificates.selection, house.certificates.trust = Selection(), Trust([])
    assert not house.smime.is_on
    for message in (around, both, around.replace(b"application/pkcs7-mime", b"application/octet-stream")):
        opened = await house.smime.open(message, house.work)
        assert opened is not None
        assert SECRET in (opened.octets or b"")
    assert await house.smime.open(beside, house.work) is None
