"""`gateway version`: which version this is, and what it stands on. Needs no settings and no running gateway."""

from __future__ import annotations

import platform

from gateway import __version__
from gateway.cli.output import Config, Json, say, value


def version(config: Config = None, as_json: Json = False) -> None:
    """Say which version this is, on which Python, OpenSSL and SQLite it runs, and which of these are in FIPS mode."""
    del config  # Taken, as by every command, and not needed.
    import sqlite3
    import ssl

    from gateway.keys.fips import modules

    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "sqlite": sqlite3.sqlite_version,
        "cryptography": [{"module": one.name, "does": one.does, "fips": one.fips} for one in modules()],
    }
    if as_json:
        value(facts)
    else:
        say(f"gateway {__version__} (Python {facts['python']}, {facts['openssl']}, SQLite {facts['sqlite']})")
        for one in modules():
            say(one.words)
