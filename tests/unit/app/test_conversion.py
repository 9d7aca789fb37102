"""A copy of 7 bits of a message that we had signed: signed anew, so that it verifies where it arrives (dkim-04)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import pytest

from gateway.app.conversion import NO_KEY, SWITCHED_OFF, Conversions
from gateway.authenticate.dkim.sign import KEY_DENIED
from gateway.authenticate.signing import SigningKeys, Terms
from gateway.delivery.seven_bit import Conversion, NotNow
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.downgrade import Unconvertible
from gateway.mail.message import MAX_HEAD, Content, Held, Message, prefaced
from gateway.storage.dkim_keys import Algorithm
from tests.fakes.signing import House, key_of, passes
from tests.fakes.vault import FakeVault

LETTER = (
    "Received: from a.example\r\n\tby b.example\r\nFrom: ida@corp.example\r\nTo: Otto <otto@partner.example>\r\n"
    "Date: Tue, 03 Nov 2026 09:12:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße aus der Stadt\r\n"
).encode()
DELIVERY = Delivery(
    id="Q1.1", message="Q1", connector="out", destination="", sender=None, size=1, created=0, next_attempt=0,
    targets=(Target(address=parse_address("otto@partner.example")),),
)  # fmt: skip


@dataclass(frozen=True)
class Streamed:
    """Content in blocks."""

    octets: bytes

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self.octets), 1 << 20):
            yield self.octets[start : start + (1 << 20)]


@pytest.fixture
def house() -> Iterator[House]:
    vault = FakeVault()
    one = House(vault, key_of(vault), key_of(vault, selector="r1", algorithm=Algorithm.RSA))
    yield one
    one.close()


async def signed(house: House, octets: bytes = LETTER) -> bytes:
    """The fields that the stage of the pipeline put on top."""
    fields, told = await house.signing.signatures(Message(octets[:MAX_HEAD], Held(octets)), "Q1")
    assert told is not None and len(told.signatures) == 2
    return fields


async def converted(house: House, content: Content) -> tuple[bytes, Conversion | None]:
    counted: list[str] = []
    copy, done = await Conversions(house.signing, counted.append)(DELIVERY, content)
    assert counted == ["conversions_total"] * (done is not None)
    octets = b"".join([block async for block in copy.blocks()])
    assert len(octets) == copy.size
    return octets, done


async def test_the_copy_is_signed_anew_and_the_old_signatures_are_off(house: House) -> None:
    content = Held(await signed(house) + LETTER)
    assert passes(content.octets, *house.keys)
    octets, done = await converted(house, content)
    assert octets.isascii()
    assert octets.count(b"DKIM-Signature:") == 2
    assert passes(octets, *house.keys, place=0) and passes(octets, *house.keys, place=1)
    assert done == Conversion(
        encodings=("quoted-printable",), taken_off=2, signed=("corp.example/s1", "corp.example/r1")
    )


async def test_a_large_copy_is_signed_without_being_kept(house: House) -> None:
    large = LETTER + "Überall, tous les élèves\r\n".encode() * 100_000
    octets, done = await converted(house, prefaced(await signed(house, large), Streamed(large)))
    assert len(octets) > 2 << 20
    assert passes(octets, *house.keys) and passes(octets, *house.keys, place=1)
    assert done is not None and done.taken_off == 2


async def test_seven_bits_keep_their_signatures(house: House) -> None:
    content = Held(await signed(house) + LETTER.replace("ü".encode(), b"u").replace("ß".encode(), b"s"))
    assert await converted(house, content) == (content.octets, None)


async def test_what_was_not_signed_is_not_signed_now(house: House) -> None:
    octets, done = await converted(house, Held(LETTER))
    assert b"DKIM-Signature" not in octets
    assert done == Conversion(encodings=("quoted-printable",))


async def test_signatures_of_others_stay_and_are_told_as_broken(house: House) -> None:
    """They lie below our Received field."""
    theirs = b"DKIM-Signature: v=1; d=else.example;\r\n\tb=AAAA\r\n"
    octets, done = await converted(house, Held(LETTER.replace(b"From:", theirs + b"ARC-Message-Signature: a\r\nFrom:")))
    assert octets.count(theirs) == 1
    assert done == Conversion(encodings=("quoted-printable",), broken=2)


async def test_a_vault_that_is_away_lets_the_copy_wait(house: House) -> None:
    content = Held(await signed(house) + LETTER)
    house.vault.away = True
    with pytest.raises(NotNow, match="the vault of the DKIM key does not answer"):
        await converted(house, content)
    house.vault.away = False
    assert (await converted(house, content))[1] is not None


async def test_a_key_that_was_taken_away_leaves_the_copy_unsigned_and_tells(house: House) -> None:
    content = Held(await signed(house) + LETTER)
    house.vault.denied = True
    octets, done = await converted(house, content)
    assert b"DKIM-Signature" not in octets
    assert done == Conversion(encodings=("quoted-printable",), taken_off=2, unsigned=KEY_DENIED)
    house.signing.use(SigningKeys())
    assert (await converted(house, content))[1] == Conversion(
        encodings=("quoted-printable",), taken_off=2, unsigned=NO_KEY
    )
    house.signing.terms = Terms(sign=False)
    assert (await converted(house, content))[1] == Conversion(
        encodings=("quoted-printable",), taken_off=2, unsigned=SWITCHED_OFF
    )


async def test_what_can_not_be_converted_is_neither_counted_nor_signed(house: House) -> None:
    content = Held(
        b"From: ida@corp.example\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xfc\r\n--b--\r\n"
    )
    before = house.vault.signs
    with pytest.raises(Unconvertible):
        await converted(house, content)
    assert house.vault.signs == before
