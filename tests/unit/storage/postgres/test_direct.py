"""Where trace and message are one transaction, nothing is moved and nobody waits."""

from __future__ import annotations

import asyncio

import pytest

from gateway.storage.postgres.direct import Direct


async def test_what_comes_then_comes_at_once() -> None:
    direct, called = Direct(), []
    direct.move("spool", [], lambda: called.append(1))
    direct.move("spool", [])
    assert called == [1]
    assert not direct.is_full
    assert not direct.failing


async def test_it_runs_until_it_is_cancelled_and_has_nothing_to_finish() -> None:
    direct = Direct()
    task = asyncio.ensure_future(direct.run())
    await direct.recover("spool")
    await direct.finish(0.0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
