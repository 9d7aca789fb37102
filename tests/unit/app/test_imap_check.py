"""What `gateway check` says of [imap]."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.check import check
from gateway.world.clock import SystemClock
from tests.fakes.certificates import make_certificate
from tests.fakes.settings import PLAIN, settings_in

ENDS_HERE = """
[[connectors.outbound]]
name = "mailboxes"
recipient_domains = ["corp.example"]
deliver = "mailbox"
"""
SECTION = '[imap]\nlisten = "127.0.0.1:9993"\n'
OWN = 'certificate = "imap.pem"\nkey = "imap.key"\n'


def told(folder: Path, section: str, *, ends: str = ENDS_HERE) -> list[str]:
    """The faults about it, each with its key."""
    made = make_certificate(folder, "imap.corp.example", days=(-1, 90))
    made.file.rename(folder / "imap.pem")
    made.key_file.rename(folder / "imap.key").chmod(0o600)
    text = PLAIN.partition('[[connectors.outbound]]\nname = "ours"')[0]
    path = folder / "gateway.toml"
    path.write_text(text + ends + section)
    faults = check(path, SystemClock(), ask=False)
    return [f"{one.severity} {one.key}: {one.found}" for one in faults if "imap" in one.key]


def test_what_is_right_is_no_fault(tmp_path: Path) -> None:
    assert told(tmp_path, SECTION + OWN) == []


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (SECTION, "error imap.certificate: nothing, and no listener"),
        (SECTION + 'certificate = "none.pem"\n', "error imap.certificate: "),
        (SECTION + 'certificate = "imap.pem"\n', "error imap.key: "),
        ('[imap]\nlisten = "127.0.0.1:2525"\n' + OWN, 'error imap.listen: "127.0.0.1:2525", which'),
        ('[imap]\nlisten = "imap.corp.example:993"\n' + OWN, "error imap.listen: "),
        (SECTION + OWN + "max_connections = 9\n", "error imap.max_connections: "),
        (SECTION + OWN + "[imap.timeouts]\nidle = 1799\n", "error imap.timeouts.idle: "),
    ],
)
def test_each_fault_is_told_with_its_key(tmp_path: Path, section: str, expected: str) -> None:
    found = told(tmp_path, section)
    assert len(found) == 1 and found[0].startswith(expected), found


def test_a_key_alone_is_a_fault(tmp_path: Path) -> None:
    text = PLAIN.replace('tls = "none"', 'certificate = "mx.pem"\nkey = "mx.key"')
    made = make_certificate(tmp_path, "mx.corp.example", days=(-1, 90))
    made.file.rename(tmp_path / "mx.pem")
    made.key_file.rename(tmp_path / "mx.key").chmod(0o600)
    path = settings_in(tmp_path, text + ENDS_HERE.replace("corp", "more") + SECTION + 'key = "mx.key"\n').path
    found = [one for one in check(path, SystemClock(), ask=False) if "imap" in one.key]
    assert [(one.key, one.found) for one in found] == [("imap.key", "a key without a certificate")]


def test_mailboxes_into_which_nothing_is_delivered_are_warned_of(tmp_path: Path) -> None:
    (found,) = told(tmp_path, SECTION + OWN, ends="")
    assert found.startswith("warning imap: no connector that delivers to mailboxes")
