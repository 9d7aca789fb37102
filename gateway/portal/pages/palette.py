"""The colours of the pages, from one colour of the organisation. Pure (WCAG 2.2, 1.4.3: contrast of 4.5 for text)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

READABLE: Final = 4.5  # Contrast that text needs on what it stands on.
BRIGHT: Final = 7  # The same by night (1.4.6): with less a dark colour looks like one of what is switched off.
# The grounds of portal.css on which text is hardest to read,
_LIGHT: Final = "#eef4fb"  # by day: `--info-ground`,
_DARK: Final = "#1c232c"  # and by night: `--sunken`.


@dataclass(frozen=True, slots=True)
class Palette:
    """`brand` as it was given, `ink` of letters on it; `accent` the same made readable on light, `glow` on dark."""

    brand: str
    ink: str
    accent: str
    glow: str


def palette(brand: str) -> Palette:
    """Of `brand`, such as `#0b4f6c`."""
    ink = "#ffffff" if contrast(brand, "#ffffff") >= contrast(brand, "#000000") else "#000000"
    return Palette(
        brand, ink, _readable(brand, _LIGHT, "#000000", READABLE), _readable(brand, _DARK, "#ffffff", BRIGHT)
    )


def style_of(colours: Palette) -> str:
    """The sheet that hands them to portal.css."""
    return (
        f":root{{--brand:{colours.brand};--ink:{colours.ink};--accent:{colours.accent}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--accent:{colours.glow}}}}}\n"
    )


def contrast(one: str, other: str) -> float:
    """Between 1 and 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _readable(colour: str, ground: str, towards: str, least: float) -> str:
    """`colour`, mixed with as little of `towards` as makes its contrast on `ground` at least that."""
    for step in range(21):
        mixed = _mixed(colour, towards, step / 20)
        if contrast(mixed, ground) >= least:
            return mixed
    return towards


def _mixed(one: str, other: str, share: float) -> str:
    return "#" + "".join(
        f"{round(int(one[at : at + 2], 16) * (1 - share) + int(other[at : at + 2], 16) * share):02x}"
        for at in (1, 3, 5)
    )


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
