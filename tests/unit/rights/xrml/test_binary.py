"""Octets in licences."""

from __future__ import annotations

from uuid import UUID

import pytest

from gateway.rights.xrml.binary import (
    read_base64,
    read_guid,
    read_modulus,
    read_sha256,
    write_base64,
    write_guid,
    write_public_key,
)
from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.reader import read
from tests.fakes.rights import private_key

GUID = UUID("12345678-1234-5678-1234-567812345678")


def test_base64_may_be_broken_into_lines() -> None:
    assert read_base64(write_base64(b"some octets")) == b"some octets"
    assert read_base64("\r\n c29t\n\tZSBv Y3RldHM=\n") == b"some octets"


@pytest.mark.parametrize("text", ["a", "c29tZSBvY3RldHM", "c29t-ZSBv", "c29t=ZSBv", "\u00e4", "c29t\0ZSBv"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        read_base64(text)


def test_a_guid_stands_in_braces() -> None:
    assert write_guid(GUID) == "{12345678-1234-5678-1234-567812345678}"
    assert read_guid(write_guid(GUID).upper()) == GUID
    for text in (str(GUID), "{" + GUID.hex + "}", "{}", ""):
        with pytest.raises(BadLicence):
            read_guid(text)


def test_a_digest_has_64_digits() -> None:
    assert read_sha256("AB" * 32) == "ab" * 32
    for text in ("ab" * 31, "ab" * 33, "xy" * 32, ""):
        with pytest.raises(BadLicence):
            read_sha256(text)


def test_a_modulus_is_little_endian() -> None:
    numbers = private_key().public_key().public_numbers()
    text = write_public_key(numbers.n, numbers.e)
    element = read(text)
    assert read_modulus(element) == numbers.n
    value = next(one for one in element.all("PARAMETER") if one.attributes["name"] == "modulus").one("VALUE")
    assert value.attributes["size"] == "2048"
    assert read_base64(value.text)[::-1].hex() == f"{numbers.n:x}"


@pytest.mark.parametrize("text", [write_public_key(12345, 65537).replace("public-exponent", "modulus"), "<PUBLICKEY/>"])
def test_a_key_with_two_moduli_or_none_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        read_modulus(read(text))


def test_a_modulus_has_an_end() -> None:
    assert read_modulus(read(write_public_key(1 << 8191, 65537))) == 1 << 8191
    with pytest.raises(BadLicence):
        read_modulus(read(write_public_key(1 << 8192, 65537)))
