"""An answer as octets: whom it goes to, and that nothing typed becomes a field or a part. Python's email reads it."""

from __future__ import annotations

import base64
import email
import email.policy
from email.message import EmailMessage

import pytest

from gateway.mail.address import parse_address
from gateway.mail.reading import read
from gateway.portal.compose import (
    MAX_PEOPLE,
    MAX_THREAD,
    Addressees,
    Letter,
    NobodyToAnswer,
    Thread,
    addressees,
    may_quote,
    name_of,
    quoted,
    subject_of,
    thread_of,
)
from gateway.portal.people import Person
from gateway.rights.right import Right
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY

PORTAL = "portal@corp.example"
BEN = "ben@partner.example"
HEAD = (
    b"From: Ida Blum <ida@corp.example>\r\n"
    b"To: =?utf-8?Q?Ben_Sch=C3=B6n?= <Ben@Partner.Example>, Cleo <cleo@other.example>\r\n"
    b"Cc: otto@corp.example, portal@corp.example\r\n"
)


def whom(head: bytes, *, reader: str = BEN, owner: str = "ida@corp.example", to_all: bool = False) -> list[list[str]]:
    found = addressees(read(head + b"\r\n"), reader=reader, portal=PORTAL, owner=owner, to_all=to_all)
    return [[one.address for one in found.to], [one.address for one in found.cc]]


def letter(**changed: object) -> Letter:
    usual: dict[str, object] = {
        "id": "Q1",
        "now": 1_793_700_000.0,
        "hostname": "gw.corp.example",
        "portal": parse_address(PORTAL),
        "reader": parse_address(BEN),
        "reader_name": "Ben Schön",
        "addressees": Addressees((Person("Ida Blum", "ida@corp.example"),)),
        "subject": "Re: offer",
        "thread": Thread("<a@corp.example>", ("<0@corp.example>", "<a@corp.example>")),
        "text": "Yes.",
        "files": (),
        "boundary": "=_00ff",
    }
    return Letter(**(usual | changed))  # type: ignore[arg-type]


def octets(made: Letter, *files: bytes) -> bytes:
    pieces = [made.head()]
    for number, file in enumerate(files):
        pieces += [made.before(number), base64.encodebytes(file).replace(b"\n", b"\r\n").removesuffix(b"\r\n")]
    return b"".join([*pieces, made.end()])


def parsed(made: Letter, *files: bytes) -> EmailMessage:
    whole = octets(made, *files)
    assert b"\n" not in whole.replace(b"\r\n", b"") and b"\r" not in whole.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in whole.split(b"\r\n"))
    message = email.message_from_bytes(whole, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def said_by(part: EmailMessage) -> str:
    return str(part.get_content()).replace("\r\n", "\n")


# -- whom it goes to ---------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_the_sender_alone() -> None:
    assert whom(HEAD) == [["ida@corp.example"], []]


def test_an_answer_to_all_goes_to_everybody_but_the_reader_and_the_portal() -> None:
    assert whom(HEAD, to_all=True) == [["ida@corp.example"], ["cleo@other.example", "otto@corp.example"]]


def test_who_says_where_to_answer_is_answered_there() -> None:
    """An answer of another reader comes from the portal: it must not go back to the portal itself."""
    head = b"From: Cleo <portal@corp.example>\r\nReply-To: cleo@other.example\r\nTo: ben@partner.example\r\n"
    assert whom(head) == [["cleo@other.example"], []]
    assert whom(head, to_all=True) == [["cleo@other.example"], []]


def test_nobody_is_named_twice() -> None:
    head = b"From: ida@corp.example\r\nTo: IDA@corp.example, otto@corp.example\r\nCc: otto@corp.example\r\n"
    assert whom(head, to_all=True) == [["ida@corp.example"], ["otto@corp.example"]]


def test_the_owner_is_answered_where_the_message_names_no_sender() -> None:
    assert whom(b"Subject: x\r\n") == [["ida@corp.example"], []]
    assert whom(b"From: nobody at all\r\n") == [["ida@corp.example"], []]


def test_the_sender_who_answers_himself_writes_to_those_he_wrote_to() -> None:
    assert whom(HEAD, reader="ida@corp.example") == [["Ben@Partner.Example", "cleo@other.example"], []]
    assert whom(HEAD, reader="ida@corp.example", to_all=True)[1] == ["otto@corp.example"]


def test_a_message_that_names_nobody_else_can_not_be_answered() -> None:
    with pytest.raises(NobodyToAnswer):
        whom(b"From: ben@partner.example\r\nTo: portal@corp.example\r\n")


def test_as_many_as_a_sealed_message_has_readers_can_be_answered() -> None:
    def many(count: int) -> bytes:
        return b"From: ida@corp.example\r\nTo: " + b", ".join(b"a%d@x.example" % one for one in range(count)) + b"\r\n"

    assert len(whom(many(MAX_PEOPLE - 1), to_all=True)[1]) == MAX_PEOPLE - 1
    with pytest.raises(NobodyToAnswer):
        whom(many(MAX_PEOPLE), to_all=True)
    assert whom(many(MAX_PEOPLE)) == [["ida@corp.example"], []]


def test_a_reader_has_the_name_that_the_sender_gave_him() -> None:
    assert name_of(read(HEAD + b"\r\n"), BEN) == "Ben Schön"
    assert name_of(read(HEAD + b"\r\n"), "eva@partner.example") == "eva@partner.example"


# -- the thread and the subject ----------------------------------------------------------------------------------------


def test_an_answer_stays_in_its_thread() -> None:
    head = b"Message-ID: <c@x.example>\r\nReferences: <a@x.example>\r\n <b@x.example>\r\n\r\n"
    assert thread_of(read(head)) == Thread("<c@x.example>", ("<a@x.example>", "<b@x.example>", "<c@x.example>"))


def test_a_message_without_references_has_what_it_answers() -> None:
    thread = thread_of(read(b"Message-ID: <c@x>\r\nIn-Reply-To: <b@x>\r\n\r\n"))
    assert thread.references == ("<b@x>", "<c@x>")


def test_a_long_thread_keeps_its_beginning_and_its_end() -> None:
    ids = b" ".join(b"<%d@x>" % number for number in range(50))
    found = thread_of(read(b"Message-ID: <50@x>\r\nReferences: " + ids + b"\r\n\r\n")).references
    assert (len(found), found[0], found[1], found[-1]) == (MAX_THREAD, "<0@x>", "<32@x>", "<50@x>")


def test_what_is_no_message_id_starts_no_thread() -> None:
    assert thread_of(read(b"Message-ID: none\r\nReferences: <a b> <\xff@x>\r\n\r\n")) == Thread()


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        (b"offer", "Re: offer"),
        (b"Re: offer", "Re: offer"),
        (b"AW: offer", "AW: offer"),
        (b"RE[2]: offer", "RE[2]: offer"),
        (b"=?utf-8?B?2LHYrzog2LnYsdi2?=", "رد: عرض"),
        (b"Regular", "Re: Regular"),
        (b"", "Re:"),
        (b"=?utf-8?Q?a=0D=0ABcc:_x=E2=80=AEy?=", "Re: a Bcc: xy"),
    ],
)
def test_an_answer_says_so_once_in_its_subject(subject: bytes, answer: str) -> None:
    assert subject_of(read(b"Subject: " + subject + b"\r\n\r\n")) == answer


def test_a_subject_that_was_typed_counts() -> None:
    original = read(b"Subject: offer\r\n\r\n")
    assert subject_of(original, "\r\nanother\r\none ") == "another one"
    assert subject_of(original, " \n") == "Re: offer"


def test_the_original_is_quoted_as_mail_programs_do() -> None:
    original = read(HEAD + b"Date: Tue, 3 Nov 2026 08:12:00 +0100\r\n\r\none\r\n\r\n> two\r\n")
    assert quoted(original) == "Ida Blum, 2026-11-03 08:12 +0100:\n> one\n>\n> > two"
    assert quoted(read(HEAD + b"\r\n")) == ""


def test_an_answer_quotes_only_what_may_be_copied_out() -> None:
    assert may_quote(ENCRYPT_ONLY.rights)
    assert may_quote(frozenset((Right.OWNER,)))
    assert not may_quote(DO_NOT_FORWARD.rights)


# -- the octets --------------------------------------------------------------------------------------------------------


def test_an_answer_comes_from_the_portal_and_is_answered_to_its_reader() -> None:
    message = parsed(letter())
    assert message["From"].addresses[0].addr_spec == PORTAL
    assert message["From"].addresses[0].display_name == "Ben Schön"
    assert message["Reply-To"].addresses[0].addr_spec == BEN
    assert message["To"] == "Ida Blum <ida@corp.example>"
    assert message["Message-ID"] == "<Q1@gw.corp.example>"
    assert message["In-Reply-To"] == "<a@corp.example>"
    assert message["References"] == "<0@corp.example> <a@corp.example>"
    assert message["Date"] == "Tue, 03 Nov 2026 10:00:00 +0000"
    assert message["Received"].startswith("from portal by gw.corp.example with HTTP id Q1;")
    assert message["Auto-Submitted"] is None, "a person wrote it"
    assert said_by(message) == "Yes.\n"


@pytest.mark.parametrize(
    "name",
    [
        'Ben "the" Schön\r\nBcc: eve@evil.example',
        "a, b <eve@evil.example>",
        '"',
        "\\",
        "=?utf-8?Q?x?=",
        "boss@corp.example",
        "x" * 500,
        "\u202eneB",
    ],
)
def test_no_name_becomes_an_address_or_a_field(name: str) -> None:
    message = parsed(letter(reader_name=name, addressees=Addressees((Person(name, "ida@corp.example"),))))
    assert [one.addr_spec for one in message["From"].addresses] == [PORTAL]
    assert [one.addr_spec for one in message["To"].addresses] == ["ida@corp.example"]
    assert message["Bcc"] is None
    assert "\u202e" not in str(message["From"])


def test_no_subject_becomes_a_field() -> None:
    message = parsed(letter(subject="a\r\nBcc: eve@evil.example\r\n\r\nbody"))
    assert message["Bcc"] is None
    assert said_by(message) == "Yes.\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("a\nb\rc\r\nd", "a\nb\nc\nd\n"),
        ("--=_00ff\r\nX: y", "--=_00ff\nX: y\n"),
        ("grüße \x00\x1b[31m", "grüße [31m\n"),
        ("x" * 5000, "x" * 5000 + "\n"),
        ("\ud800", "\n"),
        ("", "\n"),
        ("From here on\n.\n", "From here on\n.\n"),
    ],
)
def test_text_is_what_was_typed(typed: str, said: str) -> None:
    assert said_by(parsed(letter(text=typed))) == said


def test_files_come_through_octet_for_octet() -> None:
    made = letter(files=(("a.pdf", "application/pdf"), ("grüße.txt", "text/plain")))
    message = parsed(made, b"\x00\xff" * 100, b"")
    text, *files = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert said_by(text) == "Yes.\n"
    assert [one.get_filename() for one in files] == ["a.pdf", "grüße.txt"]
    assert [one.get_payload(decode=True) for one in files] == [b"\x00\xff" * 100, b""]
    assert files[0].get_content_type() == "application/pdf"
    assert all(one.get_content_disposition() == "attachment" for one in files)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Application/PDF", "application/pdf"),
        ("", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),
        ("text/plain; charset=x\r\nX: y", "application/octet-stream"),
        ("a/b\r\nX: y", "application/octet-stream"),
        ("x" * 200 + "/y", "application/octet-stream"),
    ],
)
def test_no_type_of_a_file_becomes_a_field_or_parts(kind: str, said: str) -> None:
    [_, file] = parsed(letter(files=(("a", kind),)), b"x").iter_parts()
    assert file.get_content_type() == said
    assert file["X"] is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ('a"\r\nX: y.txt', "a_ X_ y.txt"),
        ("C:\\Users\\ben\\a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("", "file 1"),
        ("exe\u202etxt.", "exetxt"),
        ("\u00fc" * 300 + ".txt", "\u00fc" * 98 + ".txt"),
    ],
)
def test_no_name_of_a_file_becomes_a_field_or_a_folder(name: str, said: str) -> None:
    [_, file] = parsed(letter(files=((name, "a/b"),)), b"x").iter_parts()
    assert file.get_filename() == said
    assert file["X"] is None


def test_files_of_one_name_are_told_apart() -> None:
    made = letter(files=(("a.txt", ""), ("A.txt", "")))
    assert [one.get_filename() for one in list(parsed(made, b"", b"").iter_parts())[1:]] == ["a.txt", "A (2).txt"]


def test_a_hundred_people_stand_on_lines_that_may_be_sent() -> None:
    people = tuple(Person("Zoë " * 15, f"a{number}@xn--bcher-kva.example") for number in range(100))
    message = parsed(letter(addressees=Addressees(people[:50], people[50:])))
    assert len(message["To"].addresses) == len(message["Cc"].addresses) == 50


def test_only_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    idn = letter(reader=parse_address("ben@bücher.example"))
    assert not idn.is_international
    assert parsed(idn)["Reply-To"] == "ben@xn--bcher-kva.example"
    assert letter(reader=parse_address("bén@partner.example")).is_international
