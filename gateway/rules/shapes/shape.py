"""What a shape is: it reads a value of a rule file, tells what is wrong with it, and says what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from gateway.rules.flaw import BadValue, Flaw
from gateway.rules.tree import Items, Node, Table, Text, kind, node

MAX_VALUES = 10_000  # Of one list. Nobody writes more by hand; what a program writes belongs into several rules.


class Shape(Protocol):
    """How a value is written, and what it becomes."""

    @property
    def text(self) -> str:
        """What it takes, in words for the reference: `words`, `addresses`, `{name, words}`."""
        ...

    def read(self, value: object) -> Any:
        """The frozen value. `value` is a node of `gateway.rules.tree`, or what Python would have in its place: a text,
        a number, a list, a dict. Raises BadValue with all that is wrong.
        """
        ...

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema (2020-12), for editors; it may take more than `read` does."""
        ...


def scalar(value: object, right: str) -> Text:
    """`value` as a single text that is not empty. Raises BadValue."""
    one = node(value)
    if not isinstance(one, Text) or not one.value:
        raise BadValue(kind(one), right, one.line)
    return one


@dataclass(frozen=True, slots=True)
class Single:
    """A single value: `make` gets the text and whether it stood plain; it raises BadValue."""

    text: str
    right: str
    make: Callable[[str], Any]
    form: tuple[tuple[str, Any], ...] = (("type", ("string", "number")),)

    def read(self, value: object) -> Any:
        """What `make` makes of it."""
        one = scalar(value, self.right)
        try:
            return self.make(one.value)
        except BadValue as error:
            raise BadValue.of([flaw.below("", one.line) for flaw in error.flaws]) from error

    def schema(self) -> dict[str, Any]:
        """Its form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.form}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of values of one shape, or one of them alone; becomes a tuple, each value once, in their order."""

    text: str
    one: Shape

    def read(self, value: object) -> tuple[Any, ...]:
        """The tuple, which is never empty."""
        whole = node(value)
        if not isinstance(whole, Items):
            return (self.one.read(whole),)
        if not whole.items:
            raise BadValue("an empty list", "one value at least, or to leave it out", whole.line)
        if len(whole.items) > MAX_VALUES:
            raise BadValue(f"{len(whole.items)} values", f"at most {MAX_VALUES} in a list", whole.line)
        reading = Gathering()
        made = [reading.take(self.one, one, f"[{number}]") for number, one in enumerate(whole.items)]
        reading.done()
        return tuple(dict.fromkeys(made))

    def schema(self) -> dict[str, Any]:
        """One, or a list of them."""
        inner = self.one.schema()
        return {"anyOf": [inner, {"type": "array", "items": inner, "minItems": 1}]}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table. One that is not `required` and not there is left to the defaults of what is made."""

    name: str
    shape: Shape
    required: bool = True
    later: str = ""  # What brings it, where it is refused by name until then.


@dataclass(frozen=True, slots=True)
class Record:
    """A table with known keys, made into a value by `make`, which gets them by name.

    `alone`: the key that a single value (or list) in the table's place stands for; None: only a table will do.
    """

    text: str
    keys: tuple[Key, ...]
    make: Callable[..., Any]
    example: str
    alone: str | None = None

    def read(self, value: object) -> Any:
        """What `make` makes of the keys; it may raise BadValue too."""
        whole = node(value)
        if not isinstance(whole, Table):
            if self.alone is None or whole == Text("", whole.line, True):
                raise BadValue(kind(whole), self.example, whole.line)
            whole = Table({self.alone: (whole.line, whole)}, whole.line)
        reading = Gathering()
        made: dict[str, Any] = {}
        known = {key.name: key for key in self.keys}
        for name, (line, inner) in whole.entries.items():
            if (key := known.get(name)) is None:
                right = closest(name, [key.name for key in self.keys if not key.later])
                reading.add(f"the unknown key {kind(Text(name, line))}", right, line)
            elif key.later:
                reading.add(f"the key `{name}`", f"to leave it out until then: {key.later} comes later", line)
            else:
                made[name] = reading.take(key.shape, inner, name)
        for key in self.keys:
            if key.required and key.name not in whole.entries:
                reading.add(f"no `{key.name}`", self.example, whole.line)
        reading.done()
        try:
            return self.make(**made)
        except BadValue as error:
            raise BadValue.of([flaw.below("", whole.line) for flaw in error.flaws]) from error

    def schema(self) -> dict[str, Any]:
        """A table of its keys, or what may stand alone."""
        there = [key for key in self.keys if not key.later]
        table: dict[str, Any] = {
            "type": "object",
            "properties": {key.name: key.shape.schema() for key in there},
            "additionalProperties": False,
        }
        if required := [key.name for key in there if key.required]:
            table["required"] = required
        if self.alone is None:
            return table
        return {"anyOf": [next(key.shape.schema() for key in there if key.name == self.alone), table]}


class Gathering:
    """Reads several values and keeps what is wrong with each, so that all is told at once."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []

    def add(self, found: str, right: str, line: int) -> None:
        """One more flaw."""
        self.flaws.append(Flaw(found, right, line))

    def take(self, shape: Shape, value: Node, place: str) -> Any:
        """What `shape` makes of the value that stands at `place`, None where it is wrong."""
        try:
            return shape.read(value)
        except BadValue as error:
            self.flaws += [flaw.below(place, value.line) for flaw in error.flaws]
            return None

    def done(self) -> None:
        """Raises BadValue where anything was wrong."""
        if self.flaws:
            raise BadValue.of(self.flaws)


def closest(name: str, names: Iterable[str]) -> str:
    """Which of `names` may have been meant, in words: the one that is close, else all of them."""
    every = list(names)
    near = get_close_matches(name.lower(), every, n=1, cutoff=0.6)
    if near:
        return f"`{near[0]}`"
    return f"one of {', '.join(every)}" if len(every) > 1 else f"`{every[0]}`"
