"""The portal's pages: Jinja2 templates, escaped throughout, in the reader's language and the organisation's colours.

HTML that works without script, at any width, by keyboard and with a screen reader (WCAG 2.2 AA); right to left where
the language is. Texts are catalogues of Babel (gettext), read from their sources, so that there is nothing to compile.
Leaves out: several brandings, languages but English, German and Arabic.
"""

from gateway.portal.pages.pages import Pages

__all__ = ["Pages"]
