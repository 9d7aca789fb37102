"""Small files that commands are given: keys, orders."""

from __future__ import annotations

from pathlib import Path

import typer

MAX_OCTETS = 64 * 1024


def read_text(path: Path) -> str:
    """The text of the file. Raises typer.BadParameter where it can't be read, is too long or is no text."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path} can't be read ({error.strerror})") from error
    if len(octets) > MAX_OCTETS:
        raise typer.BadParameter(f"{path} is longer than {MAX_OCTETS} octets: it is another file")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} holds no text; right would be a PEM file or an order") from None
