"""A file with faults, mended so far that the other faults can be found in the same run."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.settings import shape
from gateway.settings.fault import Fault
from gateway.settings.schema import Settings
from gateway.settings.shape import Place
from gateway.settings.words import told

_ROUNDS = 5  # A mended value may show the next fault in the same place; deeper than the schema it need not go.


@dataclass(frozen=True, slots=True)
class Repaired:
    """Settings without what was at fault. Never to be served with: only to look for more faults."""

    settings: Settings
    faulty: frozenset[str]
    written: frozenset[str]

    def follows(self, key: str) -> bool:
        """Whether a fault at `key` only follows from those that were mended here.

        So it is where the key, or what holds it, is at fault itself, and where nobody wrote the key and its section has
        a fault: who misspelt `smart_hosts` must not read as well that it is missing.
        """
        if any(key == bad or key.startswith((f"{bad}.", f"{bad}[")) for bad in self.faulty):
            return True
        home = key.rpartition(".")[0]
        return key not in self.written and any(bad.rpartition(".")[0] == home for bad in self.faulty)


def repaired(data: dict[str, Any], found: list[tuple[Place, Fault]]) -> Repaired | None:
    """`data` with its faulty values taken out or replaced, or None where that leads nowhere."""
    mended = copy.deepcopy(data)
    faulty: set[str] = set()
    for _ in range(_ROUNDS):
        for place, _fault in found:
            faulty.add(shape.dotted(place))
            _mend(mended, place)
        try:
            settings = Settings.model_validate(mended, strict=True)
        except ValidationError as error:
            found = told(error, mended, "")
            continue
        return Repaired(settings, frozenset(faulty), frozenset(shape.written(data)))
    return None


def _mend(data: Any, place: Place) -> None:
    """Take the value at `place` out. In a list its place is filled, so that the others keep their numbers."""
    here = data
    for part in place[:-1]:
        here = here[part]
    name = place[-1]
    section, annotation, field = shape.at(place)
    if isinstance(name, int):
        texts = str in shape.alternatives(annotation)
        here[name] = "unknown.invalid" if texts else {}
    elif section is not None and field is not None and field.is_required():
        here[name] = _filling(name, place)
    else:
        here.pop(name, None)


def _filling(name: str, place: Place) -> Any:
    """Something valid for a key that must be there. A fault found in it is never told: `follows`."""
    if name == "listeners":
        return [{"listen": "127.0.0.1:1"}]
    if name == "recipient_domains":
        return ["unknown.invalid"]
    return {"type": "partner", "listen": "127.0.0.1:1"}.get(name, f"unknown {shape.dotted(place)}"[:64])
