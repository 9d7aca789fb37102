"""What a notice is about, in the words of the standards (RFC 3461 4.1, RFC 3464 2.3.3). Pure.

Leaves out: `expanded`, since there are no lists here.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.mail.delivery import Success, Target


class Kind(StrEnum):
    """In the words of NOTIFY."""

    FAILURE = "FAILURE"
    DELAY = "DELAY"
    SUCCESS = "SUCCESS"


def action(kind: Kind, target: Target) -> str:
    """What became of `target`, in the words of the field Action."""
    if kind is Kind.SUCCESS:
        return (target.owed or Success.RELAYED).value
    return "failed" if kind is Kind.FAILURE else "delayed"
