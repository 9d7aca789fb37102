"""The name that a database has among others which share a bucket or a folder with it, kept in the database itself.

What lies under another's name is never touched, so a store may be shared; a database that was restored from a backup
gets a new name, since its original may still be there.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

OWNER: Final = "owner"


def owner(connection: Connection, drawn: bytes) -> str:
    """The name of this database; where it has none yet, it gets one made of `drawn`. Processes may ask at once."""
    add = text("INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")
    connection.execute(add, {"name": OWNER, "value": drawn.hex()})
    found = connection.execute(text("SELECT value FROM meta WHERE name = :name"), {"name": OWNER})
    return str(found.scalar_one())
