"""A worker: one event loop that takes mail, keeps its spool, and delivers (DESIGN 4). The supervisor starts it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, cast

from gateway.app.blobs import keep_clear
from gateway.app.channel import Channel
from gateway.app.commands import Commands
from gateway.app.conversion import Conversions
from gateway.app.doors import Doors
from gateway.app.face import Face, Facing, faces, spool_numbers
from gateway.app.facing import Surroundings, facing
from gateway.app.handover import TakenOver, taken_over
from gateway.app.ids import Ids
from gateway.app.key_log import open_log, who
from gateway.app.keyring import Keyring
from gateway.app.leftovers import carried, erased
from gateway.app.lock import lock_soon
from gateway.app.mail_gate import MailGate
from gateway.app.mailboxes import MailboxOffice
from gateway.app.migrate import workers
from gateway.app.parts import Stores, open_stores
from gateway.app.people import People
from gateway.app.places import Places
from gateway.app.policies import PolicyCommands
from gateway.app.post import Post
from gateway.app.reception import Reception
from gateway.app.recipients import Recipients
from gateway.app.renewal import Renewal, keep_renewed
from gateway.app.resuming import Resuming
from gateway.app.rights import RightsOffice
from gateway.app.rights_commands import RightsCommands, portal_url
from gateway.app.stages import Stages
from gateway.app.terms import Policy, policy
from gateway.app.worker_state import WorkerState
from gateway.delivery.attempt import Attempts
from gateway.delivery.probe import Probes
from gateway.delivery.runner import Runner
from gateway.keys.access_writer import AccessLog
from gateway.keys.vault import KeyFault
from gateway.observe.log import Level, Log
from gateway.observe.metrics import Metrics
from gateway.smtp.desk import Desk, Terms
from gateway.storage.sharing import SharedStore
from gateway.storage.spooling import Hands
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from gateway.world.dns import SystemNames
from gateway.world.sockets import Socket

LOCK = 10.0  # Seconds that a former process has to let go of the spool.
GARBAGE = (50_000, 20, 20)  # A message makes some thousand objects, and nearly all of them end without the collector.


class Worker:
    """The parts of one process, joined."""

    def __init__(self, taken: TakenOver, number: int, log: Log, handover: Socket, *, face: Face | None = None) -> None:
        """`handover` brings what a reload changes. `face`: it serves that one's door, and no listener."""
        settings, listening = taken.settings, taken.listening
        self._settings = settings
        self._number = number
        self._face = face
        self._facing: Facing | None = None
        self._log = log
        self._clock = SystemClock()
        self._chance = SystemChance()
        self._metrics = Metrics()
        self._keyring = Keyring(
            settings,
            clock=self._clock,
            chance=self._chance,
            tell=log.tell,
            who=who(settings, self._process),
            alone=workers(settings) == 1 and not faces(settings) and not settings.is_shared,
            masters=taken.masters,
            recorder=self._open_key_log,
        )
        self._renewal = Renewal(settings)  # Before the policy reads what it will watch.
        self._policy: Policy = policy(settings)
        self._handover = handover
        self._listening = listening
        self._stopping = asyncio.Event()
        self._keys_changed = asyncio.Event()
        self._new_id = Ids(self._clock, self._chance)
        self._people: People | None = None
        self._stages: Stages | None = None
        self._office: RightsOffice | None = None
        self._key_log: AccessLog | None = None
        self._started = self._clock.now()

    async def run(self, control: Socket) -> None:
        """Until told to stop. Raises KeyFault, StorageBroken, OSError, InUse."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        numbers = spool_numbers(self._settings, self._number, workers(self._settings))
        places = Places.of(self._settings)
        locks = [await lock_soon(places.spool(number) / "lock", self._clock, LOCK) for number in numbers]
        tell = self._log.tell
        stores = await open_stores(
            self._settings,
            numbers,
            clock=self._clock,
            chance=self._chance,
            tell=tell,
            observe=self._committed,
            keyring=self._keyring,
        )
        try:
            await self._serve(stores, control, loop)
        finally:
            # The key log after the last use of a key, while the database is there.
            for part in (self._people, self._stages, self._key_log, stores):
                if part is not None:
                    await loop.run_in_executor(None, part.close)
            for lock in locks:
                lock.release()

    def _open_key_log(self, shared: SharedStore) -> AccessLog:
        """The keeper of the uses of keys, for the keyring."""
        name, tell, held = self._process, self._log.tell, self._keyring.vaults
        self._key_log = open_log(self._settings, shared, process=name, clock=self._clock, tell=tell, vaults=held)
        return self._key_log

    def _committed(self, works: int, seconds: float) -> None:
        self._metrics.observe("spool_commit_seconds", seconds)
        self._metrics.observe("spool_batch_size", works)

    async def _serve(self, stores: Stores, control: Socket, loop: asyncio.AbstractEventLoop) -> None:
        self._people = self._open_people(stores)
        self._office = await loop.run_in_executor(None, self._open_office, stores)
        self._mailboxes = MailboxOffice(
            self._settings,
            stores,
            self._keyring.vaults,
            clock=self._clock,
            chance=self._chance,
            tell=self._log.tell,
        )
        self._post = Post(self._mailboxes, settings=lambda: self._settings)
        stages = self._stages = self._open_stages(stores)
        self._parts(stores, stages)
        probes = Probes(names=self._names, clock=self._clock, chance=self._chance, hostname=self._policy.hostname)
        self._recipients = Recipients(
            probes=probes, clock=self._clock, log=self._log, metrics=self._metrics, hosted=self._post.hosted
        )
        await self._know_recipients(self._policy)
        async with asyncio.TaskGroup() as tasks:
            steady = [tasks.create_task(stores.mover.run())]
            steady.append(tasks.create_task(self._recipients.watch()))
            steady.append(tasks.create_task(self._mailboxes.keep(self._post.closed_mail(self._commands))))
            if self._number == 0:
                days, tell = lambda: self._settings.settings.storage.trace_days, self._log.tell
                steady.append(tasks.create_task(erased(stores.traces, days, self._clock, tell)))
                steady += [tasks.create_task(self._office.watch()), tasks.create_task(self._office.clear())]
                steady.append(tasks.create_task(self._mailboxes.tend()))
            for blobs, known in stores.shelved:
                steady.append(tasks.create_task(keep_clear(blobs, known, self._clock, self._log.tell)))
            runner = tasks.create_task(self._runner.run())
            leftovers = tasks.create_task(carried(stores, self._gate, self._clock))
            steady += [leftovers, tasks.create_task(self._keyring.keeper.run())]
            if self._key_log is not None:
                steady.append(tasks.create_task(self._key_log.run()))
            if self._gate.is_open:
                await leftovers
            await stages.look()
            steady += [tasks.create_task(stages.watch()), tasks.create_task(self._follow_keys(stages))]
            self._doors = Doors(self._desk, loop, tasks)
            await self._doors.arrange(self._listeners, self._listening)
            await self._open_face(stores, tasks)
            renewing = keep_renewed(lambda: self._renewal, lambda: self._policy, self._renewed, self._clock, self._log)
            steady.append(tasks.create_task(renewing))
            control.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=control, limit=256 << 20)  # noqa: TID251 - no new socket
            channel = Channel(reader, writer, self._answer, self._fault)
            steady.append(tasks.create_task(self._converse(channel)))
            gc.collect()
            gc.freeze()  # What was made until now stays; looking through it again and again would find nothing.
            gc.set_threshold(*GARBAGE)
            await self._stopping.wait()
            await self._stop(steady)
            await runner
            for task in [*steady, *self._doors.watches()]:
                task.cancel()
            channel.close()

    @property
    def _process(self) -> str:
        """Its name in logs."""
        return f"worker-{self._number}" if self._face is None else self._face.name

    @property
    def _listeners(self) -> tuple[Terms, ...]:
        return () if self._face is not None else self._policy.listeners

    async def _open_face(self, stores: Stores, tasks: asyncio.TaskGroup) -> None:
        place = None if self._face is None else self._face.listen(self._settings)
        office, people = self._office, self._people
        if self._face is None or place is None or office is None or people is None:
            return
        around = Surroundings(
            stores=stores,
            rights=office,
            mailboxes=self._mailboxes,
            people=people,
            settings=lambda: self._settings,
            policy=lambda: self._policy,
            pipeline=lambda: self._reception.pipeline,
            check_room=self._reception.check_room,
            ids=self._new_id,
            clock=self._clock,
            chance=self._chance,
            log=self._log,
            metrics=self._metrics,
        )
        self._facing = facing(self._face, around)
        await self._facing.open(self._listening[place][0], tasks)

    def _open_office(self, stores: Stores) -> RightsOffice:
        """Reads archived keys. Raises TenantDenied."""
        return RightsOffice(
            self._settings,
            stores,
            self._keyring.vaults,
            terms=lambda: self._policy.rights,
            clock=self._clock,
            chance=self._chance,
            tell=self._log.tell,
            count=self._metrics.count,
            submit=lambda mail: self._reception.pipeline.accept(mail),
            ids=self._new_id,
            hostname=lambda: self._policy.hostname,
        )

    def _open_stages(self, stores: Stores) -> Stages:
        dns = self._settings.settings.dns
        self._names = SystemNames(list(dns.resolvers), dns.timeout, self._clock)
        return Stages(
            stores,
            self._keyring.vaults,
            self._names,
            settings=lambda: self._settings,
            policy=lambda: self._policy,
            clock=self._clock,
            chance=self._chance,
            log=self._log,
            metrics=self._metrics,
            ids=self._new_id,
            submit=lambda mail: self._reception.pipeline.accept(mail),
            office=self._office,
        )

    def _parts(self, stores: Stores, stages: Stages) -> None:
        self._stores = stores
        terms = self._policy
        self._attempts = Attempts(
            names=self._names,
            clock=self._clock,
            chance=self._chance,
            hostname=terms.hostname,
            convert=Conversions(stages.signing, self._metrics.count),
            mailman=self._post.mailman,
        )
        self._runner = Runner(
            queues=stores.spools,
            attempts=self._attempts,
            outbounds=terms.outbounds,
            retry=terms.retry,
            clock=self._clock,
            chance=self._chance,
            submit=lambda mail: self._reception.pipeline.accept(mail),
            tell=self._tell,
            count=self._metrics.note,
            contact=terms.contact,
            hostname=terms.hostname,
            ids=self._new_id,
            resume=Resuming(
                open=stages.open_again,
                protect=stages.again,
                leave=lambda mail, plan, sign: self._reception.pipeline.leave(mail, plan, sign),
                ids=self._new_id,
                clock=self._clock,
            ),
        )
        hands = Hands(
            sending=lambda: self._runner.in_hand()["sending"],
            give_back=self._runner.give_back,
            look=self._runner.look,
            wake=self._runner.wake,
            changed=stages.certificates.changed,
        )
        for spool in stores.spools:
            spool.attend(hands)
        self._receiving(stores, stages)

    def _receiving(self, stores: Stores, stages: Stages) -> None:
        """What sessions ask, and what stops them while keys are closed."""
        terms = self._policy
        self._reception = Reception(
            terms,
            spool=stores.spools[0],
            mover=stores.mover,
            offer=self._runner.offer,
            clock=self._clock,
            log=self._log,
            metrics=self._metrics,
            stages=stages,
        )
        self._desk = Desk(
            clock=self._clock,
            new_id=self._new_id,
            admit=self._reception.admit,
            may_reach=self._reception.may_reach,
            check_room=self._reception.check_room,
            begin=stores.spools[0].begin,
            accept=self._reception.accept,
            gone=self._reception.gone,
            tell=self._log.tell,
            count=self._metrics.count,
            contact=terms.contact,
            accounts=None if self._people is None else self._people.log_ins,
            arriving=stages.arrivals,
        )
        self._gate = MailGate(self._desk, self._runner)
        self._keyring.keeper.changed = self._heed_keys
        self._heed_keys()
        self._commands = Commands(
            stores.spools,
            stores.traces,
            self._clock,
            expire=lambda: self._policy.retry.expire,
            in_hand=lambda: self._runner.in_hand()["sending"],
            give_back=self._runner.give_back,
            wake=self._runner.wake,
        )
        stages.certificates.learnt_late = self._commands.protect

    def _heed_keys(self) -> None:
        """Keys were closed or opened."""
        self._gate.turn(self._keyring.is_mail_open)
        self._keys_changed.set()
        self._mailboxes.forget_keys()

    async def _follow_keys(self, stages: Stages) -> None:
        """What was read with keys that were closed meanwhile, or could not be read, is read again."""
        while True:
            await self._keys_changed.wait()
            self._keys_changed.clear()
            await stages.look()

    async def _know_recipients(self, terms: Policy) -> None:
        """Have recipients verified as the policy says; where it does not, sessions need not ask."""
        await self._recipients.arrange(terms.verification, terms.accepted, terms.outbounds, terms.hostname)
        self._desk.verify = self._recipients.verify if self._recipients.is_on else None

    def _open_people(self, stores: Stores) -> People:
        return People(
            stores.shared,
            stores.sealer,
            fips=self._settings.settings.security.fips,
            clock=self._clock,
            chance=self._chance,
            tell=self._log.tell,
            accepted=lambda: self._policy.accepted,
        )

    def _tell(self, level: str, event: str, facts: Mapping[str, object]) -> None:
        self._log.tell(cast(Level, level), event, **facts)

    async def _converse(self, channel: Channel) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(channel.run())
            await channel.gone.wait()
            if self._stopping.is_set():
                return
            # The supervisor is gone, and whoever starts next must find the spools free. What was accepted lies in them.
            self._log.tell("error", "supervisor_gone")
            self._log.flush(0.3)
            os._exit(1)

    async def _stop(self, steady: Sequence[asyncio.Task[None]]) -> None:
        seconds = self._settings.settings.server.drain
        self._doors.close()
        if self._facing is not None:
            await self._facing.close(seconds)
        await self._doors.drain(seconds)
        await self._runner.drain(seconds)
        await self._attempts.close()
        await self._recipients.close()
        await self._names.close()
        await self._mailboxes.close()
        await self._stores.mover.finish(5.0)

    async def _renewed(self, terms: Policy) -> None:
        await self._take(terms, {}, is_renewal=True)

    # -- asked by the supervisor --------------------------------------------------------------------------------------

    def _fault(self, error: Exception) -> str:
        if isinstance(error, (StorageBroken, StorageFull, KeyFault)):
            return str(error)  # Written for people.
        self._log.tell("error", "command_failed", error=type(error).__name__)
        return "something failed in a worker; the log says what"

    async def _answer(self, command: str, arguments: dict[str, Any]) -> Any:
        match command:
            case "ready":
                return True
            case "reload":
                return await self._reload()
            case "metrics":
                return await self._state.sample()
            case "status":
                return await self._state.status()
            case "keys":
                await self._keyring.keeper.look(hurry=True)
                self._mailboxes.forget_keys()
                return self._keyring.keeper.facts
        if command.startswith("user.") and self._people is not None:
            return await self._people.answer(command, arguments)
        if command.startswith("rights.") and self._office is not None:
            commands = RightsCommands(
                self._office, clock=self._clock, chance=self._chance, url=portal_url(self._settings)
            )
            return await commands.answer(command, arguments)
        if command.startswith("policy."):
            by = arguments.pop("by", "")
            return await PolicyCommands(self._mailboxes, by=by).answer(command, arguments)
        if command.startswith("mailbox.") and self._people is not None:
            return await self._post.answer(command, arguments, self._people, self._policy)
        if self._stages is not None and self._stages.answers(command):
            return await self._stages.answer(command, arguments)
        return await self._commands.answer(command, arguments)

    async def _reload(self) -> bool:
        taken = taken_over(self._handover, self._settings.path)
        new, sockets = taken.settings, taken.listening
        renewal = Renewal(new)
        terms = policy(new)
        stages = self._stages
        rules = None if stages is None else await asyncio.to_thread(stages.transport.compiled, new, terms)
        self._settings, self._renewal = new, renewal
        if stages is not None and rules is not None:
            stages.transport.use(rules)
        await self._take(terms, sockets)
        self._log.set_level(new.settings.log.level)
        return True

    async def _take(self, terms: Policy, sockets: Mapping[str, Sequence[Socket]], *, is_renewal: bool = False) -> None:
        """Go by these terms from now on; what is under way ends under the old."""
        await self._know_recipients(terms)
        self._policy = terms
        if self._stages is not None:
            self._stages.take(self._settings, terms)
        self._reception.take(terms)
        self._mailboxes.take(self._settings)
        self._desk.contact = terms.contact
        self._runner.reconfigure(terms.outbounds, terms.retry, hostname=terms.hostname, contact=terms.contact)
        await self._doors.arrange(self._listeners, sockets)
        if self._facing is not None and not is_renewal:
            await self._facing.take()

    @property
    def _state(self) -> WorkerState:
        return WorkerState(
            number=self._number,
            started=self._started,
            is_shared=self._settings.is_shared,
            stores=self._stores,
            keyring=self._keyring,
            metrics=self._metrics,
            clock=self._clock,
            sending=lambda: len(self._runner.in_hand()["sending"]),
            sessions=lambda: self._doors.sessions() | ({} if self._facing is None else self._facing.sessions()),
            more=self._more_state,
            takes=lambda: self._gate.takes,
        )

    async def _more_state(self) -> dict[str, Any]:
        return {
            "unrenewed": self._renewal.failing | ({} if self._facing is None else dict(self._facing.failing)),
            "unverifying": self._recipients.absences(),
            **({} if self._stages is None else await self._stages.status()),
            "tenant": None if self._office is None else self._office.fault,
            "key_log": None if self._key_log is None else self._key_log.state(),
            "mailboxes": self._mailboxes.facts,
            "logins": self._attempts.logins_refused(self._policy.outbounds),
        }
