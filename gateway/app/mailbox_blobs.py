"""`[mailboxes] blobs` out of the settings: opening it, and judging it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Final

from gateway.settings.fault import Fault, errors, shown
from gateway.settings.load import Loaded
from gateway.storage.blob_terms import BadBlobs
from gateway.storage.mailbox_blob_credentials import Credentials
from gateway.storage.mailbox_blob_folder import FolderMailboxBlobs
from gateway.storage.mailbox_blob_objects import PROBE, ObjectMailboxBlobs
from gateway.storage.mailbox_blob_terms import FolderPlace, ObjectPlace, Role, mailbox_blob_place
from gateway.storage.mailbox_blobs import BlobGone, BlobsAway
from gateway.storage.writer import StorageBroken
from gateway.world.clock import Clock

PATIENCE: Final = 5.0  # Seconds that a check waits for the store; nothing that serves waits for a check.
_KEY: Final = "mailboxes.blobs"
_SECTION: Final = ("endpoint", "region", "account", "allow_http", "read_credentials", "write_credentials")


def open_mailbox_blobs(loaded: Loaded, executor: Executor, clock: Clock) -> FolderMailboxBlobs | ObjectMailboxBlobs:
    """Connects to nobody yet. Raises StorageBroken where the settings don't do."""
    try:
        place = mailbox_blob_place(loaded)
    except BadBlobs as error:
        raise StorageBroken(f"[mailboxes] blobs: right would be {error}") from error
    if isinstance(place, FolderPlace):
        return FolderMailboxBlobs(place.folder, executor)
    return ObjectMailboxBlobs(place, clock)


def judge_mailbox_blobs(loaded: Loaded, clock: Clock, *, ask: bool) -> Iterator[Fault]:
    """Faults and warnings. Blocks, and with `ask` asks a bucket too.

    A store that does not answer is a warning: mail waits in the queue, and it may be back in a moment.
    """
    section = loaded.settings.mailboxes
    try:
        place = mailbox_blob_place(loaded)
    except BadBlobs as error:
        yield loaded.fault(_KEY, shown(section.blobs or ""), str(error))
        return
    if isinstance(place, FolderPlace):
        for name in (*_SECTION, "delete_credentials"):
            if name in section.model_fields_set:
                right = 'blobs = "s3://BUCKET/PREFIX" or "azure://CONTAINER/PREFIX" beside it, or to leave it out'
                yield loaded.fault(f"mailboxes.{name}", "a key that a folder does not use", right)
        if section.blobs is None and loaded.is_shared and _has_mailboxes(loaded):
            found = f"nothing, so that contents lie in {place.folder}, which other gateways on the database may not see"
            right = 'a folder that all of them see, or "s3://BUCKET/PREFIX"; with one gateway any folder'
            yield loaded.warning(_KEY, found, right)
        return
    faults = [*_endpoint(loaded, place), *_files(loaded, place)]
    yield from faults
    if place.delete is None:
        right = "delete_credentials beside it, for who may do no more"
        yield loaded.warning(_KEY, "nobody may delete: messages that are gone leave their blobs behind", right)
    if ask and not errors(faults):
        wrong = asyncio.run(_tried(ObjectMailboxBlobs(place, clock), clock))
        if wrong is not None:
            right = "a store that lets one write there and the other read; until then mail for mailboxes waits"
            yield loaded.warning(_KEY, f"{shown(section.blobs or '')}, and {wrong}", right)


def _has_mailboxes(loaded: Loaded) -> bool:
    outbound = loaded.settings.connectors.outbound
    return loaded.settings.imap is not None or any(one.deliver == "mailbox" and one.enabled for one in outbound)


def _endpoint(loaded: Loaded, place: ObjectPlace) -> Iterator[Fault]:
    endpoint = place.endpoint
    if endpoint is None:
        return
    if not endpoint.startswith(("https://", "http://")):
        yield loaded.fault("mailboxes.endpoint", shown(endpoint), 'a URL, such as "https://s3.example:9000"')
    elif endpoint.startswith("http://") and not place.allow_http:
        right = "https://, or allow_http = true beside it where nobody else is on that network"
        yield loaded.fault("mailboxes.endpoint", shown(endpoint), right)


def _files(loaded: Loaded, place: ObjectPlace) -> Iterator[Fault]:
    seen: dict[tuple[str, ...], Role] = {}
    for role in Role:
        if (path := place.file(role)) is None:
            continue
        key = f"mailboxes.{role}_credentials"
        try:
            found = Credentials.read(path, place.service)
        except BlobsAway as error:
            yield loaded.fault(key, str(error), f"a file with credentials to {role}, which the gateway may read")
            continue
        mode = os.stat(path).st_mode & 0o777  # noqa: PTH116 - one call
        if mode & 0o077:
            yield loaded.warning(key, f"{path} with mode {mode:04o}: others here may read it", f"chmod 600 {path}")
        if (other := seen.setdefault(found.lines, role)) is not role:
            right = f"credentials that may {role} and do nothing else"
            yield loaded.warning(key, f"the same credentials as in {other}_credentials", right)


async def _tried(blobs: ObjectMailboxBlobs, clock: Clock) -> str | None:
    """Write the object that is always there and read it; what is wrong in words, or None."""
    try:
        async with clock.timeout(PATIENCE):
            await blobs.mark()
            await blobs.get(PROBE)
    except TimeoutError:
        return f"no answer within {PATIENCE:.0f} s"
    except (BlobsAway, BlobGone) as error:
        return str(error)
    return None
