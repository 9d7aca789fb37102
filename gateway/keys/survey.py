"""One look at the vaults: do they answer, and what do they say of the domain keys that a process holds?

A key that is held was unwrapped before; whether its owner still wants that is asked once for each root key and not for
each key, so that a look every half minute is a line or two in the access log. Leaves out: what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.keys.domain import ORGANISATION, restated, unwrap, weightier
from gateway.keys.vault import Denied, KeyFault, Unavailable, Vault
from gateway.storage.keyrows import KeyRow

Place = tuple[str, int]  # Purpose and version.
Root = tuple[str, str, int]  # Vault, key and its version.


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`rows`: the keys that there are. `fresh`: what was unwrapped anew. `faults`: of purposes; `sick`: of vaults.

    A purpose without a fault has all its keys, in `fresh` or as they were held.
    """

    rows: Mapping[Place, KeyRow]
    fresh: Mapping[Place, bytes] = field(repr=False)
    faults: Mapping[str, KeyFault]
    sick: Mapping[str, KeyFault]


def survey(rows: Iterable[KeyRow], held: Mapping[Place, KeyRow], vaults: Mapping[str, Vault]) -> Survey:
    """Ask each vault for its health and unwrap what is not held, or is wrapped otherwise than when it was unwrapped.

    `held`: the rows by which the keys in memory were unwrapped. Blocks; raises nothing for what a vault says.
    """
    there = {(row.purpose, row.version): row for row in rows if row.organisation == ORGANISATION}
    look = _Look(vaults)
    for name in vaults:
        look.health(name)
    fresh: dict[Place, bytes] = {}
    faults: dict[str, KeyFault] = {}

    def ask(row: KeyRow, *, keep: bool) -> None:
        try:
            secret = look.unwrap(row)
        except KeyFault as fault:
            faults[row.purpose] = weightier(faults.get(row.purpose), _bare(fault))
        else:
            if keep:
                fresh[row.purpose, row.version] = secret

    known = [row for place, row in there.items() if held.get(place) == row]
    for place, row in there.items():
        if held.get(place) != row:
            ask(row, keep=True)
    for row in known:
        if not look.allows(row):  # Nobody has asked under this root yet, or it said no: then for this key too.
            ask(row, keep=False)
    for purpose in {purpose for purpose, _ in held} - {purpose for purpose, _ in there}:
        faults[purpose] = Denied("it is gone from the shared database")
    return Survey(rows=there, fresh=fresh, faults=faults, sick=look.sick)


class _Look:
    """What the vaults have said so far. Where one did not answer, or forbade a root key, it is not asked again."""

    def __init__(self, vaults: Mapping[str, Vault]) -> None:
        self._vaults = vaults
        self._roots: dict[Root, KeyFault | None] = {}  # None: it unwraps.
        self._ill: dict[str, KeyFault] = {}
        self.sick: dict[str, KeyFault] = {}

    def health(self, name: str) -> None:
        """Whether the vault answers."""
        try:
            self._vaults[name].health()
        except KeyFault as fault:
            self.sick[name] = self._ill[name] = _bare(fault)

    def allows(self, row: KeyRow) -> bool:
        """Whether another key was unwrapped under the same root key."""
        root = _root(row)
        return row.vault not in self._ill and root in self._roots and self._roots[root] is None

    def unwrap(self, row: KeyRow) -> bytes:
        """The key's octets. Raises KeyFault."""
        root = _root(row)
        if (fault := self._ill.get(row.vault) or self._roots.get(root)) is not None:
            raise fault
        try:
            secret = unwrap(row, self._vaults)
        except KeyFault as fault:
            if isinstance(fault, Denied | Unavailable):  # It is about the root key, whatever is wrapped by it.
                self._roots[root] = _bare(fault)
                self.sick[row.vault] = weightier(self.sick.get(row.vault), _bare(fault))
            raise
        self._roots[root] = None
        return secret


def _root(row: KeyRow) -> Root:
    return row.vault, row.root, row.root_version


def _bare(fault: KeyFault) -> KeyFault:
    """The fault without where it came from: it is kept for as long as it lasts, and a traceback holds what all the
    frames on its way held, keys too. Of a vault's or a root's fault in the vault's own words.
    """
    cause = fault.__cause__
    said = cause if isinstance(fault, Denied | Unavailable) and isinstance(cause, KeyFault) else fault
    return restated(fault, str(said))
