"""Two gateways with portals on one PostgreSQL that writes to the disk as in earnest, and one next hop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.office import WORD, Office, links
from tests.scenarios.peers.ports import answers, free_port, until
from tests.scenarios.peers.smime import People

HERE = Path(__file__).parent
SHOWN = 60  # Lines of each log behind a failure.


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster(durable=True, settings=("max_connections=100",)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module", params=["in the database", "in a folder"])
def copies(request: pytest.FixtureRequest) -> str:
    """Where large copies and large content lie."""
    return str(request.param)


@pytest.fixture(scope="module")
def offices(
    server: Cluster, people: People, copies: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Office, Office]]:
    """Both at work; they share the vault and the blobs, which lie in the folder of the first."""
    folders = [tmp_path_factory.mktemp(name) / "gw" for name in ("first", "second")]
    blobs = f'blobs = "{folders[0]}/blobs"' if copies == "in a folder" else ""
    values = {"DATABASE": server.new_database(), "COMMON": folders[0], "BLOBS": blobs}
    template = (HERE / "gateway.toml").read_text()
    with Hop() as hop, ExitStack() as made:
        found = []
        for folder in folders:
            portal = free_port()
            gateway = Gateway(folder, template, HOP=hop.port, PORTAL=portal)
            gateway.values |= values
            gateway.init()
            made.callback(gateway.remove)
            shutil.rmtree(folder / "rules")
            shutil.copytree(HERE / "rules", folder / "rules")
            shutil.copy(people.ca, folder / "people-ca.pem")
            found.append(Office(gateway, hop, portal))
            made.callback(found[-1].close)
        first, second = found
        for office in found:
            office.gateway.start()
            until(lambda office=office: answers(office.portal), f"the portal to listen\n{office.gateway.log}")  # type: ignore[misc]
        yield first, second


@pytest.fixture(autouse=True)
def nothing_of_it_stands_in_a_log(offices: tuple[Office, Office]) -> Iterator[None]:
    """No word of a message and no link, whatever a test did."""
    yield
    for office in offices:
        assert WORD not in office.gateway.log and "Traceback" not in office.gateway.log
        for got in office.hop.taken:
            assert not any(link in office.gateway.log for link in links(got.octets))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateways' logs where a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    for office in getattr(item, "funcargs", {}).get("offices", ()) if report.failed else ():
        log = "\n".join(office.gateway.log.splitlines()[-SHOWN:])
        report.sections.append((f"log of the gateway in {office.gateway.folder}", log))
