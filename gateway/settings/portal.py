"""The section [portal] of gateway.toml."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gateway.settings.section import Octets, Section

URL: Final = "https://HOST or https://HOST:PORT, such as https://portal.corp.example"
_NO_HOST: Final = frozenset("\"'<>\\")


def _address(url: str) -> str:
    """`url`, where it can be the portal's: `found` and `right` are for whoever wrote it."""
    scheme, _, place = url.partition("://")
    host = place.removesuffix("/")
    if scheme != "https":
        why = "which does not begin with https://"
    elif not host:
        why = "which names no host"
    elif "@" in host:
        why = "which has a user in it"
    elif any(mark in host for mark in "/?#"):
        why = "which goes on behind the host"
    elif any(letter.isspace() or letter in _NO_HOST for letter in host):
        why = "which has letters in it that no host has"
    else:
        return url
    raise PydanticCustomError("explained", "{why}; {right}", {"why": why, "right": URL})


class Portal(Section):
    """The recipients' web pages; a process of its own serves them. Without this section nothing is protected so."""

    listen: str = Field(description="HOST:PORT, TLS at once.")
    url: Annotated[str, AfterValidator(_address)] = Field(
        max_length=253,
        description="Its address as recipients have it, `https://HOST[:PORT]` and nothing behind; the links in "
        "protected mail begin with it, and requests for another host are refused.",
    )
    certificate: str | None = Field(
        None,
        description="PEM file with the chain, ours first; it must name the host of `url`. Default: that of the first "
        "listener that has one.",
    )
    key: str | None = Field(None, description="PEM file with the private key; default: in the same file.")
    address: str | None = Field(
        None,
        max_length=254,
        description="Mail address of the portal, in a domain of ours: codes and readers' answers come from it, and "
        "what can't be delivered of them goes back to it. Default: `portal@` the first of accepted_domains.",
    )
    minimum_tls: Literal["1.2", "1.3"] = Field("1.2", description="Lowest TLS version taken.")
    language: Literal["en", "de", "ar"] = Field(
        "en", description="Of pages for readers whose browser asks for none of those that there are."
    )
    max_upload: Octets = Field(
        25 * 1024 * 1024,
        description="Octets of the files of a reply together. A message.rpmsg that is put there may be longer: as long "
        "as that of the largest message that a listener takes.",
    )
    session_minutes: Annotated[int, Field(ge=5, le=720)] = Field(
        60, description="Minutes that a browser may read a message after its code; no use makes them more."
    )
    max_connections: Annotated[int, Field(ge=10, le=10_000)] = Field(
        1000, description="Connections at once; what is more is closed at once."
    )
    max_connections_per_client: Annotated[int, Field(ge=4, le=10_000)] = Field(
        100, description="The same of one address, unless it is one of `proxies`: an office may have one for all."
    )
    proxies: list[str] = Field(
        default=[],
        description="Addresses or networks of reverse proxies whose X-Forwarded-For says for whom they ask; from all "
        "others it is ignored. They speak TLS to the portal, and leave Host as it came.",
    )
