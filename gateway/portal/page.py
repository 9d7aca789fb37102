"""The portal's pages by name, with the values that each is rendered with besides those that all have.

All have: `csrf` (the value of the hidden field `csrf` of every form), `path` (of this page, for the form that changes
the language), `languages` (codes), `script_free` (always true: nothing needs a script). `token` is what stands behind
/m/ in the path; times are seconds since 1970.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Page(StrEnum):
    """Names of pages. In brackets the values."""

    HOME = "home"
    LANGUAGE = "language"  # next: where to go back to
    OPEN = "open"  # error: None, too_large, damaged, address, nothing, slowed, needs_file; limit (octets); address
    ASK = "ask"  # token, is_dropped: one button that POSTs to /m/{token}/code
    # token, reference, ends; error: None, wrong_code, code_ended, slowed; tries_left; until; has_door (whoever waits
    # for more than a minute is mailed one). Field `code`.
    CODE = "code"
    # token, view (message_view.MessageView), rights, session (principal, ends), images, plain (bools), opened; room:
    # what the frame wants (measure.Measure), None for as much as it may have
    READ = "read"
    # token, number, file: one attachment in the page; kind: picture, text, pdf; text; pdf: its pages where it may not
    # be saved (pdf_pages.PdfPart), None where they can't be drawn
    VIEW = "view"
    # token, view, opened, to_all (bool), may_all (bool), error, limit; addressees (compose.Addressees, None: nobody),
    # subject, may_quote, quotes (bool), draft (names the form), text; fields `text`, `files`, `quote`, `draft`
    REPLY = "reply"
    SENT = "sent"  # token, to_all
    LEFT = "left"  # token
    # What went wrong. token where there is one; until and has_door for slowed.
    EXPIRED = "expired"
    REVOKED = "revoked"
    SLOWED = "slowed"
    SESSION_ENDED = "session_ended"
    DAMAGED = "damaged"
    NO_RIGHT = "no_right"
    NOT_A_READER = "not_a_reader"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    REFUSED = "refused"  # Host, Origin or the hidden field was wrong
    AWAY = "away"  # something passing: try again later
    FAILED = "failed"


class Pages(Protocol):
    """Renders. `gateway.portal.pages` fulfils it."""

    def render(self, name: str, language: str, **values: object) -> str:
        """The whole HTML document of a page in one of the languages."""

    def static(self, name: str) -> bytes | None:
        """A file of /static/ that is made by the branding: its colours, its logo. None: there is no such."""
