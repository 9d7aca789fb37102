"""Values with several parts: fields of the header, data types, results, and what the actions need."""

from __future__ import annotations

import re
from typing import Any

from gateway.mail.authentication import Verdict
from gateway.mail.terms import Otherwise, Smime
from gateway.rules.flaw import BadValue
from gateway.rules.names import snake
from gateway.rules.shapes.places import ADDRESS
from gateway.rules.shapes.shape import Key, Record, Several, Single
from gateway.rules.shapes.words import (
    HEADER_NAME,
    PATTERNS,
    SET_HEADER_NAME,
    TEXT,
    WORDS,
    Number,
    choice,
    member,
)
from gateway.rules.values import (
    Disclaimer,
    Fallback,
    HeaderField,
    HeaderPatterns,
    HeaderWords,
    IncidentReport,
    Location,
    NotifyMode,
    Rejection,
    ReportItem,
    SenderNotice,
    WantedData,
    WantedResult,
    WantedSmime,
)
from gateway.settings.fault import shown

MAX_DISCLAIMER = 5_000  # Letters; the limits of Exchange.
MAX_NOTICE = 5_120
MAX_REJECT = 1_024
MAX_VALUE = 900  # Letters of a header's value: with its name it stays under a line of 998 (RFC 5322 2.1.1).
MAX_COUNT = 1_000_000

_DATA_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODE = re.compile(r"5\.7\.(?:1|9[0-9][0-9])")


def data_name(text: str) -> str:
    """The name of a data type, in snake_case. Raises BadValue."""
    if _DATA_NAME.fullmatch(text):
        return text
    near = snake(text)
    right = f"`{near}`" if _DATA_NAME.fullmatch(near) else "a name of small letters, digits and _, such as credit_card"
    raise BadValue(shown(text), right)


def enhanced_code(text: str) -> str:
    """5.7.1, or 5.7.900 to 5.7.999, which Exchange keeps for refusals by rules. Raises BadValue."""
    if not _CODE.fullmatch(text):
        raise BadValue(shown(text), "5.7.1, or 5.7.900 to 5.7.999")
    return text


def _data(**parts: Any) -> WantedData:
    made = WantedData(**parts)
    if made.max_count is not None and made.max_count < made.min_count:
        raise BadValue(f"max_count {made.max_count} below min_count {made.min_count}", "the higher number in max_count")
    if made.max_confidence < made.min_confidence:
        found = f"max_confidence {made.max_confidence} below min_confidence {made.min_confidence}"
        raise BadValue(found, "the higher number in max_confidence")
    return made


def _results(**parts: Any) -> tuple[WantedResult, ...]:
    if not parts:
        raise BadValue("an empty table", "{dkim: pass}")
    return tuple(WantedResult(method, verdicts) for method, verdicts in parts.items())


_VERDICTS = Several("words of RFC 8601, such as `pass`", choice(*(one.value for one in Verdict)))
CODE = Single("`5.7.1` or `5.7.900` to `5.7.999`", "5.7.1, or 5.7.900 to 5.7.999", enhanced_code, (("type", "string"),))
NAMED_DATA = Single("the name of a data type", "the name of a data type", data_name, (("type", "string"),))
_COUNT, _PERCENT = Number(1, MAX_COUNT), Number(1, 100)

HEADER_WORDS = Several(
    "`{name, words}`",
    Record(
        "`{name, words}`", (Key("name", HEADER_NAME), Key("words", WORDS)), HeaderWords, "{name: X-Tag, words: [a]}"
    ),
)
HEADER_PATTERNS = Several(
    "`{name, patterns}`",
    Record(
        "`{name, patterns}`",
        (Key("name", HEADER_NAME), Key("patterns", PATTERNS)),
        HeaderPatterns,
        "{name: X-Tag, patterns: ['^a+$']}",
    ),
)
DATA_TYPES = Several(
    "data types: `{name, min_count, max_count, min_confidence, max_confidence}`, or the name alone",
    Record(
        "a data type",
        (
            Key("name", NAMED_DATA),
            Key("min_count", _COUNT, required=False),
            Key("max_count", _COUNT, required=False),
            Key("min_confidence", _PERCENT, required=False),
            Key("max_confidence", _PERCENT, required=False),
        ),
        _data,
        "{name: credit_card, min_count: 2}",
        alone="name",
    ),
)
AUTHENTICATION = Record(
    "`{dkim: pass}`",
    (
        Key("dkim", _VERDICTS, required=False),
        Key("spf", _VERDICTS, required=False, later="checking SPF"),
        Key("dmarc", _VERDICTS, required=False, later="checking DMARC"),
        Key("arc", _VERDICTS, required=False, later="ARC"),
    ),
    _results,
    "{dkim: pass}",
)
SMIME = Record(
    "`encrypt`, `sign` or `both`; with `smime_otherwise`: `rights`, `reject` or `defer`",
    (Key("what", member(Smime)), Key("otherwise", member(Otherwise), required=False)),
    WantedSmime,
    "apply_smime: encrypt, with smime_otherwise: reject",
    alone="what",
)
REJECT = Record(
    "`{text, code}`, or the text alone",
    (Key("text", TEXT(MAX_REJECT)), Key("code", CODE, required=False)),
    Rejection,
    '{text: "Not by mail, please", code: 5.7.905}',
    alone="text",
)
SET_HEADER = Record(
    "`{name, value}`",
    (Key("name", SET_HEADER_NAME), Key("value", TEXT(MAX_VALUE))),
    HeaderField,
    '{name: X-Tag, value: "1"}',
)
DISCLAIMER = Record(
    "`{text, location, fallback}`, or the text alone",
    (
        Key("text", TEXT(MAX_DISCLAIMER, lines=True)),
        Key("location", member(Location), required=False),
        Key("fallback", member(Fallback), required=False),
    ),
    Disclaimer,
    '{text: "<p>Confidential</p>", location: append, fallback: wrap}',
    alone="text",
)
NOTIFY = Record(
    "`{mode, text, code}`, or the mode alone",
    (
        Key("mode", member(NotifyMode)),
        Key("text", TEXT(MAX_NOTICE, lines=True), required=False),
        Key("code", CODE, required=False),
    ),
    SenderNotice,
    '{mode: notify_only, text: "A rule looked at your mail"}',
    alone="mode",
)
REPORT = Record(
    "`{to, content}`",
    (Key("to", ADDRESS), Key("content", Several("what it holds", member(ReportItem)))),
    IncidentReport,
    "{to: officer@corp.example, content: [sender, recipients, subject, severity]}",
)
