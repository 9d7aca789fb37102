"""The gateway as a service of systemd: what the supervisor tells its manager, in its words (sd_notify(3))."""

from __future__ import annotations

from typing import Final

from gateway.world.clock import Clock
from gateway.world.notify import Notify

# Of the watchdog's time: sd_watchdog_enabled(3) advises half of it.
SHARE: Final = 0.5


class Service:
    """Tells when we are ready, reload, stop, and that we live."""

    def __init__(self, notify: Notify, clock: Clock) -> None:
        self._notify = notify
        self._clock = clock
        self._told = ""

    def ready(self, status: str) -> None:
        """Serving, from the start or again after a reload."""
        self._told = status
        self._notify.send(READY=1, STATUS=status)

    def reloading(self) -> None:
        """The settings are taken anew; `ready` ends it, whatever came of it."""
        self._notify.send(RELOADING=1, MONOTONIC_USEC=int(self._clock.monotonic() * 1_000_000))

    def stopping(self) -> None:
        """No new mail; what is in hand is finished."""
        self._notify.send(STOPPING=1, STATUS="stopping; what is in hand is finished first")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it has changed."""
        if text != self._told:
            self._told = text
            self._notify.send(STATUS=text)

    async def watch(self) -> None:
        """Say that we live, as often as is asked for, until cancelled. A loop that hangs says nothing."""
        seconds = self._notify.watchdog
        while seconds is not None:
            self._notify.send(WATCHDOG=1)
            await self._clock.sleep(seconds * SHARE)
