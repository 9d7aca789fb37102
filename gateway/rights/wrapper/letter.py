"""What is said in a wrapped mail to one recipient, before it is text or HTML. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gateway.rights.branding import Branding
from gateway.rights.wrapper.sender import Sender, shown

_ISOLATE: Final = "\u2068"  # First strong isolate, and its end: names and addresses beside words from right to left.
_END: Final = "\u2069"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """`url` is the portal's, without a slash at its end; `link` opens the message for `recipient` (a secret). `expires`
    in seconds since 1970, None: never. `is_stored`: the portal has the message, so that no file is needed.
    """

    sender: Sender
    recipient: str
    url: str
    link: str = field(repr=False)
    expires: float | None
    is_stored: bool = True
    branding: Branding

    @property
    def introduction(self) -> str:
        """What stands behind the sender's name."""
        return self.branding.introduction_text or self.branding.wording.introduction

    @property
    def button(self) -> str:
        """On the button."""
        return self.branding.read_button_text or self.branding.wording.button

    @property
    def who(self) -> str:
        """The sender in front of `introduction`: isolated, so that the line runs as its sentence does."""
        who = self.sender.text or self.branding.name
        return f"{_ISOLATE}{who}{_END}" if self.branding.wording.is_rtl else who

    def said(self, *sentences: str) -> tuple[str, ...]:
        """Sentences of the wording with what they name put in."""
        words = self.branding.wording
        values = {
            "sender": self.sender.text or self.branding.name,
            "recipient": shown(self.recipient),
            "portal": urlsplit(self.url).netloc,  # With the port where that is no usual one.
            "open": f"{self.url}/open",
        }
        if words.is_rtl:
            values = {name: f"{_ISOLATE}{value}{_END}" for name, value in values.items()}
        values["until"] = "" if self.expires is None else words.date(self.expires)
        return tuple([sentence.format_map(values) if "{" in sentence else sentence for sentence in sentences])

    @property
    def explained(self) -> tuple[str, ...]:
        """The paragraphs behind the link, most needed first."""
        words = self.branding.wording
        found = [words.how]
        if self.expires is not None:
            found.append(words.until)
        attached = words.attached if self.is_stored else words.needed
        return self.said(*found, words.reply, attached, words.doubt)
