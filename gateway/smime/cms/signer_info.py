"""What stands in SignedData for one signer (RFC 5652 5.3), read."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import AlgorithmIdentifier, Digest
from gateway.smime.cms.attributes import SignedAttributes
from gateway.smime.cms.identifiers import Identifier, read_identifier


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """`attributes`: those that are signed, None where there are none. What is not signed is not looked at."""

    identifier: Identifier
    digest: Digest
    attributes: SignedAttributes | None
    algorithm: AlgorithmIdentifier
    signature: bytes

    @classmethod
    def read(cls, info: ber.Element) -> SignerInfo:
        """Raises Unreadable."""
        members = info.expect(der.SEQUENCE).members(most=7)
        if len(members) < 5:
            raise ber.broken()
        members[0].integer()
        identifier = read_identifier(members[1])
        digest = AlgorithmIdentifier.read(members[2].expect(der.SEQUENCE)).digest()
        attributes = None
        if members[3].tag == 0xA0:
            attributes = SignedAttributes.read(members.pop(3))
        if len(members) < 5 or members[4].tag & ~ber.CONSTRUCTED != der.OCTET_STRING:
            raise ber.broken()
        algorithm = AlgorithmIdentifier.read(members[3].expect(der.SEQUENCE))
        return cls(identifier, digest, attributes, algorithm, members[4].octets())
