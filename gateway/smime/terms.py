"""The section [smime] of gateway.toml as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.settings.smime import Smime
from gateway.smime.certificate import Certificate, plain_address


@dataclass(frozen=True, slots=True, kw_only=True)
class SmimeTerms:
    """`cipher` as `aes256-cbc`, `digest` as `sha256`. `signing_identity`: an address in its normal form, whose identity
    signs for those who have none. `anchors`: who is believed. `fips`: only what FIPS 140 approves is made.
    """

    cipher: str = "aes256-cbc"
    digest: str = "sha256"
    sign_opaque: bool = False
    signing_identity: str | None = None
    deliver_decrypted: bool = False
    deliver_decrypted_by_domain: bool = False
    anchors: tuple[Certificate, ...] = field(default=(), repr=False)
    fips: bool = False

    @classmethod
    def from_settings(cls, section: Smime, anchors: Sequence[Certificate] = (), *, fips: bool = False) -> SmimeTerms:
        """`anchors`: what the files of `trust_anchors` hold. An address that is none is left out; `check` tells it."""
        identity = section.signing_identity
        return cls(
            cipher=section.cipher,
            digest=section.digest,
            sign_opaque=section.sign_opaque,
            signing_identity=None if identity is None else plain_address(identity),
            deliver_decrypted=section.deliver_decrypted,
            deliver_decrypted_by_domain=section.deliver_decrypted_by_domain,
            anchors=tuple(anchors),
            fips=fips,
        )
