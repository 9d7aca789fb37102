"""`gateway inventory`: a paragraph for each row, and one JSON value."""

from __future__ import annotations

from typing import Any

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

QUEUE: dict[str, Any] = {
    "technology": "Queue",
    "where": "/var/lib/gateway/data/spool: databases, journals and content files of each worker",
    "what": "content, senders, recipients, replies of next hops",
    "encrypted": True,
    "algorithm": "AES-256-GCM",
    "key_length": "256 bits",
    "key_management": "domain/spool version 2, wrapped by the root key main/default version 3 (rsa-3072); content keys",
    "fips_approved": True,
    "module": "OpenSSL, not validated",
    "validation": "approved by FIPS 140; OpenSSL, not validated",
}
LOG = {**QUEUE, "technology": "Log", "encrypted": False, "algorithm": None, "key_length": None, "validation": None}


def test_each_row_is_a_paragraph(command_line: CommandLine) -> None:
    console = FakeConsole(inventory=[QUEUE, LOG])
    said = command_line.run(console, "inventory")
    assert console.asked == [("inventory", {})]
    queue, log = said.out.split("\n\n")
    assert queue.splitlines()[0] == "Queue"
    assert "  encrypted:   AES-256-GCM (256 bits)" in queue
    assert "  validation:  approved by FIPS 140; OpenSSL, not validated" in queue
    assert "  encrypted:   not encrypted" in log and "validation" not in log


def test_what_is_only_signed_is_not_said_to_be_encrypted(command_line: CommandLine) -> None:
    signed = {**QUEUE, "technology": "DKIM", "encrypted": False, "algorithm": "Ed25519"}
    said = command_line.run(FakeConsole(inventory=[signed]), "inventory")
    assert "  encrypted:   not encrypted, but: Ed25519 (256 bits)" in said.out


def test_it_fits_eighty_columns(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(inventory=[QUEUE, LOG]), "inventory", columns=80)
    assert max(map(len, said.out.splitlines())) <= 80
    # What goes on stands under what it goes on from.
    assert "\n               " in said.out


def test_json_is_the_rows_as_they_are(command_line: CommandLine) -> None:
    assert command_line.run(FakeConsole(inventory=[QUEUE]), "inventory", "--json").json == [QUEUE]
