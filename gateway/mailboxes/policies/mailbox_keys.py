"""The keys of mailboxes: unwrapped for reading and delivery, made, wrapped under other policies, and made anew.

A key is in use exactly as long as the policy's is that wraps it: it is opened by that, and forgotten with it. Of a
mailbox without a policy the key lies under the domain key `mailboxes`. Leaves out: wrapping contents anew (`roll`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyRefused
from gateway.mailboxes.policies.policy import KEY_OCTETS, MARK
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.mailboxes.policies.store import KeyStore
from gateway.storage.mailboxes.faults import KeyChanged
from gateway.storage.mailboxes.model import Mailbox, WrappedKey
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.world.chance import Chance
from gateway.world.clock import Clock

PURPOSE: Final = "mailboxes"
FIRST: Final = 1  # The version of a mailbox's first key.


@dataclass(frozen=True, slots=True)
class MailboxKey:
    """What seals the maps of a mailbox's contents; `version` is what new contents are written under.

    While a mailbox is rolled, `older` opens what still lies under the version before.
    """

    mailbox: int
    version: int
    secret: bytes = field(repr=False)
    older: MailboxKey | None = None

    def at(self, version: int) -> MailboxKey:
        """The key of that version. Raises KeyBroken where it is neither of the two: whoever asks reads the mailbox's
        row and the content's again, since a roll has begun or ended meanwhile.
        """
        if version == self.version:
            return self
        if self.older is not None and version == self.older.version:
            return self.older
        raise KeyBroken(f"version {version} of the mailbox's key is not at hand; it has version {self.version}")

    def __reduce__(self) -> str:
        raise TypeError("a mailbox key is not pickled: it must not leave the process")


class MailboxKeys:
    """One for each process. Calls raise MailboxClosed."""

    def __init__(
        self,
        store: KeyStore,
        policies: PolicyKeys,
        sealer: Sealer,
        *,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        executor: Executor,
    ) -> None:
        self._store = store
        self._policies = policies
        self._sealer = sealer
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._executor = executor

    def __repr__(self) -> str:
        return "MailboxKeys()"

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        """The key of the mailbox, by its row. Asked for each thing that is done: it costs some microseconds, and the
        vaults once a minute.
        """
        try:
            current = await self._opened(mailbox.id, mailbox.key)
            if mailbox.next_key is None:
                return current
            return replace(await self._opened(mailbox.id, mailbox.next_key), older=current)
        except MailboxClosed as fault:
            raise fault.of(mailbox.address) from fault

    async def new(self, mailbox: int, policy: int | None) -> WrappedKey:
        """The first key of a new mailbox of that id (`MailboxStore.new_id`), under the policy; None: under none."""
        return await self._wrapped(mailbox, FIRST, policy, self._chance.octets(KEY_OCTETS))

    async def assign(self, mailbox: Mailbox, policy: int | None, *, roll: bool = False) -> Mailbox:
        """Wrap the mailbox's key under another policy: one row, whatever the mail. The mailbox as it is then.

        A mailbox that lay under none, or with `roll`, gets a new key too, under which its contents are wrapped in the
        background (`Roller`). Raises KeyChanged where somebody else was first, PolicyRefused where it gets a new key
        and the roll to the one before is not done.
        """
        key = await self.key(mailbox)
        wants_roll = roll or (mailbox.policy is None and policy is not None)
        if wants_roll and mailbox.next_key is not None:
            # Its next key was made before: what the other policy's owners destroy later would still open it.
            raise PolicyRefused(
                f"{mailbox.address} is being given a new key at this moment, and this would need one of its own; right "
                f"would be to wait until that is done, which gateway mailbox show {mailbox.address} tells"
            )
        if mailbox.next_key is not None and key.older is not None:
            # Both keys move; the roll goes on as it was.
            current = await self._wrapped(mailbox.id, key.older.version, policy, key.older.secret)
            return await self._put(mailbox, current, await self._wrapped(mailbox.id, key.version, policy, key.secret))
        current = await self._wrapped(mailbox.id, key.version, policy, key.secret)
        following = None if not wants_roll else await self._next(mailbox.id, key.version, policy)
        return await self._put(mailbox, current, following)

    async def start_roll(self, mailbox: Mailbox) -> Mailbox:
        """Give the mailbox a new key, under which new contents are written at once; `Roller` does the rest.

        Where one is under way already, that goes on. Raises KeyChanged where somebody else was first.
        """
        if mailbox.next_key is not None:
            return mailbox
        key = await self.key(mailbox)
        following = await self._next(mailbox.id, key.version, mailbox.policy)
        return await self._put(mailbox, mailbox.key, following)

    def forget(self) -> None:
        """Kept beside `PolicyKeys.forget`, which drops all that is remembered."""

    async def _put(self, before: Mailbox, key: WrappedKey, next_key: WrappedKey | None) -> Mailbox:
        if await self._store.assign(before, key, next_key):
            after = await self._store.get(before.id)
            if after is not None:
                return after
        raise KeyChanged(
            f"somebody else changed the key of {before.address} just now, or removes it; nothing was done: say it again"
        )

    # -- wrapping -----------------------------------------------------------------------------------------------------

    async def _opened(self, mailbox: int, key: WrappedKey) -> MailboxKey:
        if key.policy is None:
            return MailboxKey(mailbox, key.version, self._unsealed(mailbox, key))
        policy = await self._policies.key(key.policy)
        if policy.version != key.policy_version:
            raise KeyBroken(
                f"its key is wrapped by version {key.policy_version} of the policy {policy.name!r}, which has version "
                f"{policy.version}; right would be to restore its row, as a backup has it",
                policy=policy.name,
            )
        return MailboxKey(mailbox, key.version, policy.unwrap(mailbox, key.version, key.octets))

    async def _wrapped(self, mailbox: int, version: int, policy: int | None, secret: bytes) -> WrappedKey:
        if policy is None:
            return WrappedKey(
                version=version, policy=None, policy_version=0, octets=self._sealed(mailbox, version, secret)
            )
        key = await self._policies.key(policy)
        octets = key.wrap(mailbox, version, secret, self._chance)
        return WrappedKey(version=version, policy=policy, policy_version=key.version, octets=octets)

    async def _next(self, mailbox: int, version: int, policy: int | None) -> WrappedKey:
        return await self._wrapped(mailbox, version + 1, policy, self._chance.octets(KEY_OCTETS))

    def _sealed(self, mailbox: int, version: int, secret: bytes) -> bytes:
        try:
            return self._sealer.seal(PURPOSE, _record(mailbox, version), MARK + secret)
        except KeysClosed as error:
            raise PolicyAway(str(error)) from error

    def _unsealed(self, mailbox: int, key: WrappedKey) -> bytes:
        try:
            plain = self._sealer.open(PURPOSE, _record(mailbox, key.version), key.octets)
        except KeysClosed as error:
            raise PolicyAway(str(error)) from error
        except SealBroken as error:
            raise KeyBroken(f"version {key.version} of its key does not open: {error}") from error
        if plain[:1] != MARK or len(plain) != 1 + KEY_OCTETS:
            raise KeyBroken(f"version {key.version} of its key has an unknown version mark: a newer gateway wrote it")
        return plain[1:]


def _record(mailbox: int, version: int) -> str:
    """What the key of a mailbox without a policy is bound to."""
    return f"mailbox key {mailbox} {version}"
