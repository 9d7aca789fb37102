"""Where `[mailboxes] blobs` puts contents: a folder, a prefix of an S3 bucket or of an Azure container."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.settings.load import Loaded
from gateway.storage.blob_terms import BadBlobs

# Names of buckets and containers as S3 and Azure have them; keys as they need no escaping anywhere.
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTAINER: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,100}(/[A-Za-z0-9._-]{1,100}){0,9}")

FOLDER: Final = "mailboxes"  # In the folder of [storage], where the settings name none.


class Service(StrEnum):
    """Whose protocol a store of objects speaks."""

    S3 = "s3"
    AZURE = "azure"


class Role(StrEnum):
    """What somebody's credentials allow. None of the three may list."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder."""

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlace:
    """A bucket or container, and a file of credentials for each role; without one for deleting nothing is deleted."""

    service: Service
    bucket: str
    read: Path
    write: Path
    delete: Path | None = None
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    account: str | None = None
    allow_http: bool = False

    @property
    def where(self) -> str:
        """As the settings have it."""
        return "/".join(part for part in (f"{self.service}://{self.bucket}", self.prefix) if part)

    def file(self, role: Role) -> Path | None:
        """The credentials of a role."""
        return {Role.READ: self.read, Role.WRITE: self.write, Role.DELETE: self.delete}[role]


def mailbox_blob_place(loaded: Loaded) -> FolderPlace | ObjectPlace:
    """What the settings say. Raises BadBlobs, whose text says what would be right of which key."""
    section = loaded.settings.mailboxes
    if section.blobs is None:
        return FolderPlace(loaded.storage / FOLDER)
    scheme, there, rest = section.blobs.partition("://")
    if not there:
        if not section.blobs:
            raise BadBlobs(_SHAPE)
        return FolderPlace(loaded.resolve(section.blobs))
    if scheme not in (Service.S3, Service.AZURE):
        raise BadBlobs(_SHAPE)
    service = Service(scheme)
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    shape = _BUCKET if service is Service.S3 else _CONTAINER
    if not shape.fullmatch(bucket) or (prefix and not _PREFIX.fullmatch(prefix)):
        raise BadBlobs(
            f'"{service}://NAME/PREFIX", the name in lower case, the prefix of letters, digits, ".", "_" and "-"'
        )
    if any(part in (".", "..") for part in prefix.split("/")):
        raise BadBlobs('a prefix without "." and ".." as parts')
    if section.read_credentials is None or section.write_credentials is None:
        raise BadBlobs("read_credentials and write_credentials beside it, a file each, for who may do no more")
    if service is Service.AZURE and not section.account:
        raise BadBlobs("account beside it: the name of the storage account")
    return ObjectPlace(
        service=service,
        bucket=bucket,
        prefix=prefix,
        read=loaded.resolve(section.read_credentials),
        write=loaded.resolve(section.write_credentials),
        delete=None if section.delete_credentials is None else loaded.resolve(section.delete_credentials),
        endpoint=section.endpoint,
        region=section.region,
        account=section.account,
        allow_http=section.allow_http,
    )


_SHAPE: Final = 'a folder, such as "data/mailboxes", or "s3://BUCKET/PREFIX", or "azure://CONTAINER/PREFIX"'
