"""`gateway certificate`: what a person types and reads."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

ROW: dict[str, Any] = {
    "fingerprint": "f8736b56f2a334a5" + "0" * 48,
    "addresses": ["otto@partner.example"],
    "domains": [],
    "subject": "CN=Otto",
    "issuer": "CN=Partner CA",
    "serial": "5bbd",
    "key": "rsa-2048",
    "signed_with": "sha256 rsa",
    "valid_from": "2026-11-26T09:27:00Z",
    "valid_until": "2027-11-26T09:27:00Z",
    "state": "valid",
    "encrypts": True,
    "verifies": True,
    "signs": False,
    "private_key": False,
    "reasons": [],
    "imported": "2026-11-26T09:40:16Z",
}
OURS = ROW | {"addresses": ["ida@corp.example"], "private_key": True, "signs": True, "domains": ["corp.example"]}


def test_an_import_tells_what_is_tried_again(command_line: CommandLine, file: Path) -> None:
    answer = {"certificates": [ROW | {"was_there": False}], "warnings": [], "tried": ["Q1.1", "Q2.1"]}
    said = command_line.run(FakeConsole(certificate__import=answer), "certificate", "import", str(file))
    assert "Tried again: 2 deliveries that waited for S/MIME (Q1.1, Q2.1)" in said.out


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "otto.pem"
    path.write_bytes(b"-----BEGIN CERTIFICATE-----")
    return path


def test_an_import_tells_what_was_found_and_warns(command_line: CommandLine, file: Path) -> None:
    rows = [ROW | {"was_there": False}, OURS | {"was_there": True}]
    console = FakeConsole(certificate__import={"certificates": rows, "warnings": ["CN=x was left out"]})
    said = command_line.run(console, "certificate", "import", str(file))
    assert said.code == 0
    assert said.out.splitlines() == [
        "Imported: otto@partner.example (f8736b56f2a334a5), rsa-2048, until 2027-11-26 09:27:00Z; "
        "encrypting, verifying.",
        "Already there: ida@corp.example, everybody in corp.example (f8736b56f2a334a5), rsa-2048, "
        "until 2027-11-26 09:27:00Z; encrypting, opening, signing.",
    ]
    assert said.err == "gateway: warning: CN=x was left out\n"
    (asked,) = console.asked
    assert asked == (
        "certificate.import",
        {
            "octets": b64encode(file.read_bytes()).decode(),
            "file": str(file),
            "password": None,
            "addresses": [],
            "domains": [],
        },
    )


def test_a_password_comes_from_standard_input_and_names_from_options(command_line: CommandLine, file: Path) -> None:
    console = FakeConsole(certificate__import={"certificates": [], "warnings": []})
    words = ["--password-stdin", "--address", "a@x.example", "--address", "b@x.example", "--domain", "x.example"]
    said = command_line.run(console, "certificate", "import", str(file), *words, "--json", typed="geheim\r\nmore\n")
    assert (said.code, said.json) == (0, {"certificates": [], "warnings": []})
    _, arguments = console.asked[0]
    assert arguments["password"] == "geheim"
    assert (arguments["addresses"], arguments["domains"]) == (["a@x.example", "b@x.example"], ["x.example"])


def test_an_empty_password_is_one(command_line: CommandLine, file: Path) -> None:
    console = FakeConsole(certificate__import={"certificates": [], "warnings": []})
    command_line.run(console, "certificate", "import", str(file), "--password-stdin", typed="\n")
    assert console.asked[0][1]["password"] == ""


@pytest.mark.parametrize("typed", ["x" * 5000 + "\n", b"\xff\n"])
def test_a_password_that_can_be_none_is_wrong_use(command_line: CommandLine, file: Path, typed: Any) -> None:
    said = command_line.run(FakeConsole(), "certificate", "import", str(file), "--password-stdin", typed=typed)
    assert said.code == 2
    assert "password" in said.err


def test_a_file_that_is_not_there_or_too_large_is_a_no(command_line: CommandLine, tmp_path: Path) -> None:
    said = command_line.run(FakeConsole(), "certificate", "import", str(tmp_path / "none.pem"))
    assert (said.code, "can't be read: No such file" in said.err) == (1, True)
    large = tmp_path / "large.pem"
    large.write_bytes(b"x" * ((4 << 20) + 1))
    said = command_line.run(FakeConsole(), "certificate", "import", str(large))
    assert (said.code, "more than 4194304 octets" in said.err) == (1, True)


def test_the_list_is_a_table_or_says_how_to_begin(command_line: CommandLine) -> None:
    said = command_line.run(
        FakeConsole(certificate__list=[OURS, ROW | {"state": "not_yet_valid"}]), "certificate", "list"
    )
    assert "ida@corp.example, everybody in corp.example" in said.out
    assert "not yet valid" in said.out
    assert command_line.run(FakeConsole(certificate__list=[ROW]), "certificate", "list", "--json").json == [ROW]
    said = command_line.run(FakeConsole(certificate__list=[]), "certificate", "list")
    assert "gateway certificate import FILE" in said.out


def test_show_tells_everything_without_what_a_terminal_obeys(command_line: CommandLine) -> None:
    row = ROW | {"subject": "CN=\x1b[31mOtto", "names": [], "chain": ["CN=Above"], "pem": "", "encrypts": False}
    row |= {"reasons": ["certificate-not-for-encryption"]}
    console = FakeConsole(certificate__show=[row, OURS | {"names": ["ida@corp.example"], "chain": []}])
    said = command_line.run(console, "certificate", "show", "otto@partner.example")
    assert "\x1b" not in said.out
    for words in ("CN=?[31mOtto", "1 certificate", "certificate-not-for-encryption", "here, sealed", "no address"):
        assert words in said.out
    assert console.asked == [("certificate.show", {"name": "otto@partner.example"})]


def test_export_writes_pem_to_standard_output_or_into_a_file(command_line: CommandLine, tmp_path: Path) -> None:
    console = FakeConsole(certificate__export={"pem": "-----BEGIN CERTIFICATE-----\n"})
    assert command_line.run(console, "certificate", "export", "x").out == "-----BEGIN CERTIFICATE-----\n"
    out = tmp_path / "x.pem"
    assert command_line.run(console, "certificate", "export", "x", "--out", str(out)).code == 0
    assert out.read_text() == "-----BEGIN CERTIFICATE-----\n"
    said = command_line.run(console, "certificate", "export", "x", "--out", str(out))
    assert (said.code, "File exists" in said.err) == (1, True)


def test_a_private_key_goes_into_a_file_of_our_own_alone(command_line: CommandLine, tmp_path: Path) -> None:
    console = FakeConsole(certificate__private={"pkcs12": b64encode(b"bag").decode(), "fingerprint": "f8"})
    out = tmp_path / "ida.p12"
    words = ["certificate", "export", "ida@corp.example", "--private"]
    for wrong in ([], ["--password-stdin"], ["--out", str(out)]):
        assert command_line.run(console, *words, *wrong, typed="geheim\n").code == 2
    assert command_line.run(console, "certificate", "export", "x", "--password-stdin", typed="x\n").code == 2
    assert console.asked == []
    said = command_line.run(console, *words, "--password-stdin", "--out", str(out), typed="geheim\n")
    assert (said.code, "keep it with care" in said.out) == (0, True)
    assert out.read_bytes() == b64decode(console.answers["certificate.private"]["pkcs12"])
    assert out.stat().st_mode & 0o777 == 0o600
    assert console.asked == [("certificate.private", {"name": "ida@corp.example", "password": "geheim"})]


def test_removing_a_private_key_is_asked_at_a_terminal_and_wants_yes_elsewhere(command_line: CommandLine) -> None:
    console = FakeConsole(certificate__remove={"removed": [ROW]}, certificate__show=[OURS])
    said = command_line.run(console, "certificate", "remove", "x")
    assert said.out == "Removed otto@partner.example (f8736b56f2a334a5).\n"
    assert console.asked == [("certificate.remove", {"name": "x", "keys_too": False})]
    command_line.run(console, "certificate", "remove", "x", "--yes")
    assert console.asked[-1] == ("certificate.remove", {"name": "x", "keys_too": True})
    command_line.terminal = True
    asked = len(console.asked)
    said = command_line.run(console, "certificate", "remove", "x", typed="n\n")
    assert said.code == 1
    assert "lose all mail that only it opens" in said.err
    assert [command for command, _ in console.asked[asked:]] == ["certificate.show"]
    command_line.run(console, "certificate", "remove", "x", typed="y\n")
    assert console.asked[-1] == ("certificate.remove", {"name": "x", "keys_too": True})


def test_a_no_of_the_gateway_is_told(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(fault="no certificate is known for x"), "certificate", "show", "x")
    assert (said.code, said.err) == (1, "gateway: no certificate is known for x\n")
