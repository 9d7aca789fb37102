"""What `gateway status` says: processes, listeners, the queue, and what somebody should act on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from gateway import __version__
from gateway.app import face
from gateway.app.file_vaults import is_about_protection
from gateway.app.own_certificates import is_about_dates
from gateway.app.places import Places
from gateway.app.policy_warnings import policy_warnings
from gateway.app.queue_counts import STATES, of_the_queue
from gateway.app.renewal import renewal_warnings
from gateway.keys.fips import modules
from gateway.observe.metrics import Metrics
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded
from gateway.storage.spooling import QUARANTINED
from gateway.world.clock import Clock, rfc3339

OLD = 4 * 3600.0  # Seconds after which a waiting delivery deserves a look.
RECENT = 3600.0  # Seconds for which a worker's death is told.
MAIL = frozenset({"spool", "trace", "token"})  # The domain keys without which no mail can be kept.


def memory(pid: int) -> int | None:
    """Octets of memory that the process has for itself, its share of common pages included (PSS)."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


def warning(code: str, text: str) -> dict[str, str]:
    """One thing that somebody should act on; docs/administrator.md says what to do for each code."""
    return {"code": code, "text": text}


def cryptography(settings: Loaded) -> dict[str, Any]:
    """Whether FIPS 140 is asked for, and which modules compute."""
    told = [{"module": one.name, "does": one.does, "fips": one.fips, "words": one.words} for one in modules()]
    return {"fips": settings.settings.security.fips, "modules": told}


NOT_RUNNING = warning("not_running", "nothing serves with these settings, so no mail moves; gateway serve starts it")
NOT_RUNNING_HERE = warning(
    "not_running",
    "nothing serves with these settings on this machine; gateway serve starts it. Mail moves only where another "
    "gateway serves on the same database",
)


def _name(number: int) -> str:
    """A process as people are told of it."""
    return next((one.name for one in face.ALL if one.number == number), f"worker {number}")


def _doors(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Place, kind and TLS of everything that people and programs connect to."""
    found = [(one.listen, str(one.kind), str(one.tls)) for one in loaded.settings.listeners]
    return found + [(place, one.name, "implicit") for one in face.ALL if (place := one.listen(loaded)) is not None]


class Forking(Protocol):
    """The fork server: `gateway.app.forks.Forks`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def runs(self) -> bool:
        """Whether it lives."""

    @property
    def started(self) -> float:
        """When it was, in seconds since 1970."""


class Status:
    """Gathers what the supervisor knows and joins it with what the workers say."""

    version = __version__

    def __init__(self, clock: Clock, metrics: Metrics, forks: Forking) -> None:
        self._clock = clock
        self._forks = forks
        self._metrics = metrics
        self._started = clock.now()
        self._restarts: deque[float] = deque(maxlen=100)
        self._settings: Loaded | None = None
        self._faults: Sequence[Fault] = ()

    def settings(self, settings: Loaded, faults: Sequence[Fault]) -> None:
        """These are in force, with these warnings."""
        self._settings = settings
        self._faults = faults

    def restarted(self, slot: int) -> None:
        """A worker ended by itself."""
        self._restarts.append(self._clock.now())

    def told(self, workers: Sequence[dict[str, Any]], certificates: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
        """The answer, in the form of the contract. Raises LookupError before there are settings.

        `certificates` are the warnings of `certificate_warnings`, as they are now.
        """
        settings = self._settings
        if settings is None:
            raise LookupError("no settings are in force yet")
        now = self._clock.now()
        processes = [self._process("supervisor", os.getpid(), self._started, now)]
        if self._forks.runs:
            processes.append(self._process("fork server", self._forks.pid, self._forks.started, now))
        processes += [self._process(_name(one["worker"]), one["pid"], one["started"], now) for one in workers]
        queue = dict.fromkeys((*STATES, QUARANTINED), 0)
        # Where several gateways share the queue, each worker tells of all of it.
        for one in workers[:1] if settings.is_shared else workers:
            for state, number in one["queue"].items():
                queue[state] += number
        oldest = min((one["oldest"] for one in workers if one["oldest"] is not None), default=None)
        return {
            "processes": processes,
            "listeners": [
                {
                    "listen": listen,
                    "kind": kind,
                    "tls": tls,
                    "sessions": sum(one["sessions"].get(listen, 0) for one in workers),
                }
                for listen, kind, tls in _doors(settings)
            ],
            "queue": of_the_queue(queue),
            "quarantine": queue[QUARANTINED],
            "oldest_waiting": None if oldest is None else rfc3339(oldest),
            "cryptography": cryptography(settings),
            "warnings": list(certificates)
            + self._warnings(settings, now, queue, oldest, any(one["trace_failing"] for one in workers))
            + renewal_warnings(workers)
            + login_warnings(workers)
            + recipient_warnings(workers)
            + storage_warnings(workers)
            + vault_warnings(workers)
            + dkim_warnings(workers)
            + tenant_warnings(workers)
            + smime_warnings(workers)
            + policy_warnings(workers, now)
            + log_warnings(workers),
        }

    def _process(self, name: str, pid: int, started: float, now: float) -> dict[str, Any]:
        return {"name": name, "pid": pid, "state": "running", "uptime": round(now - started, 1), "memory": memory(pid)}

    def _warnings(
        self, settings: Loaded, now: float, queue: dict[str, int], oldest: float | None, trace_failing: bool
    ) -> list[dict[str, str]]:
        found = [
            warning("settings", str(fault))
            for fault in self._faults
            if not (is_about_dates(fault) or is_about_protection(fault))  # Judged anew by others.
        ]
        if restarts := sum(at > now - RECENT for at in self._restarts):
            found.append(
                warning(
                    "worker_restarted",
                    f"{_counted(restarts, 'worker', 'workers')} ended unasked in the last hour; see the log",
                )
            )
        if trace_failing:
            found.append(warning("trace_not_written", "the shared database takes no trace, so mail waits; see the log"))
        return found + queue_warnings(settings, queue, oldest, now)


def storage_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What keeps the workers from their database, each once; the queue's numbers are not known then."""
    faults = {one["storage"] for one in workers if one.get("storage")}
    return [
        warning("storage", f"mail is answered 451 and waits, and the queue is not known: {fault}")
        for fault in sorted(faults)
    ]


def log_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What the processes say of the key-access log, each thing once."""
    states = [one["key_log"] for one in workers if one.get("key_log")]

    def each(member: str) -> list[str]:
        return sorted({state[member] for state in states if state[member]})

    found = [
        warning("key_log_unwritten", f"uses of keys wait in memory, since the key-access log can't be written: {why}")
        for why in each("unwritten")
    ]
    found += [
        warning("key_log_unsigned", f"the key-access log goes on without a signature over its end: {why}")
        for why in each("unsigned")
    ]
    found += [
        warning("key_log_contradicted", f"the key-access log does not fit what is known outside the database: {why}")
        for why in each("contradicted")
    ]
    return found


def vault_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Vaults that do not answer or say no, and keys that are closed for it, each once, since a worker first saw it."""
    away: dict[str, dict[str, Any]] = {}
    closed: dict[str, dict[str, Any]] = {}
    for one in workers:
        keys = one.get("keys") or {}
        for found, facts in ((away, keys.get("vaults", {})), (closed, keys.get("closed", {}))):
            for name, trouble in facts.items():
                if name not in found or trouble["since"] < found[name]["since"]:
                    found[name] = trouble
    told = []
    for name, trouble in sorted(away.items()):
        since, reason = rfc3339(trouble["since"]), trouble["reason"]
        if trouble["denied"]:
            told.append(warning("vault_denied", f"vault {name} says no since {since}: {reason}"))
        else:
            told.append(warning("vault_away", f"vault {name} can't be used since {since}: {reason}"))
    reasons: dict[str, list[str]] = {}
    for purpose, trouble in sorted(closed.items()):
        reasons.setdefault(trouble["reason"], []).append(purpose)
    for reason, purposes in reasons.items():
        since = rfc3339(min(closed[purpose]["since"] for purpose in purposes))
        waits = "mail is answered 451 and waits" if set(purposes) & MAIL else "what needs them waits"
        told.append(
            warning("keys_closed", f"the keys for {', '.join(purposes)} are closed since {since}, so {waits}: {reason}")
        )
    return told


def smime_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Certificates for S/MIME that end, or can't be read, each once, whichever worker found it."""
    found = [one for worker in workers for one in worker.get("certificates", ())]
    return list({one["code"]: one for one in found}.values())


def dkim_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Domains whose mail leaves unsigned since no key of theirs may sign, each once."""
    unsigned: dict[str, list[str]] = {}
    for one in workers:
        unsigned |= one.get("unsigned") or {}
    return [
        warning(
            "dkim_key_denied",
            f"mail of {domain} leaves without a DKIM signature, since no key of it may sign: {', '.join(keys)}",
        )
        for domain, keys in sorted(unsigned.items())
    ]


def tenant_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Why no mail can be sealed with rights, where the settings have some sealed, each once."""
    found = sorted({one["tenant"] for one in workers if one.get("tenant")})
    return [warning("tenant_key", f"no mail can be sealed with rights, so it waits: {why}") for why in found]


def recipient_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Sources of recipients that can't say who exists, each once, from when the first worker met with it."""
    away: dict[tuple[str, str], dict[str, Any]] = {}
    for one in workers:
        for absence in one.get("unverifying", ()):
            which = (absence["source"], absence.get("place", ""))
            if which not in away or absence.get("since", 0) < away[which].get("since", 0):
                away[which] = absence
    return [warning("recipient_source", absence_words(one)) for one in away.values()]


def absence_words(absence: dict[str, Any]) -> str:
    """One sentence for `status` of what `Recipients.absences` tells."""
    if "stale" in absence:
        now = "its former content counts" if absence["stale"] else "no recipient can be verified by it"
        return f"the recipients of {absence['source']} can't be read, so {now}: {absence['why']}"
    since, place = rfc3339(absence["since"]), absence["place"]
    return f"recipients can't be verified by {absence['source']} ({place}) since {since}: {absence['why']}"


def login_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Connectors whose login a host refuses, each once, whichever worker met with it."""
    refused: dict[str, str] = {}
    for one in workers:
        refused |= one.get("logins", {})
    return [
        warning(
            "login_refused",
            f"mail by connector {name} waits: {words}; put auth_user and auth_password_file right, then gateway reload "
            "and gateway queue retry --all",
        )
        for name, words in sorted(refused.items())
    ]


def queue_warnings(settings: Loaded, queue: dict[str, int], oldest: float | None, now: float) -> list[dict[str, str]]:
    """What can be told of the queue and the disk, whether the gateway serves or not."""
    found = []
    if queue.get("held"):
        found.append(
            warning(
                "held",
                f"{_counted(queue['held'], 'delivery is', 'deliveries are')} held; gateway queue list shows them",
            )
        )
    if number := queue.get(QUARANTINED, 0):
        words = f"{_counted(number, 'message is', 'messages are')} in quarantine; gateway held list shows them"
        found.append(warning("quarantine", words))
    if oldest is not None and now - oldest > OLD and queue.get("waiting"):
        found.append(warning("old_mail", f"a delivery waits since {rfc3339(oldest)}; gateway queue list says why"))
    if settings.is_shared:
        return found  # What is free on the database server's disk is not ours to see.
    free = _free(Places.of(settings).data)
    least = settings.settings.storage.min_free
    if free is not None and free < max(4 * least, 256 << 20):
        found.append(
            warning("disk", f"{free >> 20} MiB are free for the data; below {least >> 20} MiB mail is answered 452")
        )
    return found


def _counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _free(folder: Path) -> int | None:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
