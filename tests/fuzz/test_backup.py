"""Any octets as a backup: read in full, or refused in words, and never anything outside the folder."""

from __future__ import annotations

import hashlib
import io
import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.app.restore import verify
from gateway.storage import archive
from gateway.storage.archive import BLOCK, ArchiveWriter, BadArchive, Member
from gateway.storage.manifest import MANIFEST_NAME, MARK, MARK_NAME, SETTINGS, Manifest, SealedVault, most, parsed

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))

FILES = {
    MARK_NAME: MARK,
    SETTINGS: b'accepted_domains = ["corp.example"]\n',
    "rules/a.yaml": b"x" * 700,
    "vaults/0.sealed": b"y" * 188,
    "data/spool/0/content/Q1": b"z" * 1500,
    "data/gateway.db": b"SQLite format 3\0" * 40,
}
NAMES = ["/etc/passwd", "../x", "data/../../x", "rules/\x1b[2J", "x" * 100, "data/gateway.db", "", ".", "a\\..\\b"]


def made() -> bytes:
    members = tuple(Member(name, len(one), hashlib.sha256(one).hexdigest()) for name, one in FILES.items())
    vaults = (SealedVault("main", "vault", "vaults/0.sealed"),)
    said = Manifest(gateway="x", made=0.0, engine="sqlite", members=members, vaults=vaults)
    file = io.BytesIO()
    writer = ArchiveWriter(file, 0)
    for name, octets in [*FILES.items(), (MANIFEST_NAME, said.octets())]:
        writer.add(name, len(octets), [octets])
    writer.close()
    return file.getvalue()


WHOLE = made()


def header(name: bytes, size: bytes, kind: bytes, link: bytes, front: bytes) -> bytes:
    """A header with a right checksum, whatever else it says."""
    block = bytearray(archive._header("data/gateway.db", 0, 0))
    for start, end, octets in ((0, 100, name), (124, 136, size), (156, 157, kind), (157, 257, link), (345, 500, front)):
        block[start:end] = octets[: end - start].ljust(end - start, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HEADERS = st.builds(
    header,
    st.sampled_from([name.encode("latin-1") for name in NAMES]) | st.binary(max_size=100),
    st.sampled_from([b"00000000000\0", b"77777777777\0", b"\x80" + b"\xff" * 11, b"-1", b"      12 "])
    | st.binary(max_size=12),
    st.sampled_from([b"0", b"\0", b"1", b"2", b"3", b"5", b"x", b"L", b"S"]),
    st.sampled_from([b"", b"/etc/passwd"]),
    st.sampled_from([b"", b"/", b"..", b"data"]) | st.binary(max_size=155),
)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, len(WHOLE) - 1),
        st.sampled_from(["flip", "cut", "put", "drop", "header"]),
        st.binary(max_size=40),
        HEADERS,
    ),
    min_size=1,
    max_size=4,
)


def changed(changes: list[tuple[int, str, bytes, bytes]]) -> bytes:
    octets = bytearray(WHOLE)
    for place, kind, more, head in changes:
        at = min(place, len(octets))
        if kind == "flip" and at < len(octets):
            octets[at] ^= 1 + place % 255
        elif kind == "cut":
            del octets[at:]
        elif kind == "put":
            octets[at:at] = more
        elif kind == "drop":
            block = at // BLOCK * BLOCK
            del octets[block : block + BLOCK]
        else:
            block = at // BLOCK * BLOCK
            octets[block : block + BLOCK] = head
    return bytes(octets)


def judged(octets: bytes) -> bool:
    """Whether `octets` pass for a backup; then everything in it has a place and is as its manifest says."""
    try:
        said, kept = verify(io.BytesIO(octets))
    except BadArchive as refused:
        assert str(refused).isprintable(), refused
        assert len(str(refused)) < 400
        return False
    assert all(one.size <= most(one.name) for one in said.members)
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in kept)
    return True


def test_the_backup_itself_passes() -> None:
    assert judged(WHOLE)


def test_any_octets_are_read_or_refused() -> None:
    end = monotonic() + SECONDS

    @settings(
        max_examples=300,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(CHANGES, st.binary(max_size=600), st.binary(max_size=300))
    def play(changes: list[tuple[int, str, bytes, bytes]], octets: bytes, manifest: bytes) -> None:
        if monotonic() > end + 30:
            return
        spoiled = changed(changes)
        # Whatever was changed, the checksums tell; only the header's fields that nobody looks at are free.
        if judged(spoiled) and spoiled != WHOLE:
            assert parsed(spoiled[spoiled.index(b'{\n  "version"') : spoiled.rindex(b"}") + 1]).members == _said()
        judged(octets)
        judged(WHOLE[: BLOCK * 2] + octets)
        try:
            parsed(manifest)
        except BadArchive:
            pass

    while monotonic() < end:
        play()


def _said() -> tuple[Member, ...]:
    return tuple(Member(name, len(one), hashlib.sha256(one).hexdigest()) for name, one in FILES.items())
