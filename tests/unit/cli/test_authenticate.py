"""`gateway authenticate` on the command line: no settings, no running gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.fakes.dkim import MESSAGE, NAME, record, sign

CLIENT = ("--ip", "192.0.2.7", "--helo", "client.example", "--mail-from", "ida@corp.example")


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    path = tmp_path / "records.zone"
    path.write_text(f"; records\n{NAME} TXT {record().decode()}\n")
    return path


def run(tmp_path: Path, octets: bytes, *arguments: str) -> tuple[int, str, str]:
    path = tmp_path / "message.eml"
    path.write_bytes(octets)
    ended = CliRunner().invoke(app, ["authenticate", str(path), *arguments])
    return ended.exit_code, ended.stdout, ended.stderr


def test_json_has_what_the_contract_says(tmp_path: Path, zone: Path) -> None:
    code, out, err = run(tmp_path, sign(MESSAGE), *CLIENT, "--zone", str(zone), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "spf": None,
        "dkim": [
            {
                "result": "pass",
                "domain": "corp.example",
                "selector": "sel",
                "reason": "",
                "algorithm": "rsa-sha256",
                "bits": 2048,
            }
        ],
        "dmarc": None,
        "arc": None,
    }


def test_people_read_a_table(tmp_path: Path, zone: Path) -> None:
    octets = sign(sign(MESSAGE), s="gone")
    code, out, _ = run(tmp_path, octets, "--zone", str(zone))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith(f"message.eml, {len(octets) / 1024:.1f} KiB, has 2 DKIM signatures.")
    assert [line.split()[:3] for line in lines[4:6]] == [
        ["permerror", "corp.example", "gone"],
        ["pass", "corp.example", "sel"],
    ]
    assert "the DNS has no key of this selector" in lines[4]
    assert "rsa-sha256, 2,048 bits" in lines[5]
    assert lines[-1] == "SPF, DMARC and ARC are not judged by this version."


def test_a_message_without_signature_is_said_to_have_none(tmp_path: Path, zone: Path) -> None:
    code, out, _ = run(tmp_path, MESSAGE, "--zone", str(zone))
    assert (code, out.splitlines()[0].partition(", ")[2]) == (0, f"{len(MESSAGE)} octets, has no DKIM signature.")


def test_lines_may_end_as_they_do_on_disk(tmp_path: Path, zone: Path) -> None:
    _, out, _ = run(tmp_path, sign(MESSAGE).replace(b"\r\n", b"\n"), "--zone", str(zone), "--json")
    assert json.loads(out)["dkim"][0]["result"] == "pass"


def test_the_message_may_come_from_standard_input(zone: Path) -> None:
    ended = CliRunner().invoke(app, ["authenticate", "-", "--zone", str(zone), "--json"], input=sign(MESSAGE))
    assert json.loads(ended.stdout)["dkim"][0]["result"] == "pass"


def test_what_stands_in_the_message_does_not_reach_the_terminal(tmp_path: Path, zone: Path) -> None:
    octets = sign(MESSAGE).replace(b"s=sel", b"s=\x1b[31m")
    code, out, _ = run(tmp_path, octets, "--zone", str(zone))
    assert (code, "\x1b" in out) == (0, False)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, zone: Path) -> None:
    missing = str(tmp_path / "none.eml")
    ended = CliRunner().invoke(app, ["authenticate", missing])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == f"gateway: {missing}: No such file or directory\n"
    code, _, err = run(tmp_path, MESSAGE, "--zone", missing)
    assert (code, err) == (1, f"gateway: {missing}: No such file or directory\n")
    zone.write_text("nonsense\n")
    code, _, err = run(tmp_path, MESSAGE, "--zone", str(zone))
    assert (code, "line 1: no record; right would be" in err) == (1, True)


def test_an_address_that_is_none_is_wrong_use(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, MESSAGE, "--ip", "192.0.2.700")
    assert (code, out) == (2, "")
    assert "no address; right would be 192.0.2.7" in " ".join(err.replace("│", " ").split())
