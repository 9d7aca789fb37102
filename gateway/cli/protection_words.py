"""What stands in the way of a message's protection, in words for whoever can do something about it."""

from __future__ import annotations

from typing import Final

from gateway.cli.words import plain

# Reasons of gateway.protect.reasons, gateway.smime.selection and gateway.smime.certificate. One that is not here is
# told by its own word.
_WORDS: Final = {
    "no-certificate": "no certificate is known for the recipient",
    "certificate-expired": "the certificate has expired",
    "certificate-not-yet-valid": "the certificate is not valid yet",
    "certificate-not-for-mail": "the certificate is not made out for mail",
    "certificate-not-for-encryption": "the certificate's key may not encrypt",
    "certificate-not-for-signing": "the certificate's key may not sign",
    "certificate-key-weak": "the certificate's key is too short",
    "certificate-not-approved": "FIPS 140 does not approve the certificate's key",
    "certificates-not-read": "the certificates can't be read now",
    "no-signing-identity": "nobody who wrote it has a certificate to sign with",
    "sender-not-ours": "it comes from elsewhere, and only mail from here is signed",
    "vault-away": "the vault keeps the signing key from the gateway now",
    "no-portal": "gateway.toml has no [portal], so that nobody could read what rights protect",
    "template-unknown": "neither is the template built in, nor does [rights] have it",
    "tenant-key-away": "the vault of the tenant key does not answer",
    "tenant-key-denied": "the vault of the tenant key says no, or there is none",
    "sealing-failed": "a fault in the gateway; its log says more",
    "encrypted-by-sender": "its sender had encrypted it already",
    "encrypted-for-others": "it is encrypted, and not for this recipient",
    "header-too-large": "its header section is too large",
    "content-not-transportable": "what is inside can't travel as a message of its own",
}
_WANTS: Final = {"encrypt": "S/MIME (encrypt)", "sign": "S/MIME (sign)", "both": "S/MIME (sign and encrypt)"}


def lack(reason: str) -> str:
    """A reason in words; where neither S/MIME nor rights can be had there are two."""
    return "; ".join(_WORDS.get(one, plain(one)) for one in reason.split(", "))


def wanted(what: str) -> str:
    """The protection that a copy waits for: `encrypt`, `sign`, `both`, or the name of a rights template."""
    return _WANTS.get(what, f"rights protection ({plain(what)})")
