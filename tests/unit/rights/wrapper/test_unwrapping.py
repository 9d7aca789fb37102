"""What was wrapped is put back in its place, and nothing else of a message changes."""

from __future__ import annotations

from base64 import encodebytes

import pytest

from gateway.mail.reading import MessageKind, read
from gateway.rights.branding import Branding
from gateway.rights.wrapper.letter import Letter
from gateway.rights.wrapper.outside import head_of, outside, without_trace
from gateway.rights.wrapper.sender import sender_of
from gateway.rights.wrapper.unwrapping import MOST, can_travel, file_at, is_worth_a_look, places, seen, unwrapped
from gateway.rights.wrapper.wrapped import Wrapper

RPMSG = bytes.fromhex("76e80460c411e386") + bytes(range(256)) * 3
ORIGINAL = (
    b"From: ida@corp.example\r\nSubject: true\r\nX-Label: inside\r\nContent-Type: text/plain\r\n\r\nthe plain words\r\n"
)


def wrapped(original: bytes = ORIGINAL, subject: str | None = None) -> bytes:
    branding = Branding(name="Corp")
    wrapper = Wrapper.made(RPMSG, branding, "0" * 30)
    message = head_of(original)
    letter = Letter(
        sender=sender_of(message, None),
        recipient="otto@partner.example",
        url="https://p.example",
        link="https://p.example/m/x",
        expires=None,
        branding=branding,
    )
    return wrapper.head(outside(message, subject), letter) + b"".join(wrapper.pieces) + wrapper.tail


def with_program(octets: bytes) -> bytes:
    front, edge, _ = octets.rpartition(b"--=_m")
    part = b"Content-Type: application/octet-stream; name=run.exe\r\n\r\nMZ\r\n"
    return front + edge + b"0" * 30 + b"\r\n" + part + octets[len(front) :]


def attached(head: bytes = b"Content-Type: application/x-microsoft-rpmsg-message", body: bytes | None = None) -> bytes:
    body = body or encodebytes(RPMSG).replace(b"\n", b"\r\n")
    return (
        b'From: otto@partner.example\r\nSubject: Re: true\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nmy answer\r\n--b\r\n"
        + head
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + body
        + b"\r\n--b--\r\n"
    )


def test_the_file_is_found_and_decoded() -> None:
    octets = wrapped()
    assert is_worth_a_look(head_of(octets))
    (place,) = places(octets)
    assert file_at(octets, place) == RPMSG


def test_a_wrapped_mail_becomes_what_it_wraps_with_the_fields_outside_as_they_are_now() -> None:
    octets = b"Received: by a.example\r\n" + wrapped()
    assert unwrapped(octets, [ORIGINAL]) == b"Received: by a.example\r\n" + ORIGINAL


def test_a_subject_that_was_hidden_comes_back_and_what_a_rule_put_in_front_stays() -> None:
    found = unwrapped(wrapped(subject="A protected message"), [ORIGINAL])
    assert found is not None and found.count(b"Subject:") == 1 and b"Subject: true\r\n" in found
    found = unwrapped(wrapped().replace(b"Subject: true", b"Subject: [EXT] true"), [ORIGINAL])
    assert found is not None and found.count(b"Subject:") == 1 and b"Subject: [EXT] true\r\n" in found


def test_rules_see_the_original_first_and_all_that_stands_around_the_file() -> None:
    """Else what somebody puts beside a genuine file would pass all rules, and be read all the same."""
    octets = with_program(wrapped(subject="A protected message"))
    made = seen(octets, [ORIGINAL])
    assert made is not None and head_of(made).first(b"Subject") == b"true"
    found = read(made)
    assert found.subject == "true" and found.texts[0].text.strip() == "the plain words"
    assert any("https://p.example/m/x" in text.text for text in found.texts)
    assert "run.exe" in [name for file in found.attachments for name in file.names]


def test_a_mail_that_is_the_file_and_nothing_else_keeps_its_header() -> None:
    """Without it no rule would know its sender, and no reader."""
    fields = b"From: otto@partner.example\r\nSubject: Re: true\r\n"
    head = b"Content-Type: application/x-microsoft-rpmsg-message\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    octets = fields + head + encodebytes(RPMSG).replace(b"\n", b"\r\n")
    made = seen(octets, [ORIGINAL])
    assert made is not None and made.startswith(fields)
    assert read(made).texts[0].text.strip() == "the plain words"
    assert unwrapped(octets, [ORIGINAL]) == fields + ORIGINAL.partition(b"true\r\n")[2]


def test_what_stands_beside_the_file_stays_when_the_original_takes_its_place() -> None:
    octets = with_program(wrapped())
    (place,) = places(octets)
    made = unwrapped(octets, [ORIGINAL])
    assert made is not None and made.startswith(octets[: place.start]) and made.endswith(octets[place.end :])
    assert ORIGINAL in made[place.start :]


ALONE = b"Content-Type: application/x-microsoft-rpmsg-message\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
ODD_HEADERS = [
    b"From: ida@corp.example\r\nhidden words\r\nSubject: true\r\n\r\nthe plain words\r\n",
    b"hidden words\r\nno field\r\n\r\nthe plain words\r\n",
    b" hidden words\r\nFrom: ida@corp.example\r\n\r\nthe plain words\r\n",
    b"From: ida@corp.example\r\nSubject: true\r\nSubject: hidden words\r\n\r\nthe plain words\r\n",
    b"From: ida@corp.example\nSubject: hidden words\n\nthe plain words\n",
    b"From: ida@corp.example\r\nSubject: true\n\nhidden words\r\n\r\nthe plain words\r\n",
    b"From: ida@corp.example\r\nX: \r\n y\rhidden words\r\n\r\nthe plain words\r\n",
    b"From: ida@corp.example\r\n" + b"X: y\r\n" * 60_000 + b"Subject: hidden words\r\n\r\nthe plain words\r\n",
]


@pytest.mark.parametrize("original", ODD_HEADERS)
def test_what_readers_take_in_several_ways_of_a_header_section_is_neither_hidden_from_rules_nor_lost(
    original: bytes,
) -> None:
    """What comes back in place of the file would be without them, and some readers take them for the text."""
    for octets in (wrapped(original, subject="A protected message"), b"From: o@partner.example\r\n" + ALONE):
        made = seen(octets, [original])
        assert made is not None
        found = read(made)
        texts = " ".join([*found.subjects, *(text.text for text in found.texts)])
        assert "plain words" in texts and ("hidden words" in texts or b"hidden words" in b" ".join(found.raws("x")))
        back = unwrapped(octets, [original])
        assert back is not None and original in back
        assert back.startswith(octets.partition(b"\r\n")[0])


def test_rules_see_the_fields_of_the_wrapped_mail_itself_too() -> None:
    """The mail goes on with them: the mark of a filter in front of us, a subject that is another."""
    front, class_, behind = wrapped(subject="Outside").partition(b"Content-Class")
    made = seen(front + b"X-Filter: dirty\r\n" + class_ + behind, [b"Content-Class: voice-mail\r\n" + ORIGINAL])
    assert made is not None
    found = read(made)
    assert found.subjects == ("true", "Outside")
    assert [one.strip() for name in ("x-filter", "x-label") for one in found.raws(name)] == [b"dirty", b"inside"]
    assert MessageKind.VOICEMAIL in found.kinds
    made = seen(b"From: otto@partner.example\r\nX-Filter: dirty\r\n" + ALONE, [ORIGINAL])
    assert made is not None and [one.strip() for one in read(made).raws("x-filter")] == [b"dirty"]


def test_a_field_that_a_rule_has_set_stays_when_rights_are_removed() -> None:
    front, class_, behind = wrapped().partition(b"MIME-Version")
    octets = front + b"X-Set: yes\r\nDKIM-Signature: broken\r\n" + class_ + behind
    made = unwrapped(octets, [ORIGINAL])
    assert made is not None and made.endswith(b"Content-Type: text/plain\r\nX-Set: yes\r\n\r\nthe plain words\r\n")
    assert b"DKIM-Signature" not in made


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: application/x-microsoft-rpmsg-message",
        b'Content-Type: application/octet-stream; name="Message.RPMSG"',
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=message.rpmsg",
    ],
)
def test_an_attached_file_becomes_an_attached_message(head: bytes) -> None:
    octets = attached(head)
    (place,) = places(octets)
    assert file_at(octets, place) == RPMSG
    found = unwrapped(octets, [ORIGINAL])
    assert found is not None
    before, after = octets[: place.start], octets[place.end :]
    assert found.startswith(before) and found.endswith(after)
    assert found[len(before) : -len(after)] == (
        b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        + ORIGINAL
    )


def test_what_would_end_the_message_around_it_stays_shut() -> None:
    """An original that holds the delimiter of the mail that brings it would put parts of its own beside that."""
    original = ORIGINAL + b"--b\r\n\r\nmore"
    assert unwrapped(attached(), [original]) is None
    made = seen(attached(), [original])  # Its readers see it all the same, and so do rules.
    assert made is not None
    found = read(made)
    assert found.subject == "Re: true" and found.texts[0].text.strip() == "my answer"
    assert [text.text for text in found.texts if "the plain words" in text.text and "more" in text.text]


def test_files_that_are_others_now_are_left_alone() -> None:
    assert unwrapped(attached(), []) is None
    assert unwrapped(attached(), [None]) is None
    assert unwrapped(attached(), [ORIGINAL, ORIGINAL]) is None
    assert unwrapped(ORIGINAL, []) is None


def test_more_files_than_the_limit_are_left_alone() -> None:
    part = b"--b\r\nContent-Type: application/x-microsoft-rpmsg-message\r\n\r\nx\r\n"
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    assert len(places(head + part * MOST + b"--b--\r\n")) == MOST
    assert places(head + part * (MOST + 1) + b"--b--\r\n") == ()


def test_a_file_in_an_attached_message_is_that_senders_affair() -> None:
    inner = attached()
    octets = b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n' + inner
    assert places(octets + b"\r\n--o--\r\n") == ()


@pytest.mark.parametrize(
    ("octets", "can"),
    [(ORIGINAL, True), (b"a\nb", False), (b"a\rb", False), (b"\0", False), (b"x" * 998, True), (b"x" * 999, False)],
)
def test_what_is_no_message_of_lines_does_not_travel(octets: bytes, can: bool) -> None:
    assert can_travel(octets) is can


# -- what stands outside ----------------------------------------------------------------------------------------------

OURS = b"Received: from a\r\n\tby gw.example with ESMTP id Q; x\r\n"
RESULTS = b"Authentication-Results: GW.example;\r\n\tdkim=pass\r\n"


@pytest.mark.parametrize(
    ("top", "left"),
    [
        (b"", b""),
        (OURS, b""),
        (RESULTS + OURS, b""),
        (OURS + OURS, OURS),  # One is ours; the second came with the message.
        (OURS.replace(b"from a", b"from by (by 1)"), b""),
        (OURS.replace(b"gw.", b"other."), OURS.replace(b"gw.", b"other.")),
        (b"X: y\r\n" + OURS, b"X: y\r\n" + OURS),
        (RESULTS.replace(b"GW", b"mx"), RESULTS.replace(b"GW", b"mx")),
    ],
)
def test_what_we_put_on_top_is_not_inside(top: bytes, left: bytes) -> None:
    assert without_trace(top + ORIGINAL, ("x.example", "GW.example"), "gw.example") == left + ORIGINAL


def test_fields_outside_are_by_a_list_once_each_and_without_odd_line_ends() -> None:
    message = head_of(
        b"received: a\r\nRECEIVED: b\r\nFrom: a@x.example\r\nFrom: b@x.example\r\nTo: a@x.example\nX: y\r\n"
        b"Keywords: secret\r\nDKIM-Signature: d\r\nReferences: <1@x>\r\n <2@x>\r\nSubject: s\r\n\r\nbody"
    )
    assert outside(message, None) == (
        b"received: a\r\nRECEIVED: b\r\nFrom: a@x.example\r\nReferences: <1@x>\r\n <2@x>\r\nSubject: s\r\n"
    )
    assert outside(message, "größer").endswith(b"<2@x>\r\nSubject: =?utf-8?B?Z3LDtsOfZXI=?=\r\n")
