"""What stands in a journal and nowhere else, told from its entries.

Leaves out: whoever is at work on it; a journal that is written to meanwhile is read by `gateway.storage.journal_copy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.storage import entries
from gateway.storage.entries import BadEntry, Batch, Carried, Taken
from gateway.storage.fresh import Fresh, Freshness
from gateway.storage.segment_file import NAMES, Found, batches, look, octets_at
from gateway.storage.segments import Place


def replayed(found: Iterable[Batch], faults: list[str]) -> Freshness:
    """What stands in these batches alone. `faults` takes what can't be read, in words."""
    fresh = Freshness()
    for batch in found:
        for offset, octets in batch.entries:
            place = Place(batch.segment, offset, len(octets))
            try:
                _again(fresh, entries.read(octets), place)
            except BadEntry as error:
                faults.append(f"segment {batch.segment} at {offset}: {error}")
    return fresh


def _again(fresh: Freshness, entry: entries.Entry, place: Place) -> None:
    if isinstance(entry, Carried):
        for message in entry.messages:
            if (known := fresh.get(message)) is not None:
                fresh.drop(known)
        fresh.drop_records(entry.records)
        return
    if isinstance(entry, Taken):
        fresh.add(fresh_of(entry, place))
    elif (known := fresh.get(entry.message)) is not None:
        known.live.discard(entry.delivery)
        if not known.live:
            fresh.drop(known)
    fresh.add_records([row[0] for row in entry.records], place)


def fresh_of(taken: Taken, place: Place) -> Fresh:
    """The message that stands at `place`."""
    id_, received, _, content = taken.message
    return Fresh(id_, place, (row[0] for row in taken.deliveries), received, has_file=content is None)


def waiting_messages(folder: Path) -> set[str]:
    """The messages that stand in the journal in `folder` alone. Changes nothing there and opens nothing that is sealed;
    blocks. Raises StorageBroken, OSError.
    """
    return {fresh.message for fresh in replayed(_every(folder), [])}


def waiting_sizes(folder: Path) -> dict[str, int]:
    """As `waiting_messages`, with the octets of each message's content."""
    sizes: dict[str, int] = {}

    def noted() -> Iterator[Batch]:
        for batch in _every(folder):
            for _, octets in batch.entries:
                try:
                    entry = entries.read(octets)
                except BadEntry:
                    continue
                if isinstance(entry, Taken):
                    sizes[str(entry.message[0])] = int(entry.message[2])
            yield batch

    return {fresh.message: sizes[fresh.message] for fresh in replayed(noted(), [])}


def _every(folder: Path) -> Iterator[Batch]:
    """Every batch that may count, in order."""
    found: dict[int, tuple[Path, Found]] = {}
    for path in sorted(folder.glob(NAMES)):
        try:
            one = look(octets_at(path), path)
        except FileNotFoundError:  # Nothing in it counted any more.
            continue
        if one.number not in found or found[one.number][1].ends < one.ends:
            found[one.number] = (path, one)
    oldest = max((one.oldest for _, one in found.values()), default=1)
    for number, (path, one) in sorted(found.items()):
        if number >= oldest:
            yield from batches(octets_at(path), one, path.name, [])
