"""Two gateways with mailboxes on one PostgreSQL that writes to the disk as in earnest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.mailroom import Mailroom, new_mailroom

HERE = Path(__file__).parent
SHOWN = 60  # Lines of each log behind a failure.


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster(durable=True, settings=("max_connections=100",)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def rooms(server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mailroom, Mailroom]]:
    """Both at work, with a default policy; they share what lies in the folder of the first."""
    folders = [tmp_path_factory.mktemp(name) / "gw" for name in ("first", "second")]
    database, template = server.new_database(), (HERE / "gateway.toml").read_text()
    with ExitStack() as made:
        places = ((folders[0], "."), (folders[1], folders[0]))  # As each of them has the first's folder.
        found = [new_mailroom(folder, template, DATABASE=database, COMMON=common) for folder, common in places]
        for room in found:
            made.callback(room.gateway.remove)
        first, second = found
        custodian = str(first.gateway.folder / "certs" / "custodian.pub.pem")
        roots = ("--root", "root-a/mail", "--root", "root-b/mail")
        first.does("policy", "create", "default", *roots, "--custodian", custodian)
        first.start()
        second.start()
        yield first, second


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateways' logs where a test fails."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    for room in getattr(item, "funcargs", {}).get("rooms", ()) if report.failed else ():
        log = "\n".join(room.gateway.log.splitlines()[-SHOWN:])
        report.sections.append((f"log of the gateway in {room.gateway.folder}", log))
