"""One-time codes and sessions as the portal gives them out: decided by `rights.passcode`, kept by `storage.portal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, cast
from uuid import UUID

from gateway.accounts.attempts import network_of
from gateway.portal.desk import TOKEN_OCTETS, Asked, Reason, Refusal, SessionGiven
from gateway.rights import passcode
from gateway.rights.passcode import ALLOWED, Count, Counted, Passcode
from gateway.storage.portal import Judged, KeptCode, KeptCount, KeptSession, Place, PortalStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

SESSION: Final = 3600.0  # Seconds that a browser may read before it needs another code; no request makes it longer.


@dataclass(frozen=True, slots=True)
class Link:
    """A link or handle whose token somebody has shown. Of an unknown one `reader` and `work` are None.

    `digest`: SHA-256 of its 32 octets. `reader`: the normal address whose link it is. `key`: by what the message is
    counted, of an unknown link the digest itself.
    """

    digest: bytes = field(repr=False)
    reader: str | None = None
    work: UUID | None = None

    @property
    def key(self) -> bytes:
        """By what tries on its message are counted."""
        return self.digest if self.work is None else self.work.bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A code was made: `asked` is for the page, `code` for the mail; None where too many were asked for."""

    asked: Asked
    code: str | None = field(default=None, repr=False)


class Codes:
    """Asks and judges. Raises StorageFull, StorageBroken, SealBroken, KeysClosed."""

    def __init__(
        self, store: PortalStore, clock: Clock, chance: Chance, *, session: Callable[[], float] = lambda: SESSION
    ) -> None:
        """`session`: seconds that a browser may read, at the moment."""
        self._store = store
        self._clock = clock
        self._chance = chance
        self._session = session

    async def ask(self, link: Link, browser: bytes, client: str) -> Drawn:
        """A code for whom the link belongs. An unknown link gets one that is mailed to nobody, in the same time."""
        now = self._clock.now()
        code, made = passcode.make(self._chance, _binding(link, browser), now)
        kinds = (Counted.ASK_LINK, Counted.ASK_RECIPIENT, Counted.ASK_MESSAGE, Counted.ASK_NETWORK)
        places = _places(kinds, link, client)

        def judge(before: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
            if (wait := _wait(counts, now)) > 0:
                live = before if before is not None and _code(before).is_live(now) else None
                reference = "" if live is None else live.reference
                answer = Asked(reference, slowed_until=now + wait, ends=None if live is None else live.ends)
                return Judged(code=before, answer=answer)
            answer = Asked(made.reference, ends=made.ends)
            return Judged(counts=_more(counts, now), code=_kept(made), answer=answer)

        asked = cast(Asked, await self._store.judge(link.digest, browser, places, judge))
        return Drawn(asked, None if asked.slowed_until is not None else code)

    async def asked(self, link: Link, browser: bytes) -> Asked | None:
        """What this browser asked for last, as long as it counts."""
        kept = await self._store.code(link.digest, browser)
        if kept is None or not _code(kept).is_live(self._clock.now()):
            return None
        return Asked(kept.reference, ends=kept.ends)

    async def attempt(self, link: Link, browser: bytes, typed: str, client: str) -> SessionGiven | Refusal:
        """Judge what somebody typed. A wrong try is on disk before it is answered, and nobody else judges meanwhile."""
        now = self._clock.now()
        cookie = self._chance.octets(TOKEN_OCTETS)
        kinds = (Counted.TRY_LINK, Counted.TRY_RECIPIENT, Counted.TRY_MESSAGE, Counted.TRY_NETWORK)
        places = _places(kinds, link, client)
        ends = now + self._session()
        session = KeptSession(link.digest, link.reader or "", None if link.work is None else link.work.hex, ends)

        def judge(before: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
            reference = None if before is None else before.reference
            if (wait := _wait(counts, now)) > 0:
                return Judged(code=before, answer=Refusal(Reason.SLOWED, until=now + wait, reference=reference))
            known = None if before is None else _code(before)
            if known is None or not known.is_live(now):
                # Nothing could have been right, but whoever tries without a code is counted like all who guess.
                return Judged(counts=_more(counts, now), answer=Refusal(Reason.CODE_ENDED, reference=reference))
            fits = known.fits(typed, _binding(link, browser))  # Also of an unknown link, whose code nobody was sent.
            if fits and link.reader is not None:
                return Judged(begins=(sha256(cookie).digest(), session), answer=SessionGiven(cookie, ends))
            known = known.tried()
            refusal = Refusal(Reason.WRONG_CODE, tries_left=known.tries_left, reference=reference)
            return Judged(counts=_more(counts, now), code=_kept(known) if known.tries_left else None, answer=refusal)

        return cast("SessionGiven | Refusal", await self._store.judge(link.digest, browser, places, judge))

    async def upload(self, client: str) -> float:
        """Count a file that somebody puts on the portal; 0, or the seconds until the next one is taken."""
        now = self._clock.now()
        place = Place(Counted.UPLOAD_NETWORK, network_of(client))

        def judge(before: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
            wait = _wait(counts, now)
            return Judged(counts={} if wait > 0 else _more(counts, now), answer=wait)

        return cast(float, await self._store.judge(b"", b"", (place,), judge))

    async def session(self, link: Link, cookie: bytes) -> KeptSession | None:
        """Whose cookie it is, where it was given for this link and still counts."""
        kept = await self._store.session(cookie, self._clock.now())
        return None if kept is None or kept.link != link.digest else kept

    async def leave(self, cookie: bytes) -> None:
        """The session ends."""
        await self._store.end_session(cookie)

    async def sweep(self) -> int:
        """Forget what has ended; how many rows went."""
        return await self._store.sweep(self._clock.now(), {kind: allowed.leak for kind, allowed in ALLOWED.items()})


def _binding(link: Link, browser: bytes) -> bytes:
    return link.digest + sha256(browser).digest()


def _places(kinds: tuple[Counted, ...], link: Link, client: str) -> tuple[Place, ...]:
    """Where something counts. An unknown link is counted as often as a known one, so that both take the same time."""
    reader = link.digest if link.reader is None else link.reader.encode("utf-8", "surrogatepass")
    return tuple(map(Place, kinds, (link.digest, reader, link.key, network_of(client))))


def _count(kept: KeptCount) -> Count:
    return Count(kept.number, kept.at, kept.until)


def _wait(counts: Mapping[Place, KeptCount], now: float) -> float:
    return max((_count(count).wait(now) for count in counts.values()), default=0.0)


def _more(counts: Mapping[Place, KeptCount], now: float) -> dict[Place, KeptCount]:
    more = {place: _count(count).more(Counted(place.kind), now) for place, count in counts.items()}
    return {place: KeptCount(count.number, count.at, count.until) for place, count in more.items()}


def _code(kept: KeptCode) -> Passcode:
    return Passcode(kept.reference, kept.salt, kept.digest, kept.made, kept.tries_left)


def _kept(code: Passcode) -> KeptCode:
    return KeptCode(code.reference, code.salt, code.digest, code.made, code.ends, code.tries_left)
