"""The contents of mailboxes in a backup: which files they are, and where a restore puts them.

Rows are copied first, and a blob outlives its row by a day (`gateway.mailboxes.contents.garbage`), so whatever the copy
of the database knows is still there. Leaves out: buckets and containers, which need a backup of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.settings.load import Loaded
from gateway.storage.archive import ArchiveWriter, pieces_of
from gateway.storage.blob_terms import BadBlobs
from gateway.storage.mailbox_blob_folder import MARK_NAME
from gateway.storage.mailbox_blob_terms import FolderPlace, mailbox_blob_place
from gateway.storage.mailbox_blobs import NAME

MEMBERS: Final = "data/mailboxes/"  # In front of their names in the archive.


def add_mailbox_blobs(loaded: Loaded, names: Sequence[str] | None, archive: ArchiveWriter) -> list[str]:
    """Put the blobs of these names into the archive, or all of the folder's; what is to be noted, in words.

    Blocks. Raises OSError.
    """
    try:
        place = mailbox_blob_place(loaded)
    except BadBlobs as error:
        return (
            [] if not names else [f"the contents of mailboxes are not in it, since [mailboxes] says no place: {error}"]
        )
    if not isinstance(place, FolderPlace):
        if names is not None and not names:
            return []
        return [
            f"the contents of mailboxes lie in {place.where}, and are not in it: they need a backup of their own. "
            "Whoever restores it beside a gateway that goes on copies them to another prefix first: two that share "
            "one would delete each other's"
        ]
    mark = place.folder / MARK_NAME
    if not mark.exists():
        return (
            [f"{place.folder}, where the contents of mailboxes lie, is not there: is its disk mounted?"]
            if names
            else []
        )
    _add(archive, MARK_NAME, mark)
    gone = 0
    for name in _listed(place.folder) if names is None else names:
        try:
            _add(archive, f"{name[:2]}/{name}", place.folder / name[:2] / name)
        except FileNotFoundError:
            gone += 1
    return [f"{gone} contents of mailboxes are gone, and not in it"] if gone else []


def _add(archive: ArchiveWriter, name: str, path: Path) -> None:
    with path.open("rb") as file:
        archive.add(MEMBERS + name, os.fstat(file.fileno()).st_size, pieces_of(file))


def _listed(folder: Path) -> Iterator[str]:
    for below in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        yield from sorted(path.name for path in below.iterdir() if NAME.fullmatch(path.name))
