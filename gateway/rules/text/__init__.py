"""Texts in the two forms in which words are looked for in them (DESIGN 6; Unicode normalisation form NFKC). Pure.

Leaves out: matching, which RE2 does on these forms; word stems and languages; words of scripts that write no blanks,
which are found wherever their letters stand.
"""

from gateway.rules.text.normal import Form, Wanted, literal, normalise, wanted

__all__ = ["Form", "Wanted", "literal", "normalise", "wanted"]
