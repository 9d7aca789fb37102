"""The process of mailbox access (DESIGN 4): a worker without SMTP listeners that serves IMAP over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.app import face
from gateway.app.face_certificate import FaceCertificate
from gateway.app.mailboxes import MailboxOffice
from gateway.app.people import People
from gateway.imap.desk import Desk
from gateway.imap.server import ImapServer
from gateway.imap.terms import ImapTerms
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.settings.fault import BadSettings
from gateway.settings.imap import Imap as Section
from gateway.settings.load import Loaded
from gateway.world.clock import Clock
from gateway.world.sockets import Socket


class ImapFace:
    """One process's IMAP. `open` begins, `take` goes by new settings, `close` ends. Fulfils `Facing`."""

    def __init__(
        self,
        office: MailboxOffice,
        people: People,
        *,
        settings: Callable[[], Loaded],
        clock: Clock,
        log: Log,
        metrics: Metrics,
        ids: Callable[[], str],
    ) -> None:
        """`settings` gives those of the moment; `ids` makes ids of sessions for the log."""
        self._office = office
        self._people = people
        self._settings = settings
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._ids = ids
        self._certificate = FaceCertificate(face.IMAP, settings, clock, log)
        self._server: ImapServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def failing(self) -> dict[str, str]:
        """What could not be renewed, by its key, for `gateway status`."""
        return self._certificate.failing

    def sessions(self) -> dict[str, int]:
        """Connections at present, by the place where they came in."""
        section = self._settings().settings.imap
        return {} if section is None or self._server is None else {section.listen: len(self._server)}

    async def open(self, door: Socket, tasks: asyncio.TaskGroup) -> None:
        """Serve on that socket. Raises OSError, BadSettings."""
        context = await self._certificate.read()
        office = self._office
        desk = Desk(
            accounts=self._people.log_ins,
            store=office.store,
            keys=office.mailbox_keys,
            contents=office.contents,
            executor=office.executor,
            clock=self._clock,
            tell=self._log.tell,
            count=self._metrics.count,
            new_id=self._ids,
        )
        self._server = ImapServer(desk, context, ImapTerms.from_settings(_section(self._settings())))
        await self._server.open(door)
        self._tasks = [tasks.create_task(self._certificate.keep(self._server.use))]

    async def take(self) -> None:
        """Have connections to come go by the settings of the moment. Raises OSError; then nothing has changed."""
        loaded = self._settings()
        if self._server is None or loaded.settings.imap is None:
            return
        context = await self._certificate.read()
        self._server.take(ImapTerms.from_settings(loaded.settings.imap))
        self._server.use(context)

    async def close(self, seconds: float) -> None:
        """Tell everybody BYE, and let commands that are under way end within so many seconds."""
        if self._server is not None:
            await self._server.close(seconds)
        for task in self._tasks:
            task.cancel()


def _section(loaded: Loaded) -> Section:
    section = loaded.settings.imap
    if section is None:
        raise BadSettings([loaded.fault("imap", "nothing", "the section [imap], as long as its process runs")])
    return section
