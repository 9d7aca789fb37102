"""What we sign holds with dkimpy and with OpenDKIM, over every message of the corpus that can be signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.authenticate.dkim import sign
from gateway.authenticate.dkim.publish import record_name, record_text
from gateway.authenticate.signing import SigningKeys
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.storage.dkim_keys import Algorithm, DkimKey
from tests.fakes.signing import House, key_of, mail_of, passes
from tests.fakes.vault import FakeVault
from tests.interop.opendkim import OpenDkim

LEAST = 171  # Of the 195 messages.

# What OpenDKIM's test mode does not read at all; dkimpy judges these alone.
UNREAD = {
    "mk-stack-overflow.txt.eml",  # A header field of 130 KiB.
    "tb-sampleContent.eml",  # A line out of a mailbox file without a date.
}

FOLDED = (  # A value that begins on the line after its name.
    b"From: Ida Berg <ida@corp.example>\r\nTo: Otto Falk <otto@partner.example>\r\nSubject: folded\r\n"
    b"List-Unsubscribe:\r\n   <https://news.example/u?x=1>\r\n\r\nx\r\n"
)
LONG = (  # One line of References, of 3,000 octets, which nobody may wrap after it was signed.
    b"From: Ida Berg <ida@corp.example>\r\nSubject: re\r\nReferences:"
    + b"".join(b" <%030d@corp.example>" % number for number in range(62))
    + b"\r\n\r\nx\r\n"
)
EIGHT_BIT = (
    b"From: Ida Berg <ida@corp.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
)
INTERNATIONAL = "From: Ida <ida@büro.example>\r\nTo: Öl <öl@partner.example>\r\nSubject: Grüße\r\n\r\nx\r\n".encode()


def author(octets: bytes) -> str | None:
    """In whose name a message would be signed."""
    try:
        return sign.read(Message(octets[:MAX_HEAD], Held(octets))).domain
    except sign.Unsignable:
        return None


class Judges:
    """Signs with an RSA and an Ed25519 key in the name of any domain, and asks both programs."""

    def __init__(self, folder: Path, domains: set[str]) -> None:
        vault = FakeVault()
        two = [key_of(vault, selector="r", algorithm=Algorithm.RSA), key_of(vault, selector="e")]
        self.keys: dict[str, list[DkimKey]] = {
            domain: [replace(key, domain=domain) for key in two] for domain in domains
        }
        self.house = House(vault)
        self.house.signing.use(SigningKeys(key for keys in self.keys.values() for key in keys))
        self.opendkim = OpenDkim(folder, {record_name(k): record_text(k) for ks in self.keys.values() for k in ks})

    async def signed(self, octets: bytes) -> bytes:
        mail = await self.house.signing.sign(mail_of(octets))
        assert mail.signed is not None and len(mail.signed.signatures) == 2
        made = mail.message.content.inline
        assert made is not None and made.endswith(octets)
        return made


@pytest.fixture
def judges(tmp_path: Path) -> Iterator[Judges]:
    judges = Judges(tmp_path, {"corp.example", "xn--bro-hoa.example"})
    yield judges
    judges.house.close()


async def test_every_message_of_the_corpus_that_can_be_signed_holds(
    tmp_path: Path, mime_messages: dict[str, bytes]
) -> None:
    whose = {name: domain for name, octets in mime_messages.items() if (domain := author(octets))}
    assert len(whose) >= LEAST
    judges = Judges(tmp_path, set(whose.values()))
    wrong = []
    for name, domain in whose.items():
        octets = await judges.signed(mime_messages[name])
        if not all(passes(octets, *judges.keys[domain], place=place) for place in (0, 1)):
            wrong.append(f"dkimpy: {name}")
        found = judges.opendkim.results(octets)
        expected = (None, None) if name in UNREAD else ("pass", "pass")
        if (found.get("r"), found.get("e")) != expected:
            wrong.append(f"opendkim: {name}: {found}")
    judges.house.close()
    assert wrong == []


@pytest.mark.parametrize("octets", [FOLDED, LONG, EIGHT_BIT], ids=["folded", "long line", "8bit"])
async def test_what_other_signers_have_failed_at_holds(judges: Judges, octets: bytes) -> None:
    signed = await judges.signed(octets)
    assert passes(signed, *judges.keys["corp.example"], place=0)
    assert passes(signed, *judges.keys["corp.example"], place=1)
    assert judges.opendkim.results(signed) == {"r": "pass", "e": "pass"}


async def test_an_internationalised_author_is_signed_for_by_the_a_label(judges: Judges) -> None:
    signed = await judges.signed(INTERNATIONAL)
    assert b"d=xn--bro-hoa.example;" in signed
    assert judges.opendkim.results(signed) == {"r": "pass", "e": "pass"}


async def test_the_judge_finds_what_was_changed(judges: Judges) -> None:
    signed = await judges.signed(FOLDED)
    assert judges.opendkim.results(signed + b"more\r\n") == {"r": "fail", "e": "fail"}
    end = signed.index(b"From: Ida")
    added = signed[:end] + b"Subject: another\r\n" + signed[end:]
    assert judges.opendkim.results(added) == {"r": "fail", "e": "fail"}
