"""The schema as people see it: which keys a section has, where a key may stand, what kind of value it takes."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from gateway.settings.schema import Section, Settings

Place = tuple[str | int, ...]

_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_PLURALS = {str: "texts", int: "whole numbers", float: "numbers"}


def dotted(place: Sequence[str | int]) -> str:
    """`("connectors", "outbound", 1, "port")` as `connectors.outbound[1].port`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def alternatives(annotation: Any) -> list[Any]:
    """The types that a union allows, None left out, `Annotated` taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in alternatives(part)]
    return [] if annotation is type(None) else [annotation]


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a value of this type is, or that the entries of this list are."""
    for one in alternatives(annotation):
        if inspect.isclass(one) and issubclass(one, Section):
            return one
        if get_origin(one) is list and (section := section_of(get_args(one)[0])):
            return section
    return None


def is_list(annotation: Any) -> bool:
    """Whether a value of this type is a list."""
    return any(get_origin(one) is list for one in alternatives(annotation))


def kind(annotation: Any) -> str:
    """What a value of this type is, in words: `text`, `a whole number`, `one of "a", "b"`, `a list of texts`,
    `a list of some of "a", "b"`."""
    words = []
    for one in alternatives(annotation):
        if get_origin(one) is Literal:
            words.append(f"one of {_choices(one)}")
        elif get_origin(one) is list:
            entries = alternatives(get_args(one)[0])
            words.append("a list of " + " or ".join(_PLURALS.get(entry) or _several(entry) for entry in entries))
        else:
            words.append(_KINDS.get(one, "a table"))
    return " or ".join(words)


def _several(entry: Any) -> str:
    """What a list of such entries holds, where they are none of the plain kinds."""
    return f"some of {_choices(entry)}" if get_origin(entry) is Literal else "tables"


def _choices(literal: Any) -> str:
    return ", ".join(f'"{choice}"' for choice in get_args(literal))


def at(place: Place) -> tuple[type[Section] | None, Any, FieldInfo | None]:
    """The section in which the value at `place` stands, the value's type (None: unknown), and its definition."""
    section: type[Section] | None = None
    annotation: Any = Settings
    field: FieldInfo | None = None
    for part in place:
        if isinstance(part, int):
            inner = [get_args(one)[0] for one in alternatives(annotation) if get_origin(one) is list]
            annotation = inner[0] if inner else None
            continue
        section = section_of(annotation) if annotation is not None else None
        field = section.model_fields.get(part) if section else None
        annotation = field.annotation if field else None
    return section, annotation, field


def sections(section: type[Section] = Settings, name: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every section with its header: "" for the top, `[storage]`, `[[connectors.inbound]]`; in the schema's order."""
    yield name, section
    for key, field in section.model_fields.items():
        if inner := section_of(field.annotation):
            path = f"{name.strip('[]')}.{key}".strip(".")
            yield from sections(inner, f"[[{path}]]" if is_list(field.annotation) else f"[{path}]")


def written(data: Any, place: Place = ()) -> Iterator[str]:
    """Every key of `data`, a file as TOML reads it: dotted, in the order of the file, what holds others before them."""
    entries: Iterable[tuple[str | int, Any]] = ()
    if isinstance(data, dict):
        entries = data.items()
    elif isinstance(data, list):
        entries = enumerate(data)
    for part, value in entries:
        yield dotted((*place, part))
        yield from written(value, (*place, part))
