"""An open folder: what others change is told with the numbers that the client knows."""

from __future__ import annotations

from array import array

from gateway.imap.opened import Opened
from gateway.storage.mailboxes.model import DELETED, SEEN, Changes, Entries, Folder
from tests.fakes.mailboxes import make_mailbox

FOLDER = Folder(
    id=1,
    mailbox=1,
    name="INBOX",
    uid_validity=1,
    uid_next=6,
    modseq=10,
    exists=5,
    unseen=5,
    special_use=None,
    subscribed=True,
    keywords=("$Work",),
)


def entries(*rows: tuple[int, int, int]) -> Entries:
    uids, flags, modseqs = zip(*rows, strict=True) if rows else ((), (), ())
    return Entries(array("I", uids), array("q", flags), array("q", modseqs))


def opened(*uids: int) -> Opened:
    mailbox = make_mailbox(1, "ida@corp.example")
    return Opened(mailbox, FOLDER, entries(*[(uid, 0, 10) for uid in uids]), read_only=False)


def changes(*rows: tuple[int, int, int], expunged: tuple[int, ...] = (), modseq: int = 11) -> Changes:
    return Changes(entries(*rows), expunged, modseq, True)


def test_new_messages_are_counted_with_those_whose_end_was_not_told() -> None:
    folder = opened(1, 2, 3)
    assert folder.take(changes((7, 0, 11), expunged=(2,))) == [b"* 4 EXISTS\r\n"]
    assert list(folder.uids) == [1, 2, 3, 7]
    assert folder.gone
    assert folder.expunges() == [b"* 2 EXPUNGE\r\n"]
    assert list(folder.uids) == [1, 3, 7]
    assert not folder.gone
    assert folder.expunges() == []
    assert folder.modseq == 11


def test_expunges_are_told_from_the_last_so_that_no_number_shifts() -> None:
    folder = opened(*range(1, 9))
    folder.take(changes(expunged=(1, 4, 5, 8, 99)))
    assert folder.expunges() == [b"* 8 EXPUNGE\r\n", b"* 5 EXPUNGE\r\n", b"* 4 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"]
    assert list(folder.uids) == [2, 3, 6, 7]
    assert len(folder.flags) == len(folder.modseqs) == 4


def test_flags_are_told_once_and_not_to_who_set_them() -> None:
    folder = opened(1, 2)
    assert folder.take(changes((2, SEEN, 11))) == [b"* 2 FETCH (FLAGS (\\Seen))\r\n"]
    assert folder.take(changes((2, SEEN, 11))) == []
    assert folder.take(changes((1, SEEN | 1 << 8, 12)), silent=frozenset([1])) == []
    assert folder.flags[0] == SEEN | 1 << 8
    assert folder.take(changes((1, DELETED | 1 << 8, 13)), by_uid=True) == [
        b"* 1 FETCH (FLAGS (\\Deleted $Work) UID 1)\r\n"
    ]


def test_what_is_older_than_what_is_known_changes_nothing() -> None:
    folder = opened(1)
    folder.take(changes((1, SEEN, 20), modseq=20))
    assert folder.take(changes((1, 0, 15), modseq=15)) == []
    assert folder.flags[0] == SEEN
    assert folder.modseq == 20


def test_who_knows_modseq_hears_it_even_in_silence() -> None:
    folder = opened(1)
    folder.is_condstore = True
    assert folder.take(changes((1, SEEN, 12)), silent=frozenset([1]), by_uid=True) == [
        b"* 1 FETCH (UID 1 MODSEQ (12))\r\n"
    ]


def test_everything_read_anew_tells_what_is_gone() -> None:
    folder = opened(1, 2, 3)
    told = folder.replaced(entries((1, SEEN, 30), (3, 0, 10), (4, 0, 31)), 31)
    assert told == [b"* 4 EXISTS\r\n", b"* 1 FETCH (FLAGS (\\Seen))\r\n"]
    assert folder.expunges() == [b"* 2 EXPUNGE\r\n"]
    assert list(folder.uids) == [1, 3, 4]


def test_a_message_takes_twenty_octets() -> None:
    folder = opened(*range(1, 1001))
    assert folder.octets <= 32 * 1000
    assert folder.octets == 20 * 1000
