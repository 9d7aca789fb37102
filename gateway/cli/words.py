"""Numbers, times and other people's text in the form in which people read them."""

from __future__ import annotations

import re

# A next hop's reply may hold escape sequences that would move the cursor or recolour the administrator's terminal;
# the second range are their one-letter forms, the last ones turn the direction of writing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """`text` without anything that a terminal obeys; each such character becomes a question mark."""
    return _CONTROL.sub("?", str(text))


def octets(number: int) -> str:
    """`number` octets, such as `4.1 KiB`."""
    if number < 1024:
        return count(number, "octet")
    size = float(number)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def span(seconds: float) -> str:
    """A duration in its two largest units, such as `2 h 5 min`."""
    whole = max(0, round(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def seconds(took: float) -> str:
    """How long something took, such as `3 ms` or `2.50 s`."""
    return f"{took * 1000:.0f} ms" if took < 1 else f"{took:.2f} s"


def moment(text: object) -> str:
    """An RFC 3339 time in UTC without fractions, such as `2026-11-03 08:12:00Z`; a dash for none."""
    if not isinstance(text, str) or not text:
        return "-"
    return plain(re.sub(r"\.\d+", "", text).replace("T", " "))


def path(address: object) -> str:
    """An address as an envelope shows it; the null sender is `<>`."""
    return plain(address) if address else "<>"


def count(number: int, noun: str, several: str | None = None) -> str:
    """`1 delivery`, `2 deliveries`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {several or noun + 's'}"


def some(names: list[str], limit: int = 10) -> str:
    """At most `limit` of `names`, and how many more there are."""
    rest = len(names) - limit
    return ", ".join(plain(name) for name in names[:limit]) + (f" and {rest} more" if rest > 0 else "")
