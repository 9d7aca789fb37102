"""The stage `sign`: whose mail, with which keys, on which thread, and what becomes of mail that can't be signed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gateway.authenticate.dkim import sign
from gateway.authenticate.dkim.body import BodyHash, body_at
from gateway.authenticate.signing import BODY_ON_LOOP, SigningKeys, Terms
from gateway.keys.vault import Signature
from gateway.mail.digest import Hashed
from gateway.mail.message import MAX_HEAD, Message, prefaced
from gateway.mail.reply import SIGNING_AWAY, Refused
from gateway.storage.dkim_keys import Algorithm, Use
from tests.fakes.signing import LETTER, House, key_of, mail_from, mail_of
from tests.fakes.vault import FakeVault


class Watched(FakeVault):
    """Keeps the threads on which it was asked to sign."""

    threads: list[threading.Thread]

    def __init__(self) -> None:
        super().__init__()
        self.threads = []

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        self.threads.append(threading.current_thread())
        return super().sign(key, data, version=version, about=about)


class Long:
    """A content that is never in memory as a whole. `fails`: after so many blocks. `read` counts blocks."""

    def __init__(self, octets: bytes, block: int = 1 << 16, fails: int | None = None) -> None:
        self.octets, self.block, self.fails = octets, block, fails
        self.read = 0
        self.closed = False

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        try:
            for at in range(0, len(self.octets), self.block):
                if self.read == self.fails:
                    raise OSError("gone")
                self.read += 1
                yield self.octets[at : at + self.block]
        finally:
            self.closed = True


@pytest.fixture
def vault() -> Watched:
    return Watched()


@pytest.fixture
def house(vault: Watched) -> Iterator[House]:
    house = House(vault, key_of(vault))
    yield house
    house.close()


async def octets_of(mail: Any) -> bytes:
    return b"".join([block async for block in prefaced(mail.preface, mail.message.content).blocks()])


async def test_mail_from_our_side_is_signed_and_told(house: House) -> None:
    mail = await house.signing.sign(mail_of(LETTER))
    assert house.verdict(await octets_of(mail))
    assert mail.signed is not None
    assert (mail.signed.domain, mail.signed.signatures) == ("corp.example", (("s1", "ed25519-sha256"),))
    assert mail.signed.reason is None
    assert house.counted == [("dkim_signatures_total", ("ed25519-sha256",))]
    assert house.told == []
    assert house.vault.abouts == ["message Q1"]


async def test_mail_from_elsewhere_is_never_signed_in_our_name(house: House) -> None:
    house.ours = False
    mail = mail_of(LETTER)
    assert await house.signing.sign(mail) is mail


async def test_without_a_key_or_when_it_is_off_nothing_is_looked_at(house: House) -> None:
    odd = mail_of(b"no header at all")
    house.signing.terms = Terms(sign=False)
    assert await house.signing.sign(odd) is odd
    house.signing.terms = Terms()
    house.signing.use(SigningKeys([]))
    assert await house.signing.sign(odd) is odd


async def test_a_domain_without_a_key_is_passed_by(house: House) -> None:
    mail = mail_of(LETTER.replace(b"corp.example", b"other.example"))
    assert await house.signing.sign(mail) is mail
    assert (house.told, house.counted) == ([], [])


async def test_the_nearest_domain_above_signs_for_a_subdomain(vault: Watched) -> None:
    above, near = key_of(vault), key_of(vault, "de.corp.example", "s2")
    house = House(vault, above, near)
    for author, domain in ((b"x.de.corp.example", "de.corp.example"), (b"fr.corp.example", "corp.example")):
        mail = await house.signing.sign(mail_of(LETTER.replace(b"ida@corp.example", b"ida@" + author)))
        assert mail.signed is not None
        assert mail.signed.domain == domain
        assert house.verdict(await octets_of(mail))
    mail = await house.signing.sign(mail_of(LETTER.replace(b"ida@corp.example", b"ida@notcorp.example")))
    assert mail.signed is None
    house.close()


async def test_only_keys_in_use_sign(vault: Watched) -> None:
    keys = [key_of(vault, selector=use.value, use=use) for use in Use]
    house = House(vault, *keys)
    mail = await house.signing.sign(mail_of(LETTER))
    assert mail.signed is not None
    assert [selector for selector, _ in mail.signed.signatures] == ["active"]
    house.close()


async def test_ed25519_is_made_at_once_and_rsa_on_a_thread(vault: Watched) -> None:
    house = House(vault, key_of(vault), key_of(vault, selector="r", algorithm=Algorithm.RSA))
    await house.signing.sign(mail_of(LETTER))
    here = threading.current_thread()
    assert [thread is here for thread in vault.threads].count(True) == 1
    assert len(vault.threads) == 2
    vault.threads.clear()
    vault.is_local = False  # Such as a token: even the quick one may wait.
    await house.signing.sign(mail_of(LETTER))
    assert here not in vault.threads
    house.close()


async def test_the_version_that_the_dns_knows_signs_even_after_the_key_was_rotated_in_the_vault(house: House) -> None:
    house.vault.rotate("dkim.corp.example.s1")
    assert house.verdict(await octets_of(await house.signing.sign(mail_of(LETTER))))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"To: x\r\n\r\n", sign.NO_FROM),
        (b"From: ida@corp.example\r\nFrom: x@y.example\r\n\r\n", sign.SEVERAL_FROM),
        (b"no field\r\nFrom: ida@corp.example\r\n\r\n", sign.BROKEN_HEADER),
        (b"From: ida@corp.example\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n", sign.LONG_HEADER),
    ],
)
async def test_what_cant_be_signed_goes_on_unsigned_and_is_told(house: House, octets: bytes, reason: str) -> None:
    mail = await house.signing.sign(mail_of(octets))
    assert mail.message.content.inline == octets
    assert mail.signed is not None
    assert (mail.signed.signatures, mail.signed.reason) == ((), reason)
    assert house.told == [{"level": "warning", "event": "not_signed", "id": "Q1", "domain": "", "reason": reason}]
    assert house.counted == [("dkim_signatures_total", ("none",))]


async def test_a_key_that_its_owner_disabled_holds_no_mail_up(house: House) -> None:
    house.vault.disable("dkim.corp.example.s1")
    mail = await house.signing.sign(mail_of(LETTER))
    assert mail.message.content.inline == LETTER
    assert mail.signed is not None
    assert (mail.signed.domain, mail.signed.reason) == ("corp.example", sign.KEY_DENIED)


async def test_where_one_of_two_keys_is_denied_the_other_signs(vault: Watched) -> None:
    house = House(vault, key_of(vault, selector="r", algorithm=Algorithm.RSA), key_of(vault))
    vault.disable("dkim.corp.example.r")
    mail = await house.signing.sign(mail_of(LETTER))
    assert house.verdict(await octets_of(mail))
    assert mail.signed is not None
    assert mail.signed.signatures == (("s1", "ed25519-sha256"),)
    assert mail.signed.reason == sign.KEY_DENIED
    house.close()


@pytest.mark.parametrize("switch", ["away", "broken"])
async def test_mail_waits_while_the_vault_does_not_answer(house: House, switch: str) -> None:
    setattr(house.vault, switch, True)
    with pytest.raises(Refused) as caught:
        await house.signing.sign(mail_of(LETTER))
    assert caught.value.reply is SIGNING_AWAY
    setattr(house.vault, switch, False)
    assert house.verdict(await octets_of(await house.signing.sign(mail_of(LETTER))))


async def test_where_signing_is_not_required_mail_goes_on_without_the_vault(house: House) -> None:
    house.signing.terms = Terms(required=False)
    house.vault.away = True
    mail = await house.signing.sign(mail_of(LETTER))
    assert mail.message.content.inline == LETTER
    assert mail.signed is not None
    assert mail.signed.reason == sign.VAULT_AWAY


async def test_a_key_in_a_vault_that_the_settings_no_longer_name_is_denied(house: House) -> None:
    house.signing._vaults = {}
    mail = await house.signing.sign(mail_of(LETTER))
    assert mail.signed is not None
    assert mail.signed.reason == sign.KEY_DENIED


LARGE = LETTER + b"A line  of the body. \r\n" * 40_000


async def test_a_large_body_is_read_block_by_block_and_the_signature_stands_in_front(house: House) -> None:
    content = Long(LARGE)
    mail = await house.signing.sign(mail_from(Message(LARGE[:MAX_HEAD], content)))
    assert mail.message.content is content
    assert mail.preface.startswith(b"DKIM-Signature:")
    assert content.closed
    assert house.verdict(mail.preface + LARGE)


async def test_a_header_that_ends_in_a_later_block_is_no_part_of_the_body(house: House) -> None:
    mail = await house.signing.sign(mail_from(Message(LARGE[:MAX_HEAD], Long(LARGE, block=100))))
    assert house.verdict(mail.preface + LARGE)


async def test_a_hash_that_was_made_as_the_message_came_saves_reading_it(house: House) -> None:
    hashed = BodyHash(sign.BODY)
    hashed.update(LARGE[body_at(LARGE) :])
    content = Long(LARGE)
    message = Message(LARGE[:MAX_HEAD], content, {sign.BODY: hashed.digest()})
    mail = await house.signing.sign(mail_from(message))
    assert content.read == 0
    assert house.verdict(mail.preface + LARGE)


async def test_a_content_that_cant_be_read_is_a_fault_and_left_closed(house: House) -> None:
    content = Long(LARGE, fails=2)
    with pytest.raises(OSError, match="gone"):
        await house.signing.sign(mail_from(Message(LARGE[:MAX_HEAD], content)))
    assert content.closed


async def test_a_body_of_any_length_in_memory_is_hashed_alike(house: House) -> None:
    for size in (BODY_ON_LOOP - 100, BODY_ON_LOOP + 5000):
        octets = LETTER + b"x" * size + b"\r\n"
        assert house.verdict(await octets_of(await house.signing.sign(mail_of(octets))))


def test_neither_keys_nor_content_stand_in_what_the_stage_shows_of_itself(house: House) -> None:
    assert "geheim" not in repr(house.signing)
    assert house.signing.is_on
    assert house.signing.may_sign(None, None)
    house.ours = False
    assert not house.signing.may_sign(None, None)
