"""Who signed, against who the message says it is from (RFC 8550 3). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mail.address import Address, BadAddress
from gateway.mail.header_address import mailboxes
from gateway.smime.certificate import Certificate

_AUTHOR = re.compile(rb"^(?:from|sender)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
MAX_FIELDS = 10  # From and Sender; more than two are wrong, more than this nobody wants to know.


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the header says. `addresses` of From and Sender, lower case, domains in A-labels. `is_there`: there is such
    a field; a part that was taken out of its message has none, and then nothing is claimed.
    """

    addresses: frozenset[str]
    is_there: bool

    def matches(self, certificate: Certificate) -> bool:
        """Whether a certificate is of one who is named, or speaks for all of his domain (RFC 3183 2)."""
        if not self.is_there:
            return True
        if not self.addresses.isdisjoint(certificate.addresses):
            return True
        return any(address.rpartition("@")[2] in certificate.domains for address in self.addresses)


def claimed(section: bytes) -> Claimed:
    """Read From and Sender of a header section. A field that can't be read, or that could be read in two ways, names
    nobody.
    """
    found: set[str] = set()
    fields = [match[1] for _, match in zip(range(MAX_FIELDS), _AUTHOR.finditer(section), strict=False)]
    for value in fields:
        try:
            found.update(_plain(address) for address in mailboxes(value.replace(b"\r\n", b"")))
        except BadAddress:
            continue
    return Claimed(frozenset(found), bool(fields))


def _plain(address: Address) -> str:
    return address.who
