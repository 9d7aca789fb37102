"""Questions and answers between two processes of ours: JSON, one line each, over a socket.

{"id": 7, "ask": "queue.list", "with": {...}}     {"id": 7, "answer": ...}     {"id": 7, "fault": "a sentence"}

The command line may be of another version than the gateway that runs: its questions have "version", and their answers
"version" and "files" (`gateway.app.build`). Either end reads over members that it does not know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.app.build import Build

MAX_LINE = 256 << 20  # Octets of one line: a long queue in one answer. Both ends are ours.

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Fault(Exception):
    """The answer is no; the text is for people."""


class Closed(Exception):
    """The other process is gone."""


class Channel:
    """One end. `run` reads; `ask` may be called while it does."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler | None = None,
        fault: Callable[[Exception], str] | None = None,
        build: Build | None = None,
    ) -> None:
        """`handler` answers what the other end asks; `fault` tells of its unexpected exceptions and says a sentence.
        `build`: what this end is, where the other may be of another version.
        """
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._fault = fault
        self._build = build
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self.gone = asyncio.Event()  # Set when either end has hung up.

    async def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        """The other end's answer. Raises Fault, Closed."""
        if self.gone.is_set():
            raise Closed
        self._count += 1
        number = self._count
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            await self._send({"id": number, "ask": command, "with": arguments})
            return await future
        finally:
            self._asked.pop(number, None)

    async def run(self) -> None:
        """Read until the other end is gone, and let the answers under way end."""
        async with asyncio.TaskGroup() as tasks:
            try:
                while line := await self._reader.readline():
                    message = json.loads(line)
                    if not isinstance(message, dict) or not isinstance(message.get("id"), int):
                        break
                    if "ask" in message:
                        tasks.create_task(self._answer(message))
                    else:
                        self._settle(message)
            except (OSError, ValueError, RecursionError):
                pass  # Broken pipe; a line that is no JSON or too long: the other end is not ours.
            finally:
                # At once: an answer under way may itself wait for one that can't come any more.
                self.close()

    def close(self) -> None:
        """Hang up; whoever waits for an answer gets Closed."""
        self.gone.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Closed())
        self._writer.close()

    async def _answer(self, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": message["id"]}
        try:
            if self._handler is None:
                raise Fault("nobody answers here")
            answer["answer"] = await self._handler(str(message["ask"]), dict(message.get("with") or {}))
        except Fault as fault:
            answer["fault"] = str(fault)
        except Exception as error:
            answer["fault"] = self._fault(error) if self._fault else "something failed; the log says what"
        if self._build is not None:
            answer |= self._build.facts
            if "fault" in answer and (note := self._build.to_older(message)) is not None:
                answer["fault"] += f"\n{note}"
        try:
            await self._send(answer)
        except (Closed, OSError):
            pass

    def _settle(self, message: dict[str, Any]) -> None:
        future = self._asked.get(message["id"])
        if future is None or future.done():
            return
        if "fault" in message:
            future.set_exception(Fault(str(message["fault"])))
        else:
            future.set_result(message.get("answer"))

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writer.is_closing():
            raise Closed
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()
