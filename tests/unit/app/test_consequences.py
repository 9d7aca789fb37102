"""What hangs on a key, by its name and by the rows of domain keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.app.consequences import UNUSED, consequences, dkim_names, hangs_on, with_use
from gateway.keys.vault import KeyState, KeyType, KeyVersion, VaultKey
from gateway.storage.dkim_keys import Algorithm, DkimKey, Use
from gateway.storage.keyrows import KeyRow
from gateway.storage.weight import Kept, Weight


def key(name: str = "default", vault: str = "main", type_: KeyType = KeyType.AES_256) -> VaultKey:
    return VaultKey(vault=vault, name=name, type=type_, state=KeyState.ENABLED, versions=(KeyVersion(1, None),))


def row(purpose: str, version: int = 1, *, vault: str = "main", root: str = "default", org: str = "default") -> KeyRow:
    return KeyRow(
        organisation=org,
        purpose=purpose,
        version=version,
        vault=vault,
        root=root,
        root_version=1,
        wrapped=b"",
        created=0,
    )


@pytest.mark.parametrize(
    ("name", "domains", "names"),
    [
        ("dkim.corp.example.s1", (), ("corp.example", "s1")),
        ("dkim.corp.example.s1.2026", ("corp.example", "example"), ("corp.example", "s1.2026")),
        ("dkim.corp.example.s1", ("corp.example.s1",), ("corp.example", "s1")),
        ("dkim.s1", (), None),
        ("default", ("default",), None),
    ],
)
def test_domain_and_selector_are_told_apart(name: str, domains: tuple[str, ...], names: object) -> None:
    assert dkim_names(name, domains) == names


def test_rows_of_other_roots_vaults_and_organisations_do_not_hang_on_it() -> None:
    rows = [
        row("trace"),
        row("spool", 2),
        row("spool", 1),
        row("accounts", vault="second"),
        row("token", root="other"),
        row("dkim", org="elsewhere"),
    ]
    hangs = hangs_on(key(), rows)
    assert [(one.purpose, one.version) for one in hangs.rows] == [("spool", 1), ("spool", 2), ("trace", 1)]
    assert hangs.purposes == ("spool", "trace")


def test_numbers_are_told_only_of_what_hangs_on_the_key() -> None:
    weight, kept = Weight(3, 99), Kept(5, 2)
    trace = consequences(key(), hangs_on(key(), [row("trace")]), weight, kept)
    assert (trace["queue"], trace["traces"], trace["accounts"], trace["signing"]) == (None, 5, None, False)
    both = consequences(key(), hangs_on(key(), [row("spool"), row("accounts"), row("dkim")]), weight, kept)
    assert both["queue"] == {"messages": 3, "octets": 99}
    assert (both["traces"], both["accounts"], both["signing"]) == (None, 2, True)
    signer = key("access-log", type_=KeyType.ED25519)
    assert consequences(signer, hangs_on(signer, []), None, None)["holds"] == [{"kind": "key_log"}]


def test_the_tenant_key_and_the_portal_s_domain_key_tell_of_rights_managed_mail() -> None:
    kept = Kept(5, 2, rights=7, copies=4)
    tenant = key("tenant", type_=KeyType.RSA_2048)
    told = consequences(tenant, replace(hangs_on(tenant, []), is_tenant=True), None, kept)
    assert (told["holds"], told["rights"], told["copies"]) == ([{"kind": "tenant"}], 7, None)
    told = consequences(key(), hangs_on(key(), [row("portal")]), None, kept)
    assert (told["rights"], told["copies"]) == (7, 4)
    told = consequences(key(), hangs_on(key(), [row("trace")]), None, kept)
    assert (told["rights"], told["copies"]) == (None, None)


def test_a_key_that_cannot_sign_holds_no_log_whatever_its_name() -> None:
    assert hangs_on(key("access-log"), []).told() == []


@pytest.mark.parametrize("use", Use)
def test_what_a_dkim_key_is_for_stands_in_its_row_and_not_in_its_name(use: Use) -> None:
    signer = key("dkim.corp.example.s1.2026", type_=KeyType.ED25519)
    known = DkimKey(
        id="1",
        domain="corp.example",
        selector="s1.2026",
        algorithm=Algorithm.ED25519,
        vault="main",
        key=signer.name,
        version=1,
        public=b"",
        use=use,
        created=0,
    )
    told = {"kind": "dkim", "domain": "corp.example", "selector": "s1.2026"}
    assert with_use(hangs_on(signer, []), signer, [known]).told() == [told | {"use": use.value}]
    other = key(signer.name, vault="second", type_=KeyType.ED25519)
    by_name = hangs_on(other, [], ["corp.example"])
    assert with_use(by_name, other, [known]).told() == [told | {"use": UNUSED}]
    assert by_name.told() == [told]
    assert with_use(hangs_on(key(), []), key(), [known]).told() == []
