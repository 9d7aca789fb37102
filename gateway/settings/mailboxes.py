"""The section [mailboxes] of gateway.toml."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from gateway.settings.section import Section

MOST_QUOTA: Final = 1 << 50  # Octets; databases count up to 63 bits.


class Mailboxes(Section):
    """Mail that ends here, each mailbox encrypted under a data encryption policy (`gateway policy`, `gateway mailbox`).

    Where `blobs` is a bucket or container, those who read, write and delete have credentials of their own, and none
    may list. Their files are read again when they change.
    """

    default_policy: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Policy of mailboxes that are made without `--policy`, before the one that `gateway policy "
        "default` names. Default: that one; without either they lie under the service's own key.",
    )
    availability_key: str = Field(
        "main/availability",
        pattern=r"^[^/\s]+/[^/\s]+$",
        json_schema_extra={"right": "VAULT/KEY, such as `main/availability`"},
        description="VAULT/KEY of the service's own that opens a policy while neither of its roots' vaults gives an "
        "answer; never where one says no. Made where it is missing. Takes a restart.",
    )
    cache_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        60,
        description="Seconds that an unwrapped policy or mailbox key stays in use before its vaults are asked again: "
        "so long a root that was withdrawn elsewhere still counts. Takes a restart.",
    )
    quota: Annotated[int, Field(ge=0, le=MOST_QUOTA)] = Field(
        0, description="Octets that a mailbox may hold, where `--quota` says nothing. 0: as much as there is room."
    )
    subaddress: str | None = Field(
        "+",
        min_length=1,
        max_length=1,
        description='With "+" mail for `ida+news@` goes to the mailbox `ida@` (RFC 5233) unless it is one itself.',
    )
    catch_all: dict[str, str] = Field(
        default={},
        description="DOMAIN = MAILBOX that takes what is addressed to nobody there, besides what `gateway mailbox "
        "catch-all` keeps.",
    )
    background_per_second: Annotated[int, Field(ge=1, le=100_000)] = Field(
        500, description="Messages whose keys a key roll in the background wraps anew in a second, in all mailboxes."
    )
    garbage_seconds: Annotated[float, Field(ge=0, le=30 * 86_400)] = Field(
        86_400,
        description="Seconds that blobs are kept whose messages are gone: so long somebody may still be reading one, "
        "and a backup may take from its rows to its blobs. Takes a restart.",
    )
    blobs: str | None = Field(
        None,
        description="Where contents lie: a folder, `s3://BUCKET/PREFIX`, `azure://CONTAINER/PREFIX`. Default: the "
        "folder `mailboxes` in that of [storage]. Takes a restart.",
    )
    endpoint: str | None = Field(None, description="URL of the service of `blobs`; default: Amazon's or Azure's own.")
    region: str | None = Field(None, description="For `s3`: default AWS_REGION, then us-east-1.")
    account: str | None = Field(None, description="For `azure`: name of the storage account.")
    allow_http: bool = Field(False, description="Also speak HTTP without TLS to the endpoint.")
    read_credentials: str | None = Field(
        None,
        description="File of mode 0600 with what may read blobs. For `s3` two lines, access key id and secret access "
        "key; for `azure` one, a shared access signature or the account's key.",
    )
    write_credentials: str | None = Field(None, description="The same of what may write blobs.")
    delete_credentials: str | None = Field(
        None, description="The same of what may delete blobs; without it nothing is deleted, and what is garbage waits."
    )
