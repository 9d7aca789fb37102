"""Internationalised domain names in ASCII and back: A-labels and U-labels (RFC 5891, mapped as UTS #46 has it).

Letters that RFC 3490 made others of stay what they are (`faß.de` is not `fass.de`, which may be somebody else's), as in
every browser. Symbols that RFC 5892 does not allow are taken too: there are domains with them. Pure.
"""

from __future__ import annotations

from typing import Final

import idna

_PREFIX: Final = "xn--"
_LONGEST: Final = 63 - len(_PREFIX)  # Letters; each takes one octet at least, and many would take long.
_JOINERS: Final = "\u200c\u200d"  # Nobody sees them: they may stand where the script needs them (RFC 5892 appendix A).


def a_labels(domain: str) -> str:
    """`domain` with every label in ASCII, in small letters. Raises ValueError for what no name can have.

    What comes of it may still have letters of ASCII that no domain has: UTS #46 makes `a/c` of one sign.
    """
    return ".".join(map(_a_label, idna.uts46_remap(domain, std3_rules=False, transitional=False).split(".")))


def u_labels(domain: str) -> str:
    """A domain in A-labels as people write it. Raises ValueError where that is none of what `a_labels` makes."""
    written = ".".join(map(_u_label, domain.split(".")))
    if a_labels(written) != domain:
        raise ValueError("a label in ASCII that stands for nothing")
    return written


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    if len(label) > _LONGEST:
        raise ValueError("a label that is too long")
    idna.check_hyphen_ok(label)
    idna.check_initial_combiner(label)
    if not all(idna.valid_contextj(label, at) for at, letter in enumerate(label) if letter in _JOINERS):
        raise ValueError("a letter that nobody sees")
    return _PREFIX + label.encode("punycode").decode("ascii")


def _u_label(label: str) -> str:
    return label.removeprefix(_PREFIX).encode("ascii").decode("punycode") if label.startswith(_PREFIX) else label
