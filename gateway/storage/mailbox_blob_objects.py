"""Blobs of mailboxes as objects of an S3 bucket or an Azure container, by obstore.

Who reads, writes and deletes has credentials of their own, and none may list. S3 answers 403, not 404, to who may not
list and asks for an object that is not there; so one object is always there, and whoever is refused another asks for
that one.
Leaves out: Google Cloud Storage, which obstore knows too; and uploads in parts, since no blob is long.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway.storage.mailbox_blob_credentials import CredentialFile, Credentials
from gateway.storage.mailbox_blob_terms import ObjectPlace, Role, Service
from gateway.storage.mailbox_blobs import BlobGone, BlobsAway, checked_name
from gateway.world.clock import Clock

if TYPE_CHECKING:
    from obstore.store import AzureStore, S3Store

T = TypeVar("T")

AT_ONCE: Final = 16  # Requests of one call that are under way at the same time.
CONNECT: Final = 5.0  # Seconds to be connected.
REQUEST: Final = 20.0  # Seconds for one request: a blob has 1 MiB.
RETRY: Final = 15.0  # Seconds in which a request that failed is tried again.
STEP: Final = 40.0  # Seconds for one call of ours, all tries together.
PROBE: Final = "0" * 32  # The object that is always there; it holds nothing but its mark.
PROBE_OCTETS: Final = b"gateway mailbox blobs 1\n"

_SECOND: Final = timedelta(seconds=1)
# How S3 and Azure name what is wrong, and obstore of what is deleted with others; the rest of an answer may show parts
# of a signature.
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>|\(code: ([A-Za-z0-9]{1,60})\)")
_REFUSED: Final = frozenset({"PermissionDeniedError", "UnauthenticatedError", "AccessDenied", "401", "403"})
_NOT_THERE: Final = frozenset({None, "NoSuchKey", "BlobNotFound", "404"})


class ObjectMailboxBlobs:
    """Fulfils `MailboxBlobs`. Opening connects to nobody yet."""

    def __init__(self, place: ObjectPlace, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._roles = {role: _Door(place, role, file) for role in Role if (file := place.file(role)) is not None}
        # Whether the object that is always there was written by us. Azure tells who may not list what is missing.
        self._is_marked = place.service is Service.AZURE

    def __repr__(self) -> str:
        return f"ObjectMailboxBlobs({self._place.where!r})"

    @property
    def local(self) -> None:
        """Nothing is at hand."""
        return None

    async def put(self, name: str, octets: bytes) -> None:
        """See MailboxBlobs. Raises BlobsAway."""
        checked_name(name)
        if not self._is_marked:
            await self.mark()
        await self._ask(Role.WRITE, lambda store: _put(store, name, octets))

    async def mark(self) -> None:
        """Write the object that is always there. Raises BlobsAway."""
        await self._ask(Role.WRITE, lambda store: _put(store, PROBE, PROBE_OCTETS))
        self._is_marked = True

    async def get(self, name: str) -> bytes:
        """All of it. Raises BlobGone, BlobsAway."""
        checked_name(name)
        gone = BlobGone(f"the blob {name} is not in {self._place.where}")
        try:
            return await self._ask(Role.READ, lambda store: _get(store, name))
        except FileNotFoundError:
            raise gone from None
        except _Refused:
            if self._place.service is Service.AZURE:
                raise
            try:
                await self._ask(Role.READ, lambda store: _get(store, PROBE))
            except FileNotFoundError:
                raise BlobsAway(f"{self._place.where} refuses the credentials for reading") from None
            raise gone from None

    async def get_many(self, names: Sequence[str]) -> list[bytes | BlobGone]:
        """See MailboxBlobs. Raises BlobsAway."""

        async def one(name: str) -> bytes | BlobGone:
            try:
                return await self.get(name)
            except BlobGone as fault:
                return fault

        return await _all(one, names)

    async def delete(self, names: Sequence[str]) -> list[str]:
        """See MailboxBlobs: without credentials for deleting none is. Raises BlobsAway."""
        if Role.DELETE not in self._roles:
            return []

        wanted = [checked_name(name) for name in names]

        async def delete(some: list[str]) -> bool:
            try:
                await self._ask(Role.DELETE, lambda store: _delete(store, some))
            except FileNotFoundError:
                return len(some) == 1
            return True

        # S3 passes over what is not there; Azure names the first such and tells nothing of the others.
        if wanted and not await delete(wanted):
            await _all(lambda name: delete([name]), wanted)
        return wanted

    async def close(self) -> None:
        """Nothing is under way that nobody waits for."""

    # -- asking -------------------------------------------------------------------------------------------------------

    async def _ask(self, role: Role, asked: Callable[[Any], Awaitable[T]]) -> T:
        """The answer to who has that role, in time. Raises FileNotFoundError, BlobsAway and its _Refused."""
        door = self._roles[role]
        try:
            return await self._call(asked(door.store(self._clock.monotonic())))
        except _Refused:
            # The credentials were changed this moment, perhaps.
            if not door.renew(self._clock.monotonic()):
                raise
        return await self._call(asked(door.store(self._clock.monotonic())))

    async def _call(self, asked: Awaitable[T]) -> T:
        where = self._place.where
        try:
            async with self._clock.timeout(STEP):
                return await asked
        except FileNotFoundError as error:
            # A bucket that is not there is answered alike, and must not look like a blob that is gone.
            if (code := _code(error)) not in _NOT_THERE:
                raise BlobsAway(f"{where}: {code}") from None
            raise
        except TimeoutError as error:
            raise BlobsAway(f"{where} did not answer within {STEP:.0f} s") from error
        except Exception as error:
            name, code = type(error).__name__, _code(error)
            reason = code or ("it does not answer" if name == "GenericError" else name)
            kind = BlobsAway if _REFUSED.isdisjoint((name, code)) else _Refused
            raise kind(f"{where}: {reason}") from None  # Its text may show more than is good.


class _Refused(BlobsAway):
    """The store knows whom it answers, and says no."""


class _Door:
    """The store for one role, with the credentials that its file holds now."""

    def __init__(self, place: ObjectPlace, role: Role, file: Any) -> None:
        self._place = place
        self._role = role
        self._file = CredentialFile(file, place.service)
        self._store: S3Store | AzureStore | None = None

    def store(self, now: float) -> S3Store | AzureStore:
        """Raises BlobsAway."""
        if (found := self._file.fresh(now)) is not None or self._store is None:
            self._open(found)
        assert self._store is not None  # noqa: S101 - for the type checker
        return self._store

    def renew(self, now: float) -> bool:
        """Whether there are other credentials than those that were refused. Raises BlobsAway."""
        if (found := self._file.fresh(now, at_once=True)) is None:
            return False
        self._open(found)
        return True

    def _open(self, found: Credentials | None) -> None:
        if found is None:
            raise BlobsAway(f"{self._place.where}: there are no credentials to {self._role}")
        try:
            self._store = _s3(self._place, found) if self._place.service is Service.S3 else _azure(self._place, found)
        except Exception as error:
            raise BlobsAway(f"{self._place.where}: the settings don't do: {type(error).__name__}") from None


def _s3(place: ObjectPlace, found: Credentials) -> S3Store:
    from obstore.store import S3Store

    config: dict[str, str] = {"access_key_id": found.lines[0], "secret_access_key": found.lines[1]}
    if len(found.lines) > 2:
        config["session_token"] = found.lines[2]
    for name, value in (("endpoint", place.endpoint), ("region", place.region)):
        if value is not None:
            config[name] = value
    return S3Store(place.bucket, prefix=place.prefix or None, config=config, **_common(place))  # type: ignore[arg-type]


def _azure(place: ObjectPlace, found: Credentials) -> AzureStore:
    from obstore.store import AzureStore

    secret = found.lines[0].removeprefix("?")
    config: dict[str, str] = {"account_name": place.account or ""}
    config["sas_key" if found.is_signature else "account_key"] = secret
    if place.endpoint is not None:
        config["endpoint"] = place.endpoint
    return AzureStore(place.bucket, prefix=place.prefix or None, config=config, **_common(place))  # type: ignore[arg-type]


def _common(place: ObjectPlace) -> dict[str, Any]:
    return {
        "client_options": {
            "allow_http": place.allow_http,
            "connect_timeout": CONNECT * _SECOND,
            "timeout": REQUEST * _SECOND,
        },
        "retry_config": {"max_retries": 3, "retry_timeout": RETRY * _SECOND},
    }


async def _put(store: Any, name: str, octets: bytes) -> None:
    import obstore

    await obstore.put_async(store, name, octets, use_multipart=False)


async def _get(store: Any, name: str) -> bytes:
    import obstore

    return bytes(await (await obstore.get_async(store, name)).bytes_async())


async def _delete(store: Any, names: list[str]) -> None:
    import obstore

    await obstore.delete_async(store, names)


async def _all(one: Callable[[str], Awaitable[T]], names: Sequence[str]) -> list[T]:
    """One after the other, AT_ONCE at a time. The first fault ends all."""
    room = asyncio.Semaphore(AT_ONCE)

    async def within(name: str) -> T:
        async with room:
            return await one(name)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(within(name)) for name in names]
    except BaseExceptionGroup as faults:
        fault = faults.exceptions[0]
        raise fault from fault.__cause__
    return [task.result() for task in tasks]


def _code(error: BaseException) -> str | None:
    found = _CODE.search(str(error))
    return None if found is None else found[1] or found[2]
