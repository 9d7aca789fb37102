"""Places in settings: HOST:PORT, an IPv6 address in brackets (RFC 3986 3.2.2)."""

from __future__ import annotations

import ipaddress

_SHAPE = 'HOST:PORT, such as "127.0.0.1:2525"; an IPv6 address stands in brackets, such as "[::1]:2525"'

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  (compared, not bound)


class BadPlace(ValueError):
    """The text names no place. Its words say what would be right."""


def place(text: str, port: int | None = None) -> tuple[str, int]:
    """Host, without brackets, and port; `port` where the text has none (None: it must have one). Raises BadPlace.

    The host is lower case and not judged further: it may be a name, an IPv4 or an IPv6 address.
    """
    host, colon, digits = text.rpartition(":")
    if text.startswith("["):
        inner, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise BadPlace(_SHAPE)
        host, colon, digits = inner, rest[:1], rest[1:]
    elif ":" in host and not host.strip("0123456789abcdefABCDEF:."):
        raise BadPlace(f'an IPv6 address in brackets, such as "{_bracketed(text, port)}"')
    elif not colon:
        host = text
    if not host or any(letter.isspace() or letter in "/@[]" for letter in host):
        raise BadPlace(_SHAPE)
    if not colon:
        if port is None:
            raise BadPlace(_SHAPE)
        return host.lower(), port
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
        raise BadPlace("a port from 1 to 65535 behind the colon")
    return host.lower(), int(digits)


def listening(text: str) -> tuple[str, int]:
    """Where to listen: an IP address, in its shortest form, and a port. Raises BadPlace.

    `localhost` stands for 127.0.0.1. Other names are refused: what they mean may change while the gateway serves.
    """
    host, port = place(text)
    if host == "localhost":
        return "127.0.0.1", port
    if (address := _address(host)) is None:
        raise BadPlace('an IP address and a port, such as "127.0.0.1:2525", "0.0.0.0:25" or "[::]:25" for all')
    return address, port


def written(host: str, port: int) -> str:
    """The two as one text that `place` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two places of `listening` take the same connections: 0.0.0.0 is every IPv4 address, :: every IPv6 one."""
    if one[1] != other[1] or (":" in one[0]) != (":" in other[0]):
        return False
    return one[0] == other[0] or not {one[0], other[0]}.isdisjoint(EVERYWHERE)


def _bracketed(text: str, port: int | None) -> str:
    """What the bare IPv6 address `text` was probably meant to be; its end may be the port."""
    host, _, digits = text.rpartition(":")
    address = _address(host)
    if address is not None and digits.isdecimal() and len(digits) <= 5 and 0 < int(digits) < 65536:
        return written(address, int(digits))
    return written(_address(text) or "::1", port or 2525)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
