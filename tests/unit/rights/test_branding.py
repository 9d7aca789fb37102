"""One branding: colours that can be read, pictures that are pictures."""

from __future__ import annotations

import struct

import pytest
from pydantic import ValidationError

from gateway.rights.branding import Branding
from gateway.rights.logo import MAX_OCTETS, BadLogo, read_logo
from gateway.settings import branding as settings
from tests.fakes.logo import png


def jpeg(width: int, height: int) -> bytes:
    other = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
    return b"\xff\xd8" + other + b"\xff\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(20)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + bytes(12) + struct.pack("<Iii", 40, width, height) + bytes(30)


@pytest.mark.parametrize(
    ("octets", "kind", "size"),
    [
        (png(340, 70), "image/png", (170, 35)),
        (png(100, 50), "image/png", (100, 50)),
        (png(10, 280), "image/png", (2, 70)),
        (jpeg(340, 280), "image/jpeg", (85, 70)),
        (bmp(170, -70), "image/bmp", (170, 70)),
    ],
)
def test_a_picture_is_told_by_its_octets_and_shown_within_170_by_70(
    octets: bytes, kind: str, size: tuple[int, int]
) -> None:
    logo = read_logo(octets)
    assert (logo.type, (logo.width, logo.height)) == (kind, size)
    assert logo.octets == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"II*\0" + bytes(100),
        b"GIF89a" + bytes(100),
        png()[:20],
        png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 0, 1)),
        png(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 10_001, 1)),
        b"\xff\xd8\xff\xe0\0\0" + bytes(100),
        b"\xff\xd8\xff" + b"\xff" * 1000,
        bmp(0, 1),
        b"BM" + bytes(30),
        png() + bytes(MAX_OCTETS),
    ],
)
def test_what_is_no_picture_of_ours_is_refused(octets: bytes) -> None:
    with pytest.raises(BadLogo):
        read_logo(octets)


def test_a_picture_of_the_largest_size_is_taken() -> None:
    whole = png()
    assert read_logo(whole + bytes(MAX_OCTETS - len(whole))).type == "image/png"


@pytest.mark.parametrize(
    ("color", "ink"), [("#000000", "#ffffff"), ("#0b4f6c", "#ffffff"), ("#ffd400", "#000000"), ("#ffffff", "#000000")]
)
def test_letters_stand_out_on_the_colour(color: str, ink: str) -> None:
    assert Branding(name="x", color=color).ink == ink


def test_the_name_is_the_hosts_where_none_is_set() -> None:
    assert Branding.from_settings(settings.Branding(), name="mx.corp.example").name == "mx.corp.example"
    section = settings.Branding(name="Corp", background_color="#FFD400")
    found = Branding.from_settings(section, name="mx")
    assert (found.name, found.color, found.ink) == ("Corp", "#ffd400", "#000000")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x" * 65},
        {"background_color": "red"},
        {"background_color": "#fff;}"},
        {"introduction_text": "x" * 1025},
        {"read_button_text": "x" * 1025},
        {"email_text": "x" * 1025},
        {"disclaimer_text": "x" * 1025},
        {"portal_text": "x" * 129},
        {"privacy_statement_url": "http://corp.example/"},
        {"privacy_statement_url": "javascript:alert(1)"},
        {"privacy_statement_url": 'https://corp.example/" onclick="x'},
        {"language": "fr"},
    ],
)
def test_limits_are_the_ones_that_are_told(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings.Branding.model_validate(wrong)
