"""Body hashes from pieces, cut anywhere. dkimpy's canonicalisation is the judge, over any body and the corpus."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticate.dkim.body import BodyHash, body_at, body_hash
from gateway.mail.body_hash import HashTerms
from tests.fakes.chance import FakeChance

How = Literal["simple", "relaxed"]

PIECES = st.lists(
    st.sampled_from([b"a", b"bc", b" ", b"\t", b"  ", b"\r\n", b" \r\n", b"\r", b"\n", b"\r\r\n", b"\n\r\n", b"."]),
    max_size=40,
)


def hashed(pieces: Iterable[bytes], how: How, length: int | None = None) -> bytes:
    body = BodyHash(HashTerms(how, "sha256", length))
    for piece in pieces:
        body.update(piece)
    return body.digest()


def judged(body: bytes, how: How, length: int | None = None) -> bytes:
    form: bytes = (Simple if how == "simple" else Relaxed).canonicalize_body(body)
    return hashlib.sha256(form[:length]).digest()


def cuts(octets: bytes, seed: str) -> list[bytes]:
    """The octets in pieces of odd lengths, some of none."""
    chance = FakeChance(seed)
    pieces, at = [], 0
    while at < len(octets):
        step = int.from_bytes(chance.octets(1)) % (7 if chance.octets(1)[0] % 2 else 4000)
        pieces.append(octets[at : at + step])
        at += step
    return pieces


@pytest.mark.parametrize("how", ["simple", "relaxed"])
@given(pieces=PIECES)
def test_dkimpy_hashes_the_same_octets(how: How, pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    if how == "relaxed" and body.endswith((b" ", b"\t")):
        body += b"\r\n"  # dkimpy keeps blanks at the end of a last line without end; RFC 6376 3.4.4 does not.
        pieces = [*pieces, b"\r\n"]
    assert hashed(pieces, how) == hashed([body], how) == judged(body, how)
    assert hashed([body[at : at + 1] for at in range(len(body))], how) == judged(body, how)
    assert body_hash(body, HashTerms(how)) == judged(body, how)


@pytest.mark.parametrize("how", ["simple", "relaxed"])
@given(pieces=PIECES, length=st.integers(0, 50))
def test_as_many_octets_as_l_says_are_hashed(how: How, pieces: list[bytes], length: int) -> None:
    body = b"".join(pieces) + b"x\r\n"
    assert hashed([*pieces, b"x\r\n"], how, length) == judged(body, how, length)
    assert body_hash(body, HashTerms(how, length=length)) == judged(body, how, length)


@pytest.mark.parametrize("how", ["simple", "relaxed"])
def test_every_message_of_the_corpus_has_dkimpys_hash_however_it_is_cut(corpus: Path, how: How) -> None:
    count = 0
    for path in sorted((corpus / "mime").iterdir()):
        octets = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        body = octets[body_at(octets) :]
        if not body.endswith(b"\r\n"):
            body += b"\r\n"
        assert hashed(cuts(body, path.name), how) == judged(body, how), path.name
        assert body_hash(body, HashTerms(how)) == judged(body, how), path.name
        count += 1
    assert count > 150


def test_a_blank_at_the_very_end_is_none_of_the_last_line() -> None:
    assert hashed([b"abc \t"], "relaxed") == hashed([b"abc\r\n"], "relaxed")
    assert hashed([b" "], "relaxed") == hashed([], "relaxed")


@pytest.mark.parametrize(
    ("how", "octets"), [("simple", b"\r\n"), ("relaxed", b"")], ids=["simple", "relaxed"]
)  # RFC 6376 3.4.3, 3.4.4
def test_an_empty_body_is_hashed_as_the_rfc_says(how: How, octets: bytes) -> None:
    wanted = hashlib.sha256(octets).digest()
    assert hashed([], how) == hashed([b"\r\n\r\n"], how) == wanted
    for empty in (b"", b"\r\n", b"\r\n\r\n"):
        assert body_hash(empty, HashTerms(how)) == wanted


def test_size_counts_what_is_canonical_beyond_l_too() -> None:
    body = BodyHash(HashTerms("relaxed", "sha256", 2))
    body.update(b"a  b \r\n\r\n\r\n")
    body.digest()
    assert body.size == len(b"a b\r\n")


def test_sha1_is_there_for_old_signatures() -> None:
    body = BodyHash(HashTerms("simple", "sha1"))
    body.update(b"x\r\n")
    assert body.digest() == hashlib.sha1(b"x\r\n", usedforsecurity=False).digest()


def test_memory_stays_that_of_a_piece() -> None:
    piece = b"\r\n" * (1 << 17)
    body = BodyHash(HashTerms())
    tracemalloc.start()
    for _ in range(64):
        body.update(piece)  # 16 MiB of line ends, of which none may count.
    body.update(b"x")
    body.digest()
    assert tracemalloc.get_traced_memory()[1] < 4 * len(piece)
    tracemalloc.stop()


def test_the_body_begins_behind_the_empty_line() -> None:
    assert body_at(b"A: b\r\n\r\nbody") == 8
    assert body_at(b"\r\nbody") == 2
    assert body_at(b"A: b\r\n") == 6
