"""A node that is killed, and a server that crashes: what was acknowledged is there, and whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.fakes.accepting import SIZES, content_of
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.postgres import Cluster

ROOT = Path(__file__).resolve().parents[4]


def accepting(url: str, first: int) -> subprocess.Popen[bytes]:
    """The process that takes mail; its output are the ids that it acknowledged."""
    command = [sys.executable, "-m", "tests.fakes.accepting", url]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "FIRST": str(first)}, stdout=subprocess.PIPE)


def heard(process: subprocess.Popen[bytes], wanted: int) -> set[str]:
    """So many ids of what it acknowledged."""
    assert process.stdout is not None
    found: set[str] = set()
    while len(found) < wanted:
        line = process.stdout.readline()
        assert line.startswith(b"Q")
        found.add(line.decode().strip())
    return found


def rest(process: subprocess.Popen[bytes]) -> set[str]:
    """What it said before it died, with those lines that are whole."""
    assert process.stdout is not None
    found = {line.decode().strip() for line in process.stdout if line.startswith(b"Q") and line.endswith(b"\n")}
    process.stdout.close()
    process.wait()
    return found


async def check_whole(of: PostgresSpoolOf, acknowledged: set[str]) -> None:
    """Each acknowledged message is there with its octets, and whatever else is there is whole too."""
    spool = await of.open()
    deliveries = {delivery.message: delivery for delivery in await spool.deliveries(limit=1_000_000)}
    assert acknowledged <= set(deliveries)
    for message, delivery in deliveries.items():
        blocks = [block async for block in (await spool.content(delivery)).blocks()]
        assert b"".join(blocks) == content_of(int(message[1:]))
    large = {message for message in deliveries if SIZES[int(message[1:]) % len(SIZES)] > 128 * 1024}
    assert large <= set(of.contents)
    assert {message for (message,) in of.rows("SELECT message FROM trace_events")} == set(deliveries)
    await of.close()


async def test_kill_9_loses_nothing_that_was_acknowledged(postgres: str) -> None:
    of = PostgresSpoolOf(postgres)
    acknowledged: set[str] = set()
    for turn, wanted in enumerate((1, 7, 40)):
        process = accepting(of.url, 1 + turn * 100_000)
        acknowledged |= heard(process, wanted)
        process.send_signal(signal.SIGKILL)
        acknowledged |= rest(process)
        await check_whole(of, acknowledged)
    assert len(acknowledged) >= 48


async def test_a_server_that_crashes_keeps_what_was_acknowledged_and_the_node_goes_on() -> None:
    with Cluster(durable=True) as cluster:
        of = PostgresSpoolOf(cluster.migrated())
        process = accepting(of.url, 1)
        try:
            acknowledged = heard(process, 20)
            cluster.halt(signal.SIGQUIT)
            assert process.stdout is not None
            # Meanwhile it answers `!Q.. StorageBroken`; then it accepts again, without having been started again.
            while process.stdout.readline().startswith(b"Q"):
                pass
            cluster.resume()
            while len(acknowledged) < 40:
                line = process.stdout.readline().decode()
                assert line
                if line.startswith("Q"):
                    acknowledged.add(line.strip())
        finally:
            process.send_signal(signal.SIGKILL)
            acknowledged |= rest(process)
        await check_whole(of, acknowledged)
