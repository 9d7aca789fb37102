"""The stage `open`: which mail it looks into, what it writes down, and that what is hostile goes on as it came."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message, Prefaced
from gateway.mail.opened import Layer, LayerKind, Opened, SignatureStatus
from gateway.mail.reply import OPENING_AWAY, Refused
from gateway.observe.metrics import Metrics
from gateway.protect.opening import KeysAway, Opening, facts
from gateway.protect.workroom import Workroom
from tests.fakes.protection import SECRET, letter

FIELD = b"Authentication-Results: mx.corp.example;\r\n\tsmime=pass\r\n\t body.smime-identifier=otto@partner.example\r\n"
PARTNER = Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None)
SIGNED = Layer(kind=LayerKind.SIGNED, status=SignatureStatus.GOOD, signer="otto@partner.example")
ENVELOPED = Layer(kind=LayerKind.ENVELOPED, ok=True, recipient="ida@corp.example", algorithm="aes256-cbc")
FOUND = Opened(layers=(ENVELOPED, SIGNED), octets=b"inside")
P7M = b"From: otto@partner.example\r\nContent-Type: application/pkcs7-mime\r\n\r\nAAAA\r\n"


class FakeOpener:
    """Says `found`, or raises `error`. `seen` are the messages that it was given."""

    def __init__(self) -> None:
        self.is_on = True
        self.found: Opened | None = FOUND
        self.error: Exception | None = None
        self.seen: list[bytes] = []

    async def open(self, octets: bytes, work: Workroom) -> Opened | None:
        self.seen.append(octets)
        if self.error is not None:
            raise self.error
        return self.found


class House:
    """The stage with such an opener; a client who has logged in is ours."""

    def __init__(self) -> None:
        self.opener = FakeOpener()
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.metrics = Metrics()
        self.stage = Opening(
            self.opener,
            Workroom(ThreadPoolExecutor(1)),
            authserv_id=lambda: "mx.corp.example",
            is_ours=lambda client, connector: client is None or client.user is not None,
            tell=lambda level, event, **more: self.told.append((level, event, more)),
            count=self.metrics.count,
        )

    async def run(self, octets: bytes, client: Client | None = PARTNER) -> Mail:
        return await self.stage(letter("ida@corp.example", octets=octets, wanted=False, client=client))


@pytest.fixture
def house() -> House:
    return House()


async def test_what_was_found_is_told_to_rules_and_stands_on_top(house: House) -> None:
    mail = await house.run(P7M)
    assert mail.opened is FOUND
    assert mail.message.head == FIELD + P7M
    assert house.opener.seen == [P7M]
    assert house.metrics.snapshot()["smime_layers_total"] == [[["enveloped", "opened"], 1.0], [["signed", "good"], 1.0]]
    assert facts(FOUND) == {"layers": [ENVELOPED.row(), SIGNED.row()]}


async def test_a_stored_mail_is_opened_again_and_nothing_is_told_twice(house: House) -> None:
    mail = letter("ida@corp.example", octets=FIELD + P7M, wanted=False, client=None)
    again = await house.stage.again(mail)
    assert again == replace(mail, opened=FOUND)
    assert house.metrics.snapshot()["smime_layers_total"] == []
    house.opener.error = KeysAway()
    with pytest.raises(Refused):
        await house.stage.again(mail)


async def test_mail_of_our_side_is_opened_and_gets_no_field(house: House) -> None:
    mail = await house.run(P7M, replace(PARTNER, user="ida"))
    assert mail.opened is FOUND
    assert mail.message.head == P7M


@pytest.mark.parametrize(
    "kind",
    [
        b"application/x-pkcs7-mime",
        b"APPLICATION/PKCS7-MIME",
        b'multipart/signed; boundary="x"',
        b'application/octet-stream; name="smime.p7m"',
    ],
)
async def test_each_form_of_smime_is_looked_into(house: House, kind: bytes) -> None:
    await house.run(P7M.replace(b"application/pkcs7-mime", kind))
    assert len(house.opener.seen) == 1


async def test_other_mail_is_not_looked_into(house: House) -> None:
    mail = await house.run(b"Subject: x\r\nContent-Type: text/plain\r\n\r\napplication/pkcs7-mime\r\n")
    assert house.opener.seen == []
    assert mail.opened is None


async def test_mail_of_the_gateway_itself_is_not_looked_into(house: House) -> None:
    await house.run(P7M, None)
    assert house.opener.seen == []


async def test_without_keys_and_anchors_rules_read_what_everybody_reads_and_nothing_is_told(house: House) -> None:
    house.opener.is_on = False
    mail = await house.run(P7M)
    assert (mail.opened, mail.message.head) == (FOUND, P7M)
    assert house.metrics.snapshot()["smime_layers_total"] == []
    house.opener.seen.clear()
    await house.run(b"Subject: x\r\n\r\nx\r\n")
    assert house.opener.seen == []


@pytest.mark.parametrize("found", [None, Opened(layers=())])
async def test_what_is_no_smime_after_all_goes_on_as_it_came(house: House, found: Opened | None) -> None:
    house.opener.found = found
    mail = await house.run(P7M)
    assert (mail.opened, mail.message.head) == (None, P7M)


async def test_a_key_that_cannot_be_had_now_makes_the_client_come_again(house: House) -> None:
    house.opener.error = KeysAway()
    with pytest.raises(Refused) as refused:
        await house.run(P7M)
    assert refused.value.reply == OPENING_AWAY


async def test_a_message_that_breaks_the_opener_goes_on_as_it_came_and_the_log_shows_nothing_of_it(
    house: House,
) -> None:
    house.opener.error = ValueError(SECRET)
    mail = await house.run(P7M)
    assert (mail.opened, mail.message.head) == (None, P7M)
    assert house.told == [("error", "opening_failed", {"id": "Q1", "error": "ValueError"})]


async def test_a_large_message_gets_its_field_in_front(house: House) -> None:
    mail = letter("ida@corp.example", octets=P7M, wanted=False, client=PARTNER)
    mail = await house.stage(replace(mail, message=Message(P7M, Prefaced(b"", Held(P7M)))))
    assert (mail.preface, house.opener.seen) == (FIELD, [P7M])
