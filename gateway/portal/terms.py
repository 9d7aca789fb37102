"""What the pages go by, as frozen values of `[portal]`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from gateway.mail.address import BadAddress, normal_domain

HTTPS: Final = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalTerms:
    """`url` as `https://HOST[:PORT]`, nothing behind it. `max_upload` in octets: of a reply's files.
    `max_dropped`: of a message.rpmsg; whatever we seal has to open, also where no copy of it is stored. `session` in
    seconds. `address`: the portal's own mail address, which is
    nobody to answer.
    """

    url: str
    address: str = "portal@localhost"
    language: str = "en"
    max_upload: int = 25 * 1024 * 1024
    max_dropped: int = 25 * 1024 * 1024
    session: float = 3600.0
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    scripts: bool = False  # Whether a page names a script of ours; the policy for contents allows none otherwise.

    @property
    def origin(self) -> str:
        """As a browser sends it in Origin: lower case, without the port that https has anyway (RFC 6454 6.2)."""
        return f"https://{self.host}"

    @property
    def host(self) -> str:
        """As a browser sends it in Host (RFC 9110 7.2)."""
        found = urlsplit(self.url)
        name = (found.hostname or "").lower()
        if ":" in name:
            name = f"[{name}]"
        elif not name.isascii():
            with suppress(BadAddress):  # What is none was refused with the settings.
                name = normal_domain(name)
        return name if found.port in (None, HTTPS) else f"{name}:{found.port}"
