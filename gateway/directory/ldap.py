"""Asks an LDAP server whether an address is somebody's (RFC 4511 4.5, RFC 4515)."""

from __future__ import annotations

from gateway.directory.model import Answer, Finding
from gateway.directory.terms import LdapTerms
from gateway.mail.address import Address
from gateway.world.ldap import Ldap, LdapFault


class LdapQuestion:
    """Fulfils `asker.Ask`."""

    def __init__(self, ldap: Ldap, terms: LdapTerms, separator: str | None) -> None:
        self._ldap = ldap
        self._terms = terms
        self._separator = separator

    async def __call__(self, address: Address) -> Finding:
        """Unknown only where the server searched and found nobody: whatever else it says is doubt."""
        try:
            found = await self._ldap.finds(self._terms.base, self._terms.filter.about(address, self._separator))
        except LdapFault as fault:
            return Finding(Answer.UNSURE, str(fault), away=True)
        return Finding(Answer.KNOWN if found else Answer.UNKNOWN)
