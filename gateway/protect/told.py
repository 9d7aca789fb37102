"""What `protect` did for one recipient, and why (DESIGN 15). Values, for trace, log and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """The step of the ladder that a recipient got."""

    ENCRYPTED = "encrypted"
    SIGNED = "signed"
    BOTH = "signed-and-encrypted"
    RIGHTS = "rights"  # Sealed under rights, and opened on the portal.
    AS_IT_CAME = "as-it-came"  # It was encrypted when it came.
    DECRYPTED = "decrypted"  # It came encrypted for us, and is delivered inside without.
    WAITS = "waits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """`rule` is the name of the one that asked for it, None for what a setting asks for. `reason`: why the recipient
    got no more than that. `certificate`: SHA-256 of the one that it was encrypted for, hexadecimal. `template` and
    `work` (of the licence) belong to rights.
    """

    recipient: str
    step: Step
    rule: str | None = None
    reason: str | None = None
    certificate: str | None = None
    template: str | None = None
    work: str | None = None

    def row(self) -> dict[str, object]:
        """As the trace has it: what is None is left out."""
        row: dict[str, object] = {"recipient": self.recipient, "step": f"{self.step}"}
        for name in ("rule", "reason", "template", "work", "certificate"):
            if (value := getattr(self, name)) is not None:
                row[name] = value
        return row
