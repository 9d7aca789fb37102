"""Who is asked about a recipient: the domain's word wins over the connector's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.verification import Verification, read_verification, verification
from gateway.settings.fault import BadSettings, Fault
from tests.fakes.settings import PLAIN, settings_in

SOURCES = """
[[recipient_sources]]
name = "staff"
by = "list"
file = "staff.txt"
"""


def text(domains: str, inbound: str = "", more: str = "") -> str:
    ours = PLAIN.replace('accepted_domains = ["corp.example"]', f"accepted_domains = [{domains}]")
    return ours.replace('type = "on_premises"', f'type = "on_premises"\n{inbound}') + more


def read(folder: Path, domains: str, inbound: str = "", more: str = "") -> tuple[Verification, list[Fault]]:
    faults: list[Fault] = []
    return read_verification(settings_in(folder, text(domains, inbound, more)), faults), faults


HOP = '{ by = "next_hop" }'
BY_CONNECTOR = f"recipient_verification = {HOP}"


def test_nobody_is_asked_where_nothing_is_said(tmp_path: Path) -> None:
    made, faults = read(tmp_path, '"corp.example"')
    assert made == Verification()
    assert faults == []


def test_the_domain_wins_over_the_connector(tmp_path: Path) -> None:
    domains = '{ name = "corp.example", recipient_verification = "staff" }, "*.corp.example"'
    made, faults = read(tmp_path, domains, BY_CONNECTOR, SOURCES)
    assert faults == []
    staff, hop = made.source("corp.example", "local"), made.source("*.corp.example", "local")
    assert staff is not None and staff.name == "staff"
    assert hop is not None and hop.name == "connector local"
    assert made.source("*.corp.example", "other") is None
    assert made.source("corp.example", "other") is staff


def test_none_of_a_domain_means_none_whatever_the_connector_says(tmp_path: Path) -> None:
    made, _ = read(tmp_path, '{ name = "corp.example", recipient_verification = "none" }', BY_CONNECTOR)
    assert made.source("corp.example", "local") is None


def test_a_source_that_several_name_is_one(tmp_path: Path) -> None:
    domains = ", ".join(f'{{ name = "{one}.example", recipient_verification = "staff" }}' for one in "ab")
    made, _ = read(tmp_path, domains, more=SOURCES)
    assert len(made.sources) == 1


@pytest.mark.parametrize(
    ("domains", "more", "key", "right"),
    [
        ('{ name = "a.example", recipient_verification = "next_hop" }', "", "", '{ by = "next_hop" }'),
        ('{ name = "a.example", recipient_verification = "stuff" }', SOURCES, "", 'one of "staff", a table'),
        ('{ name = "a.example", recipient_verification = "stuff" }', "", "", "the name of one of recipient_sources"),
        ('"a.example"', SOURCES.replace("staff", "none"), "recipient_sources[0].name", "another name"),
        ('"a.example"', SOURCES + SOURCES, "recipient_sources[1].name", "recipient_sources[0] does not have"),
    ],
)
def test_a_fault_says_what_would_be_right(tmp_path: Path, domains: str, more: str, key: str, right: str) -> None:
    _, faults = read(tmp_path, domains, more=more)
    errors = [fault for fault in faults if fault.severity == "error"]
    assert errors[0].key == (key or "accepted_domains[0].recipient_verification")
    assert right in errors[0].right
    with pytest.raises(BadSettings):
        verification(settings_in(tmp_path, text(domains, more=more)))


def test_a_source_that_nobody_names_is_warned_of(tmp_path: Path) -> None:
    _, faults = read(tmp_path, '"a.example"', more=SOURCES)
    assert [(fault.key, fault.severity) for fault in faults] == [("recipient_sources[0].name", "warning")]
