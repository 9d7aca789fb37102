"""Delivery into a folder: each delivery becomes `<delivery id>.eml`, octet for octet.

Leaves out: Maildir, and anything in front of the message, such as an mbox line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from gateway.mail.message import Content

MARK = ".part"  # Behind the name of a file that is not whole yet; it begins with a dot besides.


async def drop(folder: Path, name: str, content: Content) -> Path:
    """Write `content` to `folder`/`name`.eml and return its path. Whole and durable, or not there at all.

    An older file of that name is replaced: an attempt whose end was lost may be made again. The folder itself is made
    where it is missing. Raises OSError, and what reading `content` raises.
    """
    if "/" in name or name.startswith("."):
        raise ValueError("a delivery's id is no path")
    target = folder / f"{name}.eml"
    part = folder / f".{name}{MARK}"
    octets = content.inline
    if octets is not None:
        await asyncio.to_thread(_write, part, target, octets)
        return target
    descriptor = await asyncio.to_thread(_open, part)
    try:
        blocks = content.blocks()
        try:
            async for block in blocks:
                await asyncio.to_thread(_all, descriptor, block)
        finally:
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
        await asyncio.to_thread(os.fsync, descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(descriptor)
    await asyncio.to_thread(_settle, part, target)
    return target


def _write(part: Path, target: Path, octets: bytes) -> None:
    descriptor = _open(part)
    try:
        _all(descriptor, octets)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(descriptor)
    _settle(part, target)


def _open(part: Path) -> int:
    part.parent.mkdir(mode=0o700, exist_ok=True)
    return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _all(descriptor: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(descriptor, view) :]


def _settle(part: Path, target: Path) -> None:
    """Give the whole file its name, and put the name on the disk too."""
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
