"""Who is logged in, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mail.address import Address, BadAddress, normal_domain, parse_address

_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who has logged in. `id` and `epoch` are those of the account at that moment.

    `addresses` are in the form of `own_address`.
    """

    id: str
    name: str
    epoch: int
    addresses: tuple[str, ...]

    def owns(self, address: Address) -> bool:
        """Whether `address` is one of the user's own.

        The local part counts in any case, with or without needless quotes, and with anything behind a plus sign.
        """
        if not address.domain:
            return False
        local = _plain(address.local)
        base = local.partition("+")[0]
        domain = address.domain
        wanted = {f"*@{domain}", f"{local}@{domain}", f"{base or local}@{domain}"}
        return not wanted.isdisjoint(self.addresses)


def own_address(text: str) -> str:
    """`text` as accounts have it: lower case, A-labels; `*@corp.example` stands for a domain. Raises BadAddress."""
    if text.startswith("*@"):
        domain = parse_address(f"x{text[1:]}").domain  # Judged by the same rules as any.
        return f"*@{normal_domain(domain)}"
    address = parse_address(text)
    if not address.domain:
        raise BadAddress("an address has a domain")
    local = _plain(address.local)
    if local == "*":
        raise BadAddress('an address that would be read as "all of the domain"')
    return f"{local}@{address.domain}"


def _plain(local: str) -> str:
    """A local part as it is compared: quotes and their escapes taken off, lower case."""
    if local.startswith('"'):
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return local.lower()
