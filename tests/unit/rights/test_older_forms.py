"""The oldest form that others wrote, all of it at once: Mode 1, ECB, a stream for each block; whole and in pieces."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from gateway.rights.cipher import Cipher
from gateway.rights.container.container import read_rpmsg, write_rpmsg
from gateway.rights.container.envelope import PREFIX, read_envelope
from gateway.rights.container.inner import Inner
from gateway.rights.opening import OpenedMessage, open_rpmsg
from gateway.rights.reason import NotOpened, Reason
from tests.fakes.containers import many_streams, one_stream
from tests.fakes.rights import NOW, OWNER, READER, FakeTenant, foreign, nobody, private_key

# Long enough for blocks of ciphertext that look alike, and for several blocks of the envelope.
MESSAGE = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\n" + b"1,000 for Ben\r\n2,000 for Eva\r\n" * 500
INNER = Inner(None, None, (), MESSAGE)
TENANT = FakeTenant(private_key(), private_key(1024))
FORMS = [one_stream, many_streams]


def old(message: bytes = MESSAGE) -> bytes:
    """The compound file of such a message."""
    digest = sha256(message).hexdigest()
    inner = Inner(None, None, (), message)
    key = private_key(1024)
    return read_envelope(foreign(inner, key=key, cipher=Cipher.ECB, key_octets=16, original_sha256=digest))


def opened(octets: bytes) -> OpenedMessage:
    return open_rpmsg(octets, TENANT, principal=READER, now=NOW, is_revoked=nobody)


def shut(octets: bytes) -> Reason:
    with pytest.raises(NotOpened) as caught:
        opened(octets)
    return caught.value.reason


def blocks(file: bytes) -> list[bytes]:
    """The blocks of an envelope, each with its head."""
    found, at = [], len(PREFIX)
    while at < len(file):
        end = at + 12 + int.from_bytes(file[at + 8 : at + 12], "little")
        found.append(file[at:end])
        at = end
    return found


@pytest.mark.parametrize("form", FORMS)
def test_it_is_opened_and_said_to_be_weak(form: Callable[[bytes], bytes]) -> None:
    found = opened(form(old()))
    assert (found.original, found.is_built, found.owner, found.readers) == (MESSAGE, False, OWNER, (READER,))
    assert found.weak == ("mode-1", "sha-1", "ecb")


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_bit_anywhere_shows_no_other_message(form: Callable[[bytes], bytes]) -> None:
    file = form(old())
    was_shut = 0
    for at in range(0, len(file), 61):
        changed = bytearray(file)
        changed[at] ^= 1 << at % 8
        try:
            found = opened(bytes(changed))
        except NotOpened as fault:
            assert fault.reason in {Reason.DAMAGED, Reason.FORGED, Reason.NOT_OURS}
            was_shut += 1
        else:  # What identifies nothing: slack, colours, the second root.
            assert (found.original, found.owner, found.readers) == (MESSAGE, OWNER, (READER,))
    assert was_shut > 50


@pytest.mark.parametrize("form", FORMS)
def test_cut_off_anywhere_it_is_damaged(form: Callable[[bytes], bytes]) -> None:
    file = form(old())
    ends = {*range(0, len(file) - 1, 499), *(len(file) - one for one in range(1, 20))}
    assert {shut(file[:end]) for end in ends} == {Reason.DAMAGED}


def test_blocks_that_changed_places_are_damaged() -> None:
    """With a stream for each block every order inflates; in one stream almost none does."""
    found = blocks(many_streams(old()))
    assert len(found) > 5
    for one in range(len(found) - 2):
        swapped = [*found]
        swapped[one], swapped[one + 1] = swapped[one + 1], swapped[one]
        if swapped != found:
            assert shut(PREFIX + b"".join(swapped)) is Reason.DAMAGED, one


@pytest.mark.parametrize("change", ["left out", "twice", "of another message"])
def test_a_block_too_few_too_many_or_of_another_file_is_damaged(change: str) -> None:
    found = blocks(many_streams(old()))
    theirs = blocks(many_streams(old(MESSAGE.replace(b"1,000", b"9,000"))))
    for one in range(len(found) - 1):
        made = {
            "left out": found[:one] + found[one + 1 :],
            "twice": found[: one + 1] + found[one:],
            "of another message": [*found[:one], theirs[one], *found[one + 1 :]],
        }[change]
        if made != found:
            assert shut(PREFIX + b"".join(made)) is Reason.DAMAGED, one


def test_amounts_that_changed_places_in_the_ciphertext_are_not_shown() -> None:
    """The attack on ECB: blocks of 16 octets are moved, each still decrypts, and nothing in the format notices."""
    parts = read_rpmsg(one_stream(old()))
    content = parts.drm_content
    pieces = [content[at : at + 16] for at in range(8, len(content), 16)]
    assert len(set(pieces)) < len(pieces) / 2, "blocks that are alike show"
    for at in range(0, len(pieces) - 1, 37):
        if pieces[at] == pieces[at + 1]:
            continue
        moved = [*pieces[:at], pieces[at + 1], pieces[at], *pieces[at + 2 :]]
        assert shut(write_rpmsg(parts.licence, content[:8] + b"".join(moved))) is Reason.DAMAGED


def test_content_and_licence_of_two_messages_do_not_fit() -> None:
    one, other = (read_rpmsg(one_stream(old(text))) for text in (MESSAGE, MESSAGE.replace(b"Ben", b"Bob")))
    assert shut(write_rpmsg(one.licence, other.drm_content)) is Reason.DAMAGED
    assert shut(many_streams(read_envelope(write_rpmsg(other.licence, one.drm_content)))) is Reason.DAMAGED


def test_a_key_that_is_no_archived_one_opens_nothing() -> None:
    with pytest.raises(NotOpened) as caught:
        open_rpmsg(many_streams(old()), FakeTenant(), principal=READER, now=NOW, is_revoked=nobody)
    assert caught.value.reason is Reason.NOT_OURS
