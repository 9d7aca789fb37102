"""Mail that is delivered decrypted: to whom the settings say, as a message that can travel, and marked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.authenticate.own_fields import NAME
from gateway.mail.address import Address
from gateway.mail.envelope import Body
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.opened import Layer, LayerKind, Opened, SignatureStatus
from gateway.protect.decrypted import FIELD, LONGEST_LINE, Decrypting
from gateway.protect.told import Protected, Step
from gateway.protect.workroom import Workroom
from tests.fakes.protection import letter

CAME = (
    b"Received: from x\r\nFrom: otto@partner.example\r\nSubject: [EXT] one\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n\tname=smime.p7m\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
)
INSIDE = (
    b"Received: from x\r\nFrom: otto@partner.example\r\nSubject: one\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain words\r\n"
)
ENVELOPED = Layer(kind=LayerKind.ENVELOPED, ok=True, recipient="ida@corp.example", algorithm="aes256-cbc")
IN, OUT, MATE = "ida@corp.example", "else@other.example", "mallory@corp.example"
HERS = frozenset({"ida's"})


def wants(address: Address, connector: str | None) -> bool:
    return address.domain == "corp.example" and connector != "outside"


def is_his(address: Address, fingerprint: str) -> bool:
    return fingerprint == f"{address.local}'s"


async def run(
    *recipients: str,
    inside: bytes | None = INSIDE,
    layers: tuple[Layer, ...] = (ENVELOPED,),
    openers: tuple[frozenset[str], ...] = (HERS,),
    connector: str | None = None,
) -> tuple[list[Mail], list[Protected], Mail]:
    copy = letter(*recipients, octets=CAME, wanted=False)
    opened = Opened(layers=layers, octets=inside, openers=openers)
    copy = replace(copy, opened=opened, terms=replace(copy.terms, connector=connector))
    with ThreadPoolExecutor(1) as executor:
        copies, told = await Decrypting(wants, Workroom(executor), is_his=is_his)(copy)
    return copies, told, copy


async def test_the_header_of_now_stands_around_what_was_inside_and_a_field_of_ours_says_so() -> None:
    (copy,), told, _ = await run(IN)
    assert copy.message.content.inline == (
        b"X-Gateway-SMIME: decrypted; cipher=aes256-cbc\r\n"
        b"Received: from x\r\nFrom: otto@partner.example\r\nSubject: [EXT] one\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain words\r\n"
    )
    assert copy.opened is None
    assert copy.envelope.body is Body.SEVEN_BIT
    assert told == [Protected(recipient=IN, step=Step.DECRYPTED)]
    assert FIELD.lower() == NAME


async def test_eight_bits_are_said() -> None:
    (copy,), _, _ = await run(IN, inside=INSIDE + "größer\r\n".encode())
    assert copy.envelope.body is Body.EIGHT_BIT_MIME


async def test_others_get_it_as_it_came() -> None:
    copies, told, came = await run(OUT, IN)
    assert [[one.address.text for one in copy.envelope.recipients] for copy in copies] == [[IN], [OUT]]
    assert copies[1].message is came.message
    assert [one.recipient for one in told] == [IN]


@pytest.mark.parametrize(
    ("recipient", "inside", "layers", "connector"),
    [
        (OUT, INSIDE, (ENVELOPED,), None),
        (IN, INSIDE, (ENVELOPED,), "outside"),
        (IN, None, (ENVELOPED,), None),
        (IN, INSIDE, (replace(ENVELOPED, ok=False),), None),
        (IN, INSIDE, (Layer(kind=LayerKind.SIGNED, status=SignatureStatus.GOOD),), None),
    ],
)
async def test_all_else_stays_as_it_came(
    recipient: str, inside: bytes | None, layers: tuple[Layer, ...], connector: str | None
) -> None:
    copies, told, came = await run(recipient, inside=inside, layers=layers, connector=connector)
    assert copies == [came]
    assert told == []


async def test_nobody_reads_what_was_encrypted_for_somebody_else() -> None:
    """Mallory has got hold of a message to Ida, and sends it to himself, to have the gateway open it."""
    copies, told, came = await run(MATE)
    assert copies == [came]
    assert told == [Protected(recipient=MATE, step=Step.AS_IT_CAME, reason="encrypted-for-others")]
    copies, told, _ = await run(MATE, IN)
    assert [[one.address.text for one in copy.envelope.recipients] for copy in copies] == [[IN], [MATE]]
    assert b"plain words" not in (copies[1].message.content.inline or b"")
    assert [(one.recipient, one.step) for one in told] == [(MATE, Step.AS_IT_CAME), (IN, Step.DECRYPTED)]


async def test_each_layer_has_to_be_his() -> None:
    """Mallory wraps it once more, for himself."""
    wrapped = (frozenset({"mallory's"}), HERS)
    copies, told, came = await run(MATE, layers=(ENVELOPED, ENVELOPED), openers=wrapped)
    assert (copies, told[0].reason) == ([came], "encrypted-for-others")
    both = frozenset({"mallory's", "ida's"})
    (copy,), _, _ = await run(MATE, layers=(ENVELOPED, ENVELOPED), openers=(both, both))
    assert copy.message.head.startswith(FIELD)


@pytest.mark.parametrize("more", [b"a\nb\r\n", b"a\rb\r\n", b"\0\r\n", b"x" * (LONGEST_LINE + 1) + b"\r\n"])
async def test_what_cannot_travel_as_lines_stays_encrypted(more: bytes) -> None:
    copies, told, came = await run(IN, inside=INSIDE + more)
    assert copies == [came]
    assert told == [Protected(recipient=IN, step=Step.AS_IT_CAME, reason="content-not-transportable")]


async def test_the_longest_line_travels() -> None:
    (copy,), _, _ = await run(IN, inside=INSIDE + b"x" * LONGEST_LINE + b"\r\n")
    assert copy.message.head.startswith(FIELD)


async def test_a_header_that_we_see_in_part_only_is_left_alone() -> None:
    octets = b"X: " + b"x" * MAX_HEAD + b"\r\n" + CAME
    opened = Opened(layers=(ENVELOPED,), octets=INSIDE, openers=(HERS,))
    copy = replace(letter(IN, octets=octets, wanted=False), opened=opened)
    copy = replace(copy, message=Message(octets[:MAX_HEAD], Held(octets)))
    with ThreadPoolExecutor(1) as executor:
        copies, told = await Decrypting(wants, Workroom(executor), is_his=is_his)(copy)
    assert (copies, told[0].reason) == ([copy], "header-too-large")
