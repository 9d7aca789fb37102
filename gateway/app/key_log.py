"""The key-access log of a process, joined: its recorder, who signs heads, and where they lie outside the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from gateway.app.places import Places
from gateway.keys.access_heads import Heads
from gateway.keys.access_writer import AccessLog
from gateway.keys.head_place import HeadFile, HeadPlace, HeadPlaces
from gateway.keys.recorded import Recorded
from gateway.keys.vault import Vault
from gateway.settings.load import Loaded
from gateway.storage.key_log import KeyLogStore
from gateway.storage.sharing import SharedStore
from gateway.world.account import account_name
from gateway.world.clock import Clock
from gateway.world.sockets import machine_name

Tell = Callable[..., None]


def who(loaded: Loaded, process: str) -> str:
    """`process` as the log names it; where several machines share the log, with this machine's name in front."""
    if not loaded.is_shared:
        return process
    return f"{loaded.settings.server.hostname or machine_name()} {process}"


def person(account: str | None = None) -> str:
    """A command line, with the name of the account that runs it; None: this process is it."""
    return f"cli {account or account_name()}"


def head_place(loaded: Loaded) -> HeadPlace:
    """Where the newest head lies outside the database: beside the first file vault, else with the data."""
    with_data = HeadFile(Places.of(loaded).data)
    folder = next((loaded.resolve(one.path) for one in loaded.settings.vaults if one.provider == "file"), None)
    return with_data if folder is None else HeadPlaces(HeadFile(folder), with_data)


def open_log(
    loaded: Loaded,
    shared: SharedStore,
    *,
    process: str,
    clock: Clock,
    tell: Tell,
    vaults: Mapping[str, Vault] | None = None,
) -> AccessLog:
    """The recorder of `process`. With `vaults` it signs heads too. Nothing is asked of anybody yet."""
    store = KeyLogStore(shared)
    log = AccessLog(store, who=who(loaded, process), clock=clock, tell=tell)
    if vaults is not None:
        days = loaded.settings.keys.log_days
        log.keep_heads(Heads(store, vaults, head_place(loaded), clock=clock, tell=tell, days=days))
    return log


@contextmanager
def recorded(
    loaded: Loaded,
    shared: SharedStore | None,
    vaults: Mapping[str, Vault],
    *,
    process: str,
    clock: Clock,
    tell: Tell = lambda *_, **__: None,
) -> Iterator[Mapping[str, Vault]]:
    """`vaults`, whose uses are recorded as those of `process` and written at the end. Blocks.

    Without a shared database, before the first start, there is no log yet. A database that refuses keeps nobody from
    what he is about: a key must be disabled even then; `tell` is told.
    """
    if shared is None:
        yield vaults
        return
    log = open_log(loaded, shared, process=process, clock=clock, tell=tell)
    name = who(loaded, process)
    try:
        yield {key: Recorded(vault, log, who=name, clock=clock) for key, vault in vaults.items()}
    finally:
        log.close()
