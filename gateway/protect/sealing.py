"""One copy made into its protected ones: what is signed, and what is encrypted for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.mail.envelope import Body, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.terms import Protection, Terms
from gateway.protect.means import Means
from gateway.protect.workroom import Workroom, whole
from gateway.smime.certificate import Certificate, Identity
from gateway.world.batch import as_step

CERTIFICATES_ON_LOOP: Final = 4  # Each costs up to 100 us.


class Sealing:
    """Carries out what the ladder decided."""

    def __init__(self, means: Means, workroom: Workroom) -> None:
        self._means = means
        self._work = workroom

    async def sign(self, octets: bytes, identity: Identity) -> bytes:
        """The message signed."""
        algorithm = identity.certificate.algorithm
        # A signature of 2,048 bits takes a millisecond, and a change of threads beside a busy loop more than that.
        slow = algorithm.startswith("rsa") and algorithm != "rsa-2048"
        return await self._work.seal(len(octets), as_step(partial(self._means.sign, octets, identity)), slow=slow)

    async def encrypt(self, octets: bytes, certificates: Sequence[Certificate]) -> bytes:
        """The message encrypted, each certificate once."""
        own = tuple(dict.fromkeys(certificates))
        slow = len(own) > CERTIFICATES_ON_LOOP
        return await self._work.seal(len(octets), as_step(partial(self._means.encrypt, octets, own)), slow=slow)

    async def is_encrypted(self, mail: Mail) -> bool:
        """Whether its sender had encrypted it."""
        if b"pkcs7-mime" not in mail.message.header_section().lower():
            return False
        octets = await whole(mail.message.content)
        return await self._work.run(len(octets), partial(self._means.is_encrypted, octets))


def sealed(mail: Mail, octets: bytes, recipients: tuple[Recipient, ...]) -> Mail:
    """The copy of these recipients, whose octets are protected now."""
    message = Message(octets[:MAX_HEAD], Held(octets))
    # Not sure of the header section, which stays outside, nor of a foreign signature that was signed once more.
    body = Body.SEVEN_BIT if octets.isascii() else Body.EIGHT_BIT_MIME
    return mail.as_copy(mail.envelope.around(recipients, body), message, given(mail))


def as_it_is(mail: Mail, recipients: tuple[Recipient, ...]) -> Mail:
    """The copy of these recipients, which its sender had protected."""
    return replace(mail, envelope=replace(mail.envelope, recipients=recipients), terms=given(mail))


def given(mail: Mail) -> Terms:
    """Its terms, with the protection that was wanted."""
    return mail.terms.having(Protection.SMIME)
