"""What may stand on a log line. A last guard behind the care of whoever tells something."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from typing import Final

MAX_TEXT: Final = 500
MAX_ITEMS: Final = 50  # A message may have a thousand recipients; a line need not.
MAX_DEPTH: Final = 4
MAX_FRAMES: Final = 12

FORBIDDEN: Final = frozenset({"content", "body", "subject", "password", "passcode", "secret", "private_key"})
RESERVED: Final = frozenset({"time", "level", "process", "event"})


def redact(facts: Mapping[str, object]) -> dict[str, object]:
    """`facts` as they may be written: keys that name content or secrets dropped, octets replaced, long text cut."""
    return {
        f"{key}_" if key in RESERVED else key: _value(value, 0)
        for key, value in facts.items()
        if key.lower() not in FORBIDDEN
    }


def cut(text: str) -> str:
    """`text`, at most MAX_TEXT long, and fit for UTF-8."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _value(value: object, depth: int) -> object:
    kind = type(value)
    if kind is str:
        return cut(value)  # type: ignore[arg-type]
    if value is None or kind is int or kind is bool:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON knows neither NaN nor infinity.
    if isinstance(value, bytes | bytearray | memoryview):
        return f"({len(value)} octets, not shown)"
    if isinstance(value, str):  # Enumerations.
        return cut(str(value))
    if depth >= MAX_DEPTH:
        return f"({kind.__name__}, not shown)"
    if isinstance(value, Mapping):
        return {
            cut(str(key)): _value(one, depth + 1) for key, one in value.items() if str(key).lower() not in FORBIDDEN
        }
    if isinstance(value, list | tuple | set | frozenset):
        shown = [_value(one, depth + 1) for one in list(value)[:MAX_ITEMS]]
        return [*shown, f"and {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else shown
    if isinstance(value, BaseException):
        return _error(value)
    return cut(str(value))


def _error(error: BaseException) -> dict[str, object]:
    """An exception: its kind and where it rose, innermost last. Its words only where they are known to hold no content.

    Those of our own classes and of the operating system are; those of a parser may quote what it was parsing.
    """
    facts: dict[str, object] = {"kind": type(error).__qualname__}
    module = type(error).__module__
    if module.startswith("gateway.") or isinstance(error, OSError):
        facts["text"] = cut(str(error))
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    if frames:
        facts["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    causes: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(causes) < MAX_DEPTH:
        causes.append(type(cause).__qualname__)
        cause = cause.__cause__
    if causes:
        facts["because"] = causes
    return facts
