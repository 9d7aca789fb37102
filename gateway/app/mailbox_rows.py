"""Mailboxes in the form of `gateway mailbox list --json`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.storage.mailboxes.model import Mailbox, MailboxName, MailboxState, NameKind
from gateway.world.clock import rfc3339


def mailbox_row(mailbox: Mailbox, policies: Mapping[int, str]) -> dict[str, Any]:
    """One mailbox. `policies` are names by id; `rolling`: its contents are being wrapped under a new key."""
    return {
        "address": mailbox.address,
        "account": mailbox.account,
        "policy": None if mailbox.policy is None else policies.get(mailbox.policy, f"policy {mailbox.policy}"),
        "state": "ready" if mailbox.state is MailboxState.READY else "removing",
        "messages": mailbox.messages,
        "used": mailbox.used,
        "quota": mailbox.quota,
        "key_version": mailbox.key.version if mailbox.next_key is None else mailbox.next_key.version,
        "rolling": mailbox.next_key is not None,
        "created": rfc3339(mailbox.created),
    }


def name_rows(names: Sequence[MailboxName]) -> dict[str, list[str]]:
    """Its other names."""
    return {
        "aliases": [one.name for one in names if one.kind is NameKind.ALIAS],
        "catch_all": [one.name.removeprefix("*@") for one in names if one.kind is NameKind.CATCH_ALL],
    }
