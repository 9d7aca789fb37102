"""Mail stops at the door, and in the queue, while the keys that it would be sealed under are not at hand.

New mail is answered 451 at MAIL; deliveries do not start, and what is known of those in hand is kept in memory until it
can be written. When the keys are back everything goes on by itself. Leaves out: why they are not (`keys.keeper`).
"""

from __future__ import annotations

import asyncio

from gateway.delivery.runner import Runner
from gateway.mail import reply as say
from gateway.mail.reply import Refused
from gateway.smtp.desk import Desk
from gateway.storage.writer import StorageBroken, StorageFull


class MailGate:
    """Of one worker. What is open costs a message nothing: the desk's own function is asked, or another one."""

    def __init__(self, desk: Desk, runner: Runner) -> None:
        self._desk = desk
        self._runner = runner
        self._check_room = desk.check_room
        self._is_open = asyncio.Event()
        self._is_open.set()

    @property
    def is_open(self) -> bool:
        """Whether mail is taken and delivered."""
        return self._is_open.is_set()

    @property
    def takes(self) -> bool:
        """Whether a client is let on at MAIL: also the disk, the database and the trace have a say in that."""
        try:
            self._desk.check_room(0)
        except (Refused, StorageBroken, StorageFull):
            return False
        return True

    async def opened(self) -> None:
        """Wait until it is open."""
        await self._is_open.wait()

    def turn(self, is_open: bool) -> None:
        """Open or close it."""
        if is_open == self.is_open:
            return
        if is_open:
            self._is_open.set()
            self._desk.check_room = self._check_room
            self._runner.resume()
        else:
            self._is_open.clear()
            self._desk.check_room = _closed
            self._runner.pause()


def _closed(size: int) -> None:
    """Nothing is taken, of whatever size."""
    raise Refused(say.KEYS_CLOSED)
