"""Published test vectors, as the package cryptography-vectors brings them from NIST's CAVP and others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_PAIR: Final = re.compile(r"\[?\s*([A-Za-z][A-Za-z0-9 ]*?)\s*=\s*([0-9A-Fa-f]*)\s*\]?")


def vectors(path: str) -> Path:
    """A file of the package; where that is not installed the test is skipped."""
    package = pytest.importorskip("cryptography_vectors", reason="there are no test vectors here; pip install .[test]")
    return Path(package.__file__).parent / path


@dataclass(frozen=True, slots=True)
class Vector:
    """`terms`: the numbers in brackets above it; `values`: its lines, hexadecimal; `fails`: it must not open."""

    terms: dict[str, int]
    values: dict[str, bytes]
    fails: bool

    def __getitem__(self, name: str) -> bytes:
        return self.values[name]


def cavp(path: str) -> Iterator[Vector]:
    """The vectors of a file as NIST's CAVP writes them (.rsp, .txt): each begins with its Count."""
    terms: dict[str, int] = {}
    values: dict[str, bytes] = {}
    fails = False
    for line in vectors(path).read_text("utf-8").splitlines():
        if line.startswith("FAIL"):
            fails = True
        elif (found := _PAIR.fullmatch(line.strip())) is not None:
            name, value = found.groups()
            if line.startswith("[") or name.upper() == "COUNT":
                if values:
                    yield Vector(dict(terms), values, fails)
                values, fails = {}, False
                if line.startswith("["):
                    terms[name] = int(value)
            else:
                values[name] = bytes.fromhex(value)
    if values:
        yield Vector(dict(terms), values, fails)


@dataclass(frozen=True, slots=True)
class OaepVector:
    """A message and what it was encrypted to, with the private key's numbers: p, q, d, e, n."""

    numbers: dict[str, int]
    message: bytes
    wrapped: bytes


def oaep(path: str) -> Iterator[OaepVector]:
    """The vectors of a file as RSA's and NIST's OAEP examples have them: a heading, then a line of hexadecimal."""
    names = {"Modulus": "n", "Public exponent": "e", "Exponent": "d", "Prime 1": "p", "Prime 2": "q"}
    numbers: dict[str, int] = {}
    heading, message = "", b""
    for line in vectors(path).read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.strip("# :")
        elif heading in names:
            # Of the public key `Exponent` comes first; the private one's, which comes later, stays.
            numbers[names[heading]] = int(line, 16)
        elif heading == "Message":
            message = bytes.fromhex(line)
        elif heading == "Encryption":
            yield OaepVector(dict(numbers), message, bytes.fromhex(line))
