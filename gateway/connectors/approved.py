"""TLS under `[security] fips`: versions, suites and curves that NIST SP 800-52r2 approves, and no others.

Suites of TLS 1.2 and curves are taken out of what is offered. Python's ssl can't do so with the suites of TLS 1.3, one
of which (ChaCha20) is not approved; so that one ends the handshake where it was agreed on. An OpenSSL in FIPS mode does
not offer it at all. Leaves out: certificates (`gateway.app.fips_check`), PSK and post-quantum groups.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from OpenSSL import SSL

# SP 800-52r2 3.3.1: forward secrecy, AES in GCM, CCM or CBC with SHA-2; no static RSA, no anonymous or pre-shared keys.
SUITES: Final = (
    "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+AESCCM:DHE+AESGCM:DHE+AESCCM:ECDHE+AES+SHA384:ECDHE+AES+SHA256"
    ":!aNULL:!eNULL:!aDSS:!PSK:!SRP:!AESCCM8"
)
SUITES_13: Final = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
CURVE: Final = "prime256v1"  # Every implementation of TLS has P-256 (RFC 8446 9.1); X25519 is not approved.
_UNAPPROVED: Final = ("CHACHA20", "CAMELLIA", "ARIA", "SEED", "3DES", "DES-CBC", "RC4", "NULL", "MD5")


class ApprovedTls(ssl.SSLObject):
    """One connection; its handshake fails where it came to a suite that is not approved."""

    def do_handshake(self) -> None:
        """The handshake, as far as what has come allows. Raises ssl.SSLError."""
        super().do_handshake()
        cipher = self.cipher()
        if cipher is None or any(word in cipher[0].upper() for word in _UNAPPROVED):
            fault = ssl.SSLError(ssl.SSL_ERROR_SSL, f"{cipher and cipher[0]} is not approved by SP 800-52r2")
            fault.reason = "UNAPPROVED_CIPHER"
            raise fault


class ApprovedContext(ssl.SSLContext):
    """An ssl.SSLContext that offers what is approved alone."""

    sslobject_class = ApprovedTls


def approved_context(protocol: int) -> ApprovedContext:
    """A context for `protocol` (ssl.PROTOCOL_TLS_CLIENT or _SERVER), with everything else as Python makes it."""
    context = ApprovedContext(protocol)
    context.set_ciphers(SUITES)
    context.set_ecdh_curve(CURVE)
    return context


def restrict(own: SSL.Context) -> None:
    """The same for a context of pyOpenSSL, which also leaves the unapproved suite of TLS 1.3 out."""
    own.set_cipher_list(SUITES.encode())
    own.set_tls13_ciphersuites(SUITES_13.encode())
    own.set_tmp_ecdh(ec.SECP256R1())
