"""What commands write to standard output: a sentence, a table, or one JSON value."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

NARROW = 80  # Columns. Under this a table that has no room folds every cell; paragraphs read better.

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings; default: ./gateway.toml, then GATEWAY_CONFIG."),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON value to standard output and nothing else there.")]


def width() -> int | None:
    """Columns of the terminal, or None where standard output is none: then nothing is folded or cut.

    COLUMNS in the environment alone makes no terminal: some parents (Python with readline) leave it there for children
    that write into a pipe.
    """
    return max(20, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def value(answer: Any) -> None:
    """One JSON value."""
    print(json.dumps(answer, indent=2))


def say(text: str) -> None:
    """A sentence, folded at the terminal's width."""
    columns = width()
    for line in text.splitlines():
        if columns is None:
            print(line)
        else:
            print(textwrap.fill(line, columns, break_long_words=False, break_on_hyphens=False))


def line(head: str, text: str) -> None:
    """`head` and `text` on one line; what a terminal has no room for continues under `text`."""
    columns = width()
    whole = f"{head}  {text}"
    if columns is None or len(whole) <= columns:
        print(whole)
        return
    indent = " " * (len(head) + 2 if len(head) < columns // 2 else 4)
    print(textwrap.fill(whole, columns, subsequent_indent=indent, break_long_words=True, break_on_hyphens=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """`rows` under `columns`; where a narrow terminal has no room, each row is a paragraph with its columns' names."""
    wide = width()
    needed = sum(max(map(len, cells)) + 3 for cells in zip(columns, *rows, strict=True))
    if wide is not None and wide < min(needed, NARROW):
        for row in rows:
            print(row[0])
            for name, cell in zip(columns[1:], row[1:], strict=True):
                line(f"  {name}:", cell)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sheet = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    sheet.columns[0].no_wrap = True  # What the other commands are given must be there in one piece, to be copied.
    for row in rows:
        sheet.add_row(*(Text(cell, overflow="fold") for cell in row))
    # Without a terminal nothing is folded: a script's grep would miss half of a line.
    Console(width=wide or 10_000, highlight=False).print(sheet)
