"""What passes between the stages can't be changed: frozen and slotted dataclasses (STYLE: values and errors)."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from enum import Enum
from typing import Protocol

import pytest

import gateway.mail

MODULES = [f"gateway.mail.{module.name}" for module in pkgutil.iter_modules(gateway.mail.__path__)]
MODULES += ["gateway.connectors.model", "gateway.rules.model", "gateway.rules.values", "gateway.rules.fault"]


def classes() -> list[type]:
    """Every class that the value modules define, but for protocols, enumerations and exceptions."""
    found: list[type] = []
    for name in MODULES:
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and thing.__module__ == name and not issubclass(thing, (Enum, BaseException)):
                if Protocol not in thing.__mro__ or not getattr(thing, "_is_protocol", False):
                    found.append(thing)
    return found


@pytest.mark.parametrize("value", classes(), ids=lambda value: f"{value.__module__}.{value.__qualname__}")
def test_a_value_is_a_frozen_slotted_dataclass(value: type) -> None:
    assert dataclasses.is_dataclass(value)
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)


def test_there_are_values() -> None:
    assert len(classes()) > 10
