"""One entry of a list or directory: an address, or `@domain` for everybody there."""

from __future__ import annotations

from gateway.mail.address import Address, BadAddress, parse_address
from gateway.settings.fault import shown


class BadEntry(ValueError):
    """The text is no entry. `right` says what would be."""

    def __init__(self, right: str) -> None:
        super().__init__(right)
        self.right = right


def entry(text: str) -> Address | str:
    """An address, or the domain of `@domain` in lower case and A-labels. Raises BadEntry."""
    if text.startswith("@"):
        return _domain(text[1:])
    if text.startswith("*@"):  # An address by its syntax, but meant as everybody there.
        raise BadEntry(_right(text))
    try:
        address = parse_address(text)
    except BadAddress as error:
        raise BadEntry(_right(text)) from error
    if not address.domain:
        raise BadEntry("an address with its domain; postmaster is always taken and need not be listed")
    return address


def mailbox(text: str) -> Address:
    """An address alone. Raises BadEntry."""
    found = entry(text)
    if isinstance(found, str):
        raise BadEntry("an address, such as ida@corp.example; a whole domain stands under catch_all")
    return found


def _domain(text: str) -> str:
    right = "a domain behind the @, such as @corp.example, which stands for everybody there"
    if text.startswith("["):
        raise BadEntry(right)
    try:
        return parse_address(f"x@{text}").domain  # By way of an address, so that what is no domain name is not taken.
    except BadAddress as error:
        raise BadEntry(right) from error


def _right(text: str) -> str:
    words = text.split()
    if len(words) > 1 and "@" in words[0]:
        return f"the address alone, {shown(words[0])}; a remark stands behind #"
    if text.startswith("*@"):
        return f"{shown(text[1:])}, which stands for everybody there"
    if "<" in text or text.startswith("mailto:"):
        return "the address alone, such as ida@corp.example"
    if "@" not in text:
        return f"an address, or {shown('@' + text)} if that is a domain of which everybody is known"
    return "an address, such as ida@corp.example"
