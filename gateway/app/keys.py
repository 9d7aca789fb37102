"""What `gateway key` and `gateway inventory` ask: keys of all vaults, what hangs on them, and their life.

Each command opens vaults and shared database for itself and lets go of them at its end, so that whoever answers (the
supervisor, or the command alone) holds no key. After a change the running processes are told: it counts at once.
Leaves out: protectors and recovery (`key_protector`, `key_recovery` of the command line), the log itself (`key_log`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.app import keyring
from gateway.app.channel import Fault
from gateway.app.consequences import DOMAIN, LOG_KEY, Hangs, consequences, dkim_names, hangs_on, with_use
from gateway.app.database import open_shared
from gateway.app.inventory import inventory
from gateway.app.inventory_row import Ground
from gateway.app.key_log import person, recorded
from gateway.app.places import Places
from gateway.app.policy_uses import PolicyBook, policy_book
from gateway.app.spare_vaults import spare_vaults
from gateway.app.tenant import tenant_name
from gateway.keys import rotation
from gateway.keys.domain import LEARNING, MAILBOXES, ORGANISATION, TOKEN, DomainKeys, unwrap_all
from gateway.keys.fips import modules
from gateway.keys.rotation import RootName
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Unavailable, Vault, VaultBroken, VaultKey
from gateway.settings.load import Loaded
from gateway.storage.dkim_keys import PURPOSE, DkimKey, DkimKeyStore
from gateway.storage.keyrows import KeyRow
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.weight import Weight, kept, queue_weight, spools_weight
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

WAIT: Final = 30.0  # Days from deletion to destruction, where nobody says otherwise.
LEAST_WAIT: Final = 7.0  # Days; less takes --force. Whoever took the wrong key finds out within a week.
DAY: Final = 86400.0
LONGEST_NAME: Final = 64  # Characters of a name that people choose. Keys for DKIM are named after their domains.
_CHANGES: Final = frozenset({"create", "rotate", "disable", "enable", "delete", "recover", "rehome"})
COMMANDS: Final = frozenset({"inventory", *(f"key.{verb}" for verb in (*_CHANGES, "list", "consequences"))})
_LOUD: Final = frozenset({"disable", "delete", "rehome"})


@dataclass(frozen=True, slots=True)
class Opened:
    """The vaults of the settings by their names: those that open, and of the others why they do not."""

    vaults: Mapping[str, Vault]
    faults: Mapping[str, KeyFault] = field(default_factory=dict)


def opened(loaded: Loaded, open_: Callable[[Loaded], Mapping[str, Vault]]) -> Opened:
    """Open each vault for itself by `open_`, so that one that is away hides no other. Blocks."""
    vaults: dict[str, Vault] = {}
    faults: dict[str, KeyFault] = {}
    for one in loaded.settings.vaults:
        alone = replace(loaded, settings=loaded.settings.model_copy(update={"vaults": [one]}))
        try:
            vaults |= open_(alone)
        except KeyFault as fault:
            faults[one.name] = fault
    return Opened(vaults, faults)


def open_each(loaded: Loaded, masters: Mapping[str, bytes] | None = None) -> Opened:
    """The vaults for a command, each for itself. Blocks. `masters`: master keys of those that a passphrase opened."""
    return opened(loaded, lambda one: keyring.vaults(one, keyring.Handed(masters=masters or {})))


class Keys:
    """Answers the command line. One command at a time, each on a thread."""

    def __init__(
        self,
        loaded: Callable[[], Loaded],
        *,
        open_vaults: Callable[[Loaded], Opened],
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        changed: Callable[[], Awaitable[object]],
    ) -> None:
        """`loaded` gives the settings in force; `changed` tells the running processes to look at their keys."""
        self._loaded = loaded
        self._open_vaults = open_vaults
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._changed = changed
        self._one = asyncio.Lock()

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        verb = command.removeprefix("key.")
        by = arguments.pop("by", None)  # The account that runs the command line, where it asks by the control socket.
        async with self._one:
            try:
                answer = await asyncio.to_thread(self._work, verb, arguments, person(by))
            finally:
                # Also after a fault: what changed before it shall count.
                if verb in _CHANGES:
                    await self._changed()
        if verb in _CHANGES:
            level = "warning" if verb in _LOUD else "info"
            self._tell(level, "key_changed", operation=verb, key=answer["key"], state=answer.get("state"))
        return answer

    async def purge(self) -> list[str]:
        """Destroy every deleted key whose waiting time has ended; their names, as VAULT/KEY. Raises Fault."""
        async with self._one:
            gone: list[str] = await asyncio.to_thread(self._work, "purge", {}, "supervisor")
            if gone:
                await self._changed()
        for key in gone:
            self._tell("warning", "key_destroyed", key=key)
        return gone

    async def deleted(self) -> list[dict[str, Any]]:
        """The keys that wait for their end, as far as their vaults answer. Asks no database: `gateway status` wants it
        while that is away too.
        """
        return await asyncio.to_thread(self._deleted)

    async def spare(self, process: str) -> frozenset[str]:
        """The vaults that may be lost without losing anything. `process`: as the key-access log names who asks.

        Raises Fault.
        """
        if len(self._loaded().settings.vaults) < 2:
            return frozenset()
        async with self._one:
            found: frozenset[str] = await asyncio.to_thread(self._work, "spare", {}, process)
        return found

    def _deleted(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for vault in self._open_vaults(self._loaded()).vaults.values():
            with suppress(KeyFault):  # Told by those who use its keys.
                found += [told(key) for key in vault.keys() if key.ends is not None]
        return found

    def _work(self, verb: str, arguments: dict[str, Any], process: str) -> Any:
        """`process`: who it is, as the key-access log has it."""
        loaded = self._loaded()
        try:
            shared = _shared(loaded)
            with nullcontext() if shared is None else closing(shared):
                found = self._open_vaults(loaded)
                clock, tell = self._clock, self._tell
                with recorded(loaded, shared, found.vaults, process=process, clock=clock, tell=tell) as vaults:
                    work = _Work(loaded, replace(found, vaults=vaults), shared, clock, self._chance)
                    return work.do(verb, arguments)
        except (KeyFault, StorageBroken, StorageFull) as error:
            raise Fault(str(error)) from error


def _shared(loaded: Loaded) -> SharedStore | None:
    """The shared database; None before the first start, when there is none."""
    if not loaded.is_shared and not Places.of(loaded).shared.exists():
        return None
    return open_shared(loaded)


class _Work:
    """One command, with everything open. Blocks; raises Fault, KeyFault, StorageBroken, StorageFull."""

    def __init__(
        self, loaded: Loaded, opened_: Opened, shared: SharedStore | None, clock: Clock, chance: Chance
    ) -> None:
        self._loaded = loaded
        self._opened = opened_
        self._shared = shared
        self._clock = clock
        self._chance = chance

    def do(self, verb: str, arguments: dict[str, Any]) -> Any:
        match verb:
            case "list":
                return self._list()
            case "spare":
                return spare_vaults(self._list())
            case "inventory":
                return inventory(Ground(self._loaded, self._list(), modules()))
            case "consequences":
                return self._consequences(**arguments)
            case "create":
                return self._create(**arguments)
            case "rotate":
                return self._rotate(**arguments)
            case "disable" | "enable" | "recover":
                return self._change_state(verb, **arguments)
            case "delete":
                return self._delete(**arguments)
            case "rehome":
                return self._rehome(**arguments)
            case "purge":
                return self._purge()
        raise Fault(f"there is no command 'key.{verb}'")

    # -- looking ------------------------------------------------------------------------------------------------------

    def _list(self) -> dict[str, Any]:
        rows = self._rows()
        book = self._policies() or PolicyBook()
        vaults: list[dict[str, Any]] = []
        keys: list[dict[str, Any]] = []
        for section in self._loaded.settings.vaults:
            fault = self._opened.faults.get(section.name)
            if (vault := self._opened.vaults.get(section.name)) is not None:
                try:
                    vault.health()
                    keys += [
                        self._row(key, replace(self._hangs(key, rows), policies=book.uses(key))) for key in vault.keys()
                    ]
                except KeyFault as error:
                    fault = error
            vaults.append(
                {
                    "name": section.name,
                    "provider": section.provider,
                    "health": health(fault),
                    "reason": None if fault is None else str(fault),
                }
            )
        return {"vaults": vaults, "keys": keys, "domain_keys": _domain_keys(rows)}

    def _row(self, key: VaultKey, hangs: Hangs) -> dict[str, Any]:
        return told(key) | {"holds": hangs.told()}

    def _hangs(self, key: VaultKey, rows: Sequence[KeyRow]) -> Hangs:
        hangs = hangs_on(key, rows, self._domains())
        return replace(hangs, is_tenant=RootName(key.vault, key.name) == tenant_name(self._loaded))

    def _consequences(self, key: str) -> dict[str, Any]:
        found = self._found(key)
        weight: Weight | None = None
        stored = None
        if self._shared is not None:
            stored = self._shared.run(kept, read=True)
            if self._loaded.is_shared:
                weight = self._shared.run(queue_weight, read=True)
            else:
                places = Places.of(self._loaded)
                weight = spools_weight(places.spool(number) for number in places.spools())
        hangs = self._hangs(found, self._rows())
        book = self._policies()
        uses = () if book is None else book.uses(found)
        hangs = replace(hangs, policies=tuple(replace(use, other_answers=self._answers(use.other)) for use in uses))
        if hangs.dkim is not None and (known := self._dkim_keys()) is not None:
            hangs = with_use(hangs, found, known)
        return consequences(found, hangs, weight, stored) | {"policies_known": book is not None}

    def _answers(self, key: str | None) -> bool | None:
        """Whether that key, as VAULT/KEY, may be used now; None where there is none."""
        if key is None:
            return None
        vault, _, name = key.partition("/")
        try:
            found = self._opened.vaults[vault].keys() if vault in self._opened.vaults else []
        except KeyFault:
            return False
        return any(one.name == name and one.state is KeyState.ENABLED for one in found)

    def _policies(self) -> PolicyBook | None:
        """All data encryption policies; None where they can't be read: what they lie under is closed, or damaged."""
        if self._shared is None:
            return PolicyBook()
        try:
            return policy_book(self._shared, self._sealer(MAILBOXES), self._chance, self._clock)
        except (KeyFault, KeysClosed, SealBroken, StorageBroken):
            return None

    def _sealer(self, purpose: str) -> KeySealer:
        """For what lies under that domain key, as far as the vaults open it."""
        rows = [row for row in self._rows() if row.purpose in (purpose, TOKEN)]
        return KeySealer(DomainKeys(unwrap_all(rows, self._opened.vaults).secrets), self._chance)

    def _dkim_keys(self) -> list[DkimKey] | None:
        """All keys that sign mail; None where they can't be read: what they lie under is closed, or damaged."""
        if self._shared is None:
            return []
        sealer = self._sealer(PURPOSE)
        try:
            return self._shared.run(DkimKeyStore(self._shared, sealer).read, read=True)
        except (KeyFault, KeysClosed, SealBroken, StorageBroken):
            return None

    # -- changing -----------------------------------------------------------------------------------------------------

    def _create(self, key: str, type: str) -> dict[str, Any]:  # noqa: A002 - the word of the command line
        name = self._name(key)
        try:
            kind = KeyType(type)
        except ValueError:
            raise Fault(f"there is no type {type!r}; right would be one of {', '.join(KeyType)}") from None
        if len(name.key) > LONGEST_NAME:
            raise Fault(
                f"{name.key[:20]!r}... is a name of {len(name.key)} characters; right would be at most {LONGEST_NAME}"
            )
        if name == tenant_name(self._loaded) and not kind.decrypts:
            right = ", ".join(one for one in KeyType if one.decrypts)
            raise Fault(f"{name} is the tenant key, which has to decrypt, and {kind} can't; right would be {right}")
        if name.key == LOG_KEY and not kind.signs:
            right = ", ".join(one for one in KeyType if one.signs)
            raise Fault(
                f"{name} is the key that signs the key-access log, and {kind} can't sign; right would be one of {right}"
            )
        return told(self._vault(name.vault).create(name.key, kind))

    def _rotate(self, key: str) -> dict[str, Any]:
        if key.startswith(f"{DOMAIN}/"):
            return self._rotate_domain(key.partition("/")[2])
        found = self._found(key)
        if (names := dkim_names(found.name, self._domains())) is not None:
            raise Fault(
                f"{key} signs mail of {names[0]}, and receivers know its public key by the selector {names[1]}; right "
                f"would be gateway dkim key rotate {names[0]}, which makes a new selector"
            )
        root = RootName(found.vault, found.name)
        vault = self._vault(found.vault)
        rewrapped = 0
        if self._shared is None:
            vault.rotate(found.name)
        else:
            rewrapped = rotation.rotate_root(self._shared, self._opened.vaults, root)
        after = self._found(key)
        hangs = replace(self._hangs(after, self._rows()), policies=(self._policies() or PolicyBook()).uses(after))
        return self._row(after, hangs) | {"rewrapped": rewrapped}

    def _rotate_domain(self, purpose: str) -> dict[str, Any]:
        if self._shared is None:
            raise Fault("there are no domain keys before the first start; gateway migrate or gateway serve makes them")
        row = rotation.rotate_domain(self._shared, self._opened.vaults, purpose, self._chance, self._clock)
        return {
            "key": f"{DOMAIN}/{row.purpose}",
            "version": row.version,
            "root": f"{row.vault}/{row.root}",
            "root_version": row.root_version,
            "used_from": rfc3339(row.created / 1000 + LEARNING),
        }

    def _change_state(self, verb: str, key: str) -> dict[str, Any]:
        name = self._name(key)
        vault = self._vault(name.vault)
        change = {"disable": vault.disable, "enable": vault.enable, "recover": vault.recover}[verb]
        return told(change(name.key))

    def _delete(self, key: str, after: float = WAIT, force: bool = False) -> dict[str, Any]:
        name = self._name(key)
        if not 0 <= after <= 3650:
            raise Fault(f"{after:g} days can't be waited; right would be 0 to 3650")
        if after < LEAST_WAIT and not force:
            raise Fault(
                f"a deleted key is kept for at least {LEAST_WAIT:g} days, so that a mistake can be taken back; right "
                f"would be --after {LEAST_WAIT:g} or more, or --force beside it"
            )
        return told(self._vault(name.vault).delete(name.key, self._clock.now() + after * DAY))

    def _rehome(self, source: str, target: str) -> dict[str, Any]:
        if self._shared is None:
            raise Fault("there are no domain keys before the first start, so none can be moved")
        here, there = self._name(source), self._name(target)
        self._vault(here.vault)
        self._vault(there.vault)
        rows = rotation.rehome(self._shared, self._opened.vaults, here, there)
        return {"key": target, "from": source, "rewrapped": rows}

    def _purge(self) -> list[str]:
        gone: list[str] = []
        for name, vault in self._opened.vaults.items():
            with suppress(KeyFault):  # The status tells of a vault that is away; its keys end another time.
                gone += [f"{name}/{key}" for key in vault.purge(self._clock.now())]
        return gone

    # -- finding ------------------------------------------------------------------------------------------------------

    def _rows(self) -> list[KeyRow]:
        if self._shared is None:
            return []
        return [row for row in self._shared.keys() if row.organisation == ORGANISATION]

    def _domains(self) -> list[str]:
        """Domains of ours that stand in the settings, lower case."""
        accepted = self._loaded.settings.accepted_domains
        return [(one if isinstance(one, str) else one.name).lower() for one in accepted]

    def _name(self, text: str) -> RootName:
        vault, slash, key = text.partition("/")
        if not (vault and slash and key):
            raise Fault(f"{text!r} is no key; right would be VAULT/KEY, such as {self._example()}")
        if vault == DOMAIN:
            raise Fault(
                f"{text} is a domain key, which lives and dies with the root key that wraps it; all that can be done "
                f"to it alone is gateway key rotate {text}"
            )
        return RootName(vault, key)

    def _example(self) -> str:
        names = [one.name for one in self._loaded.settings.vaults]
        return f"{names[0] if names else 'main'}/default"

    def _vault(self, name: str) -> Vault:
        if (fault := self._opened.faults.get(name)) is not None:
            raise fault
        if (vault := self._opened.vaults.get(name)) is None:
            known = ", ".join(one.name for one in self._loaded.settings.vaults) or "none"
            raise Fault(f"gateway.toml names no vault {name!r}; it names {known}")
        return vault

    def _found(self, text: str) -> VaultKey:
        name = self._name(text)
        vault = self._vault(name.vault)
        vault.health()  # Another gateway may have changed it a moment ago; a file is looked at anew by this alone.
        keys = vault.keys()
        for key in keys:
            if key.name == name.key:
                return key
        known = ", ".join(one.name for one in keys) or "none"
        raise Fault(f"vault {name.vault!r} holds no key {name.key!r}; it holds {known}")


def told(key: VaultKey) -> dict[str, Any]:
    """A key in the form of `gateway key list --json`."""
    return {
        "key": f"{key.vault}/{key.name}",
        "vault": key.vault,
        "name": key.name,
        "type": key.type.value,
        "state": key.state.value,
        "versions": [
            {"version": one.number, "created": None if one.created is None else rfc3339(one.created)}
            for one in key.versions
        ],
        "ends": None if key.ends is None else rfc3339(key.ends),
    }


def health(fault: KeyFault | None) -> str:
    """`answers`, `away`, `denied` or `broken`: what a vault's fault means for whoever looks at it."""
    match fault:
        case None:
            return "answers"
        case Unavailable():
            return "away"
        case Denied():
            return "denied"
        case VaultBroken():
            return "broken"
    return "broken"


def _domain_keys(rows: list[KeyRow]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row.purpose, row.version)):
        found.setdefault(row.purpose, []).append(
            {
                "version": row.version,
                "created": rfc3339(row.created / 1000),
                "root": f"{row.vault}/{row.root}",
                "root_version": row.root_version,
            }
        )
    return [{"key": f"{DOMAIN}/{purpose}", "versions": versions} for purpose, versions in found.items()]
