"""One gateway with a portal for each file of the folder, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.browser import Browser
from tests.scenarios.peers.office import WORD, Office, links, open_office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("portal") / "gw", Path(__file__).parent) as one:
        yield one


@pytest.fixture(scope="module")
def browser(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser"), office.ca) as one:
        office.browser = one
        yield one
        office.browser = None


@pytest.fixture(autouse=True)
def nothing_of_it_stands_in_a_log(office: Office) -> Iterator[None]:
    """No word of a message, no code and no link, whatever a test did."""
    yield
    written = office.gateway.log
    assert WORD not in written, "a word of a message stands in a log"
    for got in office.hop.taken:
        assert not any(link in written for link in links(got.octets)), "a link stands in a log"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateway's log where a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    office = getattr(item, "funcargs", {}).get("office")
    if report.failed and isinstance(office, Office):
        report.sections.append(("log of the gateway", "\n".join(office.gateway.log.splitlines()[-60:])))
