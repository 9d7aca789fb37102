"""On SQLite, large content as files: database and vault tell nothing alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.separation import Story, tell


@pytest.mark.timeout(600)
def test_each_alone_says_nothing_and_together_they_say_all(
    make_gateway: Callable[..., Gateway], hop: Hop, tmp_path: Path
) -> None:
    gateway = make_gateway(URL="sqlite:data", BLOBS="", HOP=hop.port, DEAD=free_port())
    places = {"database": gateway.folder / "data", "vault": gateway.folder / "vault"}
    tell(Story(gateway, hop, places), make_gateway, tmp_path / "control")
