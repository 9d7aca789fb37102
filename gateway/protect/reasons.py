"""Why a recipient did not get the protection that a rule wants. They appear alike in log, trace and tests.

What a certificate lacks, and that there is none, has the words of `gateway.smime.certificate` and `selection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VAULT_AWAY: Final = "vault-away"  # The signing key can't be had now.
NO_PORTAL: Final = "no-portal"  # The rule wants rights, and gateway.toml has no [portal] where one could read them.
TEMPLATE_UNKNOWN: Final = "template-unknown"  # Neither is it built in, nor does [rights] have it.
TENANT_KEY_AWAY: Final = "tenant-key-away"  # Its vault does not answer now.
TENANT_KEY_DENIED: Final = "tenant-key-denied"  # Its vault says no, or there is none to seal with.
SEALING_FAILED: Final = "sealing-failed"  # A fault of ours: the log has it.
SENDER_NOT_OURS: Final = "sender-not-ours"  # It comes from elsewhere, so nobody here may sign it.
ENCRYPTED_BY_SENDER: Final = "encrypted-by-sender"
TOO_MANY_COPIES: Final = "too-many-copies"  # So large a message is made for a few blind recipients at a time.
HEADER_TOO_LARGE: Final = "header-too-large"
NOT_FOR_HIM: Final = "encrypted-for-others"  # No certificate of the recipient is among those that open it.
NOT_TRANSPORTABLE: Final = "content-not-transportable"  # What is inside can't travel as a message of its own.


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that can't be had. `passing`: it may be had later, without anybody doing anything about the mail."""

    reason: str
    passing: bool = False
