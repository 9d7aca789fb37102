"""Certificates that we show ourselves: listeners', those for further names, the faces', client certificates; and
when they end, and when the authorities end by which S/MIME is judged.

`gateway check` tells what is wrong with them, `gateway status` and the log warn before their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cryptography import x509

from gateway.app.face import faces
from gateway.app.smime_terms import anchors
from gateway.connectors import pem
from gateway.observe.log import Log
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded
from gateway.settings.schema import Listener
from gateway.world.clock import Clock, rfc3339

SOON: Final = 30 * 86400.0  # Seconds before a certificate's end in which it is worth a warning: time to get a new one.
LOOK: Final = 3600.0  # Seconds between two looks at the dates, for the log.
AGAIN: Final = 86400.0  # Seconds after which the log tells the same again.
_MARK: Final = "a certificate that "  # So begins what is found where only the date is wrong.


def is_about_dates(fault: Fault) -> bool:
    """Whether it came of `date_faults`: told anew whenever somebody asks."""
    return fault.found.startswith(_MARK)


def judge_listener(loaded: Loaded, key: str, listener: Listener, now: float) -> Iterator[Fault]:
    """Faults and warnings about the certificates of the listener at `key`. Reads them."""
    if listener.certificate is None:
        if listener.tls != "none":
            yield loaded.fault(f"{key}.certificate", "nothing", 'the certificate\'s PEM file, or tls = "none"')
        elif listener.certificates:
            right = 'tls = "starttls" or "implicit", and the certificate for all other names'
            yield loaded.fault(f"{key}.certificate", "nothing beside certificates", right)
        return
    yield from _pair(loaded, key, listener.certificate, listener.key)
    for number, one in enumerate(listener.certificates):
        yield from _pair(loaded, f"{key}.certificates[{number}]", one.certificate, one.key)
    for place, path in _of_listener(loaded, key, listener):
        yield from _dates(loaded, place, path, now)


def judge_pair(loaded: Loaded, key: str, certificate: str, private: str | None, now: float) -> Iterator[Fault]:
    """Faults and warnings about a certificate of the section `key`, and its private key. Reads them."""
    yield from _pair(loaded, key, certificate, private)
    yield from _dates(loaded, f"{key}.certificate", loaded.resolve(certificate), now)


def judge_clients(loaded: Loaded, now: float) -> Iterator[Fault]:
    """Warnings about the dates of client certificates. What else is wrong with them the connector tells."""
    for place, path in _of_connectors(loaded):
        yield from _dates(loaded, place, path, now)


def judge_anchors(loaded: Loaded, now: float) -> Iterator[Fault]:
    """Warnings about the dates of [smime] trust_anchors. What else is wrong with them `smime_terms` tells."""
    for key, one in anchors(loaded):
        yield from _dates_of(loaded, key, one.not_before, one.not_after, now)


def date_faults(loaded: Loaded, now: float) -> list[Fault]:
    """Every certificate of ours that has ended, has not begun, or ends within SOON. Blocks; reads them all."""
    found: list[Fault] = []
    for number, listener in enumerate(loaded.settings.listeners):
        for place, path in _of_listener(loaded, f"listeners[{number}]", listener):
            found += _dates(loaded, place, path, now)
    for face in faces(loaded):
        section = face.section(loaded)
        if section is not None and section.certificate is not None:
            found += _dates(loaded, f"{face.name}.certificate", loaded.resolve(section.certificate), now)
    return [*found, *judge_clients(loaded, now), *judge_anchors(loaded, now)]


def certificate_warnings(loaded: Loaded, now: float) -> list[dict[str, str]]:
    """The same in the form of `gateway status`. Blocks."""
    return [
        {
            "code": "certificate_expires" if "expires" in fault.found else "certificate_not_valid",
            "text": f"{fault.key} names {fault.found}; right would be {fault.right}",
        }
        for fault in date_faults(loaded, now)
    ]


class EndWatch:
    """Tells the log of certificates that end, once a day each."""

    def __init__(self, clock: Clock, log: Log, settings: Callable[[], Loaded]) -> None:
        """`settings` gives those that are in force."""
        self._clock = clock
        self._log = log
        self._settings = settings
        self._told: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            self.tell(await asyncio.to_thread(date_faults, self._settings(), self._clock.now()))
            await self._clock.sleep(LOOK)

    def tell(self, faults: list[Fault]) -> None:
        """One line for each that was not told within a day."""
        now = self._clock.now()
        self._told = {which: at for which, at in self._told.items() if now - at < AGAIN}
        for fault in faults:
            which = (fault.key, fault.found)
            if which not in self._told:
                self._told[which] = now
                self._log.tell("warning", "certificate_ends", key=fault.key, found=fault.found, right=fault.right)


def _of_listener(loaded: Loaded, key: str, listener: Listener) -> Iterator[tuple[str, Path]]:
    if listener.tls == "none" or listener.certificate is None:
        return
    yield f"{key}.certificate", loaded.resolve(listener.certificate)
    for number, one in enumerate(listener.certificates):
        yield f"{key}.certificates[{number}].certificate", loaded.resolve(one.certificate)


def _of_connectors(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    for number, outbound in enumerate(loaded.settings.connectors.outbound):
        if outbound.client_certificate is not None and outbound.enabled:
            yield f"connectors.outbound[{number}].client_certificate", loaded.resolve(outbound.client_certificate)


def _pair(loaded: Loaded, key: str, certificate: str, private: str | None) -> Iterator[Fault]:
    """Whether both files are good and belong together. Both may stand in one file."""
    here, there = loaded.resolve(certificate), loaded.resolve(private or certificate)
    try:
        pem.certificates(here)
    except pem.PemFault as fault:
        yield loaded.fault(f"{key}.certificate", fault.found, fault.right)
        return
    try:
        pem.pair(here, there)
        yield from _private(loaded, f"{key}.key", there)
    except pem.PemFault as fault:
        yield loaded.fault(f"{key}.key", fault.found, fault.right)


def _private(loaded: Loaded, key: str, path: Path) -> Iterator[Fault]:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return  # Told already.
    if mode & 0o007:
        yield loaded.warning(key, f"{path} with mode {mode:04o}: everybody here may read it", f"chmod 600 {path}")


def _dates(loaded: Loaded, key: str, path: Path, now: float) -> Iterator[Fault]:
    """Warnings alone: a certificate that ended in the night must not keep a gateway from starting. Most clients do not
    mind, and mail from those who do waits with them.
    """
    try:
        certificate: x509.Certificate = pem.certificates(path)[0]
    except pem.PemFault:
        return  # Told elsewhere.
    start, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    yield from _dates_of(loaded, key, start, end, now)


def _dates_of(loaded: Loaded, key: str, start: float, end: float, now: float) -> Iterator[Fault]:
    if end <= now:
        yield loaded.warning(key, f"{_MARK}expired at {rfc3339(end)}", "a valid one")
    elif start > now:
        yield loaded.warning(key, f"{_MARK}is not valid before {rfc3339(start)}", "a valid one")
    elif end < now + SOON:
        yield loaded.warning(key, f"{_MARK}expires at {rfc3339(end)}", "a new one by then")
