"""The section [rights] of gateway.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.section import Section

RightName = Literal[
    "VIEW",
    "EDIT",
    "PRINT",
    "EXTRACT",
    "REPLY",
    "REPLYALL",
    "FORWARD",
    "OBJMODEL",
    "EXPORT",
    "VIEWRIGHTSDATA",
    "EDITRIGHTSDATA",
    "COMMENT",
    "DOCEDIT",
]


class RightsTemplate(Section):
    """A template of one's own, beside `encrypt-only` and `do-not-forward`: what readers of a message may do with it."""

    name: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        json_schema_extra={"right": "a to z, digits, and hyphens between them, such as `board-only`"},
        description="What rules call it: a to z, digits, hyphens.",
    )
    title: str = Field(min_length=1, max_length=64, description="What readers see.")
    description: str = Field(min_length=1, max_length=1024, description="What it allows, for readers; one line.")
    rights: list[RightName] = Field(
        min_length=1,
        max_length=13,
        description="What every reader may do; VIEW is among them. EXTRACT: save attachments and the original.",
    )


class Rights(Section):
    """Rights-managed mail: under which key it is sealed, what readers may do, how long, who may read it besides."""

    tenant_key: str | None = Field(
        None,
        pattern=r"^[^/\s]+/[^/\s]+$",
        json_schema_extra={"right": "VAULT/KEY, such as `main/tenant`"},
        description="VAULT/KEY that signs licences and to which content keys are sealed: rsa-2048, rsa-3072 or "
        "rsa-4096. Its older versions keep opening. With a portal it is made where it is missing. Default: `tenant` in "
        "the first vault. Takes a restart.",
    )
    archived_keys: list[str] = Field(
        default=[],
        max_length=20,
        description="PEM files of former tenant keys, mode 0600, that open what was sealed to them and seal nothing. "
        "One of 1,024 bits is a key of Cryptographic Mode 1. Takes a restart.",
    )
    templates: list[RightsTemplate] = Field(default=[], max_length=100, description="Templates of one's own.")
    expires_in_days: int = Field(
        0,
        ge=0,
        le=730,
        description="Days after which readers open a message no longer; its sender still does. 0: never.",
    )
    keep_copies: bool = Field(
        True,
        description="The sealed message is stored, so that a link opens it. Without, the attached message.rpmsg is "
        "dropped on the portal.",
    )
    super_users: list[str] | None = Field(
        None,
        max_length=100,
        description="Accounts of this machine that may open any protected message by `gateway rights open`; each use "
        "is in the licence log. Default: whoever reaches the control socket (the gateway's own account, root); empty: "
        "nobody.",
    )
    notify_officer: str | None = Field(
        None, description="Address that is told by mail whenever a super user opens a message."
    )
    log_days: int = Field(
        400,
        ge=1,
        le=36500,
        description="Days after which lines of the licence log are removed, and what is kept of a message after its "
        "expiry: who got it, its links, whether it was revoked. One that never expires is kept.",
    )
