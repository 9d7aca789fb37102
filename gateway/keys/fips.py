"""What FIPS 140 asks of who uses a cryptographic module: tests at the start, and plain words about which module it is.

Under `[security] fips` each process computes published examples before it does anything else (FIPS 140-3, 7.10.2 has
modules do that; a module that does it too is tested twice). Two modules are at work: the OpenSSL inside the
`cryptography` package seals, signs and derives; the OpenSSL that Python is linked with speaks TLS and hashes.

Leaves out: tests of the random generator, and of TLS, which are the module's own; making an OpenSSL a validated one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from gateway.keys import known_answers as known
from gateway.keys.vault import KeyFault

STORED: Final = "what is stored and signed"
SPOKEN: Final = "TLS"


class SelfTestFailed(KeyFault):
    """A known answer did not come out: nothing may be sealed, signed or sent with this module."""


@dataclass(frozen=True, slots=True)
class Module:
    """One cryptographic module in use. `fips`: its FIPS provider is active, so that it can be a validated one."""

    name: str
    does: str
    fips: bool

    @property
    def words(self) -> str:
        """One sentence for log, `gateway version` and `gateway inventory`, that claims no more than is known."""
        if self.fips:
            return (
                f"{self.name} ({self.does}) is in FIPS mode; whether that very build is validated, "
                "its certificate at NIST's CMVP says"
            )
        return f"{self.name} ({self.does}) is not validated: it has no active FIPS provider"

    @property
    def validation(self) -> str:
        """The same in a few words."""
        return f"{self.name}, {'FIPS mode' if self.fips else 'not validated'}"


def modules() -> tuple[Module, ...]:
    """The modules that this process computes with."""
    package = importlib.metadata.version("cryptography")
    return (
        Module(f"cryptography {package} with {_short(backend.openssl_version_text())}", STORED, _own_mode()),
        Module(_short(ssl.OPENSSL_VERSION), SPOKEN, _system_mode()),
    )


def _short(text: str) -> str:
    """`OpenSSL 3.0.19` of `OpenSSL 3.0.19 27 Jan 2026`."""
    return " ".join(text.split()[:2])


def _own_mode() -> bool:
    # There is no public question for it; without an answer it counts as not validated.
    return bool(getattr(backend, "_fips_enabled", False))


def _system_mode() -> bool:
    # The default properties of the library that `ssl` shares with `hashlib`; Python shows them nowhere else.
    ask: Callable[[], Any] | None = getattr(getattr(hashlib, "_hashlib", None), "get_fips_mode", None)
    try:
        return ask is not None and bool(ask())
    except ValueError:
        return False


def self_test(tests: Sequence[tuple[str, Callable[[], bool]]] | None = None) -> None:
    """Compute every known answer; takes about 50 ms. Raises SelfTestFailed, naming the first that does not come out."""
    for name, comes_out in TESTS if tests is None else tests:
        try:
            good = comes_out()
        except (InvalidSignature, InvalidTag, UnsupportedAlgorithm, ValueError, keywrap.InvalidUnwrap) as error:
            raise _failed(name, type(error).__name__) from None
        if not good:
            raise _failed(name, "another result than the published one")


def _failed(name: str, why: str) -> SelfTestFailed:
    stored, spoken = modules()
    return SelfTestFailed(
        f"the self-test of {name} failed ({why}), so nothing was started; right would be a cryptographic module that "
        f"computes it (here: {stored.name}, {spoken.name}), or [security] fips = false"
    )


def _sha_256() -> bool:
    ours = Hash(SHA256())
    ours.update(known.SHA256_MESSAGE)
    return ours.finalize() == known.SHA256_DIGEST == hashlib.sha256(known.SHA256_MESSAGE).digest()


def _hmac() -> bool:
    mac = HMAC(known.HMAC_KEY, SHA256())
    mac.update(known.HMAC_MESSAGE)
    return mac.finalize() == known.HMAC_DIGEST


def _gcm() -> bool:
    cipher = AESGCM(known.GCM_KEY)
    sealed = cipher.encrypt(known.GCM_NONCE, known.GCM_PLAIN, known.GCM_BOUND)
    opened = cipher.decrypt(known.GCM_NONCE, known.GCM_SEALED, known.GCM_BOUND)
    return sealed == known.GCM_SEALED and opened == known.GCM_PLAIN


def _key_wrap() -> bool:
    wrapped = keywrap.aes_key_wrap(known.KW_KEY, known.KW_PLAIN)
    opened = keywrap.aes_key_unwrap(known.KW_KEY, known.KW_WRAPPED)
    return wrapped == known.KW_WRAPPED and opened == known.KW_PLAIN


def _rsa_key(p: int, q: int, d: int, e: int) -> rsa.RSAPrivateKey:
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # Everybody knows them; checking takes 50 ms.


def _oaep() -> bool:
    key = _rsa_key(known.OAEP_P, known.OAEP_Q, known.OAEP_D, known.OAEP_E)
    terms = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    if key.decrypt(known.OAEP_WRAPPED, terms) != known.OAEP_PLAIN:
        return False
    # What goes out is drawn anew each time, so it has no known answer: it must come back.
    return key.decrypt(key.public_key().encrypt(known.OAEP_PLAIN, terms), terms) == known.OAEP_PLAIN


def _rsa() -> bool:
    key = _rsa_key(known.RSA_P, known.RSA_Q, known.RSA_D, known.RSA_E)
    key.public_key().verify(known.RSA_SIGNATURE, known.RSA_MESSAGE, padding.PKCS1v15(), SHA256())
    return key.sign(known.RSA_MESSAGE, padding.PKCS1v15(), SHA256()) == known.RSA_SIGNATURE


def _ecdsa() -> bool:
    public = ec.EllipticCurvePublicNumbers(known.ECDSA_X, known.ECDSA_Y, ec.SECP256R1())
    how = ec.ECDSA(SHA256())
    verifying = public.public_key()
    verifying.verify(encode_dss_signature(known.ECDSA_R, known.ECDSA_S), known.ECDSA_MESSAGE, how)
    signing = ec.EllipticCurvePrivateNumbers(known.ECDSA_D, public).private_key()
    verifying.verify(signing.sign(known.ECDSA_MESSAGE, how), known.ECDSA_MESSAGE, how)
    return True


def _ed25519() -> bool:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(known.ED25519_SECRET)
    key.public_key().verify(known.ED25519_SIGNATURE, known.ED25519_MESSAGE)
    return key.sign(known.ED25519_MESSAGE) == known.ED25519_SIGNATURE


def _pbkdf2() -> bool:
    derive = PBKDF2HMAC(SHA512(), len(known.PBKDF2_KEY), known.PBKDF2_SALT, known.PBKDF2_ROUNDS)
    return derive.derive(known.PBKDF2_PASSWORD) == known.PBKDF2_KEY


def _counter_kdf() -> bool:
    derive = KBKDFHMAC(
        SHA256(),
        Mode.CounterMode,
        len(known.KDF_DERIVED),
        rlen=4,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=known.KDF_FIXED,
    )
    # The sealer computes the same by HMAC alone.
    mac = HMAC(known.KDF_KEY, SHA256())
    mac.update(b"\x00\x00\x00\x01" + known.KDF_FIXED)
    return derive.derive(known.KDF_KEY) == known.KDF_DERIVED == mac.finalize()


TESTS: Final[tuple[tuple[str, Callable[[], bool]], ...]] = (
    ("SHA-256", _sha_256),
    ("HMAC with SHA-256", _hmac),
    ("AES-256-GCM", _gcm),
    ("AES-256 key wrap", _key_wrap),
    ("RSA-OAEP with SHA-256", _oaep),
    ("RSA signatures with SHA-256", _rsa),
    ("ECDSA with P-256", _ecdsa),
    ("Ed25519", _ed25519),
    ("PBKDF2 with HMAC-SHA-512", _pbkdf2),
    ("the counter-mode KDF of SP 800-108", _counter_kdf),
)
