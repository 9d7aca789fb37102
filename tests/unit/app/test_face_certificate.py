"""The certificate of a face: taken up while it serves, and kept where its files do not fit together."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.app.face import IMAP
from gateway.app.face_certificate import FaceCertificate, face_context, face_files
from gateway.settings.load import Loaded
from gateway.settings.schema import Server
from tests.fakes.certificates import make_certificate
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeSink, fake_log
from tests.fakes.settings import PLAIN, settings_in

OWN = '[imap]\nlisten = "127.0.0.1:9993"\ncertificate = "imap.pem"\nkey = "imap.key"\n'


def put(folder: Path, *files: str) -> None:
    """A new pair, of which those files take the places of the old ones."""
    spare = folder / "spare"
    spare.mkdir(exist_ok=True)
    made = make_certificate(spare, "imap.corp.example")
    for source, name in ((made.file, "imap.pem"), (made.key_file, "imap.key")):
        if name in (files or (name,)):
            shutil.copy(source, folder / "beside")
            (folder / "beside").replace(folder / name)


@dataclass
class Kept:
    """A certificate that is being kept, and what was made of it."""

    one: FaceCertificate
    clock: FakeClock
    sink: FakeSink
    used: list[ssl.SSLContext] = field(default_factory=list)

    async def look(self, until: Callable[[], bool]) -> None:
        """The next look, until it has come to what is waited for."""
        await self.clock.advance(Server().certificate_look_seconds)
        async with asyncio.timeout(30):
            while not until() or not self.clock.sleepers:
                await asyncio.to_thread(int)


@asynccontextmanager
async def kept(loaded: Loaded) -> AsyncIterator[Kept]:
    log, sink = fake_log()
    clock = FakeClock()
    found = Kept(FaceCertificate(IMAP, lambda: loaded, clock, log), clock, sink)
    await found.one.read()
    task = asyncio.create_task(found.one.keep(found.used.append))
    try:
        yield found
    finally:
        task.cancel()


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    put(tmp_path)
    return settings_in(tmp_path, PLAIN + OWN)


async def test_a_new_pair_is_taken_up(loaded: Loaded) -> None:
    async with kept(loaded) as found:
        await found.look(lambda: True)
        assert found.used == []
        put(loaded.folder)
        await found.look(lambda: bool(found.used))
        assert len(found.used) == 1
        assert found.sink.events() == ["certificate_renewed"]
        await found.look(lambda: True)
        assert len(found.used) == 1


async def test_half_of_a_pair_keeps_the_old_one_and_is_told_at_the_second_look(loaded: Loaded) -> None:
    async with kept(loaded) as found:
        put(loaded.folder, "imap.pem")
        await found.look(lambda: True)
        assert (found.used, found.sink.events()) == ([], [])
        await found.look(lambda: bool(found.one.failing))
        assert found.used == []
        assert found.sink.events() == ["certificate_not_renewed"]
        assert list(found.one.failing) == ["imap"]
        put(loaded.folder)
        await found.look(lambda: bool(found.used))
        assert found.one.failing == {}


async def test_what_can_not_be_read_at_the_start_is_named(loaded: Loaded) -> None:
    (loaded.folder / "imap.key").unlink()
    log, _ = fake_log()
    with pytest.raises(OSError, match=r"imap\.key"):
        await FaceCertificate(IMAP, lambda: loaded, FakeClock(), log).read()


def test_without_one_of_its_own_it_shows_the_first_listeners(tmp_path: Path) -> None:
    text = PLAIN.replace('tls = "none"', 'certificate = "mx.pem"\nkey = "mx.key"')
    found = face_files(settings_in(tmp_path, text + '[imap]\nlisten = "127.0.0.1:9993"\n'), IMAP)
    assert found is not None
    assert (found.certificate, found.key) == (tmp_path / "mx.pem", tmp_path / "mx.key")


def test_where_nothing_names_any_there_is_none(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, PLAIN + '[imap]\nlisten = "127.0.0.1:9993"\n')
    assert face_files(loaded, IMAP) is None
    assert face_files(settings_in(tmp_path), IMAP) is None
    with pytest.raises(OSError, match="has no certificate"):
        face_context(loaded, IMAP)


def test_the_least_tls_is_the_faces_own(loaded: Loaded, tmp_path: Path) -> None:
    assert face_context(loaded, IMAP).minimum_version is ssl.TLSVersion.TLSv1_2
    strict = settings_in(tmp_path, PLAIN + OWN + 'minimum_tls = "1.3"\n')
    assert face_context(strict, IMAP).minimum_version is ssl.TLSVersion.TLSv1_3
