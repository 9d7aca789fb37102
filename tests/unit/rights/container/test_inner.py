"""The compound file that lies encrypted in a message.rpmsg: our own layout, and those of others."""

from __future__ import annotations

import io
import os
import struct
from typing import Any

import pytest

from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Octets, Tree, write_compound
from gateway.rights.container.counted import narrow as counted
from gateway.rights.container.counted import wide
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.inner import MESSAGE, OLE, Inner, InnerAttachment, read_inner, write_inner

MAIL = b"Subject: lantern\r\n\r\nbare\nLF, NUL \0, 8-bit \xff, and no line end"
PICTURE = InnerAttachment("Straße \U0001f512.png", "picture@example", os.urandom(5000))


@pytest.mark.parametrize(
    "inner",
    [
        Inner(None, None),
        Inner("", None, (), b""),
        Inner("text \u20ac", None, (), MAIL),
        Inner(None, "<p>h\u00e9</p>", (PICTURE,), MAIL),
        Inner("text", "<p>html</p>", (PICTURE, InnerAttachment("empty", None, b"")), MAIL * 100),
        Inner("foreign", None, (PICTURE, InnerAttachment("original.eml", None, b"a file of the sender's"))),
        Inner("ours", None, (InnerAttachment("original.eml", None, b"a file of the sender's"),), MAIL),
    ],
)
def test_what_is_written_is_read(inner: Inner) -> None:
    octets = write_inner(inner)
    assert len(octets) % 512 == 0
    assert read_inner(octets) == inner


def test_the_streams_are_those_of_the_specification() -> None:
    file = CompoundFile(write_inner(Inner("text", "<p>html</p>", (PICTURE,), MAIL)))
    assert file.read("OutlookBodyStreamInfo") == struct.pack("<HI", 1, 65001)
    assert (file.read("BodyPT-HTML"), file.read("BodyPTAsHTML")) == (b"text", b"<p>html</p>")
    names = "MailAttachment 0|MailAttachment 1|"
    info = struct.pack("<IB", 2, len(names)) + names.encode("utf-16-le")
    assert file.read("Attachment List", "Attachment Info") == info
    assert file.read("Attachment List", "MailAttachment 0", "AttachContents") == MAIL
    description = file.read("Attachment List", "MailAttachment 0", "AttachDesc")
    assert description[:48] == b"\x03\x02\0\0" + b"\x0coriginal.eml" * 3 + b"\x04.eml"
    assert description[64:68] == struct.pack("<I", 1)
    assert CompoundFile(write_inner(Inner(None, "h"))).read("OutlookBodyStreamInfo") == struct.pack("<HI", 2, 65001)


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 4608, 4609, 65_536, 65_537])
def test_a_message_by_itself_lies_in_a_file_as_any_other(length: int) -> None:
    original = os.urandom(length)
    written = write_inner(Inner(None, None, (), original))
    assert read_inner(written) == Inner(None, None, (), original)
    file, place = CompoundFile(written), ("Attachment List", "MailAttachment 0")
    described = file.read(*place, "AttachDesc")
    tree: Tree = {
        "Attachment List": {
            "MailAttachment 0": {"AttachDesc": described, "AttachContents": original},
            "Attachment Info": file.read("Attachment List", "Attachment Info"),
        }
    }
    assert written == write_compound(tree).join()


def test_olefile_reads_it() -> None:
    olefile: Any = pytest.importorskip("olefile", reason="olefile is not here: nobody else judges the inner file")
    file = olefile.OleFileIO(io.BytesIO(write_inner(Inner("text", None, (PICTURE,), MAIL * 1000))), raise_defects=0)
    assert file.parsing_issues == []
    assert file.openstream("Attachment List/MailAttachment 0/AttachContents").read() == MAIL * 1000
    assert file.openstream("Attachment List/MailAttachment 1/AttachContents").read() == PICTURE.octets


def test_long_names_have_their_long_count_and_endless_ones_are_cut() -> None:
    for length in (254, 255, 256, 32_768):
        name = "\u00fc" * length
        inner = Inner(None, None, (InnerAttachment(name, "c" * length, b""),))
        assert read_inner(write_inner(inner)) == inner
    odd = Inner(None, None, (InnerAttachment("a" + "\U0001f512" * 20_000, None, b""),))
    assert read_inner(write_inner(odd)).attachments[0].name == "a" + "\U0001f512" * 16_383  # no half of a pair
    halves = Inner("\ud800", None, (InnerAttachment("\udc00.txt", None, b""),))
    assert read_inner(write_inner(halves)) == Inner("?", None, (InnerAttachment("?.txt", None, b""),))


def test_what_can_not_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="only the original"):
        write_inner(Inner(None, None, (InnerAttachment("original.eml", None, b""),)))
    with pytest.raises(ValueError, match="not opened"):
        write_inner(Inner(None, None, (InnerAttachment("a", None, b"", MESSAGE),)))
    write_inner(Inner(None, None, (InnerAttachment("a", None, b""),) * 999, MAIL))
    with pytest.raises(ValueError, match="more attachments"):
        write_inner(Inner(None, None, (InnerAttachment("a", None, b""),) * 1000, MAIL))


def test_nothing_of_it_is_in_what_python_shows() -> None:
    assert repr(Inner("text", "html", (PICTURE,), MAIL)) == "Inner()"
    assert repr(PICTURE) == "InnerAttachment(method=1)"


def described(
    names: tuple[str, str, str] = ("shown", "long name.txt", "LONGNA~1.TXT"), method: int = 1, version: int = 0x0203
) -> bytes:
    """AttachDesc as Outlook has it: paths, a location, times, and more behind what the specification tells."""
    display, long_name, short_name = names
    narrow = b"".join(map(counted, ("c:\\long", "c:\\path", display, long_name, short_name, ".txt")))
    texts = ("<cid@x>", "http://x/", "c:\\long", "c:\\path", display, long_name, short_name, ".txt")
    octets = struct.pack("<H", version) + narrow + os.urandom(16) + struct.pack("<I", method)
    return octets + b"".join(map(wide, texts)) + b"and more"


def foreign(
    storages: dict[str, Octets | Tree],
    *,
    info: bytes | None = None,
    body: tuple[int, int, bytes] = (2, 1252, b"caf\xe9"),
    **streams: Octets | Tree,
) -> bytes:
    """With what rpmsg viewers find in real messages."""
    listed = struct.pack("<I", len(storages)) + wide("".join(f"{name}|" for name in storages))
    form, page, octets = body
    return write_compound({
        "OutlookBodyStreamInfo": struct.pack("<HI", form, page),
        "BodyPT-HTML": octets,
        "RpmsgStorageInfo": bytes(16),
        "Attachment List": {**storages, "Attachment Info": listed if info is None else info},
        **streams,
    }).join()  # fmt: skip


ONE: Tree = {"AttachDesc": described(), "AttachContents": b"octets", "AttachPres": b"an icon"}


def test_a_message_of_another_writer_is_read() -> None:
    inner = read_inner(foreign({"MailAttachment 0": ONE}))
    assert inner == Inner(None, "caf\u00e9", (InnerAttachment("long name.txt", "cid@x", b"octets"),))


def test_the_long_name_is_taken_then_the_shown_one_then_the_short_one() -> None:
    for names, expected in (
        (("shown", "", "SHORT"), "shown"),
        (("", "", "SHORT"), "SHORT"),
        (("", "", ""), ""),
    ):
        one: Tree = {"AttachDesc": described(names), "AttachContents": b""}
        assert read_inner(foreign({"MailAttachment 0": one})).attachments[0].name == expected


def test_the_original_is_the_one_in_place_0_alone() -> None:
    one: Tree = {"AttachDesc": described(("", "original.eml", "")), "AttachContents": b"mail"}
    assert read_inner(foreign({"MailAttachment 0": one})).original == b"mail"
    later = read_inner(foreign({"MailAttachment 0": ONE, "MailAttachment 1": one}))
    assert later.original is None and len(later.attachments) == 2
    first = read_inner(foreign({"MailAttachment 1": one}))
    assert first.original is None and len(first.attachments) == 1
    message: Tree = {"AttachDesc": described(("", "original.eml", ""), MESSAGE), "MAPIMessage": {}}
    assert read_inner(foreign({"MailAttachment 0": message})).original is None


@pytest.mark.parametrize("method", [MESSAGE, OLE, 2, 0xFFFFFFFF])
def test_what_is_not_attached_by_value_is_named_and_not_opened(method: int) -> None:
    nested: Tree = {"__properties_version1.0": bytes(100), "__attach_version1.0_#00000000": {"x": bytes(5000)}}
    one: Tree = {"AttachDesc": described(method=method), "MAPIMessage": nested}
    assert read_inner(foreign({"MailAttachment 0": one})).attachments == (
        InnerAttachment("long name.txt", "cid@x", b"", method),
    )


def test_bodies_of_all_three_kinds_are_read() -> None:
    plain = foreign({}, body=(1, 65001, "\u20ac".encode()), BodyPTAsHTML="<p>\u20ac".encode())
    assert read_inner(plain) == Inner("\u20ac", "<p>\u20ac")
    assert read_inner(foreign({}, body=(1, 1200, "\u20ac".encode("utf-16-le")))) == Inner("\u20ac", None)
    rtf = foreign({}, info=struct.pack("<I", 0xFFFFFFFF) + wide(""), body=(3, 1252, b"<p>"), BodyRTF=b"{\\rtf1}")
    assert read_inner(rtf) == Inner(None, "<p>")
    nothing = write_compound({"OutlookBodyStreamInfo": struct.pack("<HI", 3, 1252)}).join()
    assert read_inner(nothing) == Inner(None, None)


def test_the_count_beside_rtf_says_nothing() -> None:
    info = struct.pack("<I", 0xFFFFFFFF) + wide("MailAttachment 0|")
    assert len(read_inner(foreign({"MailAttachment 0": ONE}, info=info)).attachments) == 1


def info(count: int, names: str) -> bytes:
    return struct.pack("<I", count) + wide(names)


DAMAGED = {
    "another count": (foreign({"MailAttachment 0": ONE}, info=info(2, "MailAttachment 0|")), "their list"),
    "no bar behind the last": (foreign({"MailAttachment 0": ONE}, info=info(1, "MailAttachment 0")), "their list"),
    "a storage that is not there": (foreign({}, info=info(1, "MailAttachment 0|")), "no stream"),
    "one twice": (foreign({"MailAttachment 0": ONE}, info=info(2, "MailAttachment 0|" * 2)), "twice"),
    "1,001 attachments": (foreign({}, info=info(1001, "".join(f"{n}|" for n in range(1001)))), "too many"),
    "a list that ends early": (foreign({}, info=struct.pack("<IB", 1, 9) + b"M"), "ends early"),
    "a list of 64 KiB and more": (foreign({}, info=struct.pack("<IBH", 1, 255, 32_769) + bytes(65_538)), "too long"),
    "an empty list": (foreign({}, info=b""), "ends early"),
    "another version": (
        foreign({"MailAttachment 0": {"AttachDesc": described(version=0x0204), "AttachContents": b""}}),
        "version",
    ),
    "half a description": (
        foreign({"MailAttachment 0": {"AttachDesc": described()[:90], "AttachContents": b""}}),
        "ends early",
    ),
    "no contents": (foreign({"MailAttachment 0": {"AttachDesc": described()}}), "no stream AttachContents"),
    "another kind of body": (foreign({}, body=(4, 65001, b"")), "neither text nor HTML"),
    "a body of no kind": (write_compound({"BodyPT-HTML": b"x"}).join(), "nothing says"),
    "half of what says it": (write_compound({"OutlookBodyStreamInfo": b"\1\0\0"}).join(), "ends early"),
    "no compound file": (MAIL, "compound file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_is_told(case: str) -> None:
    octets, words = DAMAGED[case]
    with pytest.raises(Damaged, match=words):
        read_inner(octets)


def test_a_list_that_ends_in_zeros_is_read() -> None:
    assert len(read_inner(foreign({"MailAttachment 0": ONE}, info=info(1, "MailAttachment 0|\0"))).attachments) == 1
