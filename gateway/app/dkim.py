"""DKIM keys, joined for one process: which of them sign, and what `gateway dkim key` asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from gateway.app.channel import Fault
from gateway.authenticate.dkim.publish import record_name, record_text, zone_line
from gateway.authenticate.signing import SigningKeys
from gateway.connectors.model import Domains
from gateway.connectors.patterns import domain as a_domain
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Vault
from gateway.storage.accounts import Transactions
from gateway.storage.dkim_keys import Algorithm, DkimKey, DkimKeyStore, Use
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

LOOK: Final = 30.0  # Seconds until a process sees what another machine has changed.
TYPES: Final = {Algorithm.RSA: KeyType.RSA_2048, Algorithm.ED25519: KeyType.ED25519}
LONGEST_NAME: Final = 253  # Of the whole name in the DNS (RFC 1035 2.3.4).

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_FAULTS: Final = {
    KeyState.DISABLED: "is disabled",
    KeyState.DELETED: "is deleted",
    None: "is not there, or its vault does not answer",
}
_DENIED: Final = _FAULTS | {None: "is not there"}
_BEHIND: Final = "-ed25519"  # Where two keys are made, the second one's selector ends so.


class Dkim:
    """`answer` is for the command line. `changed` is told the keys whenever they were read and are others."""

    def __init__(
        self,
        shared: Transactions,
        sealer: Sealer,
        vaults: Mapping[str, Vault],
        *,
        vault: Callable[[], str | None],
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        accepted: Callable[[], Domains],
        changed: Callable[[SigningKeys], None] = lambda keys: None,
    ) -> None:
        """`vault` says where keys are made if nobody chose another; None: in the first one."""
        self._store = DkimKeyStore(shared, sealer)
        self._vaults = vaults
        self._vault = vault
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._accepted = accepted
        self._changed = changed
        self._known: list[DkimKey] = []
        self._failing = ""

    # -- what signs ---------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Read which keys there are; where that fails, those that were read last go on. Never raises for that."""
        try:
            found = await self._store.all()
        except (StorageBroken, StorageFull, SealBroken, KeyFault) as error:
            if (words := str(error)) != self._failing:
                self._failing = words
                self._tell("error", "dkim_keys_not_read", error=words)
            return
        self._failing = ""
        if found != self._known:
            self._known = found
            self._changed(SigningKeys(found))

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._clock.sleep(LOOK)
            await self.look()

    # -- what the vaults say of them ----------------------------------------------------------------------------------

    async def _states(self, keys: Iterable[DkimKey]) -> list[KeyState | None]:
        """As what the vault has each of them; None where it does not have it, or does not answer."""
        keys = list(keys)
        held: dict[tuple[str, str], KeyState] = {}
        for name in dict.fromkeys(key.vault for key in keys):
            if (vault := self._vaults.get(name)) is not None:
                with suppress(KeyFault):  # Told by those who use its keys.
                    held |= {(name, one.name): one.state for one in await asyncio.to_thread(vault.keys)}
        return [held.get((key.vault, key.key)) for key in keys]

    async def denied(self) -> dict[str, list[str]]:
        """The domains of which no key may sign at present, and of each key in words why. One whose vault does not
        answer counts as one that may: mail waits for it, or that vault's own warning tells.
        """
        found: dict[str, list[str]] = {}
        signing: set[str] = set()
        held: dict[str, dict[str, KeyState] | None] = {}
        for key in [one for one in self._known if one.use is Use.ACTIVE]:
            if key.vault not in held:
                held[key.vault] = await self._held(key.vault)
            states = held[key.vault]
            state = None if states is None else states.get(key.key)
            if states is None or state is KeyState.ENABLED:
                signing.add(key.domain)
            else:
                found.setdefault(key.domain, []).append(f"{key.vault}/{key.key} {_DENIED[state]}")
        return {domain: keys for domain, keys in found.items() if domain not in signing}

    async def _held(self, vault: str) -> dict[str, KeyState] | None:
        """The keys of a vault; none of one that the settings do not name, None where it does not answer."""
        place = self._vaults.get(vault)
        if place is None:
            return {}
        try:
            return {one.name: one.state for one in await asyncio.to_thread(place.keys)}
        except KeyFault:
            return None

    async def _rows(self, keys: Iterable[DkimKey]) -> list[dict[str, Any]]:
        keys = list(keys)
        return [_row(key, state) for key, state in zip(keys, await self._states(keys), strict=True)]

    # -- asked by the command line ------------------------------------------------------------------------------------

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        try:
            match command:
                case "dkim.look":
                    await self.look()
                    return True
                case "dkim.list":
                    return await self._rows(await self._store.all())
                case "dkim.show":
                    return await self._rows(await self._of(arguments["domain"]))
                case "dkim.create":
                    return await self._create(**arguments)
                case "dkim.rotate":
                    return await self._rotate(**arguments)
                case "dkim.activate":
                    return await self._activate(**arguments)
        except (StorageBroken, StorageFull, SealBroken) as error:
            raise Fault(f"the DKIM keys can't be used: {error}") from error
        except KeyFault as error:
            raise Fault(str(error)) from error
        raise Fault(f"there is no command {command!r}")

    async def _of(self, domain: str) -> list[DkimKey]:
        name = _domain(domain)
        found = [key for key in await self._store.all() if key.domain == name]
        if not found:
            raise Fault(f"{name} has no DKIM key; to make one: gateway dkim key create {name}")
        return found

    async def _create(
        self,
        domain: str,
        selector: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the command line
        vault: str | None = None,
    ) -> dict[str, Any]:
        """The first keys of a domain: one of `type`, or one of each."""
        name = _domain(domain)
        algorithms = _algorithms(type)
        there = [key for key in await self._store.all() if key.domain == name]
        for algorithm in algorithms:
            if twin := next((k for k in there if k.algorithm is algorithm and k.use is not Use.RETIRED), None):
                raise Fault(
                    f"{name} has an {TYPES[algorithm].value} key already, selector {twin.selector}; "
                    f"gateway dkim key rotate {name} makes its successor"
                )
        made, warnings = await self._made(name, algorithms, there, selector, vault, Use.ACTIVE)
        if self._accepted().closeness(name) is None:
            warnings.append(f"{name} is none of accepted_domains: is it ours to sign for?")
        return {"keys": await self._rows(made), "warnings": warnings}

    async def _rotate(self, domain: str, selector: str | None = None, vault: str | None = None) -> dict[str, Any]:
        """Successors of the keys that sign for a domain; nothing is signed with them until they are activated."""
        there = await self._of(domain)
        name = there[0].domain
        if waiting := [key.selector for key in there if key.use is Use.NEXT]:
            raise Fault(
                f"{name} has a successor already: {', '.join(waiting)}. Once its record is published: "
                f"gateway dkim key rotate {name} --activate"
            )
        algorithms = [a for a in Algorithm if any(key.algorithm is a and key.use is Use.ACTIVE for key in there)]
        if not algorithms:
            raise Fault(f"{name} has no key that signs; to make one: gateway dkim key create {name}")
        made, warnings = await self._made(name, algorithms, there, selector, vault, Use.NEXT)
        return {"keys": await self._rows(made), "warnings": warnings}

    async def _activate(self, domain: str) -> dict[str, Any]:
        """Let the successors sign instead of the keys before them."""
        name = _domain(domain)
        waiting = [key for key in await self._of(name) if key.use is Use.NEXT]
        # Checked before the keys that sign now are taken out of use: mail would go on unsigned.
        for key, state in zip(waiting, await self._states(waiting), strict=True):
            if state is not KeyState.ENABLED:
                raise Fault(
                    f"the successor {key.selector} of {name} can't sign: its key {key.vault}/{key.key} "
                    f"{_FAULTS[state]}; so the keys before it go on"
                )

        def edit(keys: list[DkimKey]) -> list[DkimKey]:
            ready = {key.algorithm for key in keys if key.domain == name and key.use is Use.NEXT}
            if not ready:
                raise Fault(f"{name} has no successor that waits; to make one: gateway dkim key rotate {name}")
            turn = {Use.NEXT: Use.ACTIVE, Use.ACTIVE: Use.RETIRED, Use.RETIRED: Use.RETIRED}
            return [
                replace(key, use=turn[key.use]) if key.domain == name and key.algorithm in ready else key
                for key in keys
            ]

        after = [key for key in await self._store.change(edit) if key.domain == name]
        signing = [key.selector for key in after if key.use is Use.ACTIVE]
        self._tell("info", "dkim_keys_activated", domain=name, selectors=signing)
        await self.look()
        return {"keys": await self._rows(after), "warnings": []}

    async def _made(
        self,
        domain: str,
        algorithms: list[Algorithm],
        there: list[DkimKey],
        selector: str | None,
        vault: str | None,
        use: Use,
    ) -> tuple[list[DkimKey], list[str]]:
        """New keys, in a vault and in the table, and what could not be made of them."""
        chosen_vault = vault or self._vault() or next(iter(self._vaults), "")
        place = self._vaults.get(chosen_vault)
        if place is None:
            raise Fault(f"gateway.toml names no vault {chosen_vault[:64]!r}; it names {', '.join(self._vaults)}")
        chosen = _selectors(domain, algorithms, there, selector, rfc3339(self._clock.now()))
        made, faults = [], []
        for algorithm, name in chosen.items():
            try:
                made.append(await asyncio.to_thread(self._in_vault, place, domain, name, algorithm, use))
            except Denied as error:
                if len(chosen) == 1 or not _lacks_type(error, place, f"dkim.{domain}.{name}"):
                    raise
                faults.append(f"there is no {TYPES[algorithm].value} key: {error}")
        if not made:
            raise Fault("; ".join(faults))
        if (taken := await self._store.add(made)) is not None:
            raise Fault(f"{domain} has a key with the selector {taken.selector} already; --selector chooses another")
        for key in made:
            self._tell("info", "dkim_key_made", domain=domain, selector=key.selector, vault=key.vault, use=use.value)
        await self.look()
        return made, faults

    def _in_vault(self, vault: Vault, domain: str, selector: str, algorithm: Algorithm, use: Use) -> DkimKey:
        """Blocks. A key that a former attempt left in the vault, and the table does not know, is taken as it is."""
        name = f"dkim.{domain}.{selector}"
        left = next((key for key in vault.keys() if key.name == name), None)
        if left is None:
            left = vault.create(name, TYPES[algorithm])
        elif left.type is not TYPES[algorithm] or left.state is not KeyState.ENABLED:
            raise Denied(
                f"the vault {vault.name!r} has a key {name!r} already, {left.type.value} and {left.state.value}; "
                "--selector chooses another name"
            )
        return DkimKey(
            id=self._chance.octets(16).hex(),
            domain=domain,
            selector=selector,
            algorithm=algorithm,
            vault=vault.name,
            key=name,
            version=left.newest,
            public=vault.public_key(name, left.newest),
            use=use,
            created=self._clock.now(),
        )


def _lacks_type(error: Denied, vault: Vault, name: str) -> bool:
    """Whether the vault said no to that type of key, and not to us: it holds none of that name."""
    return all(key.name != name for key in vault.keys())


def _domain(text: str) -> str:
    name = a_domain(text.strip())
    if name is None:
        raise Fault(f"{text[:100]!r} is no domain; right would be corp.example")
    return name


def _algorithms(type_: str | None) -> list[Algorithm]:
    """Those of a type as the command line names it; RSA comes first, since everybody can verify it."""
    if type_ is None:
        return list(Algorithm)
    found = [algorithm for algorithm, kind in TYPES.items() if kind.value == type_]
    if not found:
        raise Fault(f"no DKIM key can be {type_[:40]!r}; right would be rsa-2048 or ed25519")
    return found


def _selectors(
    domain: str, algorithms: list[Algorithm], there: list[DkimKey], selector: str | None, today: str
) -> dict[Algorithm, str]:
    """Under which selector each is made. Where nobody chose one, it says the day."""
    taken = {key.selector for key in there}
    if selector is not None:
        base = selector.lower()
        if not _SELECTOR.fullmatch(base):
            raise Fault(f"{selector[:100]!r} is no selector; right would be letters, digits, hyphens, such as gw2026")
    else:
        day = f"gw{today[:10].replace('-', '')}"
        base = next(name for n in range(1, len(taken) + 2) if (name := day if n == 1 else f"{day}-{n}") not in taken)
    names = {
        algorithm: base + (_BEHIND if len(algorithms) > 1 and algorithm is Algorithm.ED25519 else "")
        for algorithm in algorithms
    }
    for name in names.values():
        if name in taken:
            raise Fault(f"{domain} has a key with the selector {name} already; --selector chooses another")
        if max(map(len, name.split("."))) > 63 or len(f"{name}._domainkey.{domain}") > LONGEST_NAME:
            raise Fault(f"the selector {name[:100]} is too long for {domain}")
    return names


def _row(key: DkimKey, state: KeyState | None) -> dict[str, Any]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "type": TYPES[key.algorithm].value,
        "algorithm": key.algorithm.value,
        "state": key.use.value,
        "vault": key.vault,
        "key": key.key,
        "key_state": None if state is None else state.value,
        "created": rfc3339(key.created),
        "name": record_name(key),
        "record": record_text(key),
        "zone": zone_line(key),
    }
