"""How values of conditions and actions are written, each once: a new condition names its shape, and reading, faults,
JSON Schema and reference follow.

A shape has `read(value)`, which gives a frozen value or raises BadValue, `schema()`, and `text` for the reference.
    WORDS, PATTERNS    tuple of texts          ADDRESSES   tuple of Address         DOMAINS   tuple of A-labels
    NETWORKS           tuple of Network        SIZE        octets                   FLAG      True
    TEXT(limit)        text                    choice(...) one of the words         member(E) one of an enumeration
    HEADER_WORDS, HEADER_PATTERNS, DATA_TYPES  tuples of values of `gateway.rules.values`
Leaves out: names of rules' own keys, which `gateway.rules.load` knows.
"""

from __future__ import annotations

from gateway.rules.flaw import BadValue
from gateway.rules.shapes.places import ADDRESS, ADDRESSES, DOMAIN, DOMAINS, NETWORKS
from gateway.rules.shapes.records import (
    AUTHENTICATION,
    CODE,
    DATA_TYPES,
    DISCLAIMER,
    HEADER_PATTERNS,
    HEADER_WORDS,
    MAX_DISCLAIMER,
    MAX_NOTICE,
    MAX_REJECT,
    NOTIFY,
    REJECT,
    REPORT,
    SET_HEADER,
    SMIME,
)
from gateway.rules.shapes.shape import Key, Record, Several, Shape, Single, closest
from gateway.rules.shapes.words import (
    CONNECTOR,
    FLAG,
    HEADER_NAME,
    PATTERN,
    PATTERNS,
    REMOVE_HEADER,
    SIZE,
    SWITCH,
    TEMPLATE,
    TEXT,
    WORD,
    WORDS,
    Choice,
    Number,
    choice,
    member,
)

__all__ = [
    "ADDRESS",
    "ADDRESSES",
    "AUTHENTICATION",
    "CODE",
    "CONNECTOR",
    "DATA_TYPES",
    "DISCLAIMER",
    "DOMAIN",
    "DOMAINS",
    "FLAG",
    "HEADER_NAME",
    "HEADER_PATTERNS",
    "HEADER_WORDS",
    "MAX_DISCLAIMER",
    "MAX_NOTICE",
    "MAX_REJECT",
    "NETWORKS",
    "NOTIFY",
    "PATTERN",
    "PATTERNS",
    "REJECT",
    "REMOVE_HEADER",
    "REPORT",
    "SET_HEADER",
    "SIZE",
    "SMIME",
    "SWITCH",
    "TEMPLATE",
    "TEXT",
    "WORD",
    "WORDS",
    "BadValue",
    "Choice",
    "Key",
    "Number",
    "Record",
    "Several",
    "Shape",
    "Single",
    "choice",
    "closest",
    "member",
]
