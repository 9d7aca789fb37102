"""Judging the vaults of gateway.toml: what each provider needs, and whether they are those of the data.

With `ask` tokens are logged in to, once, and domain keys are unwrapped; a start and a reload need neither: the one is
about to do it, the other is the business of those who use the keys already. A vault that holds no domain key, other
than the first, may be away: that is a warning, since of the two roots of a policy one is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from gateway.app.consequences import DOMAIN
from gateway.app.database import open_shared
from gateway.app.file_vaults import judge_file_vault, means_of
from gateway.app.places import Places
from gateway.app.policy_check import judge_policies
from gateway.app.vault_place import Place, vault_place
from gateway.connectors import patterns
from gateway.keys import domain
from gateway.keys.providers.file.means import NotOpened
from gateway.keys.providers.file.store import FILE as VAULT_FILE
from gateway.keys.vault import KeyFault, KeyState, Vault, VaultBroken
from gateway.settings import schema
from gateway.settings.fault import Fault, entry_keys, shown
from gateway.settings.load import Loaded
from gateway.storage.keyrows import KeyRow
from gateway.storage.writer import StorageBroken, StorageFull

_TOKEN_KEYS = ("module", "token", "pin_file", "pin_credential")
_FILE_KEYS = ("path", "secret_file", "secret_credential", "secret_environment", "passphrase_file")
_OF_THE_DATA = "the vaults under which this data was made, or their backups"


def judge_vaults(loaded: Loaded, *, ask: bool) -> Iterator[Fault]:
    """Faults and warnings. Blocks; with `ask` for as long as a token or database takes to answer."""
    sections = loaded.settings.vaults
    if not sections:
        yield loaded.fault("vaults", "an empty list", "one vault at least: without a key nothing can be stored")
    faults: list[Fault] = []
    patterns.unique(loaded, "vaults", (vault.name for vault in sections), faults)
    for number, section in enumerate(sections):
        faults += _name(loaded, number, section)
        faults += _unused(loaded, number, section)
        faults += _file(loaded, number, ask) if section.provider == "file" else _token(loaded, number, ask)
    faults += _twice(loaded)
    made_in = loaded.settings.dkim.vault
    if sections and made_in is not None and made_in not in {vault.name for vault in sections}:
        right = f"the name of one of vaults: {', '.join(shown(vault.name) for vault in sections)}"
        names = entry_keys("vaults", len(sections), "name")
        faults.append(loaded.fault("dkim.vault", shown(made_in), right, beside=names))
    yield from faults
    if ask and sections and not any(fault.severity == "error" for fault in faults):
        yield from _data(loaded)


def _name(loaded: Loaded, number: int, section: schema.Vault) -> Iterator[Fault]:
    """`gateway key` writes VAULT/KEY, and domain/PURPOSE for domain keys: neither may be taken for the other."""
    if section.name == DOMAIN or "/" in section.name:
        right = f'a name without a slash, other than "{DOMAIN}", which stands for the domain keys'
        yield loaded.fault(f"vaults[{number}].name", shown(section.name), right)


def _twice(loaded: Loaded) -> Iterator[Fault]:
    """One vault under two names: a policy with a root in each lies under one, and nobody sees it by the names."""
    first: dict[Place, int] = {}
    for number, section in enumerate(loaded.settings.vaults):
        place = vault_place(loaded, section)
        if place is None:
            continue
        key = "path" if section.provider == "file" else "token"
        same = first.setdefault(place, number)
        if same != number:
            found = f"the same as vaults[{same}] has, so that what should lie in two vaults lies in one"
            beside = (f"vaults[{same}].{key}",)
            yield loaded.warning(f"vaults[{number}].{key}", found, "a vault of its own", beside=beside)


def _unused(loaded: Loaded, number: int, section: schema.Vault) -> Iterator[Fault]:
    """Keys of the other provider: whoever wrote them believes in something that is not so."""
    for key in _FILE_KEYS if section.provider == "pkcs11" else _TOKEN_KEYS:
        if key in section.model_fields_set:
            right = f'to leave it out: the vault has provider = "{section.provider}"'
            yield loaded.warning(f"vaults[{number}].{key}", "a value that nothing uses", right)


# -- files ------------------------------------------------------------------------------------------------------------


def _file(loaded: Loaded, number: int, ask: bool) -> Iterator[Fault]:
    section = loaded.settings.vaults[number]
    try:
        yield from judge_file_vault(loaded, number)
    except KeyFault as error:
        fault = _no_file(loaded, f"vaults[{number}].path", loaded.resolve(section.path), error)
        fault = replace(fault, beside=tuple(f"vaults[{number}].{key}" for key in _FILE_KEYS))
        yield fault if is_needed(loaded, number, ask) else _away(fault)


def _no_file(loaded: Loaded, key: str, folder: Path, error: KeyFault) -> Fault:
    if isinstance(error.__cause__, FileNotFoundError):
        right = "the folder of the vault that belongs to the data, with its disk mounted, or its backup"
        return loaded.fault(key, f"no file {folder / VAULT_FILE}", right)
    if isinstance(error, NotOpened):
        right = "what opens one of its protectors; or its recovery key, with gateway key recovery open"
        return loaded.fault(key.removesuffix(".path"), f"that {error}", right)
    right = "the vault as `gateway init` made it, or its backup"
    return loaded.fault(key, f"a vault that can't be used ({error})", right)


# -- whether one may be away -------------------------------------------------------------------------------------------


def is_needed(loaded: Loaded, number: int, ask: bool) -> bool:
    """Whether nothing can start without the vault: the first one, and those that hold domain keys.

    Without `ask` a database server is not asked; where it has domain keys of the vault, the start finds that out.
    """
    if number == 0:
        return True
    return (ask or not loaded.is_shared) and loaded.settings.vaults[number].name in {row.vault for row in _rows(loaded)}


def _away(fault: Fault) -> Fault:
    """The same as a warning, which says what becomes of it."""
    found = f"{fault.found}, so that what its keys open or sign waits, but for policies whose other root answers"
    return replace(fault, severity="warning", found=found)


# -- tokens -----------------------------------------------------------------------------------------------------------


def _token(loaded: Loaded, number: int, ask: bool) -> Iterator[Fault]:
    section = loaded.settings.vaults[number]
    at = f"vaults[{number}]"
    faults: list[Fault] = []
    for key, right in (
        ("module", "the library that came with the token, such as /usr/lib/softhsm/libsofthsm2.so"),
        ("token", "the label of the token, as its own tool shows it"),
    ):
        if not getattr(section, key):
            faults.append(loaded.fault(f"{at}.{key}", "nothing", right))
    if section.module and not loaded.resolve(section.module).is_file():
        right = "the library that came with the token, such as /usr/lib/softhsm/libsofthsm2.so"
        faults.append(loaded.fault(f"{at}.module", f"no file {loaded.resolve(section.module)}", right))
    if section.pin_file and section.pin_credential:
        faults.append(loaded.fault(f"{at}.pin_credential", "a value beside pin_file", "one of the two"))
    elif not section.pin_file and not section.pin_credential:
        faults.append(loaded.fault(f"{at}.pin_file", "nothing", "a file of mode 0600 with the PIN of the token's user"))
    elif section.module and section.token:
        faults += _pin(loaded, section, f"{at}.{'pin_file' if section.pin_file else 'pin_credential'}")
    yield from faults
    if ask and not faults:
        yield from (
            fault if is_needed(loaded, number, ask) else _away(fault) for fault in _answers(loaded, section, at)
        )


def _pin(loaded: Loaded, section: schema.Vault, key: str) -> Iterator[Fault]:
    from gateway.keys.providers.pkcs11.terms import TokenTerms

    try:
        TokenTerms.from_settings(loaded, section).read_pin()
    except KeyFault as error:
        yield loaded.fault(key, f"that {error}", "a file of mode 0600 with the PIN of the token's user")


def _answers(loaded: Loaded, section: schema.Vault, at: str) -> Iterator[Fault]:
    try:
        _opened(loaded, section).health()
    except KeyFault as error:
        right = "a token that is connected, with its module, label and PIN as its own tool knows them"
        yield loaded.fault(at, f"a vault that can't be used ({error})", right)


# -- whether they belong to the data ----------------------------------------------------------------------------------


def _data(loaded: Loaded) -> Iterator[Fault]:
    held = _held(loaded)
    rows = _rows(loaded)
    if not rows:
        yield from _root(loaded, held)
    asked = {section.name for section in loaded.settings.vaults} - set(held)  # A person opens those at the start.
    told: set[str] = set()
    for row in rows:
        if row.vault in told or row.vault in asked:
            continue
        try:
            domain.unwrap(row, held)
        except KeyFault as error:
            told.add(row.vault)
            yield _foreign(loaded, row, error)
    if rows and not told:
        yield from judge_policies(loaded, rows, held)


def _held(loaded: Loaded) -> dict[str, Vault]:
    """The vaults by their names, but for those that a person opens. One that is away says so when it is used."""
    from gateway.app.keyring import late

    held: dict[str, Vault] = {}
    for section in loaded.settings.vaults:
        opens = partial(_opened, loaded, section)
        try:
            held[section.name] = opens()
        except KeyFault:
            if section.provider != "file" or not means_of(loaded, section).is_asked_for:
                held[section.name] = late(section.name, opens)
    return held


def _foreign(loaded: Loaded, row: KeyRow, error: KeyFault) -> Fault:
    names = [section.name for section in loaded.settings.vaults]
    if row.vault not in names:
        return loaded.fault("vaults", f"that {error}", _OF_THE_DATA)
    key = f"vaults[{names.index(row.vault)}]"
    if isinstance(error, VaultBroken):
        return loaded.fault(key, f"a vault that is not the one of the data ({error})", _OF_THE_DATA)
    return loaded.fault(key, f"a vault that does not open the data ({error})", _OF_THE_DATA)


def _root(loaded: Loaded, held: Mapping[str, Vault]) -> Iterator[Fault]:
    """Before there is any data: the first start makes domain keys under the first vault's root key `default`."""
    name = loaded.settings.vaults[0].name
    if name not in held:
        return
    try:
        keys = {key.name: key for key in held[name].keys()}
    except KeyFault as error:
        yield loaded.fault("vaults[0]", f"a vault that can't be used ({error})", "one that tells of its keys")
        return
    key = keys.get(domain.ROOT)
    if key is None or not key.type.wraps or key.state is not KeyState.ENABLED:
        found = "no such key" if key is None else f"a key of type {key.type} that is {key.state}"
        right = f"gateway key create {name}/{domain.ROOT} --type aes-256, under which everything is wrapped"
        yield loaded.fault("vaults[0]", f"{found} where the root key {shown(domain.ROOT)} should be", right)


def _rows(loaded: Loaded) -> list[KeyRow]:
    """The wrapped domain keys; none where there is no database yet, or it does not answer, which is told elsewhere."""
    try:
        if not loaded.is_shared and not Places.of(loaded).shared.is_file():
            return []
        shared = open_shared(loaded)
        try:
            return shared.keys()
        finally:
            shared.close()
    except (StorageBroken, StorageFull, OSError):
        return []


def _opened(loaded: Loaded, section: schema.Vault) -> Vault:
    from gateway.app.keyring import PROVIDERS, Handed

    return PROVIDERS[section.provider](loaded, section, Handed())
