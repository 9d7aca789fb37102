"""Authentication-Results fields (RFC 8601): ours written, and those found that claim to be ours. Pure.

Leaves out: reading the results that others wrote.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.authenticate.dkim.findings import NOT_SIGNED
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.reading.encoded_word import decoded

NAME: Final = b"authentication-results"  # In lower case.
_NEXT_LINE: Final = "\r\n\t "

_FIELD = re.compile(
    rb"(?:\A|(?<=\r\n))authentication-results[ \t]*:([^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*)(?:\r\n|\Z)",
    re.IGNORECASE,
)
_BLANKS = re.compile(rb"[ \t\r\n]*")
_COMMENT_STEP = re.compile(rb"[^()\\]*(?:\\.)?", re.DOTALL)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NO_PART_OF_NAMES = re.compile(rb'[\x00-\x20\x7f"\\]+')
# RFC 2045 5.1; what else a value holds (the `/` and `=` of base64) has to be quoted.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")


def field(authserv_id: str, found: Authentication) -> bytes:
    """The whole field with its CR LF, one line or two for each result."""
    lines = [f"Authentication-Results: {authserv_id}"]
    lines += [_dkim(one) for one in found.dkim]
    if found.skipped:
        lines[-1] += f"\r\n\t (of {found.skipped + len(found.dkim)} signatures the first {len(found.dkim)} were judged)"
    return (";\r\n\t".join(lines) + "\r\n").encode()


def _dkim(one: DkimResult) -> str:
    text = _told(one.verdict, one.reason, one.bits, one.domain, one.selector, one.algorithm)
    if not one.start:
        return text
    return f"{text}{' ' if one.algorithm else _NEXT_LINE}header.b={_value(one.start)}"  # RFC 6008 4


@lru_cache(maxsize=1024)  # The same signers sign most mail.
def _told(verdict: Verdict, reason: str, bits: int | None, domain: str, selector: str, algorithm: str) -> str:
    text = f"dkim={verdict}"
    if reason == NOT_SIGNED.word:
        return f"{text} (not signed)"
    if reason:
        text += f" reason={reason}"
    if bits is not None:
        text += f" ({bits}-bit key)"
    # RFC 8601 2.7.1
    for name, value, lead in (("d", domain, " "), ("s", selector, " "), ("a", algorithm, _NEXT_LINE)):
        if value:
            text += f"{lead}header.{name}={_value(value)}"
    return text


def _value(text: str) -> str:
    return text if _TOKEN.fullmatch(text) else f'"{text}"'


def without_claims(section: bytes, authserv_id: bytes) -> bytes:
    """A header section without the fields that claim to be ours; all else octet for octet (RFC 8601 5)."""
    return _FIELD.sub(lambda match: b"" if claims(match[1], authserv_id) else match[0], section)


def claims(value: bytes, authserv_id: bytes) -> bool:
    """Whether a field's value says, to any reader, that it is by `authserv_id` (lower case), whatever its version.

    Readers differ in what ends the name, and in what they make of quotes, comments and blanks inside it; so it claims
    ours as soon as ours stands as a whole word in what comes before the results, taken either way. Many read it as any
    other text (filters in Sieve, programs in Python): encoded words, which may not stand there, show our name too,
    and letters that nobody sees do not hide it.
    """
    if _claims(value, authserv_id):
        return True
    if b"=?" not in value and value.isascii():
        return False
    texts = decoded(value.replace(b"\r\n", b""))
    return any(_claims(_visible(text).encode("utf-8", "replace"), authserv_id) for text in texts)


def _visible(text: str) -> str:
    return "".join([letter if letter.isprintable() else " " for letter in text])


def _claims(value: bytes, authserv_id: bytes) -> bool:
    at = _behind_comments(value, 0)
    quoted = None if at is None else _QUOTED.match(value, at)
    if quoted is not None and re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL).strip().lower() == authserv_id:
        return True
    ours = _word(authserv_id)
    if ours.search(value[at or 0 :].lstrip(b"; \t\r\n").partition(b";")[0]):
        return True
    bare = _NO_PART_OF_NAMES.sub(b"", _without_comments(value)).lstrip(b";").partition(b";")[0]
    return ours.search(bare) is not None


@lru_cache(maxsize=16)
def _word(name: bytes) -> re.Pattern[bytes]:
    inside = rb"A-Za-z0-9_\x80-\xff-"
    behind = rb"\.?(?![" + inside + rb"]|\.[" + inside + rb"])"
    return re.compile(rb"(?<![" + inside + rb".])" + re.escape(name) + behind, re.IGNORECASE)


def _without_comments(value: bytes) -> bytes:
    """`value` without what stands in closed comments, however deep."""
    kept, at = [], 0
    while (start := value.find(b"(", at)) >= 0:
        kept.append(value[at:start])
        end = _behind_comments(value, start)
        if end is None:
            return b"".join(kept) + value[start:]
        at = end
    return b"".join(kept) + value[at:]


def _behind_comments(value: bytes, at: int) -> int | None:
    """Where blanks and comments end that begin at `at`; None where a comment is not closed."""
    depth = 0
    while True:
        at = (_COMMENT_STEP if depth else _BLANKS).match(value, at).end()  # type: ignore[union-attr]  # Both match "".
        sign = value[at : at + 1]
        if sign == b"(":
            depth += 1
        elif sign == b")" and depth:
            depth -= 1
        else:
            if not depth:
                return at
            if not sign or at == len(value) - 1:  # The end, or a backslash at the end that quotes nothing.
                return None
            continue
        at += 1
