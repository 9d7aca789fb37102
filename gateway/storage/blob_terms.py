"""Where `[storage] blobs` puts large content: a folder, or a prefix of an S3 bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.settings.load import Loaded

SCHEME: Final = "s3://"
# Bucket names as S3 has them; keys as they need no escaping anywhere.
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,100}(/[A-Za-z0-9._-]{1,100}){0,9}")


class BadBlobs(ValueError):
    """The setting names no place. The text says what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTerms:
    """A folder."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Terms:
    """A bucket. Without key files the keys come by the ways that AWS has: environment, container, machine."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key_file: Path | None = None
    secret_key_file: Path | None = None
    allow_http: bool = False


def blob_terms(loaded: Loaded) -> FolderTerms | S3Terms | None:
    """What the settings say; None: large content lies beside the database. Raises BadBlobs."""
    storage = loaded.settings.storage
    if storage.blobs is None:
        return None
    if not storage.blobs.startswith(SCHEME):
        if "://" in storage.blobs or not storage.blobs:
            raise BadBlobs('a folder, such as "data/blobs", or "s3://BUCKET/PREFIX"')
        return FolderTerms(folder=loaded.resolve(storage.blobs))
    bucket, _, prefix = storage.blobs.removeprefix(SCHEME).partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not _PREFIX.fullmatch(prefix)):
        raise BadBlobs('"s3://BUCKET/PREFIX", the bucket in lower case, the prefix of letters, digits, ".", "_", "-"')
    if any(part in (".", "..") for part in prefix.split("/")):
        raise BadBlobs('a prefix without "." and ".." as parts')
    s3 = storage.s3
    return S3Terms(
        bucket=bucket,
        prefix=prefix,
        endpoint=s3.endpoint,
        region=s3.region,
        access_key_file=None if s3.access_key_file is None else loaded.resolve(s3.access_key_file),
        secret_key_file=None if s3.secret_key_file is None else loaded.resolve(s3.secret_key_file),
        allow_http=s3.allow_http,
    )
