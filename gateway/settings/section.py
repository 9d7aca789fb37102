"""What every section of gateway.toml is, and kinds of values that several of them have."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Octets = Annotated[int, Field(ge=1024, le=2 << 30)]


class Section(BaseModel):
    """Unknown keys are faults, never ignored; values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


# What `Field` is told of a credential's name; `right` is what whoever wrote another one reads.
CREDENTIAL: Final[dict[str, Any]] = {
    "pattern": r"^[A-Za-z0-9._-]+$",
    "json_schema_extra": {"right": "the credential's name alone: letters, digits, `.`, `_` and `-`"},
}
