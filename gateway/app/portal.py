"""The portal's process (DESIGN 4): a worker without SMTP listeners that serves HTTPS, mails codes and takes answers.

It joins the pages with what is kept, the licences and the worker's own pipeline. It holds no content key longer than a
request; what it accepts lies in its own spool, and its own runner delivers it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.app import face, interpreter
from gateway.app.branding import branding
from gateway.app.face_certificate import FaceCertificate
from gateway.app.parts import Stores
from gateway.app.portal_desk import PortalDesk
from gateway.app.portal_mail import MailTerms, PortalMail
from gateway.app.portal_room import SpoolRoom
from gateway.app.portal_terms import portal_address, portal_terms
from gateway.app.rights import RightsOffice
from gateway.app.rules import internal
from gateway.app.terms import Policy
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.portal.app import Guarded, make_app
from gateway.portal.codes import Codes
from gateway.portal.drop import Drops
from gateway.portal.pages.pages import Pages
from gateway.portal.pdf_pages import PdfDrawer
from gateway.portal.server import Server
from gateway.settings.fault import BadSettings
from gateway.settings.load import Loaded
from gateway.settings.portal import Portal as Section
from gateway.storage.portal import PortalStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock
from gateway.world.sockets import Socket


class Portal:
    """One process's portal. `open` begins, `take` goes by new settings, `close` ends."""

    def __init__(
        self,
        stores: Stores,
        office: RightsOffice,
        *,
        settings: Callable[[], Loaded],
        policy: Callable[[], Policy],
        pipeline: Callable[[], Pipeline],
        check_room: Callable[[int], None],
        ids: Callable[[], str],
        clock: Clock,
        chance: Chance,
        log: Log,
        metrics: Metrics,
    ) -> None:
        """`settings`, `policy` and `pipeline` give those of the moment; `ids` makes queue ids."""
        self._stores = stores
        self._office = office
        self._settings = settings
        self._policy = policy
        self._pipeline = pipeline
        self._check_room = check_room
        self._ids = ids
        self._clock = clock
        self._chance = chance
        self._log = log
        self._metrics = metrics
        self._app: Guarded | None = None
        self._server: Server | None = None
        self._desk: PortalDesk | None = None
        self._drops: Drops | None = None
        self._mail_terms: MailTerms | None = None
        self._certificate = FaceCertificate(face.PORTAL, settings, clock, log)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def failing(self) -> dict[str, str]:
        """What could not be renewed, by its key, for `gateway status`."""
        return self._certificate.failing

    def sessions(self) -> dict[str, int]:
        """Connections at present, by the place where they came in."""
        portal = self._settings().settings.portal
        return {} if portal is None or self._server is None else {portal.listen: len(self._server)}

    async def open(self, door: Socket, tasks: asyncio.TaskGroup) -> None:
        """Serve on that socket. Raises OSError, BadSettings."""
        loaded = self._settings()
        section = _section(loaded)
        context = await self._certificate.read()
        self._mail_terms = await asyncio.to_thread(self._read_mail_terms, loaded)
        self._drops = drops = self._open_drops()
        self._desk = desk = self._open_desk(drops)
        terms = portal_terms(loaded, section, self._mail_terms.address)
        pages = await asyncio.to_thread(Pages, self._mail_terms.branding, self._clock.now)
        self._app = make_app(
            desk,
            pages,
            terms,
            self._clock,
            chance=self._chance,
            executor=self._stores.executor,
            pdf=PdfDrawer(interpreter.python(), interpreter.confined_environment(), self._clock),
            tell=self._log.tell,
            count=self._metrics.count,
            observe=self._metrics.observe,
        )
        self._server = Server(
            self._app,
            context,
            most=section.max_connections,
            of_one=section.max_connections_per_client,
            clock=self._clock,
        )
        await self._server.open(door)
        keeping = self._certificate.keep(self._server.use)
        self._tasks = [tasks.create_task(one) for one in (desk.run(), drops.run(), keeping)]

    def _open_drops(self) -> Drops:
        stores, tell = self._stores, self._log.tell
        self._room = SpoolRoom(lambda: stores.spools[0], self._ids, tell)
        return Drops(
            self._room,
            self._office.tenant,
            executor=stores.executor,
            clock=self._clock,
            chance=self._chance,
            tell=tell,
        )

    def _open_desk(self, drops: Drops) -> PortalDesk:
        stores, tell = self._stores, self._log.tell
        mail = PortalMail(
            terms=self._current_mail_terms,
            pipeline=self._pipeline,
            spool=lambda: stores.spools[0],
            ids=self._ids,
            executor=stores.executor,
            clock=self._clock,
            chance=self._chance,
            tell=tell,
            check_room=self._check_room,
        )
        codes = Codes(
            PortalStore(stores.shared, stores.sealer),
            self._clock,
            self._chance,
            session=lambda: _section(self._settings()).session_minutes * 60.0,
        )
        desk, store = self._office.desk, self._office.store
        return PortalDesk(codes, desk, store, drops, room=self._room, mail=mail, clock=self._clock, tell=tell)

    # -- what changes -------------------------------------------------------------------------------------------------

    def _current_mail_terms(self) -> MailTerms:
        if self._mail_terms is None:
            raise RuntimeError("the portal is not open")
        return self._mail_terms

    def _read_mail_terms(self, loaded: Loaded) -> MailTerms:
        """Reads the logo. Raises BadSettings."""
        address = portal_address(loaded, _section(loaded))
        if address is None:
            found = "nothing, and no domain in accepted_domains"
            raise BadSettings([loaded.fault("portal.address", found, "an address of ours")])
        return MailTerms(
            hostname=self._policy().hostname,
            address=address,
            url=_section(loaded).url.rstrip("/"),
            branding=branding(loaded),
            is_inside=internal(loaded),
            has_template=lambda name: name in self._policy().rights.templates.names,
        )

    async def take(self) -> None:
        """Go by the settings and the policy of the moment. Raises OSError, BadSettings; then nothing has changed."""
        loaded = self._settings()
        if self._app is None or self._server is None or loaded.settings.portal is None:
            return
        section = loaded.settings.portal
        mail_terms = await asyncio.to_thread(self._read_mail_terms, loaded)
        pages = await asyncio.to_thread(Pages, mail_terms.branding, self._clock.now)
        context = await self._certificate.read()
        self._mail_terms = mail_terms
        self._app.site.terms = portal_terms(loaded, section, mail_terms.address)
        self._app.site.pages = pages
        self._server.use(context)

    async def close(self, seconds: float) -> None:
        """End what is under way, and forget what lies here for a while only."""
        if self._server is not None:
            await self._server.close(seconds)
        for task in self._tasks:
            task.cancel()
        if self._desk is not None:
            await self._desk.settle(seconds)
        if self._drops is not None:
            await self._drops.close()


def _section(loaded: Loaded) -> Section:
    section = loaded.settings.portal
    if section is None:
        raise BadSettings([loaded.fault("portal", "nothing", "the section [portal], as long as its process runs")])
    return section
