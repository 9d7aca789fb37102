"""Mail under rights of ours that comes in: rules see what is inside, and some inside get it without (semantics a28)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.mail.address import Address, parse_address
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.opened import LayerKind
from gateway.mail.plan import Plan
from gateway.mail.reply import OPENING_AWAY, Refused
from gateway.mail.terms import Terms
from gateway.protect.decrypted import Decrypting
from gateway.protect.opening import Opening
from gateway.protect.rights_opener import RightsOpener
from gateway.protect.smime import Smime
from gateway.protect.stage import Protecting
from gateway.protect.unsealed import NOTE, Unsealing
from gateway.protect.workroom import Workroom, whole
from gateway.rights.branding import Branding
from gateway.rights.opening import OpenedMessage, open_rpmsg
from gateway.rights.sealing import seal
from gateway.rights.wrapper.letter import Letter
from gateway.rights.wrapper.outside import head_of, outside
from gateway.rights.wrapper.sender import sender_of
from gateway.rights.wrapper.wrapped import Wrapper
from gateway.smime.terms import SmimeTerms
from gateway.storage.writer import StorageFull
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.protection import SECRET, FakeCertificates, FakeMeans, letter
from tests.fakes.rights import NOW, OWNER, READER, FakeTenant, damaged, job, nobody, private_key

PLAIN = b"From: Ida <ida@corp.example>\r\nSubject: plans\r\nX-Label: inside\r\n\r\n" + SECRET + b"\r\n"
IDA, EVA = OWNER, "eva@corp.example"
OWN = parse_address(OWNER)


class House:
    """Both stages. `opened`: files that were opened; `ours`: whether mail comes from our side; `full`: no log."""

    def __init__(self) -> None:
        self.tenant = FakeTenant()
        self.opened: list[bytes] = []
        self.ours = False
        self.full = False
        self.is_on = True
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.executor = ThreadPoolExecutor(1)
        work = Workroom(self.executor)
        clock = FakeClock()
        smime = Smime(FakeCertificates(clock), SmimeTerms, clock=clock, chance=FakeChance())
        self.opening = Opening(
            smime,
            work,
            authserv_id=lambda: "gw.corp.example",
            is_ours=lambda client, connector: self.ours,
            tell=self._tell,
            count=lambda name, labels: None,
            rights=RightsOpener(self.tenant, self._open, is_on=lambda: self.is_on),
        )
        self.protecting = Protecting(
            FakeMeans(),
            work,
            decrypting=Decrypting(lambda address, connector: True, work, is_his=lambda address, fingerprint: True),
            unsealing=Unsealing(
                work, is_inside=lambda domain: domain == "corp.example", is_ours=lambda mail: self.ours
            ),
            is_sure=lambda mail: True,
            is_ours=lambda mail: self.ours,
            notice=lambda mail, lost: None,
            tell=self._tell,
            count=lambda name, labels: None,
        )

    def _tell(self, level: str, event: str, **facts: object) -> None:
        self.told.append((level, event, facts))

    async def _open(self, file: bytes) -> OpenedMessage:
        if self.full:
            raise StorageFull("no room")
        self.opened.append(file)
        return open_rpmsg(file, self.tenant, principal=None, now=NOW, is_revoked=nobody)

    async def come(
        self, *recipients: str, octets: bytes, remove: bool = True, sender: Address | None = OWN
    ) -> list[Mail]:
        """The copies, once a rule has said `remove_ome`."""
        mail = await self.opening(mail_of(*recipients, octets=octets))
        mail = replace(mail, envelope=replace(mail.envelope, sender=sender), terms=Terms(remove_rights=remove))
        return list((await self.protecting(Plan(copies=(mail,)))).copies)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.executor.shutdown()


def mail_of(*recipients: str, octets: bytes) -> Mail:
    mail = letter(*recipients, wanted=False)
    return replace(mail, message=Message(octets[:MAX_HEAD], Held(octets)))


def rpmsg(original: bytes = PLAIN, tenant: FakeTenant | None = None, *readers: str) -> bytes:
    return seal(original, job(*readers), tenant or FakeTenant(), FakeChance()).rpmsg


def wrapped(file: bytes, subject: str | None = None) -> bytes:
    branding = Branding(name="Corp")
    wrapper = Wrapper.made(file, branding, "0" * 30)
    message = head_of(PLAIN)
    about = Letter(
        sender=sender_of(message, None),
        recipient=READER,
        url="https://p",
        link="https://p/m/x",
        expires=None,
        branding=branding,
    )
    return wrapper.head(outside(message, subject), about) + b"".join(wrapper.pieces) + wrapper.tail


def answer(file: bytes) -> bytes:
    """An ordinary answer that brings the file along, as some mail programs do."""
    head = b'From: ben@partner.example\r\nSubject: Re\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    part = b"".join(Wrapper.made(file, Branding(name="x"), "0" * 30).pieces).split(b"\r\n", 2)[2]
    return head + b"\r\nmy answer\r\n--b\r\n" + part + b"--b--\r\n"


async def test_rules_see_what_is_inside_and_the_octets_go_on_as_they_came(house: House) -> None:
    octets = wrapped(rpmsg())
    mail = await house.opening(mail_of(EVA, octets=octets))
    assert mail.opened is not None and mail.opened.octets is not None
    assert SECRET in mail.opened.octets and b"X-Label: inside" in mail.opened.octets
    assert [(one.kind, one.ok, one.reason) for one in mail.opened.layers] == [(LayerKind.RIGHTS, True, None)]
    assert mail.opened.was_encrypted
    assert SECRET not in repr(mail.opened).encode() and READER not in repr(mail.opened)
    plan = await house.protecting(Plan(copies=(mail,)))
    assert [await whole(copy.message.content) for copy in plan.copies] == [octets]


async def test_a_rule_delivers_it_without_rights_to_whom_the_licence_names_inside(house: House) -> None:
    octets = wrapped(rpmsg(PLAIN, None, READER, EVA))
    copies = await house.come(EVA, IDA, "olaf@corp.example", READER, octets=octets)
    assert [[one.address.text for one in copy.envelope.recipients] for copy in copies] == [
        [EVA, IDA],
        ["olaf@corp.example", READER],
    ]
    assert await whole(copies[0].message.content) == NOTE + PLAIN
    assert await whole(copies[1].message.content) == octets
    assert all(copy.terms == Terms() for copy in copies)


async def test_an_answer_that_brings_it_along_has_it_as_an_attached_message(house: House) -> None:
    """Semantics a28."""
    octets = answer(rpmsg())
    (copy,) = await house.come(IDA, octets=octets)
    made = await whole(copy.message.content)
    assert made.startswith(NOTE + b"From: ben@partner.example") and b"my answer" in made
    assert b"Content-Type: message/rfc822" in made and PLAIN in made and b"x-microsoft-rpmsg" not in made


async def test_nobody_reads_what_he_got_hold_of_by_sending_it_to_himself(house: House) -> None:
    octets = wrapped(rpmsg())
    copies = await house.come(EVA, octets=octets)
    assert [await whole(copy.message.content) for copy in copies] == [octets]
    # Nor by writing it in the name of whoever had sealed it, from elsewhere.
    house.ours = True
    stranger = octets.replace(b"From: Ida <ida@corp.example>", b"From: eva@corp.example")
    copies = await house.come(EVA, octets=stranger)
    assert SECRET not in await whole(copies[0].message.content)


async def test_what_the_sender_himself_sends_goes_open_to_anybody_inside_and_to_nobody_outside(house: House) -> None:
    house.ours = True
    octets = wrapped(rpmsg())
    copies = await house.come("archive@corp.example", READER, octets=octets)
    assert [SECRET in await whole(copy.message.content) for copy in copies] == [True, False]


@pytest.mark.parametrize("sender", [EVA, None])
async def test_whoever_writes_in_the_name_of_its_sender_does_not_read_it(house: House, sender: str | None) -> None:
    """Attack: somebody inside has got hold of it, logs in as himself, and writes the sender's address into From."""
    house.ours = True
    octets = wrapped(rpmsg())
    path = None if sender is None else parse_address(sender)
    copies = await house.come(EVA, octets=octets, sender=path)
    assert [await whole(copy.message.content) for copy in copies] == [octets]


async def test_without_such_a_rule_it_goes_on_sealed(house: House) -> None:
    octets = wrapped(rpmsg())
    copies = await house.come(IDA, octets=octets, remove=False)
    assert [await whole(copy.message.content) for copy in copies] == [octets]


async def test_what_lies_under_another_key_is_passed_over_in_silence(house: House) -> None:
    other = FakeTenant(private_key(number=2))
    mail = await house.opening(mail_of(IDA, octets=wrapped(rpmsg(PLAIN, other))))
    assert (mail.opened, house.opened) == (None, [])


async def test_what_is_damaged_stays_shut_and_says_so(house: House) -> None:
    file = damaged(rpmsg())
    mail = await house.opening(mail_of(IDA, octets=wrapped(file)))
    assert mail.opened is not None
    assert [(one.ok, one.reason) for one in mail.opened.layers] == [(False, "damaged")]
    copies = await house.come(IDA, octets=wrapped(file))
    assert SECRET not in await whole(copies[0].message.content)


@pytest.mark.parametrize("fail", ["away", "full"])
async def test_while_it_cannot_be_opened_or_logged_the_client_keeps_it(house: House, fail: str) -> None:
    if fail == "away":
        house.tenant.away = True
    else:
        house.full = True
    with pytest.raises(Refused) as refused:
        await house.opening(mail_of(IDA, octets=wrapped(rpmsg())))
    assert refused.value.reply == OPENING_AWAY


async def test_a_key_that_says_no_leaves_it_shut(house: House) -> None:
    house.tenant.denied = True
    mail = await house.opening(mail_of(IDA, octets=wrapped(rpmsg())))
    assert mail.opened is not None and mail.opened.octets is None
    assert [(one.ok, one.reason) for one in mail.opened.layers] == [(False, "key_denied")]


async def test_without_a_portal_nothing_is_looked_at(house: House) -> None:
    house.is_on = False
    mail = await house.opening(mail_of(IDA, octets=wrapped(rpmsg())))
    assert mail.opened is None


async def test_what_cannot_travel_stays_sealed(house: House) -> None:
    octets = wrapped(rpmsg(PLAIN.replace(SECRET, SECRET + b"\0")))
    copies = await house.come(IDA, octets=octets)
    assert [await whole(copy.message.content) for copy in copies] == [octets]


async def test_mail_without_any_costs_a_look(house: House) -> None:
    mail = mail_of(IDA, octets=PLAIN)
    assert await house.opening(mail) is mail
