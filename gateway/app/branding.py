"""The section [branding] with its logo's file: what is wrong with it, and what it makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.rights.branding import Branding
from gateway.rights.logo import MAX_OCTETS, BadLogo, Logo, read_logo
from gateway.settings.fault import BadSettings, Fault, errors
from gateway.settings.load import Loaded
from gateway.world.sockets import machine_name

_KEY: Final = "branding.image"
_RIGHT: Final = f"a PNG, JPEG or BMP of at most {MAX_OCTETS // 1000} KB, such as logo.png of 170 by 70 pixels"


def branding(loaded: Loaded) -> Branding:
    """The branding of these settings. Reads the logo. Raises BadSettings."""
    faults: list[Fault] = []
    logo = _logo(loaded, faults)
    if wrong := errors(faults):
        raise BadSettings(wrong)
    name = loaded.settings.server.hostname or machine_name()
    return Branding.from_settings(loaded.settings.branding, name=name, logo=logo)


def judge_branding(loaded: Loaded) -> Iterator[Fault]:
    """Faults of the section. Reads the logo."""
    faults: list[Fault] = []
    _logo(loaded, faults)
    yield from faults
    section = loaded.settings.branding
    for key in ("name", "read_button_text", "portal_text"):
        text = getattr(section, key)
        if text is not None and not text.isprintable():
            yield loaded.fault(f"branding.{key}", "a line end or control character", "one line of text")
    if section.model_fields_set and loaded.settings.portal is None:
        right = "[portal] beside it: without one there is no protected mail that it could be the look of"
        yield loaded.warning("branding", "a branding, and no [portal]", right)


def _logo(loaded: Loaded, faults: list[Fault]) -> Logo | None:
    text = loaded.settings.branding.image
    if text is None:
        return None
    path = loaded.resolve(text)
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except OSError as error:
        faults.append(loaded.fault(_KEY, f"that {path} can't be read ({error.strerror})", _RIGHT))
        return None
    try:
        return read_logo(octets)
    except BadLogo as bad:
        faults.append(loaded.fault(_KEY, f"{bad} in {path}", _RIGHT))
        return None
