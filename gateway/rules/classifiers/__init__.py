"""Sensitive information in texts: payment cards, bank accounts, and types of the administrator's own (DataType).

Each classifier gives the distinct values that it finds, with a confidence in percent: how sure it is by itself, and how
much surer where a word stands near that such a value is usually written with. A new built-in type is one entry of
`BUILT_IN`.
Leaves out: the many national numbers that Exchange knows beside these; text inside documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.rules.classifiers.account import Iban
from gateway.rules.classifiers.card import CreditCard
from gateway.rules.classifiers.checksum import CHECKSUMS
from gateway.rules.classifiers.model import Classifier, Sensitive
from gateway.rules.classifiers.own import Own
from gateway.rules.model import DataType

BUILT_IN: Final[Mapping[str, type[Classifier]]] = {"credit_card": CreditCard, "iban": Iban}


def classifiers(types: Iterable[DataType] = ()) -> dict[str, Classifier]:
    """All classifiers by name: the built-in ones, and one for each of `types`."""
    made: dict[str, Classifier] = {name: kind() for name, kind in BUILT_IN.items()}
    return made | {one.name: Own(one) for one in types}


__all__ = ["BUILT_IN", "CHECKSUMS", "Classifier", "Sensitive", "classifiers"]
