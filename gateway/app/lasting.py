"""Settings that can't change while the gateway runs: a reload that would change them is refused."""

from __future__ import annotations

from functools import reduce
from typing import Final

from gateway.app import face
from gateway.app.migrate import workers
from gateway.settings.load import Loaded

_KEYS: Final = (
    "storage.url",
    "storage.password_file",
    "storage.folder",
    "storage.blobs",
    "storage.s3",
    "vaults",
    "rights.tenant_key",
    "rights.archived_keys",
    *(
        f"mailboxes.{key}"
        for key in (
            *("availability_key", "cache_seconds", "background_per_second"),
            *("blobs", "endpoint", "region", "account", "allow_http"),
            *("read_credentials", "write_credentials", "delete_credentials"),
        )
    ),
    "keys.cache_seconds",
    "keys.look_seconds",
    "keys.log_days",
    "security",
    "metrics",
    "log.file",
    "log.journal",
)


def changed(old: Loaded, new: Loaded, count: int) -> list[str]:
    """Those of them that differ, by their keys; `count` workers run."""
    found = [] if count == workers(new) else ["server.workers"]
    found += [key for one in face.ALL for key, was, is_ in face.lasting(one, old, new) if was != is_]
    return found + [key for key in _KEYS if _value(old, key) != _value(new, key)]


def _value(loaded: Loaded, key: str) -> object:
    return reduce(getattr, key.split("."), loaded.settings)
