"""Whole mailboxes by the command line, in a folder as `gateway init` makes it, while nothing serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.console import Console, ConsoleFault
from gateway.app.init import init
from gateway.app.mailbox_bulk import MailboxBulk
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

OCTETS = b"Subject: Old\r\n\r\nwords\r\n"
IDA = "ida@corp.example"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gateway with one mailbox, under no policy."""
    folder = tmp_path_factory.mktemp("bulk") / "gw"
    init(folder, recovery_key=False, hostname="gw.corp.example", clock=SystemClock(), chance=SystemChance())
    path = folder / "gateway.toml"
    path.write_text(
        f'{path.read_text()}\n[[connectors.outbound]]\nname = "here"\nrecipient_domains = ["corp.example"]\n'
        'deliver = "mailbox"\n'
    )
    made = Console.open(path).ask("mailbox.create", address=IDA, policy="none", password="geheim123")
    assert made["warnings"] == []
    return path


def test_what_is_imported_is_verified_rolled_and_exported_octet_for_octet(settings: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.eml").write_bytes(OCTETS + b"%d\r\n" % number)
    told: list[tuple[int, int]] = []
    bulk = MailboxBulk.open(settings)
    done = bulk.bring(IDA, tmp_path, "INBOX", "mboxrd", False, lambda *far: told.append(far))
    assert (done["added"], done["present"], done["skipped"]) == (3, 0, 0)
    assert told[-1][0] == told[-1][1] > 0
    assert bulk.bring(IDA, tmp_path, "INBOX", "mboxrd", False, _still)["present"] == 3
    assert bulk.verify(IDA, _still) | {"octets": 0} == {
        "address": IDA,
        "messages": 3,
        "octets": 0,
        "damaged": 0,
        "faults": [],
    }
    console = Console.open(settings)
    assert console.ask("mailbox.roll", address=IDA)["left"] == 3
    assert bulk.roll(IDA, _still) == {"address": IDA, "wrapped": 3, "left": 0, "damaged": 0}
    told_of: dict[str, Any] = console.ask("mailbox.show", address=IDA)
    assert (told_of["key_version"], told_of["rolling"], told_of["messages"]) == (2, False, 3)
    out = tmp_path / "out"
    assert bulk.export(IDA, out, _still)["written"] == 3
    found = sorted(file.read_bytes() for file in (out / "INBOX").glob("*.eml"))
    assert found == [OCTETS + b"%d\r\n" % number for number in range(3)]
    assert bulk.export(IDA, out, _still)["present"] == 3


def test_what_cannot_be_done_is_said_to_people(settings: Path, tmp_path: Path) -> None:
    bulk = MailboxBulk.open(settings)
    with pytest.raises(ConsoleFault, match=r"there is no mailbox nobody@corp\.example; gateway mailbox list"):
        bulk.verify("nobody@corp.example", _still)
    with pytest.raises(ConsoleFault, match="is no address"):
        bulk.verify("nobody", _still)
    with pytest.raises(ConsoleFault, match="missing"):
        bulk.bring(IDA, tmp_path / "missing", "INBOX", "mboxrd", False, _still)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConsoleFault, match="file"):
        bulk.export(IDA, tmp_path / "file", _still)


def _still(done: int, total: int) -> None:
    """Nobody looks."""
