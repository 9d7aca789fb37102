"""`kill -9` in the middle of deliveries: each message is there exactly once, and nothing half."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.peers.mailroom import IDA, Mailroom
from tests.scenarios.peers.stream import Stream, mark_of


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    room = make_room().start()
    room.create(IDA)
    return room


def start_again(room: Mailroom) -> None:
    room.gateway.kill()
    room.start()


def test_what_was_taken_is_there_exactly_once_however_often_it_is_killed(room: Mailroom) -> None:
    with Stream(room.gateway.port, 4, recipient=IDA) as stream:
        for count in (5, 30, 60):
            stream.until_taken(count)
            start_again(room)
        stream.until_taken(10)
    room.gateway.all_started()
    room.gateway.retry_all()
    room.gateway.drained(60)
    found = [mark_of(one) for one in room.arrived(len(stream.taken), seconds=60)]
    assert len(found) == len(set(found)), "delivered twice"
    # What was in hand when it was killed may be there without its 250 having come.
    assert set(stream.taken) <= set(found) and len(found) - len(stream.taken) <= 3 * 4
    done = room.gateway.run("mailbox", "verify", IDA)
    assert done.returncode == 0, done.stdout + done.stderr
    pointed = {name for (blobs,) in room.query("SELECT blobs FROM mailbox_contents") for name in names_in(blobs)}
    assert pointed <= set(room.chunks())


def names_in(blobs: object) -> list[str]:
    """The names in a row's column of names: 16 octets each."""
    assert isinstance(blobs, bytes)
    return [blobs[at : at + 16].hex() for at in range(0, len(blobs), 16)]
