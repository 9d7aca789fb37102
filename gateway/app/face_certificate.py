"""The certificate that a face shows: where it lies, the TLS that it makes, and taking it up when it changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from gateway.app.face import Face
from gateway.app.renewal import Mark, mark_of
from gateway.connectors.own_names import OwnFiles
from gateway.connectors.tls import server_context
from gateway.observe.log import Log
from gateway.settings.load import Loaded
from gateway.world.clock import Clock


def face_files(loaded: Loaded, face: Face) -> OwnFiles | None:
    """Where certificate and key lie; None where there is no such face, or nothing names any."""
    section = face.section(loaded)
    if section is None:
        return None
    certificate, key = section.certificate, section.key
    if certificate is None:
        first = next((one for one in loaded.settings.listeners if one.certificate is not None), None)
        if first is None or first.certificate is None:
            return None
        certificate, key = first.certificate, key or first.key
    return OwnFiles(loaded.resolve(certificate), loaded.resolve(key or certificate))


def face_context(loaded: Loaded, face: Face) -> ssl.SSLContext:
    """The TLS of its door. Reads certificate and key; raises OSError, naming the one at fault."""
    section, files = face.section(loaded), face_files(loaded, face)
    if section is None or files is None:
        raise OSError(f"[{face.name}] has no certificate")
    return server_context(files.certificate, files.key, section.minimum_tls, fips=loaded.settings.security.fips)


class FaceCertificate:
    """Watches the files of one face. `read` first, then `keep`."""

    def __init__(self, face: Face, settings: Callable[[], Loaded], clock: Clock, log: Log) -> None:
        """`settings` gives those of the moment."""
        self._face = face
        self._settings = settings
        self._clock = clock
        self._log = log
        self._marks: tuple[Mark, ...] = ()
        self.failing: dict[str, str] = {}  # Why its new files were not taken, by its key, for `gateway status`.

    async def read(self) -> ssl.SSLContext:
        """The TLS of its door, by the settings of the moment. Raises OSError."""
        loaded = self._settings()
        marks = self._seen(loaded)  # Before reading: what is written meanwhile makes the next look find a change.
        context = await asyncio.to_thread(face_context, loaded, self._face)
        self._marks = marks
        self.failing.clear()
        return context

    async def keep(self, use: Callable[[ssl.SSLContext], None]) -> None:
        """Take up what has changed, for ever. A pair that does not fit together keeps the old one."""
        name, doubtful = self._face.name, False
        while True:
            await self._clock.sleep(self._settings().settings.server.certificate_look_seconds)
            loaded = self._settings()
            marks = await asyncio.to_thread(self._seen, loaded)
            if marks == self._marks:
                doubtful = False
                self.failing.clear()
                continue
            try:
                context = await asyncio.to_thread(face_context, loaded, self._face)
            except OSError as error:
                if doubtful and self.failing.get(name) != str(error):  # Perhaps only half of it was written before.
                    self.failing[name] = str(error)
                    self._log.tell("warning", "certificate_not_renewed", key=name, reason=str(error))
                doubtful = True
                continue
            self._marks, doubtful = marks, False
            self.failing.clear()
            use(context)
            self._log.tell("info", "certificate_renewed", key=name)

    def _seen(self, loaded: Loaded) -> tuple[Mark, ...]:
        """What changes with the files."""
        files = face_files(loaded, self._face)
        return () if files is None else (mark_of(files.certificate), mark_of(files.key))
