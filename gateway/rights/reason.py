"""Why a protected message can't be opened: the same words in exit, JSON, log, trace and test."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """One word for what stands in the way."""

    DAMAGED = "damaged"  # It is no message.rpmsg, or not a whole one.
    FORGED = "forged"  # Not signed by the key that it names, or not with this content.
    NOT_OURS = "not_ours"  # Sealed to a key that we don't have.
    EXPIRED = "expired"
    REVOKED = "revoked"
    NOT_A_READER = "not_a_reader"  # Whoever asks is not among those whom the licence names.
    NO_RIGHT = "no_right"  # He is, but may not read it, or not yet.
    KEY_AWAY = "key_away"  # The vault does not answer: passing.
    KEY_DENIED = "key_denied"  # The vault says no.


class NotOpened(Exception):
    """A protected message stays shut. `reason` is all that is ever told of it; octets are never part of the words."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
