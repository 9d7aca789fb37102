"""A message while it arrives: what claims to be ours is taken out, and a long body is hashed as it streams.

The header section is held back until it is whole. Of a short message nothing is hashed here: whoever judges or signs it
has all of it at hand. Leaves out: what comes from our own servers keeps its Authentication-Results (RFC 8601 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.authenticate.dkim.body import BodyHash
from gateway.authenticate.dkim.letter import FIELD, Letter
from gateway.authenticate.own_fields import NAME as OUR_NAME
from gateway.authenticate.own_fields import RIGHTS as OUR_RIGHTS
from gateway.authenticate.own_fields import without_ours
from gateway.authenticate.results import NAME, without_claims
from gateway.authenticate.terms import AuthenticateTerms
from gateway.connectors.authenticated import AUTHENTICATED
from gateway.connectors.model import Inbound
from gateway.mail import reply as say
from gateway.mail.body_hash import HashTerms
from gateway.mail.envelope import Client
from gateway.mail.message import MAX_HEAD, Message
from gateway.mail.reply import Refused
from gateway.storage.content import INLINE
from gateway.storage.spooling import Receiving

SIGNED: Final = HashTerms()  # How our own signatures have the body.


class Arrivals:
    """Decides for each message what has to be done with it as it comes. `terms` are replaced by a reload."""

    def __init__(
        self, terms: AuthenticateTerms, executor: Executor, signs: Callable[[Client | None, str | None], bool]
    ) -> None:
        """`executor` has the threads for hashing; `signs` says whether mail may be signed that comes by this client and
        by the connector of that name.
        """
        self.terms = terms
        self._executor = executor
        self._signs = signs

    def __call__(self, incoming: Receiving, client: Client, inbound: Inbound | None) -> Receiving:
        """`incoming`, or what stands in front of it for a message that comes by `inbound`."""
        signs = self._signs(client, None if inbound is None else inbound.name)
        is_trusted = inbound is not None and inbound.on_premises
        if is_trusted and inbound is not AUTHENTICATED:
            return Arriving(incoming, self._executor, signs=True) if signs else incoming
        terms = self.terms
        return Arriving(
            incoming,
            self._executor,
            authserv_id=terms.authserv_id.encode(),
            signs=signs,
            judged=terms.dkim and client.user is None,
        )


class Arriving:
    """Takes the octets of one message, and gives them on."""

    __slots__ = (
        *("_authserv_id", "_bodies", "_executor", "_fault", "_hashes", "_held", "_incoming", "_judged", "_section"),
        *("_signs", "_size"),
    )

    def __init__(
        self,
        incoming: Receiving,
        executor: Executor,
        *,
        authserv_id: bytes | None = None,
        signs: bool = False,
        judged: bool = False,
    ) -> None:
        """`authserv_id`: fields that claim this name (lower case) are taken out, and a header section too large to be
        looked through is refused. `signs`: the message may be signed here; `judged`: its signatures are.
        """
        self._incoming = incoming
        self._executor = executor
        self._authserv_id = authserv_id
        self._signs = signs
        self._judged = judged
        self._held: bytearray | None = bytearray()  # The header section so far; None: it is whole.
        self._section = b""  # Where signatures have to be read out of it.
        self._bodies: list[bytes] | None = None  # Not hashed yet, at most what `incoming` holds too; None: never.
        self._hashes: list[BodyHash] | None = None
        self._size = 0
        self._fault = False

    def write(self, octets: bytes) -> bool:
        """As `Receiving`. What is wrong with the message is told by `finish`, so that the client may send it all."""
        if self._held is not None:
            octets = self._take(octets)
            if not octets:
                return False
        elif self._bodies is not None:
            self._bodies.append(octets)
        self._size += len(octets)
        return self._incoming.write(octets)

    async def flush(self) -> None:
        """As `Receiving`."""
        if not self._bodies:
            await self._incoming.flush()
            return
        hashed = self._hash()
        try:
            await self._incoming.flush()
        finally:
            await hashed

    async def finish(self) -> Message:
        """As `Receiving`, with the hashes of a long body. Raises Refused."""
        if self._held is not None and (octets := self._front(bytes(self._held), -1)):
            self._size += len(octets)
            self._incoming.write(octets)
        if self._fault:
            raise Refused(say.HEADER_TOO_LARGE)
        if self._bodies is None or self._size <= INLINE:
            return await self._incoming.finish()
        hashed = self._hash()
        try:
            message = await self._incoming.finish()
        finally:
            await hashed
        return replace(message, hashes={one.terms: one.digest() for one in self._hashes or ()})

    async def abandon(self) -> None:
        """As `Receiving`."""
        await self._incoming.abandon()

    def _take(self, octets: bytes) -> bytes:
        """More of the header section; what is to be kept of it now."""
        held = self._held
        if held is None or self._fault:
            return b""
        if not held:
            if (end := octets.find(b"\r\n\r\n")) >= 0 or octets.startswith(b"\r\n"):
                return self._front(octets, end)  # Nearly always: all of it came at once.
            held += octets
        else:
            seen = len(held)
            held += octets
            if (end := held.find(b"\r\n\r\n", max(0, seen - 3))) >= 0 or held.startswith(b"\r\n"):
                return self._front(bytes(held), end)
        return self._front(bytes(held), -1) if len(held) > MAX_HEAD else b""

    def _front(self, octets: bytes, end: int) -> bytes:
        """`octets`, which begin the message, as they are to be kept; at `end` they have the first two line ends in a
        row, at -1 none.
        """
        self._held = None
        if octets.startswith(b"\r\n"):
            end = 0
        else:  # Without any it is a message without a body, or one whose header section has no end in sight.
            end = end + 2 if end >= 0 else len(octets)
        if end >= MAX_HEAD:
            if self._authserv_id is None:
                return octets  # It is not signed either.
            # Behind what we look at there might be a field in our name.
            self._fault, self._held = True, bytearray()
            return b""
        section = octets[:end]
        lower = section.lower()
        is_signed = self._judged and FIELD in lower
        if self._signs or is_signed:
            self._section = section if is_signed else b""
            self._bodies = [octets[end + 2 :]]
        if self._authserv_id is None:
            return octets
        if OUR_NAME in lower or OUR_RIGHTS in lower:
            section = without_ours(section)
        if NAME in lower:
            section = without_claims(section, self._authserv_id)
        return octets if len(section) == end else section + octets[end:]

    def _hash(self) -> asyncio.Future[None]:
        """Hash what came, on a thread, while the same octets are sealed on another."""
        pieces, self._bodies = self._bodies or [], []
        return asyncio.get_running_loop().run_in_executor(self._executor, partial(self._work, pieces))

    def _work(self, pieces: Iterable[bytes]) -> None:
        if self._hashes is None:
            terms = set(Letter(self._section).terms if self._section else ())
            if self._signs:
                terms.add(SIGNED)
            self._hashes = [BodyHash(one) for one in terms]
            self._section = b""
        for piece in pieces:
            for one in self._hashes:
                one.update(piece)
