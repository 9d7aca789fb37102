"""International bank account numbers (IBAN, ISO 13616): country, its length, and the check digits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from gateway.rules.classifiers.checksum import mod97
from gateway.rules.classifiers.model import Gathered, Sensitive
from gateway.rules.matching.fold import hyphened, plain

# One of a hundred sequences has fitting check digits by chance, and hardly any has a country and its length too.
SURE: Final = 85

# Letters and digits in all, by country.
_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_BEGIN = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[ \-]?[0-9]{2}")
_APART: Final = dict.fromkeys(map(ord, " \t-"))


class Iban:
    """Finds them: `find` of Classifier."""

    def find(self, places: Iterable[tuple[str, str]]) -> tuple[Sensitive, ...]:
        """Each distinct number once, in groups or without."""
        gathered = Gathered()
        for where, raw in places:
            text = hyphened(plain(raw).upper())
            for begin in _BEGIN.finditer(text):
                number = _number(text, begin.start())
                if number is not None and mod97(number):
                    gathered.add(number, SURE, where)
        return gathered.all()


def _number(text: str, at: int) -> str | None:
    """What stands at `at`, where it is as long as its country's numbers are."""
    length = _LENGTHS.get(text[at : at + 2])
    match = None if length is None else _of_length(length).match(text, at)
    return None if match is None else match[0].translate(_APART)


@cache
def _of_length(length: int) -> re.Pattern[str]:
    """So many letters and digits and no more, with at most one blank or hyphen between them."""
    return re.compile(rf"[A-Z0-9](?:[ \t\-]?[A-Z0-9]){{{length - 1}}}(?![A-Z0-9])")
