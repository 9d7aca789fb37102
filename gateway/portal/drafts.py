"""What is sent twice from one form goes out once: a browser that sends again gets the first one's answer.

Leaves out: forms that were sent before a restart. There is no harm in those but a second copy.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.portal.desk import NotSent
from gateway.world.clock import Clock

REMEMBERED: Final = 2_000  # Forms.
HOUR: Final = 3600.0
MOST_AN_HOUR: Final = 30  # Answers of one reader to one message: more is no conversation.

Key = tuple[str, str, str]  # The message, its reader, the form.


class Drafts:
    """The forms that were sent. Used on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: OrderedDict[Key, asyncio.Future[str]] = OrderedDict()
        self._times: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    async def once(self, key: Key, send: Callable[[], Awaitable[str]]) -> str:
        """What `send` answers, or has answered for that form before; one that failed may be sent again.

        Raises NotSent (`slowed`) where there were too many, and what `send` raises.
        """
        while (under_way := self._sent.get(key)) is not None:
            try:
                return await asyncio.shield(under_way)
            except asyncio.CancelledError:
                if not under_way.cancelled():
                    raise  # It is us who were cancelled.
            except Exception:  # noqa: BLE001, S112 - whoever sent it first hears of it; we try ourselves
                continue
        self._slow(key[:2])
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sent[key] = done
        try:
            answer = await send()
        except BaseException as error:
            self._sent.pop(key, None)
            if isinstance(error, Exception):
                done.set_exception(error)
                done.exception()  # Nobody may be waiting for it.
            else:
                done.cancel()
            raise
        done.set_result(answer)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return answer

    def _slow(self, who: tuple[str, str]) -> None:
        now = self._clock.monotonic()
        times = [one for one in self._times.pop(who, []) if now - one < HOUR]
        if len(times) >= MOST_AN_HOUR:
            self._times[who] = times
            raise NotSent("slowed")
        self._times[who] = [*times, now]
        while len(self._times) > REMEMBERED:
            self._times.popitem(last=False)
