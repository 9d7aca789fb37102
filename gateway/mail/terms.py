"""What a copy of a message must have before it may leave, and what it leaves under (DESIGN 15). Values.

Rules ask for it, `protect` carries it out, the queue keeps it, delivery obeys it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Protection(StrEnum):
    """How the octets of a copy are protected."""

    NONE = "none"
    SMIME = "smime"
    RIGHTS = "rights"


class Smime(StrEnum):
    """What S/MIME is to do."""

    ENCRYPT = "encrypt"
    SIGN = "sign"
    BOTH = "both"


class Otherwise(StrEnum):
    """What becomes of a recipient for whom S/MIME can't be had."""

    RIGHTS = "rights"
    REJECT = "reject"
    DEFER = "defer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Protection that the rule of that name asked for and that was not given yet.

    `smime` None: rights alone, with `template` (`encrypt-only`, `do-not-forward`, or one of the settings').
    """

    rule: str
    smime: Smime | None = None
    otherwise: Otherwise = Otherwise.REJECT
    template: str | None = None

    @property
    def encrypts(self) -> bool:
        """Whether the content is to be read by its recipients alone; a signature leaves it in clear."""
        return self.smime is not Smime.SIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Held until an officer releases or deletes it. `rules` are the names of those that say so."""

    rules: tuple[str, ...]
    severity: str | None = None  # low, medium or high, as `set_audit_severity` has it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`require_tls`: over TLS or not at all. `connector`: the outbound connector that a rule chose, by name.

    `protection`: what the octets have. `wanted`: what they need before they may leave; a delivery that has it never
    leaves as it is, it goes through `protect` again. `reason`: why that could not be done yet, for people. `sign`: it
    came from our side, so that it may be signed in our name (DKIM, S/MIME) when it leaves later. `remove_rights`:
    rights of ours that it came with are taken off for those inside who may read it.
    """

    require_tls: bool = False
    connector: str | None = None
    protection: Protection = Protection.NONE
    wanted: Wanted | None = None
    reason: str | None = None
    quarantine: Quarantine | None = None
    sign: bool = False
    remove_rights: bool = False

    @property
    def waits(self) -> bool:
        """Whether it stays here for now: until it can be protected, or is released."""
        return self.wanted is not None or self.quarantine is not None

    def having(self, protection: Protection) -> Terms:
        """Those of the same copy once its octets have what was wanted."""
        return Terms(  # `replace` takes three times that.
            require_tls=self.require_tls,
            connector=self.connector,
            protection=protection,
            quarantine=self.quarantine,
            sign=self.sign,
            remove_rights=self.remove_rights,
        )


PLAIN = Terms()
