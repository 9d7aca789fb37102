"""From 8 bits to 7, octet by octet."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from gateway.mail.downgrade import Obstacle, Unconvertible, downgrade
from gateway.mail.mime.editor import Editor
from gateway.mail.mime.encode import Encoding
from gateway.mail.mime.part import Flaw
from gateway.mail.mime.walk import Walk

MIXED = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"


def lines(*text: str) -> bytes:
    return "".join(f"{line}\r\n" for line in text).encode("latin-1")


def converted(octets: bytes) -> bytes:
    walk = Walk()
    walk.feed(octets)
    editor = Editor(downgrade(walk.end()).edits)
    return editor.feed(octets) + editor.end()


def obstacle(octets: bytes) -> Obstacle:
    with pytest.raises(Unconvertible) as refused:
        converted(octets)
    return refused.value.obstacle


def test_seven_bits_stay_as_they_are() -> None:
    octets = lines("Content-Transfer-Encoding: 8bit", "", "text = ")
    assert converted(octets) == octets


def test_a_text_becomes_quoted_printable_and_the_encoding_is_named_in_place() -> None:
    octets = lines("MIME-Version: 1.0", "content-transfer-encoding:\r\n 8bit (yes)", "Content-Type: text/plain", "",
                   "Gr\xfc\xdfe aus der Stadt = ", "." )  # fmt: skip
    assert converted(octets) == lines(
        "MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", "Content-Type: text/plain", "",
        "Gr=FC=DFe aus der Stadt =3D=20", "=2E",
    )  # fmt: skip


def test_an_encoding_that_nobody_named_stands_behind_the_other_fields() -> None:
    octets = lines("MIME-Version: 1.0", "Content-Type: text/plain", "Subject: a", "", "Gr\xfc\xdfe aus der Stadt")
    assert converted(octets) == lines(
        "MIME-Version: 1.0", "Content-Type: text/plain", "Subject: a", "Content-Transfer-Encoding: quoted-printable",
        "", "Gr=FC=DFe aus der Stadt",
    )  # fmt: skip


def test_text_without_mime_becomes_mime_with_a_charset_that_nobody_knows() -> None:
    """RFC 1428 3."""
    out = converted(lines("Subject: a", "", "Gr\xfc\xdfe aus der Stadt"))
    assert out == lines(
        "Subject: a", "MIME-Version: 1.0", "Content-Type: text/plain; charset=unknown-8bit",
        "Content-Transfer-Encoding: quoted-printable", "", "Gr=FC=DFe aus der Stadt",
    )  # fmt: skip


def test_a_message_without_header_gets_one() -> None:
    out = converted(b"\r\nGr\xfc\xdfe aus der Stadt\r\n")
    assert out.startswith(b"MIME-Version: 1.0\r\n")
    assert email.message_from_bytes(out).get_payload(decode=True) == b"Gr\xfc\xdfe aus der Stadt\r\n"


def test_what_is_mostly_beyond_ascii_becomes_base64() -> None:
    text = "Καλημέρα".encode() + b"\r\n"
    out = converted(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text)
    assert b"Content-Transfer-Encoding: base64\r\n" in out
    assert out.endswith(b"\r\n") and not out.endswith(b"\r\n\r\n")
    assert email.message_from_bytes(out).get_payload(decode=True) == text


def test_other_things_than_text_become_base64_even_with_few_octets_over_127() -> None:
    out = converted(lines("MIME-Version: 1.0", "Content-Type: application/x-thing", "", "a" * 100 + "\xe4"))
    assert b"Content-Transfer-Encoding: base64\r\n" in out


def test_only_parts_that_need_it_are_touched() -> None:
    octets = lines(
        MIXED + "Content-Transfer-Encoding: 8bit", "", "--b", "Content-Type: text/plain", "", "plain = ",
        "--b", "", "Gr\xfc\xdfe aus der Stadt", "--b", "Content-Transfer-Encoding: base64", "", "AAAA", "--b--", "end",
    )  # fmt: skip
    assert converted(octets) == lines(
        MIXED + "Content-Transfer-Encoding: 7bit", "", "--b", "Content-Type: text/plain", "", "plain = ",
        "--b", "Content-Transfer-Encoding: quoted-printable", "", "Gr=FC=DFe aus der Stadt",
        "--b", "Content-Transfer-Encoding: base64", "", "AAAA", "--b--", "end",
    )  # fmt: skip


def test_a_message_within_is_converted_inside_and_not_encoded_itself() -> None:
    """RFC 2046 5.2.1."""
    octets = lines(
        MIXED, "--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit", "", "Subject: in", "",
        "Gr\xfc\xdfe aus der Stadt", "--b--",
    )  # fmt: skip
    assert converted(octets) == lines(
        MIXED, "--b", "Content-Type: message/rfc822", "Content-Transfer-Encoding: 7bit", "", "Subject: in",
        "MIME-Version: 1.0", "Content-Type: text/plain; charset=unknown-8bit",
        "Content-Transfer-Encoding: quoted-printable", "", "Gr=FC=DFe aus der Stadt", "--b--",
    )  # fmt: skip


def test_quoted_printable_with_octets_over_127_is_mended() -> None:
    octets = lines("MIME-Version: 1.0", "Content-Type: text/plain", "Content-Transfer-Encoding: Quoted-Printable", "",
                   "=41\xe4 soft=", "ly")  # fmt: skip
    assert converted(octets) == octets.replace(b"\xe4", b"=E4")


E4 = "\xe4"


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (lines("MIME-Version: 1.0", "Content-Type: multipart/signed; boundary=b", "", "--b", "", E4, "--b--"),
         Obstacle.SIGNED),
        (lines("MIME-Version: 1.0", "Content-Type: multipart/encrypted; boundary=b", "", "--b", "", E4, "--b--"),
         Obstacle.ENCRYPTED),
        (lines("MIME-Version: 1.0", "Content-Type: multipart/signed; boundary=b", "", "--b",
               "Content-Type: message/rfc822", "", "Subject: a", "", E4, "--b--"), Obstacle.SIGNED),
        (lines("MIME-Version: 1.0", "Content-Type: multipart/signed", "", E4), Obstacle.SIGNED),
        (lines("MIME-Version: 1.0", "Content-Type: application/pkcs7-mime; smime-type=signed-data", "", E4),
         Obstacle.SIGNED),
        (lines("MIME-Version: 1.0", "Content-Type: application/x-pkcs7-mime", "Content-Transfer-Encoding: binary", "",
               E4), Obstacle.SIGNED),
        (lines("MIME-Version: 1.0", "Content-Type: text/plain", "Content-Transfer-Encoding: BINARY", "", E4),
         Obstacle.BINARY),
        (lines("Subject: " + E4, "", "text"), Obstacle.HEADER),
        (lines("Subject: " + E4, "", E4), Obstacle.HEADER),
        (lines(MIXED, "--b", "Content-Type: text/plain; name=" + E4, "", "a", "--b--"), Obstacle.HEADER),
        (lines(MIXED, E4, "--b", "", "a", "--b--"), Obstacle.STRAY),
        (lines(MIXED, "--b", "", "a", "--b--", E4), Obstacle.STRAY),
        (lines("MIME-Version: 1.0", "Content-Type: message/partial; number=1", "", E4), Obstacle.COMPOSITE),
        (lines("MIME-Version: 1.0", "Content-Type: message/delivery-status", "", E4), Obstacle.COMPOSITE),
        (lines("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", "", "AAAA" + E4), Obstacle.ENCODED),
        (lines("MIME-Version: 1.0", "Content-Transfer-Encoding: x-uue", "", E4), Obstacle.ENCODED),
        (lines("MIME-Version: 1.0", "Content-Type: multipart/mixed", "", E4), Obstacle.BROKEN),
        (lines("no field", "", E4), Obstacle.BROKEN),
        (lines("MIME-Version: 1.0", "Content-Type: text/plain", "Content-Type: text/html", "", E4), Obstacle.BROKEN),
        (b"Subject: a\r\n\r\n\xe4\nb\r\n", Obstacle.BROKEN),
    ],
)  # fmt: skip
def test_what_can_not_be_converted_says_why(octets: bytes, what: Obstacle) -> None:
    assert obstacle(octets) is what


def test_a_signed_part_of_seven_bits_beside_a_text_of_eight_is_no_obstacle() -> None:
    signed = lines("--b", "Content-Type: multipart/signed; boundary=s", "", "--s", "", "words = ", "--s--")
    octets = (
        lines(MIXED).removesuffix(b"\r\n")
        + b"\r\n"
        + lines("--b", "", "Gr\xfc\xdfe aus der Stadt")
        + signed
        + b"--b--\r\n"
    )
    assert signed in converted(octets)


def test_a_message_of_another_alphabet_may_be_encoded() -> None:
    """RFC 6532 3.7: message/global is no message/rfc822."""
    octets = lines("MIME-Version: 1.0", "Content-Type: message/global", "", "Subject: \xe4", "", "text")
    assert b"Content-Transfer-Encoding: base64\r\n" in converted(octets)


def test_an_obstacle_tells_nothing_of_the_message() -> None:
    with pytest.raises(Unconvertible) as refused:
        converted(b"Subject: secret\r\n\r\n\xe4\nsecret\r\n")
    assert "secret" not in repr(refused.value) + refused.value.detail
    assert refused.value.detail == Flaw.LINES


def test_everybody_elses_messages_say_the_same_before_and_after(corpus: Path) -> None:
    """Python's email package judges. What stays as it is has a reason, and there are two."""
    kept: dict[str, Obstacle] = {}
    eight = 0
    for file in sorted((corpus / "mime").glob("*")):
        octets = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        try:
            out = converted(octets)
        except Unconvertible as refused:
            kept[file.name] = refused.obstacle
            continue
        assert out.isascii()
        assert (out == octets) == octets.isascii()
        eight += out != octets
        assert decoded(out) == decoded(octets), file.name
    assert eight >= 26
    assert kept == {
        "mk-feedback-report.txt.eml": Obstacle.HEADER,
        "tb-content-utf8-rel-alt.eml": Obstacle.BROKEN,
    }


def decoded(octets: bytes) -> list[tuple[str, object, object]]:
    """Type, charset (none named is as good as unknown) and decoded octets of each leaf."""
    parsed = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        (one.get_content_type(), one.get_param("charset", "unknown-8bit"), one.get_payload(decode=True))
        for one in parsed.walk()
        if not one.is_multipart()
    ]


def test_the_encodings_are_told_in_the_order_of_the_parts() -> None:
    walk = Walk()
    walk.feed(lines(MIXED, "--b", "", "Gr\xfc\xdfe aus der Stadt", "--b", "Content-Type: image/x", "", E4, "--b--"))
    assert downgrade(walk.end()).encodings == (Encoding.QUOTED_PRINTABLE, Encoding.BASE64)
