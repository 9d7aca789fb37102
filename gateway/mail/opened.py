"""What was found inside a message that is signed, encrypted or protected by rights. Values, which rules, trace and
command line read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

COMPRESSED: Final = "compressed"  # The reason of a layer that hides nothing: CMS that is compressed (RFC 3274).


class LayerKind(StrEnum):
    """What a layer is."""

    ENVELOPED = "enveloped"
    SIGNED = "signed"
    RIGHTS = "rights"  # A message.rpmsg under our own tenant key.


class SignatureStatus(StrEnum):
    """Of one signature. `weak`: it holds, by an algorithm that no longer proves anything (SHA-1)."""

    GOOD = "good"
    BAD = "bad"
    WEAK = "weak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer, or one signature of a signed one. `reason` is None where all is well.

    Of an enveloped layer: `ok`, `recipient` (the address of the certificate that opened it, else its subject),
    `algorithm` as `aes256-cbc`; one that opened has a reason where its cipher is weak. Of a signed one: `status`,
    `signer` (the certificate's address, else its subject). Of one of rights: `ok`, `work` (of the licence).
    """

    kind: LayerKind
    ok: bool | None = None
    recipient: str | None = None
    algorithm: str | None = None
    status: SignatureStatus | None = None
    signer: str | None = None
    reason: str | None = None
    work: str | None = None

    @property
    def hides(self) -> bool:
        """Whether it keeps from others what is inside."""
        return self.kind is not LayerKind.SIGNED and self.reason != COMPRESSED

    def row(self) -> dict[str, object]:
        """As `gateway smime open --json` prints it."""
        if self.kind is LayerKind.RIGHTS:
            told: dict[str, object] = {"layer": "rights", "ok": self.ok, "work": self.work}
            return told if self.reason is None else told | {"reason": self.reason}
        if self.kind is LayerKind.ENVELOPED:
            row: dict[str, object] = {"layer": "enveloped", "ok": self.ok}
            row |= {"recipient": self.recipient, "algorithm": self.algorithm}
            return row if self.reason is None else row | {"reason": self.reason}
        return {"layer": "signed", "status": self.status, "signer": self.signer, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What was in a message.rpmsg: the original octet for octet, and whom its licence names."""

    original: bytes = field(repr=False)
    owner: str = field(repr=False)
    readers: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`layers` outermost first. `openers`: of each enveloped layer that was opened, the fingerprints (SHA-256,
    hexadecimal) of all certificates of ours for which it was encrypted. `octets`: the message as its reader sees it,
    header section of the outer one with the innermost MIME entity; None where a layer could not be opened, or where
    what is inside must not be read (a broken structure, or a part that is not the whole message). A layer within an
    opened one whose own structure is broken is in it as it stands, as every reader finds it. `unsealed`: of each
    message.rpmsg, in their order, None for one that stays shut.
    """

    layers: tuple[Layer, ...]
    octets: bytes | None = field(default=None, repr=False)
    openers: tuple[frozenset[str], ...] = ()
    unsealed: tuple[Unsealed | None, ...] = ()

    @property
    def was_encrypted(self) -> bool:
        """Whether a layer was opened that hides: what is inside must never leave in clear by accident."""
        return any(layer.kind is not LayerKind.SIGNED and layer.ok for layer in self.layers)
