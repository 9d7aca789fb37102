"""A message that a user hands in: who it says it is from, and what is added where it is missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import reply as say
from gateway.mail.date import rfc5322_date
from gateway.mail.message import MAX_HEAD
from gateway.mail.reply import Refused, Reply
from gateway.smtp.submission import OfUser, Submitted
from tests.fakes.accounts import IDA
from tests.fakes.desk import FakeIncoming

NOW = 1_793_692_800.0
OURS = f"Date: {rfc5322_date(NOW)}\r\nMessage-ID: <Q1@mx.corp.example>\r\n".encode()
FROM = b"From: Ida <ida@corp.example>\r\n"
REST = b"Date: x\r\nMessage-ID: <1@corp.example>\r\n"


def submitted(**facts: Any) -> Submitted:
    given: dict[str, Any] = {"bounces": True, "id_": "Q1", "host": "mx.corp.example", "now": NOW, **facts}
    return Submitted(IDA, **given)


def kept(message: bytes, *, size: int = 1 << 20, **facts: Any) -> bytes | Reply:
    """What is kept of the message, or why nothing is."""
    one = submitted(**facts)
    octets = b"".join(one.feed(message[start : start + size]) for start in range(0, len(message), size)) + one.end()
    if one.fault is not None:
        assert octets == b""
        return one.fault
    return octets


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_date_and_message_id_are_put_on_top_where_they_are_missing(size: int) -> None:
    message = FROM + b"Subject: x\r\n\r\nFrom: boss@corp.example\r\n\r\nx\r\n"
    assert kept(message, size=size) == OURS + message


def test_a_message_that_has_them_stays_as_it_is() -> None:
    message = FROM + REST + b"\r\nx\r\n"
    assert kept(message) == message
    message = b"message-id : <1@x>\r\n" + FROM + b"DATE: x\r\n\r\nx\r\n"
    assert kept(message) == message


def test_one_of_the_two_is_added_alone() -> None:
    date, message_id = OURS.splitlines(keepends=True)
    message = b"Message-ID: <1@corp.example>\r\n" + FROM + b"\r\nx\r\n"
    assert kept(message) == date + message
    message = b"Date: x\r\n" + FROM + b"\r\nx\r\n"
    assert kept(message) == message_id + message


def test_a_message_without_a_body_is_judged_at_its_end() -> None:
    assert kept(FROM + REST) == FROM + REST
    assert kept(b"From: boss@corp.example\r\n") is say.FROM_NOT_YOURS


@pytest.mark.parametrize(
    "fields",
    [
        b"From: ida@corp.example\r\n",
        b"From:\r\n Ida\r\n\t<IDA+x@Corp.Example>\r\n",
        b"From: anybody@sales.corp.example\r\n",
        b"From: ida@corp.example, x@sales.corp.example\r\nSender: Ida <ida@corp.example>\r\n",
        b"From: Sales: ida@corp.example;\r\n",
    ],
)
def test_a_user_writes_as_their_own_addresses(fields: bytes) -> None:
    assert kept(fields + REST + b"\r\n") == fields + REST + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (b"From: boss@corp.example\r\n", say.FROM_NOT_YOURS),
        (b"From: ida@corp.example, boss@corp.example\r\n", say.FROM_NOT_YOURS),
        (b"from\t: boss@corp.example\r\n", say.FROM_NOT_YOURS),
        (b"From: ida@corp.example\r\nSender: boss@corp.example\r\n", say.FROM_NOT_YOURS),
        (b"Subject: x\r\n", say.BAD_FROM),
        (b"From:\r\n", say.BAD_FROM),
        (b"From: Nobody:;\r\n", say.BAD_FROM),
        (b"From: boss@corp.example <ida@corp.example>\r\n", say.BAD_FROM),
        (b"From: ida@corp.example\r\nFrom: boss@corp.example\r\n", say.BAD_FROM),
        (b"From: ida@corp.example\r\nfrom : boss@corp.example\r\n", say.BAD_FROM),
        (b"From: ida@corp.example\r\nSender: ida@corp.example\r\nSender: ida@corp.example\r\n", say.BAD_FROM),
        (b"From: ida@corp.example\r\nSender: ida@corp.example, x@sales.corp.example\r\n", say.BAD_FROM),
        (b"From: ida@corp.example\r\nSender:\r\n", say.BAD_FROM),
        (b"From: postmaster\r\n", say.FROM_NOT_YOURS),
        (b"Resent-From: ida@corp.example\r\nFrom: boss@corp.example\r\n", say.FROM_NOT_YOURS),
        (b"\r\nFrom: ida@corp.example\r\n", say.BAD_FROM),
    ],
)
def test_nobody_writes_as_somebody_else(fields: bytes, fault: Reply) -> None:
    assert kept(fields + b"\r\nx\r\n") is fault
    assert kept(fields + b"\r\nx\r\n", size=1) is fault


def test_a_header_section_that_hides_what_stands_behind_its_bound_is_refused() -> None:
    filling = b"X: y\r\n" * (MAX_HEAD // 6 + 1)
    assert kept(FROM + filling + b"From: boss@corp.example\r\n\r\nx\r\n") is say.HEADER_TOO_LARGE
    assert kept(FROM + filling + b"\r\n", size=4096) is say.HEADER_TOO_LARGE
    assert kept(FROM + filling) is say.HEADER_TOO_LARGE


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Type: multipart/report; report-type=disposition-notification; boundary=x\r\n",
        b"Content-Type: multipart/report;\r\n report-type=disposition-notification\r\n",
        b"Auto-Submitted: auto-replied\r\n",
    ],
)
def test_receipts_and_automatic_replies_have_a_null_sender(field: bytes) -> None:
    message = FROM + field + REST + b"\r\nx\r\n"
    assert kept(message, bounces=False) == message


@pytest.mark.parametrize("field", [b"", b"Auto-Submitted: no\r\n", b"Content-Type: multipart/report\r\n"])
def test_anything_else_has_a_sender_who_hears_of_failures(field: bytes) -> None:
    assert kept(FROM + field + REST + b"\r\nx\r\n", bounces=False) is say.SENDER_NOT_YOURS


@given(st.lists(st.sampled_from([FROM, REST, b"\r\n", b"x", b"\r", b"\n", b": y\r\n"]), max_size=12), st.integers(1, 9))
def test_pieces_make_no_difference_and_nothing_else_is_touched(parts: list[bytes], size: int) -> None:
    message = b"".join(parts)
    whole = kept(message)
    assert kept(message, size=size) == whole
    if isinstance(whole, bytes):
        assert whole.endswith(message)


async def test_a_fault_is_told_at_the_end_and_nothing_is_kept() -> None:
    incoming = FakeIncoming(1 << 20, None, OSError())
    one = OfUser(incoming, submitted(), _fine)
    assert not one.write(b"From: boss@corp.example\r\n\r\n")
    assert not one.write(b"x" * (2 << 20))
    with pytest.raises(Refused, match=r"550 5\.7\.60"):
        await one.finish()
    assert incoming.octets == b""
    await one.abandon()
    assert incoming.abandoned


async def test_a_user_who_was_removed_meanwhile_keeps_nothing() -> None:
    async def ended() -> None:
        raise Refused(say.LOG_IN_ENDED, close=True)

    one = OfUser(FakeIncoming(1 << 20, None, OSError()), None, ended)
    one.write(b"x\r\n")
    with pytest.raises(Refused, match=r"421 4\.7\.0"):
        await one.finish()


async def test_memory_is_asked_to_make_room_as_without_a_user() -> None:
    incoming = FakeIncoming(10, None, OSError())
    one = OfUser(incoming, None, _fine)
    assert one.write(b"x" * 11)
    await one.flush()
    assert incoming.flushed == 1
    assert (await one.finish()).head == b"x" * 11


async def _fine() -> None:
    pass
