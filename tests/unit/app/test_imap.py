"""The process of mailbox access: its door, what a reload changes of it, its end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.app.imap import ImapFace
from gateway.observe.metrics import Metrics
from gateway.settings.fault import BadSettings
from gateway.settings.load import Loaded
from gateway.world.clock import SystemClock
from gateway.world.sockets import bind
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.log import fake_log
from tests.fakes.settings import PLAIN, settings_in

SECTION = '[imap]\nlisten = "127.0.0.1:9993"\ncertificate = "{name}.pem"\nkey = "{name}.key"\n{more}'


def shown(folder: Path, name: str, more: str = "") -> tuple[Loaded, Certificate]:
    """Settings with a certificate of that name, and the certificate."""
    made = make_certificate(folder, f"{name}.corp.example")
    made.file.rename(folder / f"{name}.pem")
    made.key_file.rename(folder / f"{name}.key")
    return settings_in(folder, PLAIN + SECTION.format(name=name, more=more)), made


@dataclass
class Bench:
    """A face that serves, by settings that a test may change."""

    loaded: Loaded
    face: ImapFace
    port: int

    async def greeted(self) -> tuple[bytes, bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """The certificate that is shown and the first line that is said, and both ways of the connection."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        return writer.get_extra_info("ssl_object").getpeercert(True), await reader.readline(), reader, writer


@asynccontextmanager
async def serving(loaded: Loaded) -> AsyncIterator[Bench]:
    log, _ = fake_log()
    ids = count()
    nobody = cast(Any, SimpleNamespace(log_ins=None, store=None, mailbox_keys=None, contents=None, executor=None))
    door = bind("127.0.0.1", 0)
    face = ImapFace(
        nobody,
        nobody,
        settings=lambda: bench.loaded,
        clock=SystemClock(),
        log=log,
        metrics=Metrics(),
        ids=lambda: f"S{next(ids)}",
    )
    bench = Bench(loaded, face, door.getsockname()[1])
    async with asyncio.TaskGroup() as tasks:
        await face.open(door, tasks)
        try:
            yield bench
        finally:
            await face.close(1)
            door.close()


async def test_it_greets_under_its_certificate_and_counts_who_is_there(tmp_path: Path) -> None:
    loaded, made = shown(tmp_path, "one")
    async with serving(loaded) as bench:
        assert bench.face.sessions() == {"127.0.0.1:9993": 0}
        certificate, line, _, writer = await bench.greeted()
        assert (certificate, line[:5]) == (made.der, b"* OK ")
        assert bench.face.sessions() == {"127.0.0.1:9993": 1}
        writer.close()
        assert bench.face.failing == {}


async def test_a_reload_changes_certificate_and_limits_for_who_comes_then(tmp_path: Path) -> None:
    loaded, _ = shown(tmp_path, "one")
    async with serving(loaded) as bench:
        _, _, first, one = await bench.greeted()
        bench.loaded, made = shown(tmp_path, "two", "max_connections_per_client = 4\n")
        await bench.face.take()
        certificate, line, _, two = await bench.greeted()
        assert (certificate, line[:5]) == (made.der, b"* OK ")
        more = [await bench.greeted() for _ in range(3)]
        assert [line[:5] for _, line, _, _ in more] == [b"* OK ", b"* OK ", b"* BYE"]
        one.write(b"a NOOP\r\n")
        assert (await first.readline()).startswith(b"a OK")
        for writer in (one, two, *(found[3] for found in more)):
            writer.close()


async def test_a_reload_with_a_certificate_that_is_none_changes_nothing(tmp_path: Path) -> None:
    loaded, made = shown(tmp_path, "one")
    async with serving(loaded) as bench:
        bench.loaded, _ = shown(tmp_path, "two")
        (tmp_path / "two.key").unlink()
        with pytest.raises(OSError, match=r"two\.key"):
            await bench.face.take()
        certificate, _, _, writer = await bench.greeted()
        assert certificate == made.der
        writer.close()


async def test_at_the_end_everybody_is_told(tmp_path: Path) -> None:
    loaded, _ = shown(tmp_path, "one")
    async with serving(loaded) as bench:
        _, _, reader, writer = await bench.greeted()
        await bench.face.close(1)
        assert (await reader.read()).startswith(b"* BYE ")
        writer.close()


async def test_without_its_section_it_does_not_begin(tmp_path: Path) -> None:
    loaded, _ = shown(tmp_path, "one")
    nobody = cast(Any, SimpleNamespace(log_ins=None, store=None, mailbox_keys=None, contents=None, executor=None))
    log, _ = fake_log()
    held = [loaded]
    face = ImapFace(
        nobody, nobody, settings=lambda: held[0], clock=SystemClock(), log=log, metrics=Metrics(), ids=lambda: "S"
    )
    held[0] = settings_in(tmp_path)
    door = bind("127.0.0.1", 0)
    async with asyncio.TaskGroup() as tasks:
        with pytest.raises((OSError, BadSettings)):
            await face.open(door, tasks)
    door.close()
    assert face.sessions() == {}
    await face.take()  # Nothing serves: nothing to take.
