"""message.rpmsg as a whole: licence and ciphertext, by the numbers of the specification and by other readers."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Octets, Tree, write_compound
from gateway.rights.container.container import Parts, read_rpmsg, write_rpmsg
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.dataspaces import write_data_spaces
from gateway.rights.container.envelope import Envelope, read_envelope
from tests.fakes.containers import many_streams, one_stream

LICENCE = b'<?xml version="1.0"?><XrML>' + "größe ".encode() * 800 + b"</XrML>"
CONTENT = struct.pack("<Q", 20_480) + os.urandom(20_480)
PRIMARY = ("\x06DataSpaces", "TransformInfo", "\x09DRMTransform", "\x06Primary")


def both(parts: Parts) -> tuple[bytes, bytes]:
    return parts.licence, parts.drm_content


@pytest.mark.parametrize("length", [8, 4095, 4096, 4104, 100_000])
@pytest.mark.parametrize("licence", [b"<X/>", LICENCE, LICENCE * 20])
def test_what_is_written_is_read(length: int, licence: bytes) -> None:
    content = os.urandom(length)
    assert both(read_rpmsg(write_rpmsg(licence, content))) == (licence, content)


@pytest.mark.parametrize("length", [4096, 4097, 4608, 4609, 20_000, 70_000])
@pytest.mark.parametrize("licence", [5000, 5004, 5120, 5333])
def test_a_head_that_is_remembered_is_that_of_any_other_file(length: int, licence: int) -> None:
    text, content = (LICENCE * 2)[:licence], os.urandom(length)
    whole = write_compound({"\x06DataSpaces": write_data_spaces(text), "\x09DRMContent": content}).join()
    assert read_envelope(write_rpmsg(text, content)) == whole
    assert read_envelope(write_rpmsg(text, content, alike=(700, 300))) == whole  # That is remembered, too.


def test_the_five_streams_have_the_sizes_of_real_messages() -> None:
    file = CompoundFile(read_envelope(write_rpmsg(LICENCE, CONTENT)))
    spaces = "\x06DataSpaces"
    assert file.size(spaces, "Version") == 76
    assert file.size(spaces, "DataSpaceMap") == 80
    assert file.size(spaces, "DataSpaceInfo", "\x09DRMDataSpace") == 40
    assert file.size(*PRIMARY) == 176 + len(LICENCE) + -len(LICENCE) % 4
    assert file.size("\x09DRMContent") == len(CONTENT)
    # [MS-OFFCRYPTO] 2.1.6: the map's one entry, and its own length.
    assert file.read(spaces, "DataSpaceMap")[:20] == struct.pack("<5I", 8, 1, 72, 1, 0)
    primary = file.read(*PRIMARY)
    assert primary[:12] == struct.pack("<3I", 88, 1, 76)
    assert struct.unpack_from("<I", primary, 88) == (62,)
    assert struct.unpack_from("<6HII", primary, 156) == (1, 0, 1, 0, 1, 0, 4, len(LICENCE))


def test_other_readers_find_licence_and_ciphertext(tmp_path: Path) -> None:
    octets = write_rpmsg(LICENCE, CONTENT)
    (tmp_path / "message.rpmsg").write_bytes(octets)
    (tmp_path / "outer").write_bytes(read_envelope(octets))
    olefile: Any = pytest.importorskip("olefile", reason="olefile is not here: nobody else judges our message.rpmsg")
    file = olefile.OleFileIO(io.BytesIO(read_envelope(octets)), raise_defects=0)
    assert file.parsing_issues == []
    assert len(file.listdir()) == 5
    assert file.openstream("\x09DRMContent").read() == CONTENT
    assert LICENCE in file.openstream(list(PRIMARY)).read()


def test_the_command_file_knows_it(tmp_path: Path) -> None:
    program = shutil.which("file")
    if program is None:
        pytest.skip("the package file is not here: it does not say what our message.rpmsg is")
    (tmp_path / "a").write_bytes(write_rpmsg(LICENCE, CONTENT))
    said = subprocess.run([program, "--brief", str(tmp_path / "a")], capture_output=True, text=True, timeout=10).stdout
    assert "rpmsg Restricted Permission Message" in said


def test_7z_finds_licence_and_ciphertext(tmp_path: Path) -> None:
    program = shutil.which("7z")
    if program is None:
        pytest.skip("the package p7zip-full is not here: 7-Zip does not judge our message.rpmsg")
    (tmp_path / "outer").write_bytes(read_envelope(write_rpmsg(LICENCE, CONTENT)))
    command = [program, "x", "-tCompound", f"-o{tmp_path}", str(tmp_path / "outer")]
    assert subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    # 7-Zip writes what no file name can hold otherwise: [6]DataSpaces.
    [content] = [path for path in tmp_path.rglob("*DRMContent") if path.is_file()]
    [primary] = [path for path in tmp_path.rglob("*Primary") if path.is_file()]
    assert content.read_bytes() == CONTENT
    assert LICENCE in primary.read_bytes()


def test_ciphertext_is_not_deflated_and_the_licence_is() -> None:
    many = write_rpmsg(LICENCE * 100, CONTENT)  # 600 KB that repeat themselves.
    assert len(many) < len(CONTENT) + 40_000
    # One of these lies in one block, wherever blocks begin.
    assert CONTENT[8000:10_000] in many or CONTENT[10_000:12_000] in many


def foreign(primary: bytes, **others: Octets | Tree) -> bytes:
    """With another stream \\x06Primary, deflated by another writer."""
    spaces = dict(write_data_spaces(b"")) | {"TransformInfo": {"\x09DRMTransform": {"\x06Primary": primary}}}
    return one_stream(write_compound({"\x06DataSpaces": spaces, "\x09DRMContent": CONTENT, **others}).join())


def primary(
    *,
    id_: str = "{C73DFACD-061F-43B0-8B64-0C620D2A8B50}",
    name: str = "Microsoft.Metadata.DRMTransform",
    kind: int = 1,
    spare: int = 0,
    extension: bytes = b"",
    length: int | None = None,
) -> bytes:
    """IRMDSTransformInfo with anything in it otherwise."""
    wide = [text.encode("utf-16-le") for text in (id_, name)]
    first, second = (struct.pack("<I", len(one)) + one + bytes(-len(one) % 4) for one in wide)
    octets = struct.pack("<II", 8 + len(first) + spare, kind) + first + bytes(max(0, spare)) + second + bytes(12)
    octets += struct.pack("<I", 4 + len(extension)) + extension
    return octets + struct.pack("<I", len(LICENCE) if length is None else length) + LICENCE + bytes(-len(LICENCE) % 4)


def test_the_licence_is_found_by_the_lengths_in_front_of_it() -> None:
    for made in (
        primary(),
        primary(name="Some other name of an odd length"),
        primary(spare=6),
        primary(extension=b"more"),
        primary(id_="{c73dfacd-061f-43b0-8b64-0c620d2a8b50}"),
    ):
        assert both(read_rpmsg(foreign(made))) == (LICENCE, CONTENT)


def test_a_file_with_a_stream_for_each_block_and_with_more_in_it_is_read() -> None:
    plain = read_envelope(foreign(primary(), **{"EUL-ETRHA": b"a licence", "\x05SummaryInformation": b"s" * 5000}))
    assert both(read_rpmsg(many_streams(plain))) == (LICENCE, CONTENT)


DAMAGED = {
    "another transform": (primary(id_="{FF9A3F03-56EF-4613-BDD5-5A41C1D07246}"), "another transform"),
    "another type": (primary(kind=2), "another transform"),
    "a header shorter than its name": (primary(spare=-4), "length of the transform's header"),
    "a header longer than the stream": (primary()[:4] + primary(spare=9000)[:4] + primary()[8:], "transform|early"),
    "no extensibility header": (primary()[:168] + bytes(4) + primary()[172:], "extensibility"),
    "an extensibility header without end": (primary()[:168] + b"\xff" * 4 + primary()[172:], "ends early"),
    "a licence longer than the stream": (primary(length=len(LICENCE) + 4), "ends early"),
    "a licence of 1 MiB and more": (primary(length=1024 * 1024 + 1), "too long"),
    "no licence": (primary(length=0), "empty"),
    "a name of 64 KiB and more": (primary(name="n" * 32_769), "too long"),
    "half of it": (primary()[:100], "ends early"),
    "nothing": (b"", "ends early"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_with_the_licence_is_told(case: str) -> None:
    octets, words = DAMAGED[case]
    with pytest.raises(Damaged, match=words):
        read_rpmsg(foreign(octets))


def test_a_licence_of_1_mib_is_taken_and_no_more() -> None:
    longest = b"x" * 1024 * 1024
    assert read_rpmsg(write_rpmsg(longest, CONTENT)).licence == longest
    with pytest.raises(ValueError, match="longer than readers take"):
        write_rpmsg(longest + b"x", CONTENT)
    with pytest.raises(Damaged, match="too long"):
        read_rpmsg(foreign(bytes(1024 * 1024 + 65_537)))


def test_a_name_of_64_kib_is_taken() -> None:
    assert read_rpmsg(foreign(primary(name="n" * 32_768))).licence == LICENCE


def test_a_file_without_licence_or_without_ciphertext_is_damaged() -> None:
    with pytest.raises(Damaged, match="no stream DRMContent"):
        read_rpmsg(one_stream(write_compound({"\x06DataSpaces": write_data_spaces(LICENCE)}).join()))
    with pytest.raises(Damaged, match="no stream"):
        read_rpmsg(one_stream(write_compound({"\x09DRMContent": CONTENT}).join()))


def test_the_largest_file_is_what_the_caller_says() -> None:
    octets = write_rpmsg(LICENCE, CONTENT)
    plain = len(read_envelope(octets))
    assert read_rpmsg(octets, most=max(plain, len(octets))).licence == LICENCE
    with pytest.raises(Damaged, match="too"):
        read_rpmsg(octets, most=max(plain, len(octets)) - 1)


def test_a_cut_file_is_damaged_wherever_it_is_cut() -> None:
    octets = write_rpmsg(LICENCE, CONTENT)
    for end in [*range(0, 600, 7), *range(600, len(octets), 997), len(octets) - 1]:
        with pytest.raises(Damaged):
            read_rpmsg(octets[:end])


def test_neither_licence_nor_ciphertext_is_in_what_python_shows() -> None:
    assert "XrML" not in repr(read_rpmsg(write_rpmsg(LICENCE, CONTENT)))


@pytest.mark.parametrize("length", [1, 7, 8, 9, 4096, 5000, 1 << 20])
def test_an_envelope_may_come_in_pieces_of_any_length(length: int) -> None:
    file = write_rpmsg(LICENCE, os.urandom(30_000))
    for expected in (0, 1, len(file), 10 * len(file)):
        envelope = Envelope(expected=expected)
        for at in range(0, len(file), length):
            envelope.feed(file[at : at + length])
        assert envelope.end().getvalue() == read_envelope(file)


@pytest.mark.parametrize("cut", [0, 3, 12, 500, -1])
def test_an_envelope_in_pieces_that_is_cut_off_is_damaged(cut: int) -> None:
    file = write_rpmsg(LICENCE, os.urandom(30_000))[: cut or None]
    envelope = Envelope()
    envelope.feed(file[:10] if cut else b"")
    envelope.feed(file[10:] if cut else b"")
    with pytest.raises(Damaged):
        envelope.end()


def test_an_envelope_in_pieces_keeps_to_its_limit() -> None:
    file = write_rpmsg(LICENCE, os.urandom(30_000))
    envelope = Envelope(len(file) - 1)
    envelope.feed(file[:20_000])
    with pytest.raises(Damaged, match="too long"):
        envelope.feed(file[20_000:])


def test_a_ciphertext_in_one_piece_is_cut_out_of_its_place() -> None:
    content = os.urandom(50_000)
    parts = read_rpmsg(write_rpmsg(LICENCE, content))
    assert parts.content.start > 0
    assert parts.content.cut(100, 40_000) == content[100:40_100]
