"""What the ladder asks of certificates, keys and CMS. `app` joins it with the stores; tests have fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.mail.address import Address
from gateway.protect.reasons import Lack
from gateway.smime.certificate import Certificate, Identity


class Means(Protocol):
    """Nothing here raises for what can't be had: it says so by a `Lack`. Octets are whole messages with CR LF."""

    def recipient(self, address: Address) -> Certificate | Lack:
        """The best certificate to encrypt for `address` now. Answers from memory."""

    async def signer(self, authors: Sequence[Address]) -> Identity | Lack:
        """The identity that signs what these have written: the first one's who has one, else the gateway's."""

    def encrypt(self, octets: bytes, certificates: Sequence[Certificate]) -> bytes:
        """The message encrypted for exactly these, its header fields but those of MIME outside. Blocks."""

    def sign(self, octets: bytes, identity: Identity) -> bytes:
        """The message signed, its header fields but those of MIME outside. Blocks."""

    def is_encrypted(self, octets: bytes) -> bool:
        """Whether the message as a whole is CMS that is encrypted for somebody: by its octets, not by its header."""
