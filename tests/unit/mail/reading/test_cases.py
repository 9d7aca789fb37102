"""Messages on which mail programs or filters failed elsewhere; each says what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail.reading import Reading, read
from gateway.rules.text import normalise

CASES = Path(__file__).parent / "cases"


def case(name: str) -> Reading:
    return read((CASES / f"{name}.eml").read_bytes())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("name-01", "invoice.exe"),
        ("name-02", "quarterly-report.exe"),
        ("name-03", "testfile.pdf"),
        ("name-06", "docs.zip"),
        ("name-07", "Payment.PDF.html"),
        ("mime-09", "docs.zip"),
        ("mime-11", "a.dat"),
    ],
)
def test_the_name_that_is_shown_stands_first(name: str, shown: str) -> None:
    (attachment,) = case(name).attachments
    assert attachment.names[0] == attachment.name == shown


@pytest.mark.parametrize("name", ["mime-01", "mime-03", "mime-06", "mime-11", "name-01", "name-02"])
def test_an_executable_is_decoded_whichever_way_it_was_hidden(name: str) -> None:
    (attachment,) = case(name).attachments
    octets = attachment.octets()
    assert octets.startswith(b"MZ\x90\x00")
    assert b"PE\x00\x00" in octets
    assert len(octets) == attachment.size == 232


@pytest.mark.parametrize(
    ("name", "words"), [("mime-02", "amber lantern"), ("mime-13", "amber lantern"), ("mime-15", "lantern")]
)
def test_the_words_that_are_shown_are_found(name: str, words: str) -> None:
    assert any(f" {words} " in normalise(text.text) for text in case(name).texts if not text.hidden)


@pytest.mark.parametrize(
    ("name", "subject"),
    [("subj-01", "[SECURE] Grüße"), ("smtp-08", "Grüße aus Köln"), ("mime-17", "confidential plan")],
)
def test_the_subject_is_what_a_reader_sees(name: str, subject: str) -> None:
    reading = case(name)
    assert reading.subject == subject
    assert reading.subjects[0] == subject


def test_raw_letters_in_from_are_read() -> None:
    (field,) = case("smtp-08").named("from")
    assert field.text == "Jürgen <j@corp.example>"
    assert field.raw == " Jürgen <j@corp.example>\r".encode("latin-1")


def test_both_of_two_content_types_are_followed() -> None:
    reading = case("mime-06")
    assert "part 1" in [text.where for text in reading.texts]
    (whole,) = [text for text in reading.texts if text.where == "body"]
    assert "--b1" in whole.text
