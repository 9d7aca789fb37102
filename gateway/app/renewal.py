"""Certificate files that change while the gateway serves: new connections have the new ones within a minute.

Each listener and connector is a piece of its own: one whose files do not fit together (half of a pair was renewed)
keeps what it has, and says so, while the others go on. Leaves out: the system's CA certificates; a reload reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.app.smime_terms import anchor_files, smime_terms
from gateway.app.terms import Policy, listener_terms, own_files
from gateway.connectors.inbound import Inbounds, read_inbounds
from gateway.connectors.outbound import read_outbounds
from gateway.observe.log import Log
from gateway.settings.fault import BadSettings, Fault, errors
from gateway.settings.load import Loaded
from gateway.world.clock import Clock

Mark = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is made anew when one of its files changes. `build` gives the policy with it, or raises _NotYet."""

    key: str
    files: tuple[Path, ...]
    build: Callable[[Policy], Policy]


class _NotYet(Exception):
    """The files are not good as they lie; the words are for the administrator."""


class Renewal:
    """Watches the files of these settings. Make it before the policy is made: what changes in between is seen."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.pause = loaded.settings.server.certificate_look_seconds  # Between two looks.
        self._pieces = tuple(piece for piece in _pieces(loaded) if piece.files)
        self._marks = {piece.key: _marks(piece) for piece in self._pieces}
        self._doubtful: set[str] = set()  # Found bad once: perhaps only half written at that moment.
        self.failing: dict[str, str] = {}

    def look(self, policy: Policy) -> tuple[Policy, list[str]]:
        """The policy with all that has changed and is good, and the keys of what is new in it. Blocks."""
        renewed = []
        for piece in self._pieces:
            marks = _marks(piece)  # Before reading: what is written meanwhile makes the next look find a change.
            if marks == self._marks[piece.key]:
                self._doubtful.discard(piece.key)
                self.failing.pop(piece.key, None)  # The old files are back.
                continue
            try:
                policy = piece.build(policy)
            except _NotYet as fault:
                if piece.key in self._doubtful:
                    self.failing[piece.key] = str(fault)
                self._doubtful.add(piece.key)
                continue
            self._marks[piece.key] = marks
            self._doubtful.discard(piece.key)
            self.failing.pop(piece.key, None)
            renewed.append(piece.key)
        return policy, renewed


async def keep_renewed(
    renewal: Callable[[], Renewal],
    policy: Callable[[], Policy],
    take: Callable[[Policy], Awaitable[None]],
    clock: Clock,
    log: Log,
) -> None:
    """Look again and again, for ever, and have `take` go by what is new. `renewal` and `policy` are of the moment."""
    while True:
        await clock.sleep(renewal().pause)
        watched, before = renewal(), policy()
        failing = dict(watched.failing)
        try:
            terms, renewed = await asyncio.to_thread(watched.look, before)
            if policy() is not before:
                continue  # A reload came meanwhile, and is newer than what was read.
            for key in renewed:
                log.tell("info", "certificate_renewed", key=key)
            for key in [key for key, words in watched.failing.items() if failing.get(key) != words]:
                log.tell("warning", "certificate_not_renewed", key=key, reason=watched.failing[key])
            if renewed:
                await take(terms)
        except (OSError, BadSettings) as error:
            log.tell("error", "renewal_failed", error=str(error))


def renewal_warnings(workers: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """For `gateway status`: what could not be taken, each once, whichever worker found it."""
    failing: dict[str, str] = {}
    for one in workers:
        failing |= one.get("unrenewed", {})
    return [
        {"code": "certificate_not_renewed", "text": f"{key} keeps its old files, since the new ones do not do: {words}"}
        for key, words in sorted(failing.items())
    ]


def _pieces(loaded: Loaded) -> list[_Piece]:
    settings = loaded.settings
    found = []
    for number, listener in enumerate(settings.listeners):
        files = own_files(loaded, listener)
        paths = tuple(path for one in files for path in (one.certificate, one.key))
        found.append(_Piece(f"listeners[{number}]", paths, _listener(loaded, number)))
    for number, inbound in enumerate(settings.connectors.inbound):
        if inbound.enabled and inbound.tls_sender_certificate_name is not None:
            paths = _resolved(loaded, inbound.trusted_ca)
            found.append(_Piece(f"connectors.inbound[{number}]", paths, _inbound(loaded, number, inbound.name)))
    for number, outbound in enumerate(settings.connectors.outbound):
        if outbound.enabled:
            paths = _resolved(loaded, outbound.trusted_ca, outbound.client_certificate, outbound.client_key)
            found.append(_Piece(f"connectors.outbound[{number}]", paths, _outbound(loaded, number, outbound.name)))
    found.append(_Piece("smime", anchor_files(loaded), _smime(loaded)))
    return found


def _resolved(loaded: Loaded, *texts: str | None) -> tuple[Path, ...]:
    return tuple(loaded.resolve(text) for text in texts if text is not None)


def _listener(loaded: Loaded, number: int) -> Callable[[Policy], Policy]:
    def build(policy: Policy) -> Policy:
        try:
            listener = loaded.settings.listeners[number]
            terms = listener_terms(loaded, listener, policy.hostname, asking=policy.inbounds.asking)
        except OSError as error:
            raise _NotYet(str(error)) from error
        listeners = list(policy.listeners)
        listeners[number] = terms
        return replace(policy, listeners=tuple(listeners))

    return build


def _inbound(loaded: Loaded, number: int, name: str) -> Callable[[Policy], Policy]:
    def build(policy: Policy) -> Policy:
        faults: list[Fault] = []
        new = read_inbounds(loaded, policy.accepted, faults).named(name)
        if new is None:
            raise _NotYet(_words(faults, f"connectors.inbound[{number}]"))
        return replace(policy, inbounds=Inbounds(new if one.name == name else one for one in policy.inbounds))

    return build


def _outbound(loaded: Loaded, number: int, name: str) -> Callable[[Policy], Policy]:
    def build(policy: Policy) -> Policy:
        faults: list[Fault] = []
        new = next((one for one in read_outbounds(loaded, faults) if one.name == name), None)
        if new is None:
            raise _NotYet(_words(faults, f"connectors.outbound[{number}]"))
        # The others stay the very values that they are: connections that were opened under them are kept.
        return replace(policy, outbounds=tuple(new if one.name == name else one for one in policy.outbounds))

    return build


def _smime(loaded: Loaded) -> Callable[[Policy], Policy]:
    def build(policy: Policy) -> Policy:
        try:
            return replace(policy, smime=smime_terms(loaded))
        except BadSettings as bad:
            raise _NotYet(_words(list(bad.faults), "smime")) from bad

    return build


def _words(faults: list[Fault], key: str) -> str:
    mine = [fault for fault in errors(faults) if fault.key.startswith(f"{key}.")]
    return "; ".join(f"found {one.found}, right would be {one.right}" for one in mine) or "they can't be read"


def _marks(piece: _Piece) -> tuple[Mark, ...]:
    return tuple(mark_of(path) for path in piece.files)


def mark_of(path: Path) -> Mark:
    """What changes with a file, also where another takes its place with the same size and time; None: no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
