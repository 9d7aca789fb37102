"""Numbers of payment cards (ISO/IEC 7812-1): issuer's range, length and Luhn's check digit."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from gateway.rules.classifiers.checksum import luhn
from gateway.rules.classifiers.model import Gathered, Sensitive
from gateway.rules.classifiers.near import Near
from gateway.rules.matching.fold import caseless, hyphened, plain

ALONE: Final = 65  # Low confidence, as Exchange has it: the number by itself (semantics r37).
SUPPORTED: Final = 85  # A word or a date near it.
DISTANCE: Final = 300

# First and last beginning of a range, and the lengths that its cards have.
_RANGES: Final = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 17, 18, 19)),  # Diners Club
    ("3095", "3095", (14, 16, 17, 18, 19)),
    ("36", "36", (14, 16, 17, 18, 19)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("6011", "6011", (16, 17, 18, 19)),  # Discover
    ("644", "659", (16, 17, 18, 19)),
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("81", "81", (16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("5018", "5018", (16, 17, 18, 19)),  # Maestro, but for its shortest numbers, which many others look like
    ("5020", "5020", (16, 17, 18, 19)),
    ("5038", "5038", (16, 17, 18, 19)),
    ("6304", "6304", (16, 17, 18, 19)),
    ("6759", "6759", (16, 17, 18, 19)),
    ("6761", "6763", (16, 17, 18, 19)),
)
_BY_DIGIT: Final = {digit: tuple(one for one in _RANGES if one[0][0] <= digit <= one[1][0]) for digit in "0123456789"}
_LENGTHS: Final = (16, 15, 14, 13, 19, 18, 17)  # In the order in which they are tried: the usual one first.
_LONGEST: Final = 19
_MOST_GROUPS: Final = 6  # In which a card is written, none of them of one digit: lists of numbers are no cards.

# Digits with at most one blank or hyphen between them, as many as there are: where a card begins in them is told by
# their groups. A number, a decimal or a word that goes on is none.
_RUN = re.compile(r"(?<![\w.,])[0-9](?:[ \t\-]?[0-9]){12,}(?!\w|[.,][0-9])")
_GROUP = re.compile(r"[0-9]+")
_EXPIRY = re.compile(r"(?<![\w/.\-])(?:0[1-9]|1[0-2]) ?[/\-] ?(?:20)?[2-4][0-9](?![\w/\-])")

_WORDS: Final = (
    *(
        "card",
        "cards",
        "card number",
        "cardholder",
        "credit",
        "credit card",
        "creditcard",
        "debit",
        "debit card",
        "pan",
    ),
    *(
        "visa",
        "mastercard",
        "master card",
        "maestro",
        "amex",
        "american express",
        "diners",
        "discover",
        "jcb",
        "unionpay",
    ),
    *("cvv", "cvv2", "cvc", "cvc2", "cid", "security code", "expiration", "expiry", "expires", "exp", "valid thru"),
    *("valid until", "karte", "kartennummer", "karteninhaber", "kreditkarte", "kreditkarten", "kreditkartennummer"),
    *("prüfnummer", "gültig bis", "carte", "carte bancaire", "carte de crédit", "numéro de carte", "titulaire"),
    *("date d'expiration", "tarjeta", "tarjeta de crédito", "vencimiento", "caducidad", "carta di credito", "scadenza"),
    *(
        "cartão",
        "cartão de crédito",
        "validade",
        "creditcardnummer",
        "betaalkaart",
        "vervaldatum",
        "kort",
        "kortnummer",
    ),
)


class CreditCard:
    """Finds them: `find` of Classifier."""

    def __init__(self) -> None:
        self._near = Near(_WORDS, DISTANCE)

    def find(self, places: Iterable[tuple[str, str]]) -> tuple[Sensitive, ...]:
        """Each distinct number once, whatever blanks and hyphens it is written with (semantics r36)."""
        gathered = Gathered()
        for where, raw in places:
            text = hyphened(caseless(plain(raw)))
            words: tuple[list[int], list[int]] | None = None
            dates: list[int] = []
            for run in _RUN.finditer(text):
                for number, start, end in _numbers(run[0], run.start()):
                    if words is None:
                        words = self._near.places(text)
                        dates = [match.start() for match in _EXPIRY.finditer(text)]
                    near = self._near.holds(words, start, end) or _date_near(dates, start, end)
                    gathered.add(number, SUPPORTED if near else ALONE, where)
                if gathered.is_full:
                    break
        return gathered.all()


def _date_near(dates: list[int], start: int, end: int) -> bool:
    place = bisect_left(dates, start - DISTANCE)
    return place < len(dates) and dates[place] <= end + DISTANCE


def _numbers(run: str, offset: int) -> Iterable[tuple[str, int, int]]:
    """Card numbers in digits and groups of digits; each begins and ends where a group does."""
    groups = [(match[0], match.start(), match.end()) for match in _GROUP.finditer(run)]
    place = 0
    while place < len(groups):
        ends: dict[int, int] = {}  # How many digits the groups from here on have together, and where that ends.
        digits = ""
        for end in range(place, min(place + _MOST_GROUPS, len(groups))):
            group = groups[end][0]
            digits += group
            if len(digits) > _LONGEST or len(group) == 1:
                break
            ends[len(digits)] = end
        for length in _LENGTHS:
            if length in ends and _is_card(digits[:length]):
                yield digits[:length], offset + groups[place][1], offset + groups[ends[length]][2]
                place = ends[length]
                break
        place += 1


def _is_card(digits: str) -> bool:
    for first, last, lengths in _BY_DIGIT[digits[0]]:
        if len(digits) in lengths and first <= digits[: len(first)] <= last:
            return luhn(digits)
    return False
