"""The look of what strangers get from us: one branding, as values. Pure; `app` reads the logo's file.

Leaves out: several brandings of which a rule picks one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.rights.logo import Logo
from gateway.rights.wording import WORDINGS, Wording
from gateway.settings import branding as settings

COLOR: Final = "#0b4f6c"
_BLACK: Final = "#000000"
_WHITE: Final = "#ffffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """`name` of the organisation. Texts are plain, those that are None have a default in each language. `color` as
    `#0b4f6c`, of bar and button; `ink` is that of the letters on it.
    """

    name: str
    logo: Logo | None = None
    color: str = COLOR
    introduction_text: str | None = None
    read_button_text: str | None = None
    email_text: str | None = None
    disclaimer_text: str | None = None
    portal_text: str | None = None
    privacy_statement_url: str | None = None
    hide_subject: bool = False
    language: str = "en"

    def __hash__(self) -> int:
        return hash((self.name, self.language))  # It is looked up for each message, and there are few of them.

    @classmethod
    def from_settings(cls, section: settings.Branding, *, name: str, logo: Logo | None = None) -> Branding:
        """The branding of `[branding]`; `name` where that gives none, `logo` is what its file holds."""
        return cls(
            name=section.name or name,
            logo=logo,
            color=section.background_color.lower(),
            introduction_text=section.introduction_text,
            read_button_text=section.read_button_text,
            email_text=section.email_text,
            disclaimer_text=section.disclaimer_text,
            portal_text=section.portal_text,
            privacy_statement_url=section.privacy_statement_url,
            hide_subject=section.hide_subject,
            language=section.language,
        )

    @property
    def wording(self) -> Wording:
        """The sentences of its language."""
        return WORDINGS[self.language]

    @property
    def ink(self) -> str:
        """Black or white, whichever stands out more on `color` (WCAG 2.2, contrast ratio)."""
        light = _luminance(self.color)
        return _BLACK if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else _WHITE


def _luminance(color: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
