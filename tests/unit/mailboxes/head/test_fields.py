"""Fields of a header section."""

from __future__ import annotations

from time import process_time

from gateway.mailboxes.head.fields import MAX_FIELDS, fields_of, text_of


def test_fields_are_found_whatever_their_case_and_line_ends() -> None:
    for end in (b"\r\n", b"\n"):
        fields = fields_of(end.join([b"SUBJECT : a", b" b", b"\tc", b"X-Other: d", b" e", b"To:f", b"", b""]))
        assert text_of(fields, b"subject") == b"a b\tc"
        assert text_of(fields, b"to") == b"f"
        assert set(fields) == {b"subject", b"to"}


def test_a_line_that_is_no_field_ends_the_one_before() -> None:
    fields = fields_of(b"From somebody\r\nSubject: a\r\nnonsense\r\n more of it\r\nDate: b\r\n")
    assert text_of(fields, b"subject") == b"a"
    assert text_of(fields, b"date") == b"b"


def test_several_of_one_name_stay_in_order_up_to_a_limit() -> None:
    assert fields_of(b"To: a\r\nCc: b\r\nTo: c\r\n d\r\n")[b"to"] == [b"a", b"c d"]
    assert len(fields_of(b"To: a\r\n" * (MAX_FIELDS + 1))[b"to"]) == MAX_FIELDS


def test_a_field_of_many_lines_takes_time_in_proportion() -> None:
    began = process_time()
    fields_of(b"To: a\n" + b" b\n" * 80_000)
    assert process_time() - began < 0.5
