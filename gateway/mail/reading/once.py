"""A property that is made when it is first asked for, and kept with its object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

_Made = TypeVar("_Made")


class once(Generic[_Made]):
    """As functools.cached_property without its lock. Python 3.11 has one lock for all objects of a class, held while
    a value is made: whoever reads a small message would wait until another thread has read its large one.

    An object is read by one thread at a time; by two, a value would be made twice.
    """

    def __init__(self, make: Callable[[Any], _Made]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...

    @overload
    def __get__(self, owner: object, kind: type) -> _Made: ...

    def __get__(self, owner: object | None, kind: type) -> _Made | Self:
        if owner is None:
            return self
        made = owner.__dict__[self._name] = self._make(owner)  # Found there the next time, before this is.
        return made
