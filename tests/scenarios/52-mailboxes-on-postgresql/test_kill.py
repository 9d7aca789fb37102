"""`kill -9` of one of two gateways while both take mail for one mailbox."""

from __future__ import annotations

import pytest

from tests.scenarios.peers.mailroom import IDA, Mailroom
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.reading import Reading
from tests.scenarios.peers.stream import Stream, mark_of

CLIENTS = 3
TAKEN_OVER = 90.0  # Seconds until the other has what the dead one had: half a minute, and a busy machine.


@pytest.mark.timeout(300)
def test_each_message_is_in_the_mailbox_exactly_once_whoever_is_killed(
    rooms: tuple[Mailroom, Mailroom], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = rooms
    first.create(IDA)
    dying, living = (Stream(room.gateway.port, CLIENTS, recipient=IDA) for room in rooms)
    dying.tried = 100_000  # So that each mark is one message's.
    with Reading(second) as reading:
        with living:
            with dying:
                dying.until_taken(60, 60)
                living.until_taken(20, 60)
                first.gateway.kill()
                in_hand = first.query("SELECT count(*) FROM deliveries WHERE node IS NOT NULL")[0][0]
            living.until_taken(20, 60)
    assert reading.faults == []
    assert (living.refused, living.lost) == ({}, [])
    taken = {*dying.taken, *living.taken}

    def all_there() -> bool:
        return second.count() >= len(taken) and not second.gateway.queue()

    until(all_there, "what the dead one had to be taken over", TAKEN_OVER)
    found = [mark_of(one) for one in second.arrived(1)]
    assert len(found) == len(set(found)), "delivered twice"
    assert taken <= set(found), "lost"
    # What was in hand when it was killed may be there without its 250 having come.
    assert len(found) - len(taken) <= CLIENTS
    with capsys.disabled():
        print(
            f" [{len(dying.taken)} taken before the kill, {in_hand} in hands then, {len(living.taken)} by the other,"
            f" {len(found)} in the mailbox] ",
            end="",
        )
    second.does("mailbox", "verify", IDA)
    stored = second.mailbox(IDA)
    assert stored["messages"] == len(found)
    pointed = {
        blobs[at : at + 16].hex()
        for (blobs,) in first.query("SELECT blobs FROM mailbox_contents")
        for at in range(0, len(blobs), 16)
    }
    assert pointed <= set(first.chunks()), "a chunk is missing"
    first.start()
    assert len(first.opens()) == len(found)
