"""Places in settings: HOST:PORT, an IPv6 address in brackets (RFC 3986 3.2.2)."""

from __future__ import annotations

import ipaddress

_SHAPE = 'HOST:PORT, such as "127.0.0.1:2525"; an IPv6 address stands in brackets, such as "[::1]:2525"'


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
        raise BadPlace(f'an IPv6 address in brackets, such as "[{_address(text) or "::1"}]:{port or 2525}"')
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


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
