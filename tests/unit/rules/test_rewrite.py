"""Disclaimers, judged by Python's own reader of mail: what is decoded has them, and everything else is as it was."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path

import pytest

from gateway.mail.message import Held, Message
from gateway.rules.disclaimer import Unfit
from gateway.rules.rewrite import MARK, Rewriter, Rewritten
from gateway.rules.values import Fallback, Location
from gateway.rules.work import DisclaimerWanted, PrependSubject

CASES = Path(__file__).parent / "cases"
HTML = "<p>Vertraulich &amp; <b>geheim</b>: müssen €</p>"
TEXT = "Vertraulich & geheim: müssen €"
HEAD = b"From: Ida <ida@corp.example>\r\nSubject: x\r\nMessage-ID: <1@corp.example>\r\nMIME-Version: 1.0\r\n"


def wanted(
    html: str = HTML, *, rule: str = "one", location: Location = Location.APPEND, fallback: Fallback = Fallback.WRAP
) -> DisclaimerWanted:
    return DisclaimerWanted(rule=rule, html=html, location=location, fallback=fallback)


def rewritten(octets: bytes, *disclaimers: DisclaimerWanted, values: dict[str, str] | None = None) -> Rewritten:
    message = Message(octets, Held(octets))
    rewriter = Rewriter(message, octets, values=values or {}, mark=lambda text: f"{hash(text):x}", boundary="=_edge")
    return rewriter.rewrite((), disclaimers or (wanted(),))


def octets_of(done: Rewritten) -> bytes:
    held = done.message.content.inline
    assert held is not None
    assert done.message.head == held
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", held) is None
    assert max(map(len, held.split(b"\r\n"))) <= 998
    return held


def read(octets: bytes) -> EmailMessage:
    message = message_from_bytes(octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def content(part: MIMEPart) -> str:
    """Its text, with LF at the ends of lines."""
    return str(part.get_content()).replace("\r\n", "\n")


def case(name: str) -> bytes:
    return (CASES / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def test_foot_01_a_base64_part_still_decodes_and_keeps_its_charset() -> None:
    before, done = case("foot-01.eml"), octets_of(rewritten(case("foot-01.eml")))
    part = read(done)
    body = content(part)
    was = content(read(before))
    assert part["Content-Type"] == read(before)["Content-Type"]
    assert part["Content-Transfer-Encoding"] == "base64"
    assert body.index("Vertraulich") < body.lower().index("</body>")
    assert body.replace("\n<p>Vertraulich &amp; <b>geheim</b>: m&#252;ssen &#8364;</p>\n", "").strip() == was.strip()


def test_foot_02_a_part_of_7_bits_stays_one() -> None:
    octets = octets_of(rewritten(case("foot-02.eml")))
    part = read(octets)
    assert octets.isascii()
    assert part["Content-Transfer-Encoding"] == "7bit"
    assert 'width="136"' in content(part)
    assert "m&#252;ssen &#8364;</p>\r\n</body>" in octets.decode()


def test_foot_03_all_other_parts_stay_octet_for_octet() -> None:
    before, after = case("foot-03.eml"), octets_of(rewritten(case("foot-03.eml")))
    attached = before[before.index(b"--b1\r\nContent-Type: image") :]
    assert after.endswith(attached)
    text = read(after).get_body()
    assert text is not None
    assert content(text) == f"see attachment\n\n{TEXT}"


def test_a_text_of_7_bits_becomes_quoted_printable_and_utf8() -> None:
    part = read(octets_of(rewritten(HEAD + b"Content-Type: text/plain\r\n\r\nhello =3D\r\n")))
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert part.get_content_charset() == "utf-8"
    assert content(part) == f"hello =3D\n\n{TEXT}\n"


def test_a_message_of_no_mime_becomes_one_where_it_has_to() -> None:
    before = b"From: ida@corp.example\r\n\r\nhello\r\n"
    part = read(octets_of(rewritten(before)))
    assert part["MIME-Version"] == "1.0"
    assert content(part) == f"hello\n\n{TEXT}\n"
    after = octets_of(rewritten(before, wanted("<p>plain</p>")))
    assert after.endswith(before.replace(b"From", b"From") + b"\r\nplain\r\n")
    assert b"MIME" not in after


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-15", "windows-1252"])
def test_a_charset_that_has_the_letters_is_kept(charset: str) -> None:
    head = HEAD + f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    done = rewritten(head + "grüße\r\n".encode(charset))
    part = read(octets_of(done))
    assert done.eight_bit
    assert part.get_content_charset() == charset
    assert content(part) == f"grüße\n\n{TEXT}\n"


@pytest.mark.parametrize("transfer", ["8bit", "quoted-printable", "base64"])
def test_a_charset_that_lacks_a_letter_makes_the_part_utf8(transfer: str) -> None:
    made = EmailMessage(policy=policy.SMTP)
    made.set_content("grüße\n", charset="iso-8859-1", cte=transfer)
    made["X-A"] = "1"
    part = read(octets_of(rewritten(made.as_bytes())))
    assert part.get_content_charset() == "utf-8"
    assert part["Content-Transfer-Encoding"] == transfer
    assert content(part).rstrip("\n") == f"grüße\n\n{TEXT}"


def test_both_forms_of_an_alternative_get_it() -> None:
    made = EmailMessage(policy=policy.SMTP)
    made.set_content("text\n")
    made.add_alternative("<html><body><p>html</p></body></html>\n", subtype="html")
    made.add_attachment(b"\x00\xff" * 300, maintype="image", subtype="png", filename="a.png")
    after = read(octets_of(rewritten(made.as_bytes(), wanted(location=Location.PREPEND))))
    text, html = after.get_body(("plain",)), after.get_body(("html",))
    assert text is not None
    assert html is not None
    assert content(text) == f"{TEXT}\n\ntext\n"
    assert content(html).startswith("<html><body>\n<p>Vertraulich")
    assert [one.get_content() for one in after.iter_attachments()] == [b"\x00\xff" * 300]


def test_several_rules_stand_in_their_order() -> None:
    octets = HEAD + b"\r\ntext\r\n"
    front = [wanted(f"<p>{name}</p>", rule=name, location=Location.PREPEND) for name in ("one", "two")]
    back = [wanted(f"<p>{name}</p>", rule=name) for name in ("three", "four")]
    assert octets_of(rewritten(octets, *front, *back)).endswith(
        b"\r\n\r\ntwo\r\n\r\none\r\n\r\ntext\r\n\r\nthree\r\n\r\nfour\r\n"
    )


def test_a14_a_loop_through_us_adds_nothing_and_a_forged_mark_does_not_count() -> None:
    octets = HEAD + b"\r\ntext\r\n"
    once = octets_of(rewritten(octets))
    assert once.count(MARK.encode()) == 1
    assert octets_of(rewritten(once)) == once
    forged = f"{MARK}: 123\r\n".encode() + octets
    assert octets_of(rewritten(forged)).count(b"geheim") == 1
    # The mark of one message says nothing about another.
    other = octets_of(rewritten(once.replace(b"<1@", b"<2@")))
    assert other.count(b"geheim") == 2


def test_a15_the_name_of_a_sender_is_no_markup() -> None:
    octets = HEAD + b"Content-Type: text/html\r\n\r\n<body>x</body>\r\n"
    values = {"displayname": "<script>alert(1)</script>", "email": "ida@corp.example"}
    after = octets_of(rewritten(octets, wanted("<p>%%DisplayName%% %%email%% %%other%%</p>"), values=values))
    assert b"<p>&lt;script&gt;alert(1)&lt;/script&gt; ida@corp.example %%other%%</p>" in after


SIGNED = (
    HEAD
    + b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n'
    + b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)
UNFIT = [
    (SIGNED, Unfit.SIGNED),
    (HEAD + b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n", Unfit.ENCRYPTED),
    (HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIIB\r\n", Unfit.ENCRYPTED),
    (HEAD + b"Content-Type: application/x-pkcs7-mime\r\n\r\nMIIB\r\n", Unfit.ENCRYPTED),
    (HEAD + b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nhello\r\n", Unfit.SIGNED),
    (HEAD + b"Content-Type: image/png\r\n\r\nx\r\n", Unfit.NO_TEXT),
    (HEAD + b"Content-Type: text/calendar\r\n\r\nx\r\n", Unfit.NO_TEXT),
    (HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n", Unfit.BROKEN),
    (HEAD + b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n=AAA\r\n", Unfit.CODED),
    (HEAD + b"Content-Type: text/html\r\nContent-Transfer-Encoding: uuencode\r\n\r\nx\r\n", Unfit.CODED),
    (HEAD + b"Content-Type: text/html; charset=utf-16\r\n\r\nx\r\n", Unfit.CODED),
    (HEAD + b"Content-Type: text/html\r\n\r\n<body>x<!-- \r\n", Unfit.CODED),
    (HEAD + b"\r\n" + b"x" * 70 + b"\r\n" + b"long\r\n" * 200_000, Unfit.LONG),
    (HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
     b"Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
     b"--b\r\n\r\nfooter of a list\r\n--b--\r\n", Unfit.SIGNED),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "why"), UNFIT)
def test_a11_and_foot_04_what_takes_none_is_wrapped_as_it_is(octets: bytes, why: Unfit) -> None:
    done = rewritten(octets)
    assert done.unfit is why
    held = done.message.content.inline
    assert held is not None
    outer = read(held)
    assert (outer["From"], outer["Subject"]) == ("Ida <ida@corp.example>", "x")
    first, second = outer.iter_parts()
    assert "geheim" in content(first)
    assert second.get_content_type() == "message/rfc822"
    assert octets in held


@pytest.mark.parametrize(("octets", "why"), UNFIT)
def test_a12_ignore_leaves_every_octet_and_reject_says_so(octets: bytes, why: Unfit) -> None:
    ignored = rewritten(octets, wanted(fallback=Fallback.IGNORE))
    assert (ignored.message.content.inline, ignored.unfit, ignored.rejecting) == (octets, why, None)
    assert rewritten(octets, wanted(fallback=Fallback.REJECT)).rejecting == "one"


def test_attachments_alone_get_a_part_of_its_own_in_front() -> None:
    body = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nsee below\r\n--b\r\nContent-Type: text/plain\r\n"
        b"Content-Disposition: attachment; filename=a.txt\r\n\r\nfile\r\n--b--\r\n"
    )
    after = octets_of(rewritten(HEAD + body))
    parts = list(read(after).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/html", "text/plain"]
    assert content(parts[1]) == "file"
    assert body[body.index(b"--b\r\n") :] in after


def test_an_attached_text_is_no_body() -> None:
    body = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nfile\r\n"
        b"--b\r\n\r\nbody\r\n--b--\r\n"
    )
    first, second = read(octets_of(rewritten(HEAD + body))).iter_parts()
    assert content(first) == "file"
    assert content(second) == f"body\n\n{TEXT}"


def test_header_edits_and_disclaimers_go_together() -> None:
    octets = HEAD + b"\r\ntext\r\n"
    message = Message(octets, Held(octets), {})
    rewriter = Rewriter(message, octets, values={}, mark=str, boundary="=_edge")
    done = rewriter.rewrite((PrependSubject("[EXT] "),), (wanted("<p>end</p>"),))
    assert octets_of(done).endswith(
        b"Subject: [EXT] x\r\n" + HEAD[HEAD.index(b"Message-ID") :] + b"\r\ntext\r\n\r\nend\r\n"
    )
    assert done.message.hashes is None  # The body is another.
    assert rewriter.rewrite((PrependSubject("[EXT] "),), ()).message.hashes == {}
