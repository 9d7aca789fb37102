"""Blobs as objects of an S3 bucket (Amazon S3, MinIO, Ceph and others that speak its protocol), by obstore.

An upload goes out in parts while the message comes in; the object is there, and durable, once it is completed. What a
crash leaves of an upload is hidden and costs room: a lifecycle rule of the bucket (AbortIncompleteMultipartUpload)
clears it.
Leaves out: Azure and Google Cloud, which obstore knows too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.storage.blob_terms import S3Terms
from gateway.storage.blobs import NAME, BlobGone, BlobsAway, checked
from gateway.world.clock import Clock

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import S3Store

T = TypeVar("T")

PART: Final = 8 << 20  # Octets of a part; S3 takes at least 5 MiB, and 10,000 parts.
PARTS_AT_ONCE: Final = 2  # Of one message; each lies in memory.
PAGE: Final = 1000  # Names in one answer.
CONNECT: Final = 5.0  # Seconds to be connected.
REQUEST: Final = 60.0  # Seconds for one request, a part sent and answered included.
RETRY: Final = 20.0  # Seconds in which a request that failed is tried again.
STEP: Final = 90.0  # Seconds for one call of ours, all tries together: whoever waits for it is a client of ours.

# How S3 names what is wrong; the rest of its answer may show parts of a signature.
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_SECRET_OCTETS: Final = 4096  # No key is longer.


class ObjectBlobs:
    """Fulfils `Blobs`. Opening connects to nobody yet."""

    def __init__(self, terms: S3Terms, space: str, clock: Clock) -> None:
        """`space` is the part of the prefix that this database has to itself. Raises BlobsAway."""
        self._where = f"s3://{terms.bucket}/{terms.prefix}"
        self._clock = clock
        self._store = _open(terms, space)

    def __repr__(self) -> str:
        return f"ObjectBlobs({self._where!r})"

    async def begin(self, name: str) -> ObjectWriter:
        """Room for a new blob. Raises BlobsAway."""
        import obstore

        checked(name)
        file = obstore.open_writer_async(self._store, name, buffer_size=PART, max_concurrency=PARTS_AT_ONCE)
        return ObjectWriter(self, name, file)

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these octets. Raises BlobGone, BlobsAway."""
        import obstore

        try:
            found = await self.call(obstore.get_range_async(self._store, checked(name), start=start, length=length))
        except FileNotFoundError as error:
            raise BlobGone(f"{self._where} has no content of {name} any more") from error
        octets = found.to_bytes()
        if len(octets) != length:
            raise BlobGone(f"the content of {name} in {self._where} is cut off")
        return octets

    async def delete(self, name: str) -> None:
        """Take it away. Raises BlobsAway."""
        import obstore

        try:
            await self.call(obstore.delete_async(self._store, checked(name)))
        except FileNotFoundError:
            pass

    async def names(self, before: float | None = None) -> set[str]:
        """See Blobs; uploads that were never completed are hidden from us. Raises BlobsAway."""
        import obstore

        found: set[str] = set()
        pages = obstore.list(self._store, chunk_size=PAGE).__aiter__()
        while (page := await self.call(anext(pages, None))) is not None:
            for one in page:
                if NAME.fullmatch(one["path"]) and (before is None or one["last_modified"].timestamp() < before):
                    found.add(one["path"])
        return found

    async def call(self, asked: Awaitable[T]) -> T:
        """The answer, in time, its faults in the words of storage. FileNotFoundError passes."""
        try:
            async with self._clock.timeout(STEP):
                return await asked
        except FileNotFoundError as error:
            # A bucket that is not there is answered alike, and must not look like a message whose content is gone.
            if _code(error) not in (None, "NoSuchKey"):
                raise BlobsAway(f"{self._where}: {_code(error)}") from None
            raise
        except TimeoutError as error:
            raise BlobsAway(f"{self._where} did not answer within {STEP:.0f} s") from error
        except Exception as error:
            raise BlobsAway(f"{self._where}: {_reason(error)}") from None  # Its text may show more than is good.


class ObjectWriter:
    """Fulfils `BlobWriter`."""

    __slots__ = ("_blobs", "_file", "_name")

    def __init__(self, blobs: ObjectBlobs, name: str, file: AsyncWritableFile) -> None:
        self._blobs = blobs
        self._name = name
        self._file = file

    async def write(self, octets: bytes) -> None:
        """Take the next octets; may wait for parts that are on their way. Raises BlobsAway."""
        await self._blobs.call(self._file.write(octets))

    async def finish(self) -> None:
        """Complete the upload. Raises BlobsAway."""
        await self._blobs.call(self._file.close())

    async def abandon(self) -> None:
        """Complete the upload and delete it, since there is no other way to take back its parts."""
        try:
            await self.finish()
            await self._blobs.delete(self._name)
        except BlobsAway:
            pass  # Cleared later.


def _open(terms: S3Terms, space: str) -> S3Store:
    from obstore.store import S3Store

    config: dict[str, str] = {}
    if terms.endpoint is not None:
        config["endpoint"] = terms.endpoint
    if terms.region is not None:
        config["region"] = terms.region
    if terms.access_key_file is not None and terms.secret_key_file is not None:
        config["access_key_id"] = secret_of(terms.access_key_file)
        config["secret_access_key"] = secret_of(terms.secret_key_file)
    seconds = timedelta(seconds=1)
    try:
        return S3Store(
            terms.bucket,
            prefix="/".join(part for part in (terms.prefix, space) if part),
            config=config,  # type: ignore[arg-type]
            client_options={
                "allow_http": terms.allow_http,
                "connect_timeout": CONNECT * seconds,
                "timeout": REQUEST * seconds,
            },
            retry_config={"max_retries": 3, "retry_timeout": RETRY * seconds},
        )
    except Exception as error:
        raise BlobsAway(f"s3://{terms.bucket}: the settings don't do: {type(error).__name__}") from None


def secret_of(path: Path) -> str:
    """What stands in the file, white space around it taken off. Raises BlobsAway."""
    try:
        with path.open("rb") as file:
            octets = file.read(_SECRET_OCTETS + 1)
    except OSError as error:
        raise BlobsAway(f"{path}: {error.strerror}") from error
    text = octets.strip()
    if not text or len(octets) > _SECRET_OCTETS or not text.isascii() or b"\n" in text:
        raise BlobsAway(f"{path} is no file with one key on one line")
    return text.decode("ascii")


def _code(error: BaseException) -> str | None:
    found = _CODE.search(str(error))
    return None if found is None else found[1]


def _reason(error: BaseException) -> str:
    if code := _code(error):
        return code
    name = type(error).__name__
    return "it does not answer" if name == "GenericError" else name
