"""S/MIME messages for tests, and what opens them; made by our own sealing, which other tests let OpenSSL judge."""

from __future__ import annotations

from gateway.mail.opened import Opened
from gateway.smime.certificate import Certificate, of
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM, ContentCipher
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signing import Signer
from gateway.smime.opening import open_message
from gateway.smime.sealing import encrypt, sign
from gateway.smime.trust import Trust
from tests.fakes import mail_keys
from tests.fakes.chance import FakeChance

__all__ = ["AES256_CBC", "AES256_GCM"]

HEAD = b"From: RSA <rsa@corp.example>\r\nTo: Otto Falk <otto@partner.example>\r\nSubject: the lantern\r\n"
TEXT = (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    b"the amber lantern\r\n"
)
MESSAGE = HEAD + TEXT


def facts(kind: str) -> Certificate:
    """The certificate for that kind of key, `<kind>@corp.example`, by the authority of `trust`."""
    return of(mail_keys.certificate(kind))


def encrypted(message: bytes = MESSAGE, *kinds: str, cipher: ContentCipher = AES256_CBC) -> bytes:
    people = [recipient(mail_keys.certificate(kind)) for kind in kinds or ("rsa",)]
    return encrypt(message, people, cipher, FakeChance())


def signed(message: bytes = MESSAGE, *kinds: str, opaque: bool = False) -> bytes:
    signers = [Signer.of(mail_keys.certificate(kind), mail_keys.private_key(kind)) for kind in kinds or ("rsa",)]
    return sign(message, signers, now(), opaque=opaque)


def now() -> float:
    """A time at which the certificates are valid."""
    return facts("rsa").not_before + 86_400.0


def trust() -> Trust:
    return Trust([of(mail_keys.authority())])


def opened(message: bytes, *kinds: str, by: Trust | None = None, known: tuple[Certificate, ...] = ()) -> Opened:
    """What is found with the keys of those kinds (default: RSA)."""
    keys = [DecryptionKey.of(mail_keys.certificate(kind), mail_keys.private_key(kind)) for kind in kinds or ("rsa",)]
    return open_message(message, DecryptionKeys(keys), by or trust(), now(), FakeChance(), known)


def told(found: Opened) -> list[str]:
    """The layers in short, outermost first."""
    return [
        ("enveloped" if layer.ok else f"closed {layer.reason}")
        if layer.status is None
        else " ".join(word for word in (layer.status.value, layer.signer, layer.reason) if word)
        for layer in found.layers
    ]
