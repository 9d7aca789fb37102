"""Judging `[storage] blobs`: the place it names, the key files, and whether the store answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gateway.app.blobs import tried
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded
from gateway.storage.blob_objects import secret_of
from gateway.storage.blob_terms import BadBlobs, S3Terms, blob_terms
from gateway.storage.blobs import BlobsAway
from gateway.world.clock import Clock

PATIENCE: Final = 5.0  # Seconds that a check waits for the store; nothing that serves waits for a check.


def judge_blobs(loaded: Loaded, clock: Clock, *, ask: bool) -> Iterator[Fault]:
    """Faults and warnings of `[storage] blobs` and `[storage.s3]`. Blocks, and with `ask` asks a bucket too.

    A store that does not answer is a warning: small messages need none, and it may be back in a moment.
    """
    storage = loaded.settings.storage
    try:
        terms = blob_terms(loaded)
    except BadBlobs as error:
        yield loaded.fault("storage.blobs", shown(storage.blobs), str(error))
        return
    if not isinstance(terms, S3Terms):
        if storage.s3.model_fields_set:
            right = 'blobs = "s3://BUCKET/PREFIX" above it, or to leave the section out'
            yield loaded.fault("storage.s3", "a section that nothing uses", right)
        return
    faults = list(_section(loaded, terms))
    yield from faults
    if ask and not faults:
        with ThreadPoolExecutor(1) as executor:
            wrong = tried(loaded, executor, clock, PATIENCE)
        if wrong is not None:
            right = (
                "a bucket that answers and lets us list, read, write and delete; until then large mail is answered 451"
            )
            yield loaded.warning("storage.blobs", f"{shown(storage.blobs)}, and {wrong}", right)


def _section(loaded: Loaded, terms: S3Terms) -> Iterator[Fault]:
    endpoint = terms.endpoint
    if endpoint is not None:
        if not endpoint.startswith(("https://", "http://")):
            yield loaded.fault("storage.s3.endpoint", shown(endpoint), 'a URL, such as "https://s3.example:9000"')
        elif endpoint.startswith("http://") and not terms.allow_http:
            right = "https://, or allow_http = true beside it where nobody else is on that network"
            yield loaded.fault("storage.s3.endpoint", shown(endpoint), right)
    pair = {"access_key_file": terms.access_key_file, "secret_key_file": terms.secret_key_file}
    if (terms.access_key_file is None) != (terms.secret_key_file is None):
        missing = next(name for name, path in pair.items() if path is None)
        yield loaded.fault(f"storage.s3.{missing}", "nothing", "the other half of the key, or neither of the two")
    for name, path in pair.items():
        if path is not None:
            yield from _key_file(loaded, f"storage.s3.{name}", path, secret=name == "secret_key_file")


def _key_file(loaded: Loaded, key: str, path: Path, *, secret: bool) -> Iterator[Fault]:
    try:
        secret_of(path)
    except BlobsAway as error:
        yield loaded.fault(key, str(error), "a file with one key on one line, which the gateway may read")
        return
    mode = os.stat(path).st_mode & 0o777  # noqa: PTH116 - one call
    if secret and mode & 0o007:
        yield loaded.warning(key, f"{path} with mode {mode:04o}: everybody here may read it", f"chmod 600 {path}")
