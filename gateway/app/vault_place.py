"""What tells vaults apart: the folder or the token that a name of the settings stands for, not the name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.settings import schema
from gateway.settings.load import Loaded

Place = tuple[str, str]


def vault_place(loaded: Loaded, section: schema.Vault) -> Place | None:
    """Its folder, or its token's module and label, with links followed; None: the section says neither."""
    if section.provider == "file":
        return _real(loaded.resolve(section.path)), ""
    if section.module and section.token:
        return _real(loaded.resolve(section.module)), section.token
    return None


def place_of(loaded: Loaded) -> Callable[[str], Place]:
    """The place of each vault by its name; of one that the settings do not name, something that no other has."""
    places = {one.name: place for one in loaded.settings.vaults if (place := vault_place(loaded, one)) is not None}
    return lambda name: places.get(name, ("", name))


def _real(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):  # Links that lead in a circle, say; others tell of it.
        return str(path)
