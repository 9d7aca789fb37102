"""Messages that others wrote: none fails, and of some it is known what they say."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from gateway.mail.reading import Reading, read
from gateway.rules.text import normalise


def everything(octets: bytes) -> Reading:
    reading = read(octets)
    for text in reading.texts:
        text.text.encode()
        text.where.encode()
    for attachment in reading.attachments:
        assert attachment.size == len(attachment.octets())
        assert all(name.encode("utf-8", "surrogatepass") for name in attachment.names)
    assert all(field.text.encode() or True for field in reading.fields)
    assert reading.kinds is not None
    assert reading.charsets is not None
    assert reading.flaws is not None
    return reading


def test_every_message_of_the_corpus_is_read(corpus: Path) -> None:
    files = sorted((corpus / "mime").glob("*.eml"))
    assert len(files) > 150
    for file in files:
        octets = file.read_bytes()
        for one in (octets, octets.replace(b"\r\n", b"\n"), octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
            reading = everything(one)
            assert reading.texts or reading.attachments, file.name


def test_every_message_of_pythons_own_tests_is_read() -> None:
    files = sorted((Path(sysconfig.get_path("stdlib")) / "test/test_email/data").glob("msg_*.txt"))
    if not files:
        pytest.skip("this Python came without its tests' messages")
    assert len(files) > 40
    for file in files:
        everything(file.read_bytes())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tb-bad-charset", "matterhörn"),
        ("tb-base64-bug1586890", "abcdefghijklm"),
        ("tb-iso-2022-jp-not-qp", "現況"),
        ("tb-wronglyDeclaredShift_JIS", "メールを簡単に"),
        ("tb-wronglyDeclaredUTF8", "メールを簡単に"),
        ("tb-noCharsetKOI8U", "моя семья"),
        ("tb-noCharsetWindows1252", "aquí tenemos texto en español"),
        ("tb-malformed-multipart-mixed", "malformed"),
        ("tb-HTML-with-split-tag1", "shouldfind acrosslines"),
        ("tb-qp-trailing-equals-plain", "qptrailingplain"),
        ("tb-rfc822_base64_attachment", "hello"),
        ("tb-eml_wrong_mime_type", "hi there"),
        ("tb-untyped_text_with_cte_and_charset", "liebe grüße aus österreich"),
        ("tb-multipart-message-2", "bodyofattachedmessagepläin"),
        ("tb-html-entities-and-styles", "at t because"),
        ("mk-issue1130.txt", "isa"),
        ("mk-japanese.txt", "日本語が"),
    ],
)
def test_known_words_are_found(corpus: Path, name: str, words: str) -> None:
    reading = read((corpus / "mime" / f"{name}.eml").read_bytes())
    assert any(normalise(words).strip() in normalise(text.text) for text in reading.texts)


@pytest.mark.parametrize(
    ("name", "words"),
    [("tb-HTML-with-split-tag1", "shouldnotfindthis"), ("tb-HTML-with-split-tag1", "shouldntfindhref")],
)
def test_words_that_nobody_sees_are_not_found(corpus: Path, name: str, words: str) -> None:
    reading = read((corpus / "mime" / f"{name}.eml").read_bytes())
    assert not any(words in normalise(text.text) for text in reading.texts)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("tb-nestedMessages", ["message1.eml", "whitePixel.png", "greenPixel.png", "redPixel.png", "message2.eml",
                               "whitePixel.png", "yellowPixel.png"]),
        ("tb-malformed_hidden_alt_attachment", ["binary.bin"]),
        ("tb-testmsg-nested", ["that's why.eml"]),
        ("tb-sample03", ["doubelspace  ball.png"]),
        ("tb-multiple_unreferenced_related_parts", ["dummy1.zip", "dummy2.zip"]),
        ("mk-missing-subtype.txt", ["document.xml.gz"]),
    ],
)  # fmt: skip
def test_known_attachments_are_found(corpus: Path, name: str, names: list[str]) -> None:
    reading = read((corpus / "mime" / f"{name}.eml").read_bytes())
    assert [one.name for one in reading.attachments] == names
