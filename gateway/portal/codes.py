"""One-time codes and sessions as the portal gives them out: decided by `rights.passcode`, kept by `storage.portal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, cast
from uuid import UUID

from gateway.accounts.attempts import network_of
from gateway.portal.desk import TOKEN_OCTETS, Asked, Reason, Refusal, SessionGiven
from gateway.rights import passcode
from gateway.rights.passcode import ALLOWED, DOOR_FROM, DOOR_LIFE, Count, Counted, Passcode
from gateway.storage.portal import Judged, KeptCode, KeptCount, KeptDoor, KeptSession, Place, PortalStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

SESSION: Final = 3600.0  # Seconds that a browser may read before it needs another code; no request makes it longer.


@dataclass(frozen=True, slots=True)
class Link:
    """A link or handle whose token somebody has shown. Of an unknown one `reader` and `work` are None.

    `digest`: SHA-256 of its 32 octets. `reader`: the normal address whose link it is. `typed`: of a file that somebody
    put on the portal the normal address that he typed, a reader's or not. `key`: by what the message is counted, of an
    unknown link the digest itself.
    """

    digest: bytes = field(repr=False)
    reader: str | None = None
    work: UUID | None = None
    typed: str | None = field(default=None, repr=False)

    @property
    def whose(self) -> bytes:
        """Whose doors open it, and to whom they are mailed."""
        return self.digest if self.reader is None else self.reader.encode("utf-8", "surrogatepass")

    @property
    def counted(self) -> bytes:
        """By what tries on its recipient are counted.

        With a file that is what was typed, a reader's address or not: else whoever has the file would see who else may
        read it by when a code is refused him. And it counts apart from the links of that address: else whoever has the
        file of any message could have anybody wait at those.
        """
        return self.whose if self.typed is None else b"file\0" + self.typed.encode("utf-8", "surrogatepass")

    @property
    def key(self) -> bytes:
        """By what tries on its message are counted."""
        return self.digest if self.work is None else self.work.bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A code was made: `asked` is for the page, `code` for the mail; None where too many were asked for. Then there may
    be a `door` for a mail of its own, which counts until `door_ends` (seconds since 1970).
    """

    asked: Asked
    code: str | None = field(default=None, repr=False)
    door: bytes | None = field(default=None, repr=False)
    door_ends: float = 0.0


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

    async def ask(self, link: Link, browser: bytes, client: str, doors: Sequence[bytes] = ()) -> Drawn:
        """A code for whom the link belongs. An unknown link gets one that is mailed to nobody, in the same time.

        `doors`: 32 octets each, which mails of ours brought to whoever asks. Where one is its recipient's, what others
        have asked for and guessed does not count.
        """
        now = self._clock.now()
        code, made = passcode.make(self._chance, _binding(link, browser), now)
        drawn = self._chance.octets(TOKEN_OCTETS)
        asks: tuple[Place, ...]
        tries: tuple[Place, ...]
        mails: tuple[Place, ...]
        own = [one for one in doors if await self._store.is_door(link.whose, one, now)]
        if own:
            asks, tries, mails = (Place(Counted.ASK_DOOR, sha256(own[0]).digest()),), (), ()
        else:
            asks, tries = _places(_ASKS, link, client), _places(_TRIES, link, client)
            mails = (Place(Counted.DOOR_MAIL, link.whose),)

        def judge(before: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
            wait = _wait({place: counts[place] for place in (*asks, *tries)}, now)
            if wait <= 0:
                more = _more({place: counts[place] for place in asks}, now)
                return Judged(counts=more, code=_kept(made), answer=Drawn(Asked(made.reference, ends=made.ends), code))
            live = before if before is not None and _code(before).is_live(now) else None
            reference = "" if live is None else live.reference
            asked = Asked(reference, slowed_until=now + wait, ends=None if live is None else live.ends)
            mail = {place: counts[place] for place in mails}
            if not mail or wait <= DOOR_FROM or _wait(mail, now) > 0:
                return Judged(code=before, answer=Drawn(asked))
            ends = now + DOOR_LIFE
            opens = KeptDoor(link.whose, drawn, ends)
            return Judged(counts=_more(mail, now), code=before, opens=opens, answer=Drawn(asked, None, drawn, ends))

        return cast(Drawn, await self._store.judge(link.digest, browser, (*asks, *tries, *mails), judge))

    async def asked(self, link: Link, browser: bytes) -> Asked | None:
        """What this browser asked for last, as long as it counts."""
        kept = await self._store.code(link.digest, browser)
        if kept is None or not _code(kept).is_live(self._clock.now()):
            return None
        return Asked(kept.reference, ends=kept.ends)

    async def attempt(self, link: Link, browser: bytes, typed: str, client: str) -> SessionGiven | Refusal:
        """Judge what somebody typed. A wrong try is on disk before it is answered, and nobody else judges meanwhile.

        A code that was sent is judged however often others were wrong: it has its five tries, and there are no more of
        them than codes are sent. Who tries without one finds nothing, and waits for what his own network has done.
        """
        now = self._clock.now()
        cookie = self._chance.octets(TOKEN_OCTETS)
        places = _places(_TRIES, link, client)
        network = places[-1]
        ends = now + self._session()
        session = KeptSession(link.digest, link.reader or "", None if link.work is None else link.work.hex, ends)

        def judge(before: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
            reference = None if before is None else before.reference
            known = None if before is None else _code(before)
            if known is None or not known.is_live(now):
                # Nothing could have been right, and nobody whose code it might have been is made to wait for that.
                mine = {network: counts[network]}
                if (wait := _wait(mine, now)) > 0:
                    return Judged(code=before, answer=Refusal(Reason.SLOWED, until=now + wait, reference=reference))
                return Judged(counts=_more(mine, now), answer=Refusal(Reason.CODE_ENDED, reference=reference))
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


_ASKS: Final = (Counted.ASK_LINK, Counted.ASK_RECIPIENT, Counted.ASK_MESSAGE, Counted.ASK_NETWORK)
_TRIES: Final = (Counted.TRY_LINK, Counted.TRY_RECIPIENT, Counted.TRY_MESSAGE, Counted.TRY_NETWORK)


def _places(kinds: tuple[Counted, ...], link: Link, client: str) -> tuple[Place, ...]:
    """Where something counts. An unknown link is counted as often as a known one, so that both take the same time."""
    return tuple(map(Place, kinds, (link.digest, link.counted, link.key, network_of(client))))


def _count(kept: KeptCount) -> Count:
    return Count(kept.number, kept.at, kept.until)


def _wait(counts: Mapping[Place, KeptCount], now: float) -> float:
    return max((_count(count).wait(Counted(place.kind), now) for place, count in counts.items()), default=0.0)


def _more(counts: Mapping[Place, KeptCount], now: float) -> dict[Place, KeptCount]:
    more = {place: _count(count).more(Counted(place.kind), now) for place, count in counts.items()}
    return {place: KeptCount(count.number, count.at, count.until) for place, count in more.items()}


def _code(kept: KeptCode) -> Passcode:
    return Passcode(kept.reference, kept.salt, kept.digest, kept.made, kept.tries_left)


def _kept(code: Passcode) -> KeptCode:
    return KeptCode(code.reference, code.salt, code.digest, code.made, code.ends, code.tries_left)
