"""Judging the DKIM signatures of a message (RFC 6376 6, RFC 8301, RFC 8463).

Whatever a message, a record or the DNS holds, the time is bounded and the answer is a verdict: a pass only where the
whole body and every signed field are as they were signed. Leaves out: third-party rules, reputation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, Protocol, TypeVar

from gateway.authenticate.dkim import findings
from gateway.authenticate.dkim.body import BodyHash, body_at, body_hash
from gateway.authenticate.dkim.findings import Finding
from gateway.authenticate.dkim.letter import FIELD, Letter, body_finding, result
from gateway.authenticate.dkim.record import KeyRecord, Records
from gateway.authenticate.dkim.signature import Signature, Unreadable
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.body_hash import BodyHashes, HashTerms
from gateway.mail.message import MAX_HEAD, Message
from gateway.world.batch import Batch
from gateway.world.clock import Clock
from gateway.world.names import NamesUnavailable, NoSuchName

MAX_RECORDS: Final = 5  # At one name. RFC 6376 3.6.2.2 knows one; two stand there while somebody changes the type.
ON_LOOP: Final = 32 * 1024  # Octets of a header section, and
BODY_ON_LOOP: Final = 256 * 1024  # of a body that are hashed at once; more would hold others up.
IN_BATCH: Final = 64 * 1024  # Octets of a message that is judged together with others, and
SIGNATURES_IN_BATCH: Final = 3  # in it; who has more must not hold up those behind him.

_BELOW: Final = b"\r\n" + FIELD
_UNSIGNED: Final = Authentication(dkim=(DkimResult(verdict=Verdict.NONE, reason=findings.NOT_SIGNED.word),))

T = TypeVar("T")


class Texts(Protocol):
    """The DNS, as far as keys need it. `gateway.world.names.Names` fulfils it."""

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records at `name`, the strings of each joined. Raises NoSuchName, NamesUnavailable."""

    def txt_at_hand(self, name: str) -> tuple[bytes, ...] | None:
        """The same, where they are known without asking; None where they are not, or there are none."""


class Verifier:
    """Judges messages. One for a worker: it keeps the keys that it has read."""

    def __init__(self, names: Texts, clock: Clock, executor: Executor | None = None) -> None:
        """`executor` hashes what is large; None: that of the loop."""
        self._names = names
        self._clock = clock
        self._executor = executor
        self._records = Records()
        self._batch = Batch()

    async def verify(self, message: Message) -> Authentication:
        """A result for each signature, from the top down, or one that says there is none.

        Raises what the message's content raises where it has to be read.
        """
        section = message.header_section()
        lower = section.lower()
        if _BELOW not in lower and not lower.startswith(FIELD):
            return _UNSIGNED
        if len(section) >= MAX_HEAD:
            return Authentication(dkim=(result(findings.HEADER_TOO_LARGE),))
        hashes: BodyHashes | None = None
        if len(section) > ON_LOOP:
            letter = await self._aside(lambda: Letter(section))
        elif message.content.inline is None or message.size > IN_BATCH:
            letter = Letter(section)
        else:
            found = await self._batch.run(self._at_once(message, section))
            if isinstance(found, Authentication):
                return found
            letter, hashes = found
        if not letter.signatures:
            return _UNSIGNED
        if hashes is None:
            hashes = _at_hand(message, letter)
        if hashes is None:
            hashes = await self._read_hashes(message, letter.terms)
        if len(letter.signatures) == 1:
            return Authentication(dkim=(await self._judge(letter, 0, letter.signatures[0], hashes),))
        # The DNS is asked about all of them at once.
        numbered = enumerate(letter.signatures)
        results = await asyncio.gather(*(self._judge(letter, number, one, hashes) for number, one in numbered))
        return Authentication(dkim=tuple(results), skipped=letter.skipped)

    def _at_once(
        self, message: Message, section: bytes
    ) -> Generator[None, None, Authentication | tuple[Letter, BodyHashes | None]]:
        """The results, where all keys are at hand; else what is known without them."""
        letter = Letter(section)
        hashes = _at_hand(message, letter)
        if hashes is None or not 0 < len(letter.signatures) <= SIGNATURES_IN_BATCH:
            return letter, hashes
        yield
        results = []
        for number, one in enumerate(letter.signatures):
            found = self._before_key(letter, one)
            if not isinstance(found, DkimResult):
                records = self._names.txt_at_hand(_place(found))
                if records is None:
                    return letter, hashes
                keys = self._keys(found, records, hashes)
                found = keys if isinstance(keys, DkimResult) else letter.judge(number, found, keys)
            results.append(found)
        return Authentication(dkim=tuple(results), skipped=letter.skipped)

    async def _judge(self, letter: Letter, number: int, one: Signature | Unreadable, hashes: BodyHashes) -> DkimResult:
        found = self._before_key(letter, one)
        if isinstance(found, DkimResult):
            return found
        try:
            records = await self._names.txt(_place(found))
        except NoSuchName:
            return result(findings.NO_KEY, one)
        except NamesUnavailable:
            return result(findings.NO_ANSWER, one)
        keys = self._keys(found, records, hashes)
        if isinstance(keys, DkimResult):
            return keys
        if letter.octets <= ON_LOOP:
            return letter.judge(number, found, keys)
        return await self._aside(lambda: letter.judge(number, found, keys))

    def _before_key(self, letter: Letter, one: Signature | Unreadable) -> DkimResult | Signature:
        """The signature, where it takes a key to judge it."""
        if not letter.is_whole:
            return result(findings.BROKEN_HEADER, one)
        if isinstance(one, Unreadable):
            return result(one.finding, one)
        if one.expires is not None and one.expires < self._clock.now():
            return result(findings.EXPIRED, one)
        if letter.is_added_to(one):
            return result(findings.FIELD_ADDED, one)
        return one

    def _keys(self, one: Signature, records: Sequence[bytes], hashes: BodyHashes) -> DkimResult | list[KeyRecord]:
        """The keys that may have made the signature, where the body is as it was signed."""
        fault = findings.NO_KEY
        keys: list[KeyRecord] = []
        for text in records[:MAX_RECORDS]:
            read = self._records.read(text)
            if isinstance(read, Finding):
                fault = read
            elif read.kind != one.kind:
                fault = findings.OTHER_KIND
            elif read.exact and one.identity != one.domain:
                fault = findings.IDENTITY_NOT_EXACT
            else:
                keys.append(read)
        if not keys:
            return result(fault, one)
        if (finding := body_finding(one, hashes)) is not None:
            return result(finding, one, keys[0])
        return keys

    async def _read_hashes(self, message: Message, terms: Iterable[HashTerms]) -> BodyHashes:
        """Of a body that is long, or lies on disk."""
        at = body_at(message.head)
        made = [BodyHash(one) for one in terms]
        blocks = message.content.blocks()
        try:
            async for block in blocks:
                await self._aside(partial(feed, made, block[at:] if at else block))
                at = max(0, at - len(block))
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()
        return {one.terms: one.digest() for one in made}

    async def _aside(self, work: Callable[[], T]) -> T:
        """On a thread, so that nobody waits meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _place(one: Signature) -> str:
    """Where its key is (RFC 6376 3.6.2.1)."""
    return f"{one.selector}._domainkey.{one.domain}"


def _at_hand(message: Message, letter: Letter) -> BodyHashes | None:
    """The hashes of the body, in every way that the signatures ask for; None where making them takes long."""
    if not letter.is_whole or not letter.terms:
        return {}
    ready = message.hashes
    if ready is not None and all(one in ready for one in letter.terms):
        return ready
    octets = message.content.inline
    if octets is None or len(octets) - (at := body_at(message.head)) > BODY_ON_LOOP:
        return None
    body = octets[at:]
    return {one: body_hash(body, one) for one in letter.terms}


def feed(hashes: Iterable[BodyHash], octets: bytes) -> None:
    """The next octets of a body, to all of them."""
    for one in hashes:
        one.update(octets)
