"""The supervisor: binds the sockets, starts the workers, keeps them running, answers the command line (DESIGN 4).

It reads no mail, and holds no key but the master keys of vaults that a passphrase opened, for workers to come. Each
worker has a listening socket of its own (SO_REUSEPORT), which stays open here, so that neither a restart nor a reload
drops what waits in its backlog; its neighbour looks after it too.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.app import build
from gateway.app.channel import Channel, Closed
from gateway.app.channel import Fault as Refusal
from gateway.app.check import checked
from gateway.app.child import START, Child, WorkerFailed
from gateway.app.commands import ELSEWHERE
from gateway.app.face import Face, faces
from gateway.app.forks import Forks
from gateway.app.health import Health, judged
from gateway.app.held import merged
from gateway.app.key_watch import KeyWatch
from gateway.app.keys import COMMANDS as KEY_COMMANDS
from gateway.app.keys import Keys, open_each
from gateway.app.lasting import changed
from gateway.app.mailbox_commands import changes
from gateway.app.migrate import workers
from gateway.app.own_certificates import EndWatch, certificate_warnings
from gateway.app.places import Places
from gateway.app.policies import changes as changes_policies
from gateway.app.service import Service
from gateway.app.status import Status
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics, lasting, merge, render
from gateway.settings.fault import Fault, errors
from gateway.settings.load import Loaded
from gateway.settings.place import listening
from gateway.world.chance import SystemChance
from gateway.world.clock import Clock
from gateway.world.sockets import MAX_PASSED, Socket, bind, control_server

ASK = 10.0  # Seconds that a worker has for an answer.
BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # Seconds before the next start of a worker that keeps dying.
STABLE = 60.0  # Seconds after which a worker counts as running well.
SAMPLE = 10.0  # Seconds between two looks at the workers' numbers.


class Supervisor:
    """One gateway. `run` lasts as long as it serves."""

    def __init__(
        self,
        path: Path,
        settings: Loaded,
        faults: Sequence[Fault],
        *,
        clock: Clock,
        log: Log,
        say: Callable[[str], None],
        service: Service,
        forks: Forks,
        masters: Mapping[str, bytes] | None = None,
    ) -> None:
        """`faults` are the settings' warnings; `say` tells the person at the terminal, `service` the init system.
        `forks` has the program `worker`.
        `masters`: master keys of vaults that a passphrase opened, for the workers.
        """
        self._masters = masters or {}
        self._forks = forks
        self._service = service
        self._path = path
        self._settings = settings
        self._faults = faults
        self._clock = clock
        self._log = log
        self._say = say
        self._places = Places.of(settings)
        self._count = workers(settings)
        self._doors: dict[str, list[Socket]] = {}
        # The faces' processes, where there are any, have the last slots.
        self._faces: dict[int, Face] = dict(enumerate(faces(settings), start=self._count))
        self._face_doors: dict[int, Socket] = {}
        self._slots = self._count + len(self._faces)
        self._children: list[Child | None] = [None] * self._slots
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._hangup = asyncio.Event()
        self._metrics = Metrics()
        self._samples: dict[int, Any] = {}
        self._gone: list[Any] = []
        self._reloading = asyncio.Lock()
        self._keys = Keys(
            lambda: self._settings,
            open_vaults=lambda loaded: open_each(loaded, self._masters),
            clock=clock,
            chance=SystemChance(),
            tell=log.tell,
            changed=lambda: self._ask_all("keys", {}),
        )
        self._key_watch = KeyWatch(self._keys, clock, log.tell, lambda: self._settings)
        self.status = Status(clock, self._metrics, forks)
        self._build = build.own()  # Now: the files may be others by the time that somebody asks.

    async def run(self) -> int:
        """Serve until told to stop; the exit status. Raises OSError where an address can't be had, WorkerFailed."""
        self._bind(self._settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)
        self.status.settings(self._settings, self._faults)
        # Before the workers take mail, so that nobody finds a gateway that greets and cannot be asked or stopped.
        control = await control_server(self._places.control, self._converse)
        try:
            return await self._serve(control)
        finally:
            control.close()
            self._places.control.unlink(missing_ok=True)

    async def _serve(self, control: asyncio.AbstractServer) -> int:
        async with asyncio.TaskGroup() as tasks:
            if not await self._started(tasks):
                return 0
            health = await self._serve_health()
            keepers = [tasks.create_task(self._keep(slot, tasks)) for slot in range(self._slots)]
            keepers += [tasks.create_task(self._sample()), tasks.create_task(self._heed_hangups())]
            keepers.append(tasks.create_task(self._service.watch()))
            keepers.append(tasks.create_task(EndWatch(self._clock, self._log, lambda: self._settings).run()))
            keepers.append(tasks.create_task(self._key_watch.run()))
            self._ready.set()
            self._announce()
            self._service.ready(self._summary())
            await self._stopping.wait()
            self._service.stopping()
            self._say("stopping; what is in hand is finished first")
            control.close()
            for keeper in keepers:
                keeper.cancel()
            await self._end_workers()
            if health is not None:
                health.close()
        return 0

    # -- sockets ------------------------------------------------------------------------------------------------------

    def _bind(self, settings: Loaded) -> None:
        """Open what the settings name and is not open yet; all of it or nothing. Raises OSError."""
        fresh: dict[str, list[Socket]] = {}
        try:
            for slot, face in self._faces.items():
                if slot not in self._face_doors and (place := face.listen(settings)) is not None:
                    self._face_doors[slot] = bind(*listening(place), reuse_port=False)
            for listener in settings.settings.listeners:
                if listener.listen in self._doors:
                    continue
                host, port = listening(listener.listen)
                # Without sharing first: with it a second gateway would get this port too, and clients either of them.
                bind(host, port, reuse_port=False).close()
                fresh[listener.listen] = doors = []
                for _ in range(self._count):
                    doors.append(bind(host, port))
        except OSError:
            for doors in fresh.values():
                for door in doors:
                    door.close()
            raise
        self._doors.update(fresh)

    def _unbind(self, settings: Loaded) -> None:
        names = {listener.listen for listener in settings.settings.listeners}
        for name in [name for name in self._doors if name not in names]:
            for door in self._doors.pop(name):
                door.close()

    def _sockets(self, slot: int) -> dict[str, tuple[Socket, ...]]:
        """Those that it serves, by the listener's name.

        A worker has a door of its own and that of the next one: the kernel puts a client before a door by chance, and
        of the two that look after it whoever has time takes him in. All doors for all would wake all for each client.
        """
        if (face := self._faces.get(slot)) is not None:
            place, door = face.listen(self._settings), self._face_doors.get(slot)
            return {} if place is None or door is None else {place: (door,)}
        both = {slot, (slot + 1) % self._count} if 2 * len(self._doors) <= MAX_PASSED else {slot}
        return {name: tuple([doors[one] for one in both]) for name, doors in self._doors.items()}

    # -- workers ------------------------------------------------------------------------------------------------------

    async def _started(self, tasks: asyncio.TaskGroup) -> bool:
        """Start the workers; False where we were told to stop before they were ready. Raises WorkerFailed."""
        starting = asyncio.ensure_future(self._start_workers(tasks))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            await self._end_workers()
            await asyncio.gather(starting, return_exceptions=True)
            return False
        try:
            await starting
        except BaseException:
            await self._end_workers()
            raise
        return True

    async def _start_workers(self, tasks: asyncio.TaskGroup) -> None:
        async with asyncio.TaskGroup() as starts:
            for slot in range(self._slots):
                starts.create_task(self._start(slot, tasks))

    async def _start(self, slot: int, tasks: asyncio.TaskGroup) -> None:
        face = self._faces.get(slot)
        number = slot if face is None else face.number
        child = Child(number, self._path, self._clock, self._forks, self._masters, face=face)
        self._children[slot] = child
        await child.start(self._settings, self._sockets(slot), tasks)
        self._log.tell("info", "worker_started", worker=number, pid=child.pid)

    async def _keep(self, slot: int, tasks: asyncio.TaskGroup) -> None:
        """Start the worker again whenever it ends by itself."""
        deaths = 0
        while True:
            child = self._children[slot]
            if child is None:
                return
            status = await child.ended()
            self._log.tell("error", "worker_ended", worker=child.number, pid=child.pid, status=status)
            self._metrics.count("worker_restarts_total")
            self.status.restarted(child.number)
            if (sample := self._samples.pop(slot, None)) is not None:
                self._gone.append(lasting(sample))
                self._gone = [merge(self._gone)]
            deaths = 0 if self._clock.now() - child.started > STABLE else deaths + 1
            await self._clock.sleep(BACKOFF[min(deaths, len(BACKOFF) - 1)])
            while True:
                try:
                    await self._start(slot, tasks)
                    break
                except (WorkerFailed, OSError) as error:
                    deaths += 1
                    self._log.tell("error", "worker_not_started", worker=child.number, error=str(error))
                    failed = self._children[slot]
                    if failed is not None and failed.pid:
                        await failed.ended()
                    await self._clock.sleep(BACKOFF[min(deaths, len(BACKOFF) - 1)])

    async def _end_workers(self) -> None:
        """Let them finish; whoever takes longer than the settings allow is killed, and its spool keeps the rest."""
        children = [child for child in self._children if child is not None]
        for child in children:
            child.terminate()
        children = [child for child in children if child.pid]
        try:
            async with self._clock.timeout(self._settings.settings.server.drain + 10):
                for child in children:
                    await child.ended()
        except TimeoutError:
            for child in children:
                child.kill()

    def _stop(self) -> None:
        if self._stopping.is_set():  # Asked twice: at once. Accepted mail lies in the spools.
            for child in self._children:
                if child is not None:
                    child.kill()
        self._stopping.set()

    # -- reload -------------------------------------------------------------------------------------------------------

    async def _heed_hangups(self) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await self._reload_by_signal()

    async def _reload_by_signal(self) -> None:
        try:
            await self.reload()
        except Refusal as fault:
            self._log.tell("error", "reload_refused", faults=str(fault))
        except Closed:
            self._log.tell("error", "reload_failed", reason="a worker ended meanwhile; it starts with the new settings")

    async def reload(self) -> dict[str, Any]:
        """Validate everything, then swap. Raises Refusal with every fault; then nothing has changed."""
        self._service.reloading()
        try:
            return await self._reload()
        finally:
            self._service.ready(self._summary())

    async def _reload(self) -> dict[str, Any]:
        async with self._reloading:
            faults, new = await asyncio.to_thread(checked, self._path, ask=False)
            if new is None or errors(faults):
                raise Refusal("\n".join(map(str, errors(faults))))
            self._check_lasting(new)
            before = set(self._doors)
            try:
                self._bind(new)
            except OSError as error:
                raise Refusal(f"{self._path}: {error}") from error
            self._settings = new
            self.status.settings(new, faults)
            for slot, child in enumerate(self._children):
                if child is not None and child.ready:
                    fresh = {name: doors for name, doors in self._sockets(slot).items() if name not in before}
                    # Asked first: what is handed over may be more than fits between the two of us.
                    asked = asyncio.ensure_future(child.ask("reload", {}))
                    await asyncio.to_thread(child.hand, new, fresh)
                    await asked
            self._unbind(new)
            self._log.set_level(new.settings.log.level)
            self._log.tell("info", "reloaded")
            opened = [f"listening on {name}" for name in self._doors if name not in before]
            closed = [f"no longer listening on {name}" for name in before if name not in self._doors]
            return {"changed": [*opened, *closed], "warnings": [str(fault) for fault in faults]}

    def _check_lasting(self, new: Loaded) -> None:
        """What can't change while the gateway runs."""
        needs = changed(self._settings, new, self._count)
        if needs:
            raise Refusal(
                "\n".join(
                    f"{self._path}: {key} has changed, which takes a restart; nothing was reloaded" for key in needs
                )
            )

    # -- the command line ---------------------------------------------------------------------------------------------

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, self._answer, self._fault, self._build)
        await channel.run()

    def _fault(self, error: Exception) -> str:
        self._log.tell("error", "command_failed", error=type(error).__name__)
        return "something failed here; the log says what"

    async def _answer(self, command: str, arguments: dict[str, Any]) -> Any:
        async with self._clock.timeout(START):  # A gateway that is just starting is asked a moment too early.
            await self._ready.wait()
        match command:
            case "status":
                ending = asyncio.to_thread(certificate_warnings, self._settings, self._clock.now())
                workers_ = await self._ask_all("status", {})
                return self.status.told(workers_, [*await ending, *await self._key_watch.warnings()])
            case "reload":
                return await self.reload()
            case "trace":
                return await self._ask_one("trace", arguments)
            case "keys":  # A vault has changed: every worker looks at once, and says what of its keys is closed.
                return await self._ask_all("keys", {})
            case _ if command in KEY_COMMANDS:
                return await self._keys.answer(command, arguments)
            case _ if command.startswith(("user.", "rights.")):
                return await self._ask_one(command, arguments)
            case _ if command.startswith("mailbox."):
                answer = await self._ask_one(command, arguments)
                if changes(command):
                    await self._ask_all("mailbox.look", {})
                return answer
            case _ if command.startswith("policy."):
                return await self._ask_policies(command, arguments)
            case _ if command.startswith("dkim."):
                return await self._ask_dkim(command, arguments)
            case _ if command.startswith("certificate."):
                return await self._ask_certificates(command, arguments)
            case _ if command.startswith(("queue.", "held.")) and self._settings.is_shared:
                return await self._ask_one(command, arguments)  # Each worker sees, and reaches, the whole queue.
            case _ if command.startswith("held."):
                return merged(await self._ask_all(command, arguments), command)
            case "queue.list" | "queue.show":
                return [row for rows in await self._ask_all(command, arguments) for row in rows]
            case "queue.retry" | "queue.hold" | "queue.release" | "queue.delete":
                answers = await self._ask_all(command, arguments)
                missing = set.intersection(*(set(one["missing"]) for one in answers)) if answers else set()
                return {
                    "changed": [id_ for one in answers for id_ in one["changed"]],
                    "missing": sorted(missing),
                    "sending": [id_ for one in answers for id_ in one["sending"]],
                }
        raise Refusal(f"there is no command {command!r}")

    async def _ask_dkim(self, command: str, arguments: dict[str, Any]) -> Any:
        answer = await self._ask_one(command, arguments)
        if command not in ("dkim.list", "dkim.show"):
            await self._ask_all("keys", {})  # A vault may have a key more.
            await self._ask_all("dkim.look", {})
        return answer

    async def _ask_policies(self, command: str, arguments: dict[str, Any]) -> Any:
        try:
            return await self._ask_one(command, arguments)
        finally:
            if changes_policies(command):  # Also after a fault: what changed before it shall count.
                await self._ask_all("keys", {})
                await self._ask_all("mailbox.look", {})

    async def _ask_certificates(self, command: str, arguments: dict[str, Any]) -> Any:
        answer = await self._ask_one(command, arguments)
        if command in ("certificate.import", "certificate.remove"):
            await self._ask_all("certificate.look", {})
        if command == "certificate.import":  # What has waited for it need not wait for its next attempt.
            if self._settings.is_shared:
                answer["tried"] = await self._ask_one("queue.protect", {"after": ELSEWHERE})
            else:
                answer["tried"] = [id_ for ids in await self._ask_all("queue.protect", {}) for id_ in ids]
        return answer

    async def _ask_all(self, command: str, arguments: dict[str, Any]) -> list[Any]:
        answers = []
        for child in self._children:
            if child is not None and child.ready:
                try:
                    async with self._clock.timeout(ASK):
                        answers.append(await child.ask(command, arguments))
                except (Closed, TimeoutError):
                    self._log.tell("warning", "worker_silent", worker=child.number, command=command)
        return answers

    async def _ask_one(self, command: str, arguments: dict[str, Any]) -> Any:
        for child in self._children:
            if child is not None and child.ready:
                try:
                    return await child.ask(command, arguments)
                except Closed:
                    continue
        raise Refusal("no worker answers now; the log says why")

    # -- numbers ------------------------------------------------------------------------------------------------------

    async def _sample(self) -> None:
        while True:
            await self._gather()
            self._service.status(self._summary())
            await self._renew_forks()
            await self._clock.sleep(SAMPLE)

    async def _renew_forks(self) -> None:
        """Have a fork server at hand before a worker needs one."""
        if self._forks.runs:
            return
        try:
            await asyncio.to_thread(self._forks.renew)
        except OSError as error:
            self._log.tell("error", "fork_server_not_started", error=str(error))
        else:
            self._log.tell("error", "fork_server_ended", pid=self._forks.pid)

    async def _gather(self) -> None:
        for slot, child in enumerate(self._children):
            if child is not None and child.ready:
                try:
                    async with self._clock.timeout(ASK):
                        self._samples[slot] = await child.ask("metrics", {})
                except (Closed, TimeoutError, Refusal):
                    continue

    async def _render(self) -> bytes:
        await self._gather()
        self._metrics.set("build_info", 1, (self.status.version,))
        return await asyncio.to_thread(render, [*self._gone, self._metrics.snapshot(), *self._samples.values()])

    async def _healthy(self) -> tuple[bool, dict[str, object]]:
        ready = sum(child is not None and child.ready for child in self._children)
        return judged(self._slots, ready, self._samples.values())

    async def _serve_health(self) -> asyncio.AbstractServer | None:
        metrics = self._settings.settings.metrics
        if metrics is None:
            return None
        health = Health(metrics=self._render, healthy=self._healthy, clock=self._clock)
        door = bind(*listening(metrics.listen), reuse_port=False)
        return await asyncio.start_server(health.serve, sock=door)  # noqa: TID251 - the socket comes from world

    def _summary(self) -> str:
        ready = sum(child is not None and child.ready for child in self._children)
        listens = (face.listen(self._settings) for face in self._faces.values())
        places = [*self._doors, *(place for place in listens if place is not None)]
        return f"{ready} of {self._slots} workers, listening on {', '.join(places) or 'nothing'}"

    def _announce(self) -> None:
        for listener in self._settings.settings.listeners:
            tls = {"none": "no TLS", "starttls": "STARTTLS offered", "implicit": "TLS at once"}[listener.tls]
            self._say(f"listening on {listener.listen} ({listener.kind}, {tls})")
        if (portal := self._settings.settings.portal) is not None:
            self._say(f"listening on {portal.listen} (portal, {portal.url})")
        if (imap := self._settings.settings.imap) is not None:
            self._say(f"listening on {imap.listen} (imap, TLS at once)")
        self._say(f"settings: {self._path}")
        workers_ = "1 worker" if self._count == 1 else f"{self._count} workers"
        self._say(f"{workers_}, process {os.getpid()}; stop with Ctrl-C, reload with `gateway reload`")
