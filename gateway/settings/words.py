"""What the validator found, in the words of those who write gateway.toml."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.settings import shape
from gateway.settings.fault import Fault, shown
from gateway.settings.schema import Section, Settings
from gateway.settings.shape import Place
from gateway.settings.unbuilt import part_of, part_of_value

_BOUNDS = {
    "greater_than": ("gt", "more than {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "less than {}"),
    "less_than_equal": ("le", "at most {}"),
    "string_too_short": ("min_length", "at least {} letter"),
    "string_too_long": ("max_length", "at most {} letters"),
    "too_short": ("min_length", "at least {} entry"),
    "too_long": ("max_length", "at most {} entries"),
}


def told(error: ValidationError, data: dict[str, Any], file: str) -> list[tuple[Place, Fault]]:
    """Every fault of `error`, each once, with its place in `data`."""
    faults: dict[Place, Fault] = {}
    for detail in error.errors(include_url=False):
        place = _place(detail, data)
        table = isinstance(_value(data, place), dict) and shape.section_of(shape.at(place)[1]) is not None
        if detail["type"] == "string_type" and table:
            continue  # One branch of a union; the table's own faults follow.
        faults.setdefault(place, _fault(detail, place, file))
    return list(faults.items())


def _place(detail: ErrorDetails, data: Any) -> Place:
    """Where in `data` it is: the validator's location without the names of the branches of a union."""
    place: list[str | int] = []
    location = detail["loc"]
    here = data
    for number, part in enumerate(location):
        if isinstance(here, dict) and part in here:
            here = here[part]
            place.append(part)
        elif isinstance(here, list) and isinstance(part, int):
            here = here[part]
            place.append(part)
        elif detail["type"] == "missing" and number == len(location) - 1:
            place.append(part)
    return tuple(place)


def _value(data: Any, place: Place) -> Any:
    for part in place:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _fault(detail: ErrorDetails, place: Place, file: str) -> Fault:
    key = shape.dotted(place)
    section, annotation, field = shape.at(place)
    sort = detail["type"]
    if sort == "extra_forbidden":
        # The value is not shown: behind an unknown key it may well be a secret.
        return Fault(file, key, *_unknown(str(place[-1]), key, section))
    if sort == "missing":
        meaning = (field.description or "").rstrip(".") if field else ""
        return Fault(file, key, "nothing", f"{shape.kind(annotation)} ({meaning})")
    found = shown(detail["input"])
    if sort == "explained":
        return Fault(file, key, f"{found}, {detail['ctx']['why']}", detail["ctx"]["right"])
    if sort == "string_pattern_mismatch" and field is not None and isinstance(field.json_schema_extra, dict):
        return Fault(file, key, found, str(field.json_schema_extra["right"]))
    if sort in _BOUNDS and found != "nan":
        name, words = _BOUNDS[sort]
        bound = detail["ctx"][name]
        return Fault(file, key, found, words.format(f"{bound:.10g}" if isinstance(bound, float) else bound))
    if sort == "literal_error" and (part := part_of_value(key, detail["input"])):
        return Fault(file, key, f"{found}, which is not built yet: {part}", shape.kind(annotation))
    if sort == "literal_error" or sort.endswith("_type") or found == "nan":
        return Fault(file, key, found, shape.kind(annotation))
    return Fault(file, key, found, detail["msg"][:1].lower() + detail["msg"][1:])


def _unknown(name: str, key: str, section: type[Section] | None) -> tuple[str, str]:
    if part := part_of(key):
        return f"a key for what is not built yet: {part}", "to leave it out until that part exists"
    known = list((section or Settings).model_fields)
    plain = {_plain(one): one for one in known}
    if near := plain.get(_plain(name)):
        return "an unknown key", f"`{near}`"
    if near_names := difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.7):
        return "an unknown key", " or ".join(f"`{near}`" for near in near_names)
    if homes := list(_homes(name)):
        return "a key that does not stand here", f"`{name}` {' or '.join(homes)}"
    return "an unknown key", f"one of {', '.join(known)}"


def _plain(name: str) -> str:
    """`SenderDomains` and `sender-domains` alike: how Exchange and others write `sender_domains`."""
    return name.replace("_", "").replace("-", "").lower()


def _homes(name: str) -> Iterator[str]:
    """Where a key of that name does stand. In TOML a key belongs to the header above it, which many forget."""
    for header, section in shape.sections():
        if name in section.model_fields:
            yield f"in {header}" if header else "at the top of the file, before the first [section]"
