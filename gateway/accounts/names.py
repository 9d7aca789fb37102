"""Names and passwords in the form in which they are compared (RFC 8265, which took the place of RFC 4013). Pure.

Names follow UsernameCaseMapped, passwords OpaqueString. Where we differ from the text: names are put into NFKC, which
folds the wide and narrow letters of RFC 8265 3.3 and other look-alikes too. SASLprep (RFC 4013) would do that to
passwords as well, take strength from them and stand still at Unicode 3.2. Leaves out: the rule about the direction of
writing.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_NAME: Final = 128  # Characters.
MAX_PASSWORD: Final = 1024  # Octets in UTF-8. More would be work for us and no strength.
SHORT_PASSWORD: Final = 8  # Octets under which one is warned (RFC 8265 4 leaves the length to us).

_LETTERS: Final = ("L", "M", "Nd")  # RFC 8264 4.2: the identifier class, without what NFKC has changed away.
# RFC 8264 4.3 and 9: controls, surrogates and what is not assigned yet, whose normal form may still change.
_UNFIT: Final = ("Cc", "Cs", "Cn")


class BadName(ValueError):
    """The text is no name. Its words are for people and do not hold it: it may be a password in the wrong field."""


class BadPassword(ValueError):
    """The text can't be a password. Its words do not hold it."""


def normal_name(text: str) -> str:
    """The name as accounts have it: lower case, NFKC. Raises BadName."""
    if len(text) > MAX_NAME:
        raise BadName(f"a name has at most {MAX_NAME} characters")
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    if not name:
        raise BadName("a name has at least one character")
    if len(name) > MAX_NAME:
        raise BadName(f"a name has at most {MAX_NAME} characters")
    if name.startswith("-"):
        raise BadName("a name does not begin with a hyphen: the command line would take it for an option")
    if not all("!" <= letter <= "~" or unicodedata.category(letter).startswith(_LETTERS) for letter in name):
        raise BadName("a name is made of letters, digits and signs such as . - _ @, without blanks")
    return name


def prepared_password(text: str) -> bytes:
    """The octets that are hashed: blanks of all kinds are U+0020, NFC (RFC 8265 4.2.2). Raises BadPassword."""
    blanks = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    prepared = unicodedata.normalize("NFC", blanks)
    if not prepared:
        raise BadPassword("a password is not empty")
    if any(unicodedata.category(letter) in _UNFIT for letter in prepared):
        raise BadPassword("a password holds no control characters and none that Unicode has not assigned")
    octets = prepared.encode("utf-8")
    if len(octets) > MAX_PASSWORD:
        raise BadPassword(f"a password has at most {MAX_PASSWORD} octets")
    return octets
