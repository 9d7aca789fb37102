"""Mailboxes and policies in the inventory: where each lies, and under which keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.app.inventory_mailboxes import mailboxes
from gateway.app.inventory_row import Ground
from gateway.keys.fips import modules
from tests.fakes.settings import PLAIN, settings_in

HERE = '\n[[connectors.outbound]]\nname = "here"\nrecipient_domains = ["here.example"]\ndeliver = "mailbox"\n'


def policy(kind: str) -> dict[str, Any]:
    return {"kind": "policy", "policy": "house", "as": kind}


LISTED: dict[str, Any] = {
    "vaults": [],
    "keys": [
        {"key": "a/mail", "holds": [policy("root_a")]},
        {"key": "b/mail", "holds": [policy("root_b")]},
        {"key": "b/old", "holds": [policy("backup")]},
        {"key": "main/availability", "holds": [policy("availability")]},
    ],
    "domain_keys": [],
}


def test_a_gateway_without_mailboxes_has_no_row_of_them(tmp_path: Path) -> None:
    assert list(mailboxes(Ground(settings_in(tmp_path), LISTED, modules()))) == []


def test_contents_names_and_each_policy_have_a_row_with_the_keys_that_open_them(tmp_path: Path) -> None:
    rows = list(mailboxes(Ground(settings_in(tmp_path, PLAIN + HERE), LISTED, modules())))
    assert [row.technology for row in rows] == [
        "Mailboxes: contents",
        "Mailboxes: maps, heads, names",
        "Data encryption policy house",
    ]
    assert rows[0].where == str(tmp_path / "data/mailboxes") and rows[0].algorithm == "AES-256-GCM"
    assert rows[2].keys == "root keys a/mail, b/mail; availability key main/availability"
