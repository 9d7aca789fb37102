"""A wrapped domain key as storage keeps it. Storage can't open it; keys can."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One row of domain_keys. `created`: milliseconds since 1970; `wrapped` begins with the vault's version mark."""

    organisation: str
    purpose: str
    version: int
    vault: str
    root: str
    root_version: int
    wrapped: bytes
    created: int
