"""The conditions, each an exception too, as Exchange's mail flow rules have them. A new one is one new entry.

`CONDITIONS` has them by name; one file holds what is asked of one noun.
Leaves out: groups and attributes of a directory, text inside documents and archives, spam scores, the sender's override
(the names that come later are in `gateway.rules.later`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.rules.conditions import (
    attachment,
    authentication,
    classification,
    header,
    message,
    recipient,
    sender,
    subject_body,
)
from gateway.rules.conditions.attachment import attachment_rows
from gateway.rules.conditions.kind import ConditionKind, Hit

_MODULES: Final = (sender, recipient, header, subject_body, attachment, message, classification, authentication)

CONDITIONS: Final[Mapping[str, ConditionKind]] = {kind.name: kind for module in _MODULES for kind in module.KINDS}

__all__ = ["CONDITIONS", "ConditionKind", "Hit", "attachment_rows"]
