"""What was done about signing a message (DKIM), as trace, log and metrics tell it. Values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """`domain` is the signatures' d=, "" where none could be told; `signatures` are (selector, algorithm) of each.

    `reason`: why there is none, or one fewer than there are keys; a constant of `gateway.authenticate.dkim.sign`.
    """

    domain: str = ""
    signatures: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
