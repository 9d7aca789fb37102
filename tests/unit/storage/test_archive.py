"""What a backup is written as, and everything that is refused when one is read."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable

import pytest

from gateway.storage import archive
from gateway.storage.archive import BLOCK, ArchiveWriter, BadArchive, Member, members
from gateway.storage.manifest import MANIFEST_NAME, PLACES, Manifest, SealedVault, most, parsed

FILES = {
    "gateway-backup": b"gateway-backup 1\n",
    "data/gateway.db": b"x" * 1000,
    "rules/a.yaml": b"",
    "data/b": b"y" * 512,
}


def made(files: dict[str, bytes] = FILES) -> bytes:
    file = io.BytesIO()
    writer = ArchiveWriter(file, 1_793_700_000.0)
    for name, octets in files.items():
        writer.add(name, len(octets), [octets[:3], octets[3:]])
    writer.close()
    return file.getvalue()


def read(octets: bytes, limit: Callable[[str], int] = lambda _: 1 << 40) -> dict[str, bytes]:
    return {entry.name: entry.octets() for entry in members(io.BytesIO(octets), limit)}


def tarred(*infos: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT, content: bytes = b"") -> bytes:
    """As another program makes it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for info in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, link
    return one


def test_what_goes_in_comes_out() -> None:
    assert read(made()) == FILES


def test_any_tar_program_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(made())) as tar:
        found = {one.name: (tar.extractfile(one) or io.BytesIO()).read() for one in tar.getmembers()}
        assert found == FILES
        assert {one.mode for one in tar.getmembers()} == {0o600}


def test_a_long_name_and_a_huge_size_are_written_as_tar_has_them() -> None:
    name = f"data/spool/0/content/{'Q' * 90}"
    assert read(made({name: b"x"})) == {name: b"x"}
    huge = archive._header("data/gateway.db", 20 << 30, 0)
    assert tarfile.TarInfo.frombuf(huge, "utf-8", "strict").size == 20 << 30
    assert archive._parsed(huge) == ("data/gateway.db", 20 << 30)


def test_each_member_is_told_with_its_checksum() -> None:
    entries = []
    for entry in members(io.BytesIO(made()), lambda _: 1 << 40):
        for _ in entry.pieces():
            pass
        entries.append(entry.member)
    assert entries[1] == Member("data/gateway.db", 1000, hashlib.sha256(b"x" * 1000).hexdigest())


def test_a_member_that_fails_leaves_the_archive_as_it_was() -> None:
    file = io.BytesIO()
    writer = ArchiveWriter(file, 0)
    writer.add("a", 1, [b"x"])
    for pieces in ([b"x" * 5], [b"x" * 7]):
        with pytest.raises(ValueError, match="6 octets"):
            writer.add("b", 6, pieces)
    writer.add("c", 1, [b"y"])
    writer.close()
    assert read(file.getvalue()) == {"a": b"x", "c": b"y"}
    assert [one.name for one in writer.members] == ["a", "c"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute"),
        ("../etc/passwd", "leads out"),
        ("data/../../x", "leads out"),
        ("data\\..\\x", "leads out"),
        ("data//x", "no name"),
        ("./x", "no name"),
        ("data/.hidden", "no name"),
        ("x\u00e4", "no name"),
        ("a/b/c/d/e/f/g", "no name"),
        ("-rf", "no name"),
        ("x\x1b[31m", "no name"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, words: str) -> None:
    with pytest.raises(BadArchive, match=words) as told:
        read(tarred(info(name)))
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.DIRTYPE, "folder"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.CONTTYPE, "extension"),
        (tarfile.GNUTYPE_SPARSE, "sparse|another kind"),
    ],
)
def test_only_plain_files_are_read(kind: bytes, words: str) -> None:
    with pytest.raises(BadArchive, match=words):
        read(tarred(info("data/gateway.db", kind, "/etc/passwd")))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extended_headers_are_refused(form: int) -> None:
    with pytest.raises(BadArchive, match=r"extension|another kind|no name"):
        read(tarred(info("x" * 300), form=form))


def test_a_plain_file_that_names_a_link_is_refused() -> None:
    with pytest.raises(BadArchive, match="names a link"):
        read(tarred(info("data/gateway.db", link="/etc/passwd")))


def test_every_cut_is_noticed() -> None:
    whole = made()
    for end in [
        0,
        1,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        2 * BLOCK,
        len(whole) - 2 * BLOCK,
        len(whole) - BLOCK,
        len(whole) - 1,
    ]:
        with pytest.raises(BadArchive, match="cut off"):
            read(whole[:end])


def test_what_stands_behind_the_end_is_noticed() -> None:
    for more in (b"x", bytes(BLOCK), made()):
        with pytest.raises(BadArchive, match="behind its end"):
            read(made() + more)


def test_a_changed_header_is_noticed() -> None:
    whole = bytearray(made())
    whole[3] ^= 1
    with pytest.raises(BadArchive, match="damaged"):
        read(bytes(whole))


def test_octets_in_the_padding_are_noticed() -> None:
    whole = bytearray(made())
    whole[BLOCK + 100] = 1
    with pytest.raises(BadArchive, match="belong to nothing"):
        read(bytes(whole))


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(BadArchive, match="twice"):
        read(tarred(info("data/a"), info("data/a")))


def test_a_member_of_one_octet_too_many_is_refused_before_it_is_read() -> None:
    assert read(made({"a": b"12345"}), lambda _: 5) == {"a": b"12345"}
    with pytest.raises(BadArchive, match="more than such a file may have"):
        read(made({"a": b"123456"}), lambda _: 5)
    huge = archive._header("data/gateway.db", 1 << 80, 0)
    with pytest.raises(BadArchive, match="more than such"):
        read(huge, most)


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(BadArchive, match="more than 2 files"):
        read(made({"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize(
    "octets", [b"not a tar file at all" * 100, b"\x1f\x8b" + bytes(2000), b"SQLite format 3\0" * 99]
)
def test_what_is_no_tar_file_is_told_as_such(octets: bytes) -> None:
    with pytest.raises(BadArchive, match=r"no tar file|cut off"):
        read(octets)


# -- the manifest ------------------------------------------------------------------------------------------------------

SAID = Manifest(
    gateway="0.2",
    made=1_793_700_000.5,
    engine="sqlite",
    members=(Member("gateway-backup", 17, "0" * 64),),
    vaults=(SealedVault("main", "vault", "vaults/0.sealed"), SealedVault("other", "$CREDENTIALS_DIRECTORY", None)),
    elsewhere=("certs/server.pem",),
    notes=("a note",),
)


def test_a_manifest_comes_back_as_it_was() -> None:
    assert parsed(SAID.octets()) == SAID


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version": 0}',
        b'{"version": "1"}',
        b"[" * 100_000,
        SAID.octets().replace(b'"made": 1793700000.5', b'"made": "x"'),
        SAID.octets().replace(b'"0000', b'"zzzz'),
        SAID.octets().replace(b"17", b'"17"'),
        SAID.octets().replace(b'"vault"', b"7"),
        SAID.octets()[:-5],
    ],
)
def test_a_damaged_manifest_is_told_as_such(octets: bytes) -> None:
    with pytest.raises(BadArchive, match="damaged"):
        parsed(octets)


def test_a_newer_manifest_is_told_as_such() -> None:
    with pytest.raises(BadArchive, match="newer gateway wrote it"):
        parsed(SAID.octets().replace(b'"version": 1', b'"version": 2'))


@pytest.mark.parametrize(
    "name",
    [
        "data/spool/0/content/x/y",
        "data/spool/x/spool.db",
        "data/spool/0/lock",
        "data/control.sock",
        "settings/other.toml",
        "gateway.toml",
        "rules/sub/a.yaml",
        "vaults/0",
        "vaults/main.sealed",
        "etc/passwd",
    ],
)
def test_a_file_without_a_place_is_refused(name: str) -> None:
    with pytest.raises(BadArchive, match="no place"):
        most(name)


def test_every_place_has_a_limit_and_the_manifest_one_too() -> None:
    assert all(size > 0 for _, size in PLACES)
    assert most(MANIFEST_NAME) == 1 << 30
    assert most("data/spool/12/content/Q1M8AXHTWFSTDWHYRT") > 2 << 30
