"""Limits on guessing passwords: by name and network together, by network, and by name.

A count grows with each attempt that is not right and shrinks with time; above what is free each further one closes the
door for longer, up to LONGEST, and the door opens by itself. Nobody's guesses close it to another network: where many
networks guess one name, that name is besieged, and each network has fewer free attempts for it, but never none. So the
honest user of another network always has his own. The right password clears the count of name and network together and
that of the name, never the network's: who has one account must not buy guesses about others with it.

Held by each process for itself: with N workers there are up to N times as many guesses. Names are kept as keyed
digests, because people type passwords into the wrong field. Leaves out: IPv6 networks wider than /64.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from gateway.world.chance import Chance
from gateway.world.clock import Clock

LONGEST: Final = 900.0  # Seconds that a door stays closed at most.
FIRST: Final = 2.0  # Seconds that it is closed at first; each further guess doubles them.
PAIR_FREE: Final = 5  # Attempts by one network on one name: a person who tries old passwords.
PAIR_LEAK: Final = 900.0  # Seconds in which one of them is forgotten.
# An office behind one address, some of its devices with an old password: each of those costs up to 14 in its first
# quarter of an hour, and then one in PAIR_LEAK, which the network's leak outruns.
NETWORK_FREE: Final = 60
NETWORK_LEAK: Final = 300.0
SIEGE: Final = 50  # Guesses at one name from anywhere, from which on it is besieged.
SIEGE_LEAK: Final = 60.0
BESIEGED_FREE: Final = 2  # Attempts of one network on a besieged name: one, and one for a slip of the finger.
BESIEGED_FIRST: Final = 60.0  # Seconds.
KEPT: Final = 20_000  # Counts of each kind. The one that was longest without a guess goes first.

FIRST_DELAY: Final = 0.5  # Seconds before a wrong password is answered; doubles with each for that name and network.
LONGEST_DELAY: Final = 8.0


class TooManyAttempts(Exception):
    """The door is closed for `seconds`. Says nothing about name or password."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"closed for {seconds:.0f} s")
        self.seconds = seconds


@dataclass(slots=True)
class _Count:
    number: float
    at: float  # When `number` was right.
    until: float = float("-inf")  # The door is closed until then.


@dataclass(frozen=True, slots=True)
class _Door:
    """Until when a door was closed before and after one attempt was counted."""

    before: float = float("-inf")
    after: float = float("-inf")


class _Counts:
    """Counts of one kind; `leak` is the time in which one guess is forgotten."""

    def __init__(self, leak: float, most: int) -> None:
        self._leak = leak
        self._most = most
        self._counts: OrderedDict[tuple[bytes, ...], _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def get(self, key: tuple[bytes, ...], now: float) -> float:
        count = self._counts.get(key)
        return 0.0 if count is None else self._left(count, now)

    def closed(self, key: tuple[bytes, ...], now: float) -> float:
        count = self._counts.get(key)
        return 0.0 if count is None else count.until - now

    def add(self, key: tuple[bytes, ...], now: float) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(0.0, now)
            if len(self._counts) > self._most:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        count.number, count.at = self._left(count, now) + 1, now
        return count

    def take_back(self, key: tuple[bytes, ...], now: float, door: _Door) -> None:
        count = self._counts.get(key)
        if count is not None:
            count.number, count.at = max(0.0, self._left(count, now) - 1), now
            if count.until == door.after:  # Else another attempt has closed it since.
                count.until = door.before

    def clear(self, key: tuple[bytes, ...]) -> None:
        self._counts.pop(key, None)

    def _left(self, count: _Count, now: float) -> float:
        return max(0.0, count.number - (now - count.at) / self._leak)


class Attempts:
    """The counts of one process."""

    def __init__(self, clock: Clock, chance: Chance, *, kept: int = KEPT) -> None:
        self._monotonic = clock.monotonic
        self._key = chance.octets(16)
        self._pairs = _Counts(PAIR_LEAK, kept)
        self._networks = _Counts(NETWORK_LEAK, kept)
        self._names = _Counts(SIEGE_LEAK, kept)

    def __repr__(self) -> str:
        return f"Attempts({len(self._pairs)} pairs, {len(self._networks)} networks, {len(self._names)} names)"

    def begin(self, name: str, address: str) -> Attempt:
        """An attempt on `name` ("" for what is none) by the client at `address`. Raises TooManyAttempts.

        It counts as wrong from now on, so that many at once gain nothing; `Attempt` takes that back.
        """
        now = self._monotonic()
        name_key = (hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).digest(),)
        network = (network_of(address),)
        pair = name_key + network
        if (closed := max(self._pairs.closed(pair, now), self._networks.closed(network, now))) > 0:
            raise TooManyAttempts(closed)
        besieged = self._names.get(name_key, now) >= SIEGE
        tries = self._pairs.add(pair, now)
        whole = self._networks.add(network, now)
        self._names.add(name_key, now)
        free, first = (BESIEGED_FREE, BESIEGED_FIRST) if besieged else (PAIR_FREE, FIRST)
        doors = _close(tries, free, first, now), _close(whole, NETWORK_FREE, FIRST, now)
        return Attempt(self, name_key, network, doors, tries.number)

    def _settle(self, attempt: Attempt, *, right: bool) -> None:
        """The attempt was not wrong: take back what it counted."""
        now = self._monotonic()
        pair = attempt.name + attempt.network
        self._networks.take_back(attempt.network, now, attempt.doors[1])
        if right:
            self._pairs.clear(pair)
            self._names.clear(attempt.name)
        else:
            self._pairs.take_back(pair, now, attempt.doors[0])
            self._names.take_back(attempt.name, now, _Door())


class Attempt:
    """One attempt, which is wrong unless somebody says otherwise."""

    __slots__ = ("_all", "_tries", "doors", "name", "network")

    def __init__(
        self,
        all_: Attempts,
        name: tuple[bytes, ...],
        network: tuple[bytes, ...],
        doors: tuple[_Door, _Door],
        tries: float,
    ) -> None:
        self._all = all_
        self._tries = tries
        self.name = name
        self.network = network
        self.doors = doors

    @property
    def delay(self) -> float:
        """Seconds before it is answered as wrong."""
        return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(10, int(self._tries) - 1))

    def was_right(self) -> None:
        """The password was right."""
        self._all._settle(self, right=True)

    def was_none(self) -> None:
        """A fault of ours kept us from judging it."""
        self._all._settle(self, right=False)


def _close(count: _Count, free: int, first: float, now: float) -> _Door:
    before = count.until
    if (over := count.number - free) > 0:
        count.until = max(before, now + min(LONGEST, first * 2.0 ** min(20, over - 1)))
    return _Door(before, count.until)


def network_of(address: str) -> bytes:
    """The network that counts for a client: an IPv4 address' /24, an IPv6 address' /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address.encode("utf-8", "replace")[:64]
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is None:
            return found.packed[:8]
        found = found.ipv4_mapped
    return found.packed[:3]
