"""Settings with which mail would go in a circle, or recipients could never be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.route_check import judge_routes
from tests.fakes.settings import PLAIN, settings_in

FOLDER = """[[connectors.outbound]]
name = "drop"
recipient_domains = ["*.drop.example", "drop.example"]
deliver = "folder"
folder = "outbox"
"""


def told(folder: Path, text: str) -> list[tuple[str, str]]:
    faults = list(judge_routes(settings_in(folder, text)))
    assert all(fault.severity == "warning" for fault in faults)
    return [(fault.key, fault.found) for fault in faults]


def test_plain_settings_are_right(tmp_path: Path) -> None:
    assert told(tmp_path, PLAIN) == []


@pytest.mark.parametrize(
    ("listen", "host", "circle"),
    [
        ("127.0.0.1:2525", "127.0.0.1:2525", True),
        ("127.0.0.1:2525", "localhost:2525", True),
        ("[::1]:2525", "[0:0::1]:2525", True),
        ("0.0.0.0:2525", "127.0.0.5:2525", True),
        ("[::]:2525", "[::1]:2525", True),
        ("127.0.0.1:2525", "127.0.0.1:2500", False),
        ("127.0.0.1:2525", "127.0.0.2:2525", False),
        ("0.0.0.0:2525", "192.0.2.9:2525", False),  # Another machine's, for all that can be told.
        ("0.0.0.0:2525", "[::1]:2525", False),
        ("127.0.0.1:2525", "mx.corp.example:2525", False),
    ],
)
def test_a_smart_host_that_is_this_gateway_is_warned_of(tmp_path: Path, listen: str, host: str, circle: bool) -> None:
    text = PLAIN.replace("127.0.0.1:2525", listen).replace("127.0.0.1:2500", host)
    found = [("connectors.outbound[1].smart_hosts[0]", f'"{host}", where this gateway listens itself')]
    assert told(tmp_path, text) == (found if circle else [])


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ('"corp.example", "Corp.Example."', "accepted_domains[1]"),
        ('{name = "corp.example"}, {name = "CORP.example"}', "accepted_domains[1].name"),
        ('"corp.example", "*.corp.example"', None),
    ],
)
def test_a_domain_that_stands_twice_is_warned_of(tmp_path: Path, entries: str, key: str | None) -> None:
    text = PLAIN.replace('accepted_domains = ["corp.example"]', f"accepted_domains = [{entries}]")
    assert [one for one, _ in told(tmp_path, text)] == ([] if key is None else [key])


@pytest.mark.parametrize(
    ("entry", "extra", "mute"),
    [
        ('{name = "drop.example", recipient_verification = {by = "next_hop"}}', "", True),
        ('{name = "*.drop.example", recipient_verification = {by = "next_hop"}}', "", True),
        ('{name = "corp.example", recipient_verification = {by = "next_hop", connector = "drop"}}', "", True),
        ('{name = "drop.example", recipient_verification = "shared"}', "shared", True),
        ('{name = "drop.example", recipient_verification = {by = "next_hop", connector = "ours"}}', "", False),
        ('{name = "drop.example", recipient_verification = {by = "list", file = "people"}}', "", False),
        ('{name = "drop.example", recipient_verification = "none"}', "", False),
        ('{name = "corp.example", recipient_verification = {by = "next_hop"}}', "", False),
        ('{name = "elsewhere.example", recipient_verification = {by = "next_hop"}}', "", False),  # Refused anyhow.
    ],
)
def test_a_next_hop_that_is_none_can_not_be_asked(tmp_path: Path, entry: str, extra: str, mute: bool) -> None:
    text = PLAIN.replace('accepted_domains = ["corp.example"]', f"accepted_domains = [{entry}]") + FOLDER
    if extra:
        text += f'[[recipient_sources]]\nname = "{extra}"\nby = "next_hop"\n'
    assert [key for key, _ in told(tmp_path, text)] == (["accepted_domains[0].recipient_verification"] if mute else [])
