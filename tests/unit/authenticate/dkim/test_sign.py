"""What is covered, how a signature is written, and what can't be signed. dkimpy is the judge of the whole."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticate.dkim import sign
from gateway.authenticate.dkim.body import BodyHash, body_at
from gateway.authenticate.dkim.sign import COVERED, Draft, Unsignable, drafts, read
from gateway.authenticate.dkim.tags import tags, unspaced
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.storage.dkim_keys import Algorithm, DkimKey
from tests.fakes.signing import LETTER, House, key_of, mail_of, passes
from tests.fakes.vault import FakeVault


@pytest.fixture(scope="module")
def vault() -> FakeVault:
    return FakeVault()


@pytest.fixture(scope="module")
def rsa(vault: FakeVault) -> DkimKey:
    return key_of(vault, selector="r1", algorithm=Algorithm.RSA)


@pytest.fixture(scope="module")
def ed(vault: FakeVault) -> DkimKey:
    return key_of(vault, selector="e1")


@pytest.fixture
def house(vault: FakeVault, rsa: DkimKey, ed: DkimKey) -> Iterator[House]:
    house = House(vault, rsa, ed)
    yield house
    house.close()


def message(octets: bytes) -> Message:
    return Message(octets[:MAX_HEAD], Held(octets))


def reason(octets: bytes) -> str:
    with pytest.raises(Unsignable) as caught:
        read(message(octets))
    return caught.value.reason


def signature(octets: bytes) -> dict[str, bytes]:
    """The tags of the topmost signature."""
    assert octets.startswith(b"DKIM-Signature:")
    end = octets.index(b"\r\n", octets.index(b"b=", octets.index(b"bh=") + 3))
    while octets[end + 2 : end + 3] == b"\t":
        end = octets.index(b"\r\n", end + 2)
    return tags(octets[len(b"DKIM-Signature:") : end])


async def test_both_kinds_of_signature_hold_side_by_side(house: House) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline
    assert octets is not None
    assert octets.endswith(LETTER)
    assert octets.count(b"DKIM-Signature:") == 2
    assert house.verdict(octets, 0)
    assert house.verdict(octets, 1)


async def test_a_signature_says_what_it_should_and_no_more(house: House) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline or b""
    told = signature(octets)
    assert list(told) == ["v", "a", "c", "d", "s", "t", "h", "bh", "b"]
    assert told["a"] == b"rsa-sha256"
    assert told["c"] == b"relaxed/relaxed"
    assert told["t"] == b"%d" % house.clock.now()


async def test_every_singular_field_is_covered_once_more_than_it_stands(house: House) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline or b""
    names = unspaced(signature(octets)["h"]).split(b":")
    for name in COVERED:
        stands = (b"\n" + LETTER.lower()).count(b"\n" + name + b":")
        assert names.count(name) == stands + 1, name
    assert b"received" not in names


@pytest.mark.parametrize("added", [b"Date: Tue, 3 Nov 2026 09:12:00 +0100\r\n", b"Message-ID: <1@mx.example>\r\n"])
async def test_what_a_next_hop_may_add_where_it_is_missing_breaks_nothing(house: House, added: bytes) -> None:
    letter = b"From: ida@corp.example\r\nTo: otto@partner.example\r\n\r\nx\r\n"
    octets = (await house.signing.sign(mail_of(letter))).message.content.inline or b""
    assert house.verdict(added + octets, 0)
    assert house.verdict(octets.replace(b"To: otto", added + b"To: otto"), 1)


@pytest.mark.parametrize("name", COVERED)
async def test_a_field_that_is_added_on_top_breaks_both_signatures(house: House, name: bytes) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline or b""
    end = octets.index(b"Received:")
    changed = octets[:end] + name + b": added\r\n" + octets[end:]
    # dkimpy knows on its own that From may stand once only, and raises.
    for place in (0, 1):
        try:
            assert not house.verdict(changed, place)
        except dkim.MessageFormatError:
            assert name == b"from"


@pytest.mark.parametrize("place", [0, 1])
async def test_a_changed_body_breaks_the_signature(house: House, place: int) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline or b""
    assert not house.verdict(octets + b"more\r\n", place)
    assert house.verdict(octets.replace(b"Hello,  Otto. ", b"Hello, Otto."), place)


async def test_no_line_is_longer_than_77_octets(house: House) -> None:
    octets = (await house.signing.sign(mail_of(LETTER))).message.content.inline or b""
    lines = octets[: octets.index(b"Received:")].split(b"\r\n")
    assert max(map(len, lines)) <= 77
    assert all(line.startswith((b"DKIM-Signature:", b"\t")) for line in lines if line)


def test_a_long_domain_has_a_line_of_its_own(vault: FakeVault) -> None:
    domain = ".".join(["a" * 60] * 3)
    letter = read(message(b"From: ida@" + domain.encode() + b"\r\n\r\n"))
    (draft,) = drafts(letter, [key_of(vault, domain, "long")], b"\0" * 32, 1.0)
    assert b"\r\n\td=" + domain.encode() + b";\r\n\ts=long; t=1;" in draft.start


@given(st.binary(max_size=600))
def test_a_signature_of_any_length_comes_back_out_of_its_folds(octets: bytes) -> None:
    field = Draft(b"DKIM-Signature: v=1;\r\n\tb=", b"").field(octets)
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 77
    assert b64decode(unspaced(tags(field[15:-2])["b"]) if octets else b"") == octets


def test_the_author_is_who_stands_in_from_whatever_the_form() -> None:
    for value in (
        b"ida@corp.example",
        b'"Berg, Ida" <ida@CORP.example>',
        b"\r\n Ida\r\n\t<ida@corp.example>",
        b"a@corp.example, b@corp.example",
        b"ida@corp.example (from partner.example)",
    ):
        assert read(message(b"From: " + value + b"\r\n\r\nx")).domain == "corp.example"
    assert read(message("From: ida@büro.example\r\n\r\n".encode())).domain == "xn--bro-hoa.example"


def test_what_several_readers_would_read_apart_is_not_signed() -> None:
    assert reason(b"To: x\r\n\r\n") == sign.NO_FROM
    assert reason(b"\r\nFrom: ida@corp.example\r\n") == sign.NO_FROM
    assert reason(b"From: ida@corp.example\r\nfrom: x@y.example\r\n\r\n") == sign.SEVERAL_FROM
    assert reason(b"From: boss@corp.example <x@y.example>\r\n\r\n") == sign.BAD_FROM
    assert reason(b"From: ida\r\n\r\n") == sign.BAD_FROM
    assert reason(b"From: ida@[192.0.2.1]\r\n\r\n") == sign.BAD_FROM
    assert reason(b"From: nobody:;\r\n\r\n") == sign.BAD_FROM
    assert reason(b"From: a@corp.example, b@y.example\r\n\r\n") == sign.SEVERAL_DOMAINS
    assert reason(b"no field\r\nFrom: ida@corp.example\r\n\r\n") == sign.BROKEN_HEADER
    assert reason(b"From : ida@corp.example\r\n\r\n") == sign.ODD_FIELD
    assert reason(b"From: ida@corp.example\r\nSubject\t: x\r\n\r\n") == sign.ODD_FIELD
    assert reason(b"From a\r\nFrom b\r\nFrom: ida@corp.example\r\n\r\n") == sign.BROKEN_HEADER
    assert reason(b"From: ida@corp.example\r\n" + b"To: x\r\n" * 100 + b"\r\n") == sign.MANY_FIELDS


def test_a_header_section_that_is_not_seen_whole_is_not_signed() -> None:
    start = b"From: ida@corp.example\r\nX: "
    assert reason(start + b"x" * MAX_HEAD + b"\r\n\r\nbody\r\n") == sign.LONG_HEADER
    fits = start + b"x" * (MAX_HEAD - len(start) - 4) + b"\r\n\r\n"
    assert len(fits) == MAX_HEAD
    assert read(message(fits + b"body\r\n")).domain == "corp.example"
    assert reason(start + b"x" * (MAX_HEAD - len(start) - 3) + b"\r\n\r\nbody\r\n") == sign.LONG_HEADER


async def test_a_line_out_of_a_mailbox_file_is_passed_over(house: House) -> None:
    octets = LETTER.replace(b"From: Ida", b"From - Sat Apr 14 14:01:30 2018\r\nFrom: Ida")
    assert house.verdict((await house.signing.sign(mail_of(octets))).message.content.inline or b"")


def test_a_message_that_is_all_header_is_signed() -> None:
    assert read(message(b"From: ida@corp.example\r\n")).domain == "corp.example"


HEADERS = st.lists(
    st.sampled_from(
        [
            b"From: Ida <ida@corp.example>",
            b"To: a@b.example,\r\n\tc@d.example",
            b"SUBJECT:   a  b\t",
            b"Subject:",
            b"List-Unsubscribe:\r\n   <https://news.example/u?x=1>",
            b"References: <a@b>\r\n <c@d> ",
            b"X-Other: \xff\xfe",
            b"Content-Type: text/plain",
            b"no field",
        ]
    ),
    max_size=12,
)
BODIES = st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\xe4", b".", b"--x"]), max_size=30).map(b"".join)


@given(headers=HEADERS, body=BODIES)
def test_what_is_signed_verifies_and_all_else_has_a_reason(
    vault: FakeVault, ed: DkimKey, headers: list[bytes], body: bytes
) -> None:
    octets = b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body + b"\r\n"
    try:
        letter = read(message(octets))
    except Unsignable as error:
        assert error.reason
        return
    hashed = BodyHash(sign.BODY)
    hashed.update(octets[body_at(octets) :])
    (draft,) = drafts(letter, [ed], hashed.digest(), 1.0)
    assert passes(draft.field(vault.sign(ed.key, draft.to_sign).octets) + octets, ed)
