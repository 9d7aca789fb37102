"""What hangs on a key, by its name and by the rows of domain keys."""

from __future__ import annotations

import pytest

from gateway.app.consequences import consequences, dkim_names, hangs_on
from gateway.keys.vault import KeyState, KeyType, KeyVersion, VaultKey
from gateway.storage.keyrows import KeyRow
from gateway.storage.weight import Kept, Weight


def key(name: str = "default", vault: str = "main") -> VaultKey:
    return VaultKey(
        vault=vault, name=name, type=KeyType.AES_256, state=KeyState.ENABLED, versions=(KeyVersion(1, None),)
    )


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
    signer = key("access-log")
    assert consequences(signer, hangs_on(signer, []), None, None)["holds"] == [{"kind": "key_log"}]
