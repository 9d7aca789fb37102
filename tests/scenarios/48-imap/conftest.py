"""One gateway with mailboxes for each file, and people with mailboxes of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.mailroom import Mailroom, open_mailroom

HERE = Path(__file__).parent
SHOWN = 60  # Lines of the log behind a failure.
WORD = "Obsidianlark"  # Stands in messages, and must not stand in a log.


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailroom]:
    folder = tmp_path_factory.mktemp("imap") / "gw"
    with open_mailroom(folder, (HERE / "gateway.toml").read_text()) as room:
        yield room.start()


@pytest.fixture(scope="module")
def somebody(room: Mailroom) -> Callable[..., str]:
    """`somebody(...)`: a new mailbox's address; the options are those of `mailbox create`."""
    numbers = itertools.count(1)

    def make(*options: str) -> str:
        address = f"reader{next(numbers)}@corp.example"
        room.create(address, *options)
        return address

    return make


@pytest.fixture(autouse=True)
def nothing_of_it_stands_in_a_log(room: Mailroom) -> Iterator[None]:
    """No word of a message and no traceback, whatever a test did."""
    yield
    written = room.gateway.log
    assert WORD not in written, "a word of a message stands in a log"
    assert "Traceback" not in written, written[-6000:]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateway's log where a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    found = getattr(item, "funcargs", {}).get("room")
    if report.failed and isinstance(found, Mailroom):
        report.sections.append(("log of the gateway", "\n".join(found.gateway.log.splitlines()[-SHOWN:])))
