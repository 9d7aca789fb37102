"""`gateway rights`: what it asks, what it says, and files that need no gateway."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

ORIGINAL = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\nsecret words\r\n"
WORK = "11111111-2222-4333-8444-555555555555"
OPENED: dict[str, Any] = {
    "opened": True,
    "sha256": sha256(ORIGINAL).hexdigest(),
    "rights": ["REPLY", "VIEW"],
    "reason": None,
    "owner": "ida@corp.example",
    "principal": None,
    "readers": ["zoe@partner.example"],
    "template": "encrypt-only",
    "issued": "2026-11-03T08:12:00.000Z",
    "expires": None,
    "work": WORK,
    "built": False,
}
ENTRY: dict[str, Any] = {
    "time": "2026-11-03T08:13:00.000Z",
    "work": WORK,
    "principal": "zoe@partner.example",
    "by": "portal",
    "purpose": "VIEW",
    "given": True,
    "reason": None,
    "client": "192.0.2.7",
    "rights": ["VIEW"],
}
MESSAGE: dict[str, Any] = {
    "work": WORK,
    "message_id": "<1@corp.example>",
    "queue_id": "4ABC",
    "sender": "ida@corp.example",
    "readers": [
        {"address": "zoe@partner.example", "revoked": None},
        {"address": "bob@partner.example", "revoked": "2026-11-03T09:00:00.000Z"},
    ],
    "subject": "Figures",
    "template": "encrypt-only",
    "created": "2026-11-03T08:12:00.000Z",
    "expires": None,
    "revoked": None,
    "copy": "kept",
    "size": 12_000,
}


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "tenant.pem"
    key = rsa.generate_private_key(65537, 2048)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_what_the_gateway_opens_is_told_and_written_for_its_reader_alone(
    command_line: CommandLine, tmp_path: Path
) -> None:
    file, out = tmp_path / "message.rpmsg", tmp_path / "out.eml"
    file.write_bytes(b"sealed")
    console = FakeConsole(rights__open=OPENED | {"original": b64encode(ORIGINAL).decode()})
    said = command_line.run(console, "rights", "open", str(file), "--out", str(out), "--as", "zoe@partner.example")
    assert said.code == 0, said.err
    assert console.asked == [
        ("rights.open", {"octets": b64encode(b"sealed").decode(), "principal": "zoe@partner.example"})
    ]
    assert out.read_bytes() == ORIGINAL and out.stat().st_mode & 0o777 == 0o600
    assert "ida@corp.example" in said.out and "secret" not in said.out
    said = command_line.run(console, "rights", "open", str(file), "--json")
    assert json.loads(said.out) == OPENED


def test_what_does_not_open_is_a_no_with_its_reason(command_line: CommandLine, tmp_path: Path) -> None:
    file, out = tmp_path / "message.rpmsg", tmp_path / "out.eml"
    file.write_bytes(b"sealed")
    no: dict[str, Any] = {"opened": False, "sha256": None, "rights": [], "reason": "revoked"}
    said = command_line.run(FakeConsole(rights__open=no), "rights", "open", str(file), "--json", "--out", str(out))
    assert (said.code, json.loads(said.out)) == (1, no)
    assert "it was revoked" in said.err and not out.exists()
    said = command_line.run(FakeConsole(), "rights", "open", str(tmp_path / "none"))
    assert said.code == 1 and "No such file" in said.err


def test_with_a_key_out_of_a_file_no_gateway_is_asked(command_line: CommandLine, tmp_path: Path, pem: Path) -> None:
    message, sealed, out = tmp_path / "m.eml", tmp_path / "message.rpmsg", tmp_path / "out.eml"
    message.write_bytes(ORIGINAL)
    console = FakeConsole(fault="nobody shall ask")
    said = command_line.run(
        *(console, "rights", "seal", str(message), "--to", "zoe@partner.example", "--from", "ida@corp.example"),
        *("--out", str(sealed), "--tenant-key", str(pem), "--template", "do-not-forward"),
    )
    assert said.code == 0, said.err
    said = command_line.run(
        *(console, "rights", "open", str(sealed), "--tenant-key", str(pem), "--out", str(out), "--json"),
    )
    answer = json.loads(said.out)
    assert (answer["opened"], answer["sha256"]) == (True, sha256(ORIGINAL).hexdigest())
    assert "OWNER" in answer["rights"]  # Without --as as super user.
    assert out.read_bytes() == ORIGINAL
    said = command_line.run(
        *(console, "rights", "open", str(sealed), "--tenant-key", str(pem), "--as", "zoe@partner.example", "--json"),
    )
    assert json.loads(said.out)["rights"] == ["DOCEDIT", "EDIT", "OBJMODEL", "REPLY", "REPLYALL", "VIEW"]
    said = command_line.run(
        *(console, "rights", "open", str(sealed), "--tenant-key", str(pem), "--as", "eve@partner.example", "--json"),
    )
    assert (said.code, json.loads(said.out)["reason"]) == (1, "not_a_reader")
    assert console.asked == []
    command_line.settings = None
    said = command_line.run(console, "rights", "inspect", str(sealed), "--json")
    assert json.loads(said.out)["owner"] == "ida@corp.example"
    said = command_line.run(console, "rights", "inspect", str(sealed))
    assert "Do Not Forward" in said.out and "zoe" not in said.out
    sealed.write_bytes(sealed.read_bytes()[:-600])
    said = command_line.run(console, "rights", "open", str(sealed), "--tenant-key", str(pem), "--json")
    assert (said.code, json.loads(said.out)["reason"]) == (1, "damaged")


def test_a_file_that_is_no_tenant_key_says_what_would_be_right(
    command_line: CommandLine, tmp_path: Path, pem: Path
) -> None:
    file = tmp_path / "message.rpmsg"
    file.write_bytes(b"x")
    said = command_line.run(FakeConsole(), "rights", "open", str(file), "--tenant-key", str(file))
    assert said.code == 1 and "RSA private key as PEM" in said.err
    command_line.settings = None
    said = command_line.run(FakeConsole(), "rights", "inspect", str(file), "--json")
    assert (said.code, json.loads(said.out)) == (1, {"reason": "damaged"})
    said = command_line.run(
        *(FakeConsole(), "rights", "seal", str(file), "--to", "nobody", "--out", str(tmp_path / "o")),
        *("--tenant-key", str(pem)),
    )
    assert said.code == 1 and "no address" in said.err


def test_sealing_asks_the_gateway_and_keeps_to_what_the_settings_say(command_line: CommandLine, tmp_path: Path) -> None:
    message, out = tmp_path / "m.eml", tmp_path / "message.rpmsg"
    message.write_bytes(ORIGINAL)
    answer = {"rpmsg": b64encode(b"sealed").decode(), "work": WORK, "sha256": "00"}
    console = FakeConsole(rights__seal=answer)
    said = command_line.run(console, "rights", "seal", str(message), "--to", "zoe@partner.example", "--out", str(out))
    assert said.code == 0, said.err
    ((command, asked),) = console.asked
    assert (command, asked["to"], asked["expires_in_days"]) == ("rights.seal", ["zoe@partner.example"], None)
    assert out.read_bytes() == b"sealed" and WORK in said.out


def test_revoking_says_for_whom(command_line: CommandLine) -> None:
    console = FakeConsole(rights__revoke={"revoked": [MESSAGE]})
    said = command_line.run(console, "rights", "revoke", "<1@corp.example>", "--recipient", "bob@partner.example")
    assert said.code == 0 and "bob@partner.example" in said.out
    assert console.asked == [("rights.revoke", {"name": "<1@corp.example>", "recipient": "bob@partner.example"})]
    said = command_line.run(FakeConsole(fault="no such message"), "rights", "revoke", "4ABC")
    assert said.code == 1 and "no such message" in said.err


def test_status_tells_who_has_opened_and_who_was_refused(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(rights__status=[MESSAGE]), "rights", "status")
    assert said.code == 0 and WORK in said.out and "secret" not in said.out
    other = ENTRY | {"principal": "bob@partner.example", "given": False, "reason": "revoked"}
    for_bob = ENTRY | {"principal": "bob@partner.example", "by": "cli root", "client": None}
    one = MESSAGE | {"licences": [ENTRY, other, for_bob]}
    said = command_line.run(FakeConsole(rights__status=[one]), "rights", "status", "4ABC")
    lines = [line for line in said.out.splitlines() if "reader:" in line]
    assert "opened 2026-11-03 08:13:00Z" in lines[0]
    assert "not opened, revoked 2026-11-03 09:00:00Z" in lines[1]  # Somebody at this machine is not the reader.
    assert "192.0.2.7" in said.out and "revoked" in said.out
    said = command_line.run(FakeConsole(rights__status=[]), "rights", "status")
    assert "No rights-managed message" in said.out


def test_the_log_shows_super_users_and_nothing_that_a_terminal_obeys(command_line: CommandLine) -> None:
    rows = [ENTRY | {"principal": None, "by": "cli root", "client": None}, ENTRY | {"principal": "e\x1b[31m@x.example"}]
    said = command_line.run(FakeConsole(rights__log=rows), "rights", "log")
    assert "super user (cli root)" in said.out and "\x1b" not in said.out
    said = command_line.run(FakeConsole(rights__log=rows), "rights", "log", "--json")
    assert json.loads(said.out) == rows
    said = command_line.run(FakeConsole(rights__log=[]), "rights", "log")
    assert "No licence" in said.out
