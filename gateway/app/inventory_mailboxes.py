"""Rows of the inventory for mailboxes: contents, what the database has of them, policies and their keys."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.app.availability import availability_name, wants_mailboxes
from gateway.app.inventory_row import Ground, Row
from gateway.app.inventory_stores import BITS, GCM
from gateway.app.places import Places
from gateway.keys import domain
from gateway.settings.load import Loaded
from gateway.storage.blob_terms import BadBlobs
from gateway.storage.mailbox_blob_terms import FolderPlace, mailbox_blob_place


def mailboxes(ground: Ground) -> Iterator[Row]:
    """Mail that ends here. Nothing where no mail does."""
    loaded = ground.loaded
    if not wants_mailboxes(loaded):
        return
    where = _where(loaded)
    database = "PostgreSQL" if loaded.is_shared else str(Places.of(loaded).shared)
    under = "the mailbox key, under its policy's key; without a policy under " + ground.sealed_under(domain.MAILBOXES)
    yield Row(
        "Mailboxes: contents",
        where,
        "messages in chunks of 1 MiB under random names; in clear: how many blobs there are and how large",
        GCM,
        BITS,
        f"a random key for each chunk, in the content's map in the database, sealed under {under}",
        ground.stored,
    )
    yield Row(
        "Mailboxes: maps, heads, names",
        database,
        "chunk keys, envelopes and subjects; sealed apart: addresses, folders, keywords; in clear: UIDs, flags, dates, "
        "sizes, names of blobs",
        GCM,
        BITS,
        under,
        ground.stored,
    )
    for name, roots in sorted(_policies(ground).items()):
        yield Row(
            f"Data encryption policy {name}",
            f"{database}, sealed under the domain key mailboxes",
            "its key, wrapped by each of these, which wraps the keys of its mailboxes",
            "AES key wrap (RFC 3394) or RSA-OAEP with SHA-256, then AES-256-GCM",
            BITS,
            f"root keys {', '.join(roots) or 'unknown'}; availability key {availability_name(loaded)}",
            ground.stored,
        )


def _where(loaded: Loaded) -> str:
    try:
        place = mailbox_blob_place(loaded)
    except BadBlobs:
        return loaded.settings.mailboxes.blobs or ""
    return str(place.folder) if isinstance(place, FolderPlace) else loaded.settings.mailboxes.blobs or ""


def _policies(ground: Ground) -> dict[str, list[str]]:
    """The roots of each policy, by what hangs on the keys of all vaults."""
    found: dict[str, list[str]] = {}
    for key in ground.listed["keys"]:
        for one in key["holds"]:
            if one["kind"] == "policy" and one["as"] in ("root_a", "root_b"):
                found.setdefault(one["policy"], []).append(key["key"])
    return found
