"""LDAP filters with a place for the address (RFC 4515). What a stranger sends never becomes part of a filter's syntax.

Leaves out: judging attribute descriptions and matching rules; the server does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.directory.folding import keys, plain_local
from gateway.mail.a_labels import u_labels
from gateway.mail.address import Address

_PLACES = re.compile(r"\{(address|local|domain)\}")
_SPECIAL = re.compile(r"[^\x20-'+-\[\]-~]")


class BadFilter(ValueError):
    """The text is no filter with a place for an address. Its words say what would be right."""


def escaped(value: str) -> str:
    """A value as it stands in a filter: each octet that means something there as `\\` and two digits (RFC 4515 3)."""
    return _SPECIAL.sub(lambda found: "".join(f"\\{octet:02x}" for octet in found[0].encode()), value)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter in which `{address}`, `{local}` and `{domain}` stand for the parts of an address."""

    template: str

    @classmethod
    def of(cls, text: str) -> Filter:
        """Raises BadFilter."""
        right = 'a filter, such as "(proxyAddresses=smtp:{address})"'
        if not _PLACES.search(text) or ("{address}" not in text and "{local}" not in text):
            raise BadFilter(f"{right}: without {{address}} or {{local}} it would know everybody or nobody")
        if re.search(r"[{}]", _PLACES.sub("", text)):
            raise BadFilter(f"{right}: of braces only {{address}}, {{local}} and {{domain}} are taken")
        if not _is_balanced(_PLACES.sub("x", text)):
            raise BadFilter(f"{right}, whole in parentheses that are all closed")
        return cls(text)

    def about(self, address: Address, separator: str | None = None) -> str:
        """The filter that finds who has this address, in whatever form it may be written there."""
        forms = _forms(address, separator)
        made = [self._one(local, domain) for local, domain in forms]
        return made[0] if len(made) == 1 else f"(|{''.join(made)})"

    def _one(self, local: str, domain: str) -> str:
        values = {"address": f"{local}@{domain}", "local": local, "domain": domain}
        return _PLACES.sub(lambda found: escaped(values[found[1]]), self.template)


def _forms(address: Address, separator: str | None) -> list[tuple[str, str]]:
    """Local part and domain; the domain as A-labels and as it came, where it came otherwise."""
    local = plain_local(address.local)
    locals_ = [local]
    if separator is not None and len(keys(address, separator)) > 1:
        locals_.append(local.partition(separator)[0])
    domains = [address.domain]
    if not (written := address.text[address.text.rfind("@") + 1 :].removesuffix(".").lower()).isascii():
        domains.append(written)
    elif "xn--" in address.domain:
        domains += _unicode(address.domain)
    return [(one, domain) for one in locals_ for domain in domains]


def _unicode(domain: str) -> list[str]:
    try:
        return [u_labels(domain)]
    except ValueError:
        return []


def _is_balanced(text: str) -> bool:
    """Whether it is one pair of parentheses with whatever is in it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth <= 0 and place < len(text) - 1:
            return False
    return depth == 0 and text.startswith("(") and len(text) > 2
