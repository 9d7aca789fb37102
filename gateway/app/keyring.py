"""Vaults and domain keys out of the settings: what it takes before storage may seal, and what keeps it able to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from gateway.app.availability import availability_name, ensure_availability, wants_mailboxes
from gateway.app.file_vaults import open_file_vault
from gateway.app.key_log import person, recorded
from gateway.app.tenant import ensure_tenant, tenant_name, wants_tenant
from gateway.keys import domain
from gateway.keys.access_heads import ensure_signer
from gateway.keys.domain import DomainKeys
from gateway.keys.guard import Guarded
from gateway.keys.keeper import Keeper
from gateway.keys.recorded import Recorded
from gateway.keys.rotation import home
from gateway.keys.sealer import KeySealer
from gateway.keys.uses import Recorder
from gateway.keys.vault import KeyFault, Vault
from gateway.observe.metrics import Metrics
from gateway.settings import schema
from gateway.settings.load import Loaded
from gateway.storage.key_log import KeyLogStore
from gateway.storage.sharing import SharedStore
from gateway.world.chance import Chance, SystemChance
from gateway.world.clock import Clock, SystemClock

MAIL: Final = (domain.SPOOL, domain.TRACE, domain.TOKEN)  # Without the keys of these purposes no mail can be kept.
MOST_MEASURED: Final = 10_000  # Calls of vaults between two looks at the numbers; what is over that is not counted.


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a provider gets besides its settings. `masters`: master keys that another process of ours has opened."""

    masters: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    chance: Chance = field(default_factory=SystemChance)
    clock: Clock = field(default_factory=SystemClock)


def _file(loaded: Loaded, vault: schema.Vault, handed: Handed) -> Vault:
    return open_file_vault(loaded, vault, handed.masters, chance=handed.chance, clock=handed.clock)


def _pkcs11(loaded: Loaded, vault: schema.Vault, handed: Handed) -> Vault:
    from gateway.keys.providers.pkcs11.terms import TokenTerms
    from gateway.keys.providers.pkcs11.vault import Pkcs11Vault

    return Pkcs11Vault(TokenTerms.from_settings(loaded, vault), chance=handed.chance, clock=handed.clock)


# By the word in `[[vaults]] provider`. Each opens its vault, may block, and raises KeyFault.
PROVIDERS: Final[Mapping[str, Callable[[Loaded, schema.Vault, Handed], Vault]]] = {"file": _file, "pkcs11": _pkcs11}


def vaults(
    loaded: Loaded, handed: Handed | None = None, *, recorder: Recorder | None = None, who: str = "cli"
) -> dict[str, Vault]:
    """The vaults by their names, for a command that ends soon. Blocks; raises KeyFault where the first does not open.

    Another that does not open is there all the same, and each use of it tries again or raises why not: of the two roots
    of a policy one is enough, and the vault of the other may be lost. Uses go to `recorder`, as those of `who`.
    """
    found: dict[str, Vault] = {}
    for one in loaded.settings.vaults:
        opens = partial(_opened, loaded, one, handed or Handed(), recorder, who)
        found[one.name] = late(one.name, opens, handed) if found else opens()
    return found


def late(name: str, opens: Callable[[], Vault], handed: Handed | None = None) -> Vault:
    """What `opens` gives or, where that fails now, a vault that asks it again whenever it is used. Blocks."""
    try:
        return opens()
    except KeyFault:
        clock = (handed or Handed()).clock
        return Guarded(name, opens, now=clock.now, monotonic=clock.monotonic, tell=lambda *_, **__: None)


def _opened(loaded: Loaded, section: schema.Vault, handed: Handed, recorder: Recorder | None, who: str) -> Vault:
    vault = PROVIDERS[section.provider](loaded, section, handed)
    return vault if recorder is None else Recorded(vault, recorder, who=who, clock=handed.clock)


def make_keys(
    loaded: Loaded,
    shared: SharedStore,
    chance: Chance,
    clock: Clock,
    *,
    handed: Handed | None = None,
) -> None:
    """Make the domain keys that are missing, under the root key that wraps the others. Blocks; raises KeyFault.

    The first of all come under the root `default` of the first vault. None is made beside others that our vaults do
    not open: they would be of two vaults. The key that signs the key-access log is made too, where a vault can sign;
    with a portal the tenant key; and with mailboxes the availability key.
    """
    opened = vaults(loaded, handed)
    with recorded(loaded, shared, opened, process=person(), clock=clock) as held:
        _make_keys(loaded, shared, held, chance, clock)
        if wants_tenant(loaded):
            with suppress(KeyFault):  # `check` and `status` say what is wrong; until then what needs it waits.
                ensure_tenant(held, tenant_name(loaded))
        if wants_mailboxes(loaded):
            with suppress(KeyFault):
                ensure_availability(held, availability_name(loaded))
        if KeyLogStore(shared).newest_head() is None:  # Else another node has it, or somebody took it away.
            with suppress(KeyFault):  # The processes say why they can't sign.
                ensure_signer(held.values())


def _make_keys(loaded: Loaded, shared: SharedStore, held: Mapping[str, Vault], chance: Chance, clock: Clock) -> None:
    _load(loaded, shared, held, clock)
    root = home(shared, next(iter(held)))
    try:
        domain.ensure(shared, held[root.vault], domain.PURPOSES, chance, clock, root=root.key)
    except KeyFault as fault:
        if any(key.name == root.key for key in held[root.vault].keys()):
            raise
        raise domain.restated(fault, f"{fault}; gateway key create {root} --type aes-256 makes it") from fault
    # Read again: another node may have been first, and then its keys are there, wrapped by its vault.
    _load(loaded, shared, held, clock)


def open_sealer(
    loaded: Loaded,
    shared: SharedStore,
    chance: Chance,
    *,
    clock: Clock | None = None,
    handed: Handed | None = None,
) -> KeySealer:
    """Unwrap the domain keys, for a command that ends soon. Blocks; raises KeyFault."""
    opened, now = vaults(loaded, handed), clock or SystemClock()
    with recorded(loaded, shared, opened, process=person(), clock=now) as held:
        return KeySealer(_load(loaded, shared, held, now), chance)


def _load(loaded: Loaded, shared: SharedStore, held: Mapping[str, Vault], clock: Clock) -> DomainKeys:
    try:
        return domain.load(shared, held, now=clock.now())
    except KeyFault as error:
        if not loaded.is_shared:
            raise
        raise domain.restated(
            error,
            f"the database holds keys that the vaults of this machine do not open ({error}). All gateways that share "
            "a database need the same root keys under the same names: copy the vault from the machine that has them",
        ) from error


class Keyring:
    """The vaults and domain keys of a process that serves. Made, then `open`ed, then `keeper.run()`.

    A vault that does not answer, or says no, keeps such a process from sealing, not from running.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        who: str,
        alone: bool,
        masters: Mapping[str, bytes] | None = None,
        recorder: Callable[[SharedStore], Recorder] | None = None,
    ) -> None:
        """`who`: the process, as the access log names it; `alone`: no other process reads what this one seals.
        `recorder` makes the keeper of uses, once the shared database is there.
        """
        self._loaded = loaded
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._who = who
        self._alone = alone
        self._handed = Handed(masters=masters or {}, chance=chance, clock=clock)
        self._recorder: Callable[[SharedStore], Recorder] | None = recorder
        self._records: Recorder | None = None
        self._measured: deque[tuple[str, str, str, float]] = deque(maxlen=MOST_MEASURED)
        self._keeper: Keeper | None = None
        self.vaults: dict[str, Vault] = {one.name: self._guarded(one) for one in loaded.settings.vaults}

    @property
    def keeper(self) -> Keeper:
        """Who opens and closes the sealer. Raises RuntimeError before `open`."""
        if self._keeper is None:
            raise RuntimeError("the keyring is not open yet")
        return self._keeper

    async def open(self, shared: SharedStore) -> KeySealer:
        """The sealer, open as far as the vaults allow it now. Raises StorageBroken where not even rows can be read."""
        if self._recorder is not None:
            self._records = self._recorder(shared)
        # Before the first look nothing is known of any purpose; nobody seals before that.
        sealer = KeySealer(DomainKeys({}), self._chance, wanted=lambda: self.keeper.wanted())
        self._keeper = Keeper(
            store=shared,
            vaults=self.vaults,
            sealer=sealer,
            clock=self._clock,
            tell=self._tell,
            cache_seconds=self._loaded.settings.keys.cache_seconds,
            alone=self._alone,
            look_seconds=self._loaded.settings.keys.look_seconds,
        )
        await self._keeper.look()
        return sealer

    @property
    def is_mail_open(self) -> bool:
        """Whether mail can be kept now."""
        return self.keeper.is_open(MAIL)

    def count(self, metrics: Metrics) -> None:
        """Put what happened since the last time into the numbers of the process."""
        measured = self._measured
        while measured:
            vault, operation, outcome, seconds = measured.popleft()
            metrics.count("vault_calls_total", (vault, operation, outcome))
            metrics.observe("vault_call_seconds", seconds, (vault, operation))
        facts: Mapping[str, Any] = self.keeper.facts
        for purpose in domain.PURPOSES:
            metrics.set("keys_closed", 1.0 if purpose in facts["closed"] else 0.0, (purpose,))
        for name in self.vaults:
            metrics.set("vault_away", 1.0 if name in facts["vaults"] else 0.0, (name,))

    def _guarded(self, section: schema.Vault) -> Guarded:
        return Guarded(
            section.name,
            lambda: _opened(self._loaded, section, self._handed, self._records, self._who),
            now=self._clock.now,
            monotonic=self._clock.monotonic,
            tell=self._tell,
            measure=lambda *facts: self._measured.append(facts),
            longest=self._loaded.settings.keys.look_seconds,
        )
