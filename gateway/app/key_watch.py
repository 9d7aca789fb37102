"""What somebody should act on about vaults and keys, and a look each hour: deleted keys end, warnings reach the log.

What a vault says of its keys is asked of it; how a file vault is protected is read from its file without opening it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, Final

from gateway.app.channel import Fault
from gateway.app.file_vaults import exposures
from gateway.app.keys import Keys
from gateway.app.status import warning
from gateway.keys.providers.file.sheet import Head, Kind
from gateway.keys.providers.file.vault import facts
from gateway.keys.vault import KeyFault
from gateway.settings.load import Loaded
from gateway.world.clock import Clock

LOOK: Final = 3600.0  # Seconds between two looks.
AGAIN: Final = 86400.0  # Seconds after which the log tells the same again.


def protection_warnings(loaded: Loaded, spare: Collection[str] = ()) -> list[dict[str, str]]:
    """What is doubtful about how file vaults are protected. Blocks. What can't be read is told elsewhere.

    `spare`: vaults that may be lost without losing anything, as `spare_vaults` finds them; those need no recovery.
    """
    found: list[dict[str, str]] = []
    for section in loaded.settings.vaults:
        if section.provider != "file":
            continue  # A token protects itself.
        folder = loaded.resolve(section.path)
        found += [
            warning("vault_exposed", f"vault {section.name}: {exposure}; {right} mends it")
            for exposure, right in exposures(folder)
        ]
        try:
            known = facts(folder)
        except KeyFault:
            continue
        if known.head is None:
            found.append(
                warning(
                    "vault_unsealed",
                    f"the keys of vault {section.name} lie in {known.path} in clear, so whoever reads that file reads "
                    f"all mail here; gateway key protector add {section.name} seals it",
                )
            )
        else:
            found += _judged(section.name, known.head, is_spare=section.name in spare)
    return found


def _judged(vault: str, head: Head, *, is_spare: bool) -> list[dict[str, str]]:
    kinds = {one.kind for one in head.protectors}
    unproved = [one for one in head.protectors if one.kind in (Kind.RECOVERY_KEY, Kind.SHARES) and one.proved is None]
    if unproved:
        shares = all(one.kind is Kind.SHARES for one in unproved)
        what = "enough shares of the recovery key" if shares else "the recovery key"
        text = f"nobody has proved to hold {what} of vault {vault}; gateway key recovery verify {vault} asks for it"
        return [warning("recovery_key_unproved", text)]
    if kinds <= {Kind.SECRET} and not is_spare:
        text = (
            f"vault {vault} opens by its service secret alone: where that is lost, so is everything that its keys "
            f"alone open; gateway key recovery create {vault} makes a recovery key"
        )
        return [warning("vault_without_recovery", text)]
    return []


def deletion_warnings(keys: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Keys that wait for their end, in the form of `gateway key list`."""
    return [
        warning(
            "key_deleted",
            f"{key['key']} is deleted, and destroyed after {key['ends']}; until then gateway key recover {key['key']} "
            "takes it back",
        )
        for key in keys
    ]


class KeyWatch:
    """Destroys deleted keys whose waiting time has ended, and tells the log what needs somebody, once a day."""

    def __init__(self, keys: Keys, clock: Clock, tell: Callable[..., None], settings: Callable[[], Loaded]) -> None:
        """`settings` gives those that are in force; `tell` writes a log line."""
        self._keys = keys
        self._clock = clock
        self._tell = tell
        self._settings = settings
        self._told: dict[tuple[str, str], float] = {}
        self._spare: frozenset[str] = frozenset()  # Vaults that need no recovery, as of the last look.

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK)

    async def look(self) -> None:
        """Once."""
        try:
            await self._keys.purge()
        except Fault as fault:
            self._tell("warning", "keys_not_purged", reason=str(fault))
        with suppress(Fault):  # Then it is as it was: `status` must not wait for the database each time.
            self._spare = await self._keys.spare("supervisor")
        self.tell(await self.warnings())

    async def warnings(self) -> list[dict[str, str]]:
        """All that is to be told, in the form of `gateway status`. A vault that is away hides its own keys alone."""
        found = await asyncio.to_thread(protection_warnings, self._settings(), self._spare)
        return found + deletion_warnings(await self._keys.deleted())

    def tell(self, warnings: Iterable[dict[str, str]]) -> None:
        """One line for each that was not told within a day."""
        now = self._clock.now()
        self._told = {which: at for which, at in self._told.items() if now - at < AGAIN}
        for one in warnings:
            which = (one["code"], one["text"])
            if which not in self._told:
                self._told[which] = now
                self._tell("warning", one["code"], reason=one["text"])
