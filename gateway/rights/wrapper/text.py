"""A wrapped mail as plain text: all that the HTML says, for readers who see that alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.rights.wrapper.letter import Letter

WIDTH: Final = 76  # Letters of a line, as far as there are blanks; the link stands on a line of its own, whole.


def text(letter: Letter, explained: Sequence[str]) -> str:
    """Lines with LF. `explained`: the letter's, which take long to make."""
    branding, words = letter.branding, letter.branding.wording
    who = letter.sender.text or branding.name
    lines = [branding.name, "", *_filled(f"{who} {letter.introduction}"), "", f"{letter.button}:", letter.link, ""]
    if branding.email_text is not None:
        lines += [*_filled(branding.email_text), ""]
    for paragraph in explained:
        lines += [*_filled(paragraph), ""]
    if branding.disclaimer_text is not None:
        lines += ["-" * 20, *_filled(branding.disclaimer_text), ""]
    if branding.privacy_statement_url is not None:
        lines += [f"{words.privacy}: {branding.privacy_statement_url}", ""]
    return "\n".join(lines)


def _filled(paragraphs: str) -> list[str]:
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
    return lines
