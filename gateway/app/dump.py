"""A dump of the PostgreSQL database by its own pg_dump, the only one that knows its version."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.storage.writer import StorageBroken

if TYPE_CHECKING:
    from gateway.storage.postgres.connection import Database

PROGRAM: Final = "pg_dump"
_SECRETS: Final = {"password": "PGPASSWORD", "sslpassword": "PGSSLPASSWORD"}
_WORDS: Final = 400  # Letters of what pg_dump says.


def can_dump() -> bool:
    """Whether there is a pg_dump on this machine."""
    return shutil.which(PROGRAM) is not None


def dump(database: Database, target: Path) -> None:
    """Write the database into the new file `target`, in pg_dump's own form, as of one moment. Blocks for as long as
    that takes; whoever uses the database is not held up. Raises StorageBroken.
    """
    from psycopg.conninfo import make_conninfo

    program = shutil.which(PROGRAM)
    if program is None:
        raise StorageBroken("there is no pg_dump on this machine")
    parameters = dict(database.parameters)
    environment = dict(os.environ)
    for name, variable in _SECRETS.items():
        if (value := parameters.pop(name, None)) is not None:
            environment[variable] = value  # Not among the arguments, which everybody on the machine may read.
    if database.password_file is not None:
        environment["PGPASSWORD"] = database.password_file.read_text("utf-8").rstrip("\r\n")
    where = make_conninfo("", **parameters)
    target.touch(mode=0o600, exist_ok=False)
    command = [program, "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
    command += [f"--file={target}", f"--dbname={where}"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()[:_WORDS]
        raise StorageBroken(f"pg_dump could not dump {database.shown}: {words or f'status {done.returncode}'}")
