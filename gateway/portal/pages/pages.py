"""Renders the pages. Made once for each branding; holds nothing of a message or a reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from gettext import NullTranslations
from hashlib import sha256
from importlib import resources
from typing import Any, Final

from babel import Locale
from jinja2 import DictLoader, Environment, StrictUndefined, pass_context
from jinja2.runtime import Context

from gateway.portal.html_view import SANDBOX
from gateway.portal.languages import LANGUAGES, direction
from gateway.portal.page import Page
from gateway.portal.pages import shown
from gateway.portal.pages.catalogues import catalogues
from gateway.portal.pages.palette import palette, style_of
from gateway.rights.branding import Branding
from gateway.rights.right import Right

_NOTICES: Final = frozenset(
    (
        Page.EXPIRED, Page.REVOKED, Page.SLOWED, Page.SESSION_ENDED, Page.DAMAGED, Page.NO_RIGHT, Page.NOT_A_READER,
        Page.NOT_FOUND, Page.TOO_LARGE, Page.REFUSED, Page.AWAY, Page.FAILED, Page.SENT, Page.LEFT,
    )
)  # fmt: skip
_LOCALES: Final = {"en": "en_GB"}  # Days in front of months, and 24 hours: understood everywhere.
# What is only ever answered to a form, and where its reader can go back to.
_POSTED = re.compile(r"(/m/[A-Za-z0-9_-]+)/(?:(open)|leave)")
_HYPHEN = re.compile(r"(?<=\b[Ee])-(?=[Mm]ail)")


class Pages:
    """The pages of one portal. Fulfils `gateway.portal.page.Pages`."""

    def __init__(self, branding: Branding, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970. Reads the templates, once."""
        self._branding = branding
        self._now = now
        self._words: Mapping[str, NullTranslations] = catalogues()
        self._locales = {language: Locale.parse(_LOCALES.get(language, language)) for language in LANGUAGES}
        self._colours = palette(branding.color)
        self._made = self._static_files()
        self._environment = self._set_up()

    def render(self, name: str, language: str, **values: object) -> str:
        """The whole HTML document of a page; its values are told in `gateway.portal.page`."""
        page = Page(name)
        template = "notice.html" if page in _NOTICES else f"{page.value}.html"
        rights = values.get("rights")
        return self._environment.get_template(template).render(
            {
                "token": None,
                "error": None,
                "until": None,
                "session": None,
                **values,
                "page": page.value,
                "language": language,
                "locale": self._locales[language],
                "words": self._words[language],
                "direction": direction(language),
                "comma": shown.comma(self._locales[language]),
                "back": _back(str(values.get("path", "/"))),
                "may": _may(rights if isinstance(rights, frozenset) else frozenset()),
            }
        )

    def static(self, name: str) -> bytes | None:
        """The sheet of colours, the logo, the icon."""
        return self._made.get(name)

    def _static_files(self) -> dict[str, bytes]:
        colours = self._colours
        icon = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
            f'<rect width="32" height="32" rx="7" fill="{colours.brand}"/><path fill="none" stroke="{colours.ink}" '
            'stroke-width="2.4" stroke-linejoin="round" d="M11 15v-3.5a5 5 0 0 1 10 0V15M9 15h14v9.5H9z"/></svg>'
        )
        made = {"brand.css": style_of(colours).encode(), "icon.svg": icon.encode()}
        if self._branding.logo is not None:
            made[f"logo.{self._branding.logo.extension}"] = self._branding.logo.octets
        return made

    def _version(self, name: str) -> str:
        """The address of a static file, which changes with it: an old one is never taken for the new."""
        octets = self._made.get(name)
        if octets is None:
            octets = (resources.files("gateway.portal") / "static" / name).read_bytes()
        return f"/static/{name}?v={sha256(octets).hexdigest()[:10]}"

    def _set_up(self) -> Environment:
        folder = resources.files("gateway.portal.pages") / "templates"
        sources = {one.name: one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".html")}
        environment = Environment(
            loader=DictLoader(sources),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.policies["ext.i18n.trimmed"] = True
        i18n: Any = environment
        i18n.install_gettext_callables(_gettext, _ngettext, newstyle=True)
        environment.filters.update(
            size=pass_context(lambda context, octets: shown.size(octets, context["locale"])),
            date=pass_context(lambda context, moment: shown.date(moment, context["locale"])),
            moment=pass_context(lambda context, seconds: shown.moment(seconds, context["locale"])),
            number=pass_context(lambda context, value: shown.number(value, context["locale"])),
            minutes=lambda until: shown.minutes(until, self._now()),
            linked=shown.linked,
        )
        logo = self._branding.logo
        environment.globals.update(
            brand=self._branding,
            names=LANGUAGES,
            sheets=tuple(self._version(name) for name in ("portal.css", "brand.css")),
            icon_file=self._version("icon.svg"),
            logo_file=None if logo is None else self._version(f"logo.{logo.extension}"),
            ground=self._colours.brand,
            sandbox=SANDBOX,
        )
        return environment


@pass_context
def _gettext(context: Context, text: str) -> str:
    words: NullTranslations = context["words"]
    return _unbroken(words.gettext(text)) if text else ""


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    words: NullTranslations = context["words"]
    return _unbroken(words.ngettext(one, many, count))


def _unbroken(text: str) -> str:
    """No line ends within the word e-mail: on a phone half of them would."""
    return _HYPHEN.sub("\u2011", text)


def _back(path: str) -> str:
    """Where the reader is taken after he chose a language."""
    if path == "/language":
        return "/"
    found = _POSTED.fullmatch(path)
    if found is None:
        return path
    return found[1] + ("/code" if found[2] else "")


def _may(rights: frozenset[Right]) -> dict[str, bool]:
    """What the page offers. Each is judged anew where it is done: this only spares the reader a refusal."""
    owns = Right.OWNER in rights
    return {
        "save": owns or Right.EXTRACT in rights,
        "print": owns or Right.PRINT in rights,
        "reply": owns or Right.REPLY in rights,
        "reply_all": owns or Right.REPLYALL in rights,
        "forward": owns or Right.FORWARD in rights,
    }
