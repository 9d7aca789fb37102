"""On PostgreSQL, whose own folder is searched: database, blobs and vault tell nothing alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.separation import Story, tell


@pytest.fixture
def server() -> Iterator[Cluster]:
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster(durable=True, settings=("max_connections=60",)) as cluster:
        yield cluster


@pytest.mark.timeout(600)
def test_each_alone_says_nothing_and_together_they_say_all(
    server: Cluster, make_gateway: Callable[..., Gateway], hop: Hop, tmp_path: Path
) -> None:
    gateway = make_gateway(URL=server.new_database(), BLOBS='blobs = "blobs"', HOP=hop.port, DEAD=free_port())
    places = {"database": server.folder, "blobs": gateway.folder / "blobs", "vault": gateway.folder / "vault"}
    tell(Story(gateway, hop, places), make_gateway, tmp_path / "control")
