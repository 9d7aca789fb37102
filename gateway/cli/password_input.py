"""Passwords on standard input, and never as arguments: other users of the machine see those."""

from __future__ import annotations

import sys

import typer

MAX_INPUT = 4096  # Octets of a password on standard input; the gateway takes 1024.


def read_password() -> str:
    """The first line of standard input. Raises typer.BadParameter where it can be no password."""
    octets = sys.stdin.buffer.readline(MAX_INPUT + 1)
    if len(octets) > MAX_INPUT:
        raise typer.BadParameter("standard input holds more than a password in its first line")
    try:
        text = octets.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password on standard input is not UTF-8") from None
    if not text:
        raise typer.BadParameter("there is no password on standard input")
    return text
