"""What an error of PostgreSQL or of libpq means, in words for whoever runs the gateway.

Rows never show: the server's details and positions are left out, and its words too where they may quote a value.
"""

from __future__ import annotations

from typing import Final

import psycopg

from gateway.storage.writer import StorageAway, StorageBroken, StorageFull

# PostgreSQL, appendix A (SQLSTATE). In front of each text stands the database.
_WORDS: Final = {
    "53200": "the server is out of memory",
    "53300": "the server has no connection left; raise its max_connections, or start fewer workers",
    "57P01": "the server is being shut down",
    "57P02": "the server has crashed and recovers",
    "57P03": "the server does not take connections yet",
    "57014": "it did not finish within the time that a statement may take",
    "55P03": "a lock was not to be had within the time that a lock may take",
    "40P01": "two transactions waited for each other, and this one was given up",
    "40001": "another transaction came in between",
    "25006": "it only reads, as a stand-by does; the address must lead to the primary server",
    "25P03": "the transaction was idle for too long, and the server ended it",
}
_MIGRATE: Final = frozenset({"42P01", "42703", "3F000"})  # No such table, column, schema.
_FULL: Final = frozenset({"53100"})
_RIGHTS: Final = "42501"
_LOST: Final = "the connection was lost"

# What a login tells before there is a SQLSTATE: libpq gives the server's sentence alone. Each with what to do.
_LOGIN: Final = (
    ("password authentication failed", "is the password right? [storage] password_file or libpq's ways have it"),
    ("no password supplied", "the server wants a password; [storage] password_file names a file with it"),
    ("no pg_hba.conf entry", "the server's pg_hba.conf does not let this account in from here"),
    ("Peer authentication failed", "over this socket the account of the system must be called like the one asked for"),
    ("does not exist", "make it on the server (CREATE ROLE ... LOGIN; CREATE DATABASE ... OWNER ...)"),
    ("Connection refused", "does the server run, and listen there?"),
    ("No such file or directory", "does the server run, and is the folder of its socket right?"),
    ("could not translate host name", "is the host's name right?"),
    ("failed to resolve host", "is the host's name right?"),
    ("timeout expired", "it did not answer in time; is the host right, and does a firewall stand between?"),
    ("certificate", "does sslrootcert name the authority that signed the server's certificate, and host its name?"),
    ("server does not support SSL", "the server has no TLS; turn it on there"),
    ("too many clients", "raise the server's max_connections, or start fewer workers"),
    ("remaining connection slots", "raise the server's max_connections, or start fewer workers"),
    ("session is read-only", "this is a stand-by; the address must lead to the primary server"),
)


def meaning(where: str, error: Exception) -> StorageFull | StorageBroken:
    """The error for whoever waits; `where` is `Database.shown`. Nothing was stored, or nobody knows (`is_lost`)."""
    state = getattr(error, "sqlstate", None)
    if state in _FULL:
        return StorageFull(f"the disk with {where} is full")
    kind = StorageAway if is_lost(error) else StorageBroken
    return kind(f"{where}: {_words(error, state)}")


def is_lost(error: Exception) -> bool:
    """Whether the connection went with it. What was being committed at that moment may be there or not."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    # 08: connection exceptions; 57P01 to 57P05: the server ends sessions; 25P03: it ended this one.
    return state.startswith("08") or state in ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")


def _words(error: Exception, state: str | None) -> str:
    if not isinstance(error, psycopg.Error):
        return type(error).__name__
    if state is None:
        return _LOST if is_lost(error) else type(error).__name__
    if words := _WORDS.get(state):
        return words
    said = (error.diag.message_primary or type(error).__name__).strip()
    if state in _MIGRATE:
        return f"it is not of this version ({said}); say: gateway migrate"
    if state == _RIGHTS:
        return f"{said}; the gateway's account must own its tables"
    # Class 22 quotes the value that does not fit; 23 names a constraint and quotes nothing but in its details.
    return f"error {state}" if state.startswith("22") else f"{said} ({state})"


def refusal(where: str, error: psycopg.Error) -> StorageAway:
    """What it means that no connection could be made, with what to do."""
    said = " ".join(str(error).split())
    # With several hosts libpq tells of each; the first word of ours that fits any of them has to do.
    hint = next((hint for words, hint in _LOGIN if words in said), None)
    told = said.removeprefix("connection failed: ") or "no connection"
    return StorageAway(f"{where} can't be reached: {told}" + (f"; {hint}" if hint else ""))
