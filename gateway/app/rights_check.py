"""The section [rights] with all that it names: what is wrong with it, for `gateway check`, `serve` and `reload`."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.app.tenant import archived, tenant_name
from gateway.mail.address import BadAddress, parse_address
from gateway.rights.template import Templates
from gateway.rights.tenant import TenantDenied
from gateway.rights.terms import RightsTerms, own_template
from gateway.settings.fault import BadSettings, Fault, entry_keys, errors, shown
from gateway.settings.load import Loaded


def rights_terms(loaded: Loaded) -> RightsTerms:
    """The terms of these settings. Raises BadSettings."""
    if wrong := errors(list(_templates(loaded))):
        raise BadSettings(wrong)
    return RightsTerms.from_settings(loaded.settings.rights)


def judge_rights(loaded: Loaded) -> list[Fault]:
    """Faults and warnings of the section. Reads the archived keys."""
    return [*_key(loaded), *_archived(loaded), *_templates(loaded), *_officer(loaded), *_super_users(loaded)]


def _key(loaded: Loaded) -> Iterator[Fault]:
    name = tenant_name(loaded)
    vaults = [one.name for one in loaded.settings.vaults]
    if vaults and name.vault not in vaults:
        right = f"VAULT/KEY with a vault of [[vaults]]: {', '.join(vaults)}"
        names = entry_keys("vaults", len(vaults), "name")
        yield loaded.fault("rights.tenant_key", shown(str(name)), right, beside=names)


def _archived(loaded: Loaded) -> Iterator[Fault]:
    try:
        archived(loaded)
    except TenantDenied as fault:
        yield loaded.fault(
            "rights.archived_keys", str(fault), "PEM files of RSA private keys that the gateway may read"
        )
        return
    for number, text in enumerate(loaded.settings.rights.archived_keys):
        path = loaded.resolve(text)
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue
        if mode & 0o077:
            found = f"{path} with mode {mode:04o}: others here may read it"
            yield loaded.warning(f"rights.archived_keys[{number}]", found, f"chmod 600 {path}")


def _templates(loaded: Loaded) -> Iterator[Fault]:
    seen = set(Templates().names)
    for number, one in enumerate(loaded.settings.rights.templates):
        key = f"rights.templates[{number}]"
        try:
            own_template(one)
        except ValueError as error:
            yield loaded.fault(key, str(error), "a name, a title and a description of one line, and rights with VIEW")
        if one.name in seen:
            yield loaded.fault(f"{key}.name", f"{shown(one.name)} once more", "a name that no other template has")
        seen.add(one.name)


def _officer(loaded: Loaded) -> Iterator[Fault]:
    officer = loaded.settings.rights.notify_officer
    if officer is None:
        return
    try:
        parse_address(officer)
    except BadAddress:
        yield loaded.fault("rights.notify_officer", shown(officer), 'an address, such as "officer@corp.example"')


def _super_users(loaded: Loaded) -> Iterator[Fault]:
    for number, one in enumerate(loaded.settings.rights.super_users or ()):
        if not one or "@" in one:
            right = 'the name of an account of this machine, as `id -un` shows it, such as "compliance"'
            yield loaded.fault(f"rights.super_users[{number}]", shown(one), right)
