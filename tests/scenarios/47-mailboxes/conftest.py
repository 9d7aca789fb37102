"""Gateways with mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scenarios.peers.mailroom import Mailroom, open_mailroom

HERE = Path(__file__).parent
SHOWN = 60  # Lines of the log behind a failure.


@pytest.fixture(scope="module")
def make_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Mailroom]]:
    """`make_room(...)`: initialised with this folder's settings, not started."""
    with ExitStack() as open_rooms:

        def make(**values: object) -> Mailroom:
            folder = tmp_path_factory.mktemp("mailboxes") / "gw"
            template = (HERE / "gateway.toml").read_text()
            return open_rooms.enter_context(open_mailroom(folder, template, **values))

        yield make


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    """One that serves, for all tests of a file."""
    return make_room().start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateway's log where a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    found = next((one for one in getattr(item, "funcargs", {}).values() if isinstance(one, Mailroom)), None)
    if report.failed and found is not None:
        report.sections.append(("log of the gateway", "\n".join(found.gateway.log.splitlines()[-SHOWN:])))
