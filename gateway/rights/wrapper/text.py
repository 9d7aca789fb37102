"""A wrapped mail as plain text: all that the HTML says, for readers who see that alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from gateway.rights.branding import Branding
from gateway.rights.wrapper.letter import Letter

WIDTH: Final = 76  # Letters of a line, as far as there are blanks; the link stands on a line of its own, whole.


def text(letter: Letter, explained: Sequence[str]) -> str:
    """Lines with CR LF. `explained`: the letter's, which take long to make."""
    branding = letter.branding
    own, ends = _own(branding)
    lines = [
        branding.name,
        "",
        *_filled(f"{letter.who} {letter.introduction}"),
        "",
        f"{letter.button}:",
        letter.link,
        "",
    ]
    lines += own
    for paragraph in explained:
        lines += [*_filled(paragraph), ""]
    lines += ends
    return "\r\n".join(lines)


@lru_cache(maxsize=16)
def _own(branding: Branding) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines of the administrator's texts, below the button and at the end: the same for every message."""
    own, ends = [], []
    if branding.email_text is not None:
        own += [*_filled(branding.email_text), ""]
    if branding.disclaimer_text is not None:
        ends += ["-" * 20, *_filled(branding.disclaimer_text), ""]
    if branding.privacy_statement_url is not None:
        ends += [f"{branding.wording.privacy}: {branding.privacy_statement_url}", ""]
    return tuple(own), tuple(ends)


@lru_cache(maxsize=256)  # Half of the sentences name nobody.
def _filled(paragraphs: str) -> tuple[str, ...]:
    """Broken at blanks; line ends of a text of the administrator's stay."""
    lines: list[str] = []
    for one in paragraphs.splitlines() or [""]:
        rest = " ".join(one.split())
        while len(rest) > WIDTH:  # textwrap takes ten times as long, for each reader.
            at = rest.rfind(" ", 0, WIDTH + 1)
            if at < 0 and (at := rest.find(" ")) < 0:
                break  # One word, however long.
            lines.append(rest[:at])
            rest = rest[at + 1 :]
        lines.append(rest)
    return tuple(lines)
