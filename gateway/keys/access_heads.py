"""Signs heads of the key-access log now and then, keeps the newest one outside the database, removes what is too old.

Nothing is signed while the database contradicts the head that is known from outside it: a new head would bury what the
old one proves. Somebody has to look then and answer for it (`gateway key log accept`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from gateway.keys.access_head import KEY, BadHead, Head, Kind, check, head_of, statement
from gateway.keys.access_log import milliseconds
from gateway.keys.access_verify import Verifier
from gateway.keys.head_place import HeadPlace
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Unavailable, Vault, VaultBroken
from gateway.storage.key_log import FRONT
from gateway.storage.key_log_rows import Batch, HeadRow
from gateway.world.clock import Clock

EVERY_LINES: Final = 10_000  # Lines after which a head is signed,
EVERY_SECONDS: Final = 300.0  # or so long after the last one, where there are new lines.
DAY: Final = 86_400.0
PAGE: Final = 100  # Batches in memory at once.
# ECDSA first: any OpenSSL verifies it in one command, and FIPS 140 has always allowed it.
_TYPES: Final = (KeyType.EC_P256, KeyType.ED25519, KeyType.RSA_2048)


class Chain(Protocol):
    """The log, as it is asked here: `gateway.storage.key_log.KeyLogStore`."""

    def tip(self) -> tuple[int, bytes] | None: ...
    def end_of_batch(self, line: int) -> bytes | None: ...
    def newest_head(self, kind: str = ...) -> HeadRow | None: ...
    def add_head(self, head: HeadRow) -> None: ...
    def before(self, time: int) -> tuple[int, bytes] | None: ...
    def remove(self, start: HeadRow) -> int: ...
    def batches(self, after: int, limit: int) -> list[Batch]: ...
    def heads(self) -> list[HeadRow]: ...


def signer(vaults: Iterable[Vault]) -> Vault | None:
    """The first vault that has the key for heads, in use. Raises KeyFault where a vault does not answer."""
    for vault in vaults:
        if any(key.name == KEY and key.type.signs and key.state is KeyState.ENABLED for key in vault.keys()):
            return vault
    return None


def ensure_signer(vaults: Iterable[Vault]) -> Vault | None:
    """As `signer`, but the key is made in the first vault that can sign where none holds it, in whatever state.

    None where none can. Raises KeyFault where a vault does not say what it holds: it may have the key.
    """
    held = tuple(vaults)
    if any(key.name == KEY for vault in held for key in vault.keys()):
        return signer(held)
    for vault in held:
        with suppress(Unavailable, VaultBroken):  # As of a token that can't be written; the next one may.
            if _is_made(vault):
                return vault
    return None


def _is_made(vault: Vault) -> bool:
    """Make the key in that vault; whether it is there then. Raises Unavailable, VaultBroken."""
    for type_ in _TYPES:
        try:
            vault.create(KEY, type_)
        except Denied:  # It has no such type, or is read-only; or another process was first, and it is there.
            if signer((vault,)) is not None:
                return True
        else:
            return True
    return False


class Heads:
    """Blocks, and is for one thread at a time. `days`: how long lines are kept."""

    def __init__(
        self,
        chain: Chain,
        vaults: Mapping[str, Vault],
        place: HeadPlace,
        *,
        clock: Clock,
        tell: Callable[..., None],
        days: float,
    ) -> None:
        self._chain = chain
        self._vaults = vaults
        self._place = place
        self._clock = clock
        self._tell = tell
        self._days = days
        self._swept = 0.0
        self.contradicted: str | None = None  # What does not fit, for people.
        self.unsigned: str | None = None  # Why nothing could be signed.

    def look(self, *, last: bool = False) -> None:
        """Do what is due; `last`: the process ends, so a head is due where there is one new line.

        Raises StorageFull, StorageBroken; what a vault or the disk refuses is told and tried again the next time.
        """
        try:
            fits = self._fits()
        except OSError as error:
            self._failed(f"{error.filename or self._place.name}: {error.strerror}")
            return
        if not fits:
            return
        try:
            self._sign(last=last)
            now = self._clock.now()
            if now >= self._swept + DAY and not last:
                self._swept = now
                self._remove(now - self._days * DAY)
        except KeyFault as error:
            self._failed(str(error))
        except OSError as error:
            self._failed(f"{error.filename or self._place.name}: {error.strerror}")

    # -- what is known outside the database ---------------------------------------------------------------------------

    def _fits(self) -> bool:
        """Whether the chain leads to the head that is known outside; a newer one is brought there."""
        try:
            known = self._place.read()
        except BadHead as error:
            return self._contradict(str(error))
        row = self._chain.newest_head()
        if known is None:
            if row is not None:
                self._tell("warning", "key_log_head_missing", place=self._place.name, line=row.line)
        elif not self._holds(known):
            return self._contradict(
                f"line {known.line}, which was signed at {known.time} and stands in {self._place.name}, is not in the "
                "database as it was signed: lines were removed or changed, or an older copy was put back. "
                "gateway key log verify tells more; gateway key log accept answers for it"
            )
        self.contradicted = None
        if row is not None and (known is None or row.line > known.line):
            try:
                self._bring(row)
            except BadHead as error:
                return self._contradict(f"a head in the database is forged or damaged: {error}")
            except KeyFault as error:  # Tried again the next time; the old one stays.
                self._failed(str(error))
        return True

    def _holds(self, known: Head) -> bool:
        if self._chain.end_of_batch(known.line) == known.hash:
            return True
        start = self._chain.newest_head(Kind.START)
        if start is None or start.line < known.line:
            return False
        try:
            found = self._checked(start)
        except (BadHead, KeyFault):
            return False
        return found.kind is Kind.START and (found.line > known.line or found.hash == known.hash)

    def _bring(self, row: HeadRow) -> None:
        head = self._checked(row)
        if head.kind is Kind.HEAD and self._chain.end_of_batch(head.line) == head.hash:
            self._place.keep(head)
            return
        raise BadHead(f"line {row.line} is not as {head.signer} signed it")

    def _checked(self, row: HeadRow) -> Head:
        """Raises BadHead, KeyFault."""
        head = head_of(row.statement, row.vault, row.key, row.version, row.signature)
        public = self._public_key(head.vault, head.key, head.version) if head.key == KEY else None
        if public is None:
            raise BadHead(f"{head.signer} is no key that signs heads here")
        check(head, public)
        if head.line != row.line:
            raise BadHead(f"line {row.line} has the statement of line {head.line}")
        return replace(head, public_key=public)

    def _contradict(self, words: str) -> bool:
        if self.contradicted != words:  # Once, not every minute.
            self._tell("error", "key_log_contradicted", what=words)
        self.contradicted = words
        return False

    # -- signing ------------------------------------------------------------------------------------------------------

    def _sign(self, *, last: bool) -> None:
        tip = self._chain.tip()
        if tip is None:
            return
        newest = self._chain.newest_head()
        # Signing is a use, and makes a line behind each head. That line alone is no reason for the next head.
        new = tip[0] if newest is None else tip[0] - newest.line - 1
        if new <= 0 or not (last or new >= EVERY_LINES or newest is None or self._age(newest) >= EVERY_SECONDS):
            return
        head = self._signed(Kind.HEAD, *tip)
        if head is None:
            return
        self._chain.add_head(_row(head))
        # The line in the gateway's log is a head that whoever keeps that log elsewhere can judge the chain by.
        self._tell("info", "key_log_head", line=head.line, hash=head.hash.hex(), **head.told())
        self._place.keep(replace(head, public_key=self._public_key(head.vault, head.key, head.version)))
        self.unsigned = None

    def _age(self, row: HeadRow) -> float:
        try:
            head = head_of(row.statement, row.vault, row.key, row.version, row.signature)
            return abs(self._clock.now() - datetime.fromisoformat(head.time).timestamp())
        except ValueError:
            return EVERY_SECONDS

    def _signed(self, kind: Kind, line: int, hash_: bytes) -> Head | None:
        vault = signer(self._vaults.values())
        if vault is None:
            words = f"gateway key create VAULT/{KEY} --type {_TYPES[0]} makes one"
            self._failed(f"no vault holds a key {KEY!r} that may sign; {words}")
            return None
        octets = statement(kind, line, hash_, self._clock.now())
        words = f"key log up to line {line}" if kind is Kind.HEAD else f"key log without lines up to {line}"
        made = vault.sign(KEY, octets, about=words)
        return head_of(octets, vault.name, KEY, made.version, made.octets)

    def _failed(self, why: str) -> None:
        if self.unsigned != why:
            self._tell("error", "key_log_unsigned", why=why)
        self.unsigned = why

    # -- removing -----------------------------------------------------------------------------------------------------

    def _remove(self, time: float) -> None:
        """Remove whole batches that are older than `time`, with a signed start that says so.

        Only what proves to be whole and as old as it says: else somebody who can write the database would have us
        remove, and sign for, what he wants to be rid of.
        """
        found = self._chain.before(int(time * 1000))
        if found is None or not self._may_go(found[0], int(time * 1000)):
            return
        start = self._signed(Kind.START, *found)
        if start is not None and (count := self._chain.remove(_row(start))):
            self._tell("info", "key_log_removed", lines=count, up_to=start.line, hash=start.hash.hex())

    def _may_go(self, line: int, time: int) -> bool:
        verifier = Verifier(self._chain.heads(), self._public_key)
        after = FRONT
        while after < line:
            batches = [one for one in self._chain.batches(after, PAGE) if one.last <= line]
            for batch in batches:
                if any(milliseconds(one.time) >= time for one in verifier.feed(batch)):
                    return self._contradict(f"lines up to {line} say that they are older than they are")
            if not batches:
                break
            after = batches[-1].first
        if verifier.findings:
            return self._contradict(f"lines that are old enough to go are not whole: {verifier.findings[0].sentence}")
        return True

    def _public_key(self, vault: str, key: str, version: int) -> bytes | None:
        return public_key(self._vaults, vault, key, version)


def public_key(vaults: Mapping[str, Vault], vault: str, key: str, version: int) -> bytes | None:
    """The public key of that version; None where there is none. Raises Unavailable, VaultBroken."""
    try:
        return vaults[vault].public_key(key, version)
    except (KeyError, Denied):
        return None


def _row(head: Head) -> HeadRow:
    return HeadRow(head.kind, head.line, head.statement, head.vault, head.key, head.version, head.signature)
