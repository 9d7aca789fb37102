"""The section [rules] of gateway.toml."""

from __future__ import annotations

from pydantic import Field

from gateway.settings.section import Section


class Rules(Section):
    """Transport rules: what becomes of a message by what it is. They stand in YAML files (docs/rules.md)."""

    folder: str | None = Field(
        None,
        description="The folder with rules in `*.yaml`, read in the order of their names, and data types in "
        "`types/*.yaml`; it must be there. Default: `rules` beside gateway.toml, where there is one.",
    )
