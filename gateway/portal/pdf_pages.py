"""PDF as pictures of its pages: for readers who may look at a file and not have it.

Each question goes to a process of its own (`pdf_drawing`), which knows nothing but that file and can do nothing but
draw it; few run at a time. The file goes there by a pipe and never to a disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from subprocess import DEVNULL, PIPE
from typing import Final

from gateway.portal.pdf_drawing import MAX_FILE, MAX_PICTURE, UNREADABLE
from gateway.world import confinement
from gateway.world.clock import Clock

AT_ONCE: Final = 2  # Processes that draw.
PATIENCE: Final = 30.0  # Seconds for a page, waiting for one's turn with it.
PAGES: Final = 10  # Shown on one page of ours.
BLOCK: Final = 256 * 1024  # Octets that are written to the process at once.


def lacking() -> str | None:
    """Why no PDF can be drawn on this machine, in words for its administrator; None: nothing is known against it."""
    # Not imported: what reads strangers' files has no place in a process of ours.
    if any(find_spec(name) is None for name in ("pypdfium2", "pypdfium2_raw")):
        return "pypdfium2 is not installed"
    missing = confinement.lacking()
    return None if missing is None else f"no process can be confined here ({missing})"


class NotDrawn(Exception):
    """The file is none that is drawn here: damaged, locked by a password, too long."""


class DrawerFailed(Exception):
    """Nothing can be drawn at present: no fault of the file that we know of."""


@dataclass(frozen=True, slots=True)
class PdfPage:
    """`number` counts from 0; `width` and `height` in pixels; `text`: what it says, for whom a picture says nothing."""

    number: int
    width: int
    height: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PdfPart:
    """Some pages of a file that has `count` of them."""

    count: int
    pages: tuple[PdfPage, ...]

    @property
    def first(self) -> int:
        """The number of the first of them."""
        return self.pages[0].number if self.pages else 0

    @property
    def before(self) -> int | None:
        """Where the pages before these begin."""
        return None if self.first == 0 else max(0, self.first - PAGES)

    @property
    def behind(self) -> int | None:
        """Where the pages behind these begin."""
        last = self.first + len(self.pages)
        return last if last < self.count else None


class PdfDrawer:
    """Asks for pages. `command` starts Python (`python -P -m`), `environment` is all that the process is told."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], clock: Clock) -> None:
        self._command = (*command, "gateway.portal.pdf_drawing")
        self._environment = dict(environment)
        self._clock = clock
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def look(self, file: Iterator[bytes], size: int, first: int) -> PdfPart:
        """The pages from `first` on, at most `PAGES`. Raises NotDrawn, DrawerFailed."""
        answer = await self._ask({"first": first, "pages": PAGES}, file, size)
        try:
            found = json.loads(answer)
            part = PdfPart(_number(found["count"]), tuple(map(_page, found["pages"])))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise NotDrawn from error  # Who draws what strangers made is not believed either.
        if not part.pages:
            raise NotDrawn
        return part

    async def draw(self, file: Iterator[bytes], size: int, page: int) -> bytes:
        """A page as a PNG. Raises NotDrawn, DrawerFailed."""
        picture = await self._ask({"page": page}, file, size)
        if not picture.startswith(b"\x89PNG\r\n\x1a\n"):
            raise NotDrawn
        return picture

    async def _ask(self, question: Mapping[str, int], file: Iterator[bytes], size: int) -> bytes:
        if size > MAX_FILE:
            raise NotDrawn
        try:
            async with self._clock.timeout(PATIENCE), self._turn:
                return await self._run(json.dumps(question).encode() + b"\n", file)
        except TimeoutError as late:
            raise DrawerFailed("it took too long") from late
        except OSError as error:
            raise DrawerFailed("no process could be started") from error

    async def _run(self, question: bytes, file: Iterator[bytes]) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # A traceback may hold a word of the file.
            env=self._environment,
            cwd="/",
            start_new_session=True,
            limit=BLOCK,
        )
        fed = asyncio.create_task(_feed(process, question, file))
        try:
            answer = await _answer(process)
            status = await process.wait()
        finally:
            fed.cancel()  # Who has answered hears nothing more.
            if process.returncode is None:
                process.kill()
                await process.wait()
            await asyncio.gather(fed, return_exceptions=True)
            await _shut(process)
        if not fed.cancelled() and (fault := fed.exception()) is not None:
            raise DrawerFailed("the file can't be read") from fault  # The rest of it may have been drawn as if whole.
        if status == UNREADABLE or status < 0:  # Below zero: a signal ended it, such as its own limit of time.
            raise NotDrawn
        if status != 0:
            raise DrawerFailed(f"it ended with {status}")
        return answer


async def _feed(process: asyncio.subprocess.Process, question: bytes, file: Iterator[bytes]) -> None:
    pipe = process.stdin
    if pipe is None:
        return
    try:
        pipe.write(question)
        while (block := await asyncio.to_thread(next, file, None)) is not None:
            for start in range(0, len(block), BLOCK):
                pipe.write(block[start : start + BLOCK])
                await pipe.drain()
    except ConnectionError:
        pass  # It has ended; its status says why.
    finally:
        pipe.close()


async def _shut(process: asyncio.subprocess.Process) -> None:
    """Wait until the pipe into a process that has ended is closed. One that ended before it had read all leaves a
    broken pipe, which asyncio would tell in the log as an error that nobody has looked at.
    """
    if process.stdin is not None:
        with suppress(ConnectionError):  # Its status says why.
            await process.stdin.wait_closed()


def _page(told: Mapping[str, object]) -> PdfPage:
    """Raises TypeError, KeyError, ValueError."""
    text = told["text"]
    if not isinstance(text, str):
        raise TypeError("a text is one")
    return PdfPage(_number(told["number"]), _number(told["width"]), _number(told["height"]), text)


def _number(told: object) -> int:
    if type(told) is not int or told < 0:
        raise ValueError("a number that is none")
    return told


async def _answer(process: asyncio.subprocess.Process) -> bytes:
    pieces, length = [], 0
    while process.stdout is not None and (piece := await process.stdout.read(BLOCK)):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_PICTURE:
            raise NotDrawn
    return b"".join(pieces)
