"""The section [branding] with its logo's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.branding import branding, judge_branding
from gateway.app.terms import policy
from gateway.settings.fault import BadSettings
from gateway.settings.load import Loaded
from tests.fakes.logo import png
from tests.fakes.settings import PLAIN, settings_in

PORTAL = '[portal]\nlisten = "127.0.0.1:8443"\nurl = "https://portal.corp.example/"\n'


def branded(folder: Path, text: str, portal: str = PORTAL) -> Loaded:
    return settings_in(folder, f"{PLAIN}{portal}[branding]\n{text}\n")


def test_a_policy_has_the_branding_its_logo_and_where_the_portal_is(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png())
    loaded = branded(tmp_path, 'image = "logo.png"\nlanguage = "de"')
    assert list(judge_branding(loaded)) == []
    made = policy(loaded)
    assert made.branding == branding(loaded)
    assert made.branding.logo is not None and made.branding.logo.octets == png()
    assert (made.branding.name, made.branding.language) == ("mx.corp.example", "de")
    assert made.portal == "https://portal.corp.example"
    assert policy(settings_in(tmp_path)).portal is None


@pytest.mark.parametrize("octets", [None, b"<svg/>", png() + bytes(200_000)])
def test_a_logo_that_is_none_is_told_with_its_file(tmp_path: Path, octets: bytes | None) -> None:
    if octets is not None:
        (tmp_path / "logo.png").write_bytes(octets)
    loaded = branded(tmp_path, 'image = "logo.png"')
    (fault,) = judge_branding(loaded)
    assert fault.severity == "error" and "logo.png" in fault.found and "PNG" in fault.right
    with pytest.raises(BadSettings):
        branding(loaded)


def test_a_name_is_one_line(tmp_path: Path) -> None:
    (fault,) = judge_branding(branded(tmp_path, 'name = "a\\nb"'))
    assert fault.key == "branding.name"


def test_a_branding_of_nothing_is_warned_of(tmp_path: Path) -> None:
    (fault,) = judge_branding(branded(tmp_path, 'name = "Corp"', portal=""))
    assert fault.severity == "warning"
    assert list(judge_branding(settings_in(tmp_path))) == []
