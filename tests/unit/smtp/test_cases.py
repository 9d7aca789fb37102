"""What other servers got wrong, as bytes (cases/): each file is a client, with the right result beside its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected

CASES = Path(__file__).parent / "cases"


async def played(name: str, desk: FakeDesk, *, size: int = 1 << 20, normalize: bool = False) -> FakeClient:
    """A client that sent the whole file, in pieces of `size`."""
    client = connected(desk.desk, normalize=normalize)
    octets = (CASES / f"{name}.smtp").read_bytes()
    await client.feed(*[octets[start : start + size] for start in range(0, len(octets), size)])
    return client


def codes(lines: list[str]) -> list[str]:
    """The code of each reply."""
    return [line[:3] for line in lines if line[3:4] != "-"]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", ["smtp-01", "smtp-02", "smtp-03"])
async def test_an_odd_line_ending_smuggles_no_second_message(name: str, size: int) -> None:
    desk = FakeDesk()
    client = await played(name, desk, size=size)
    lines = await client.hears()
    assert codes(lines) == ["220", "250", "250", "250", "354", "550"]
    assert lines[-1].startswith("550 5.6.11")
    assert client.closed
    assert desk.accepted == []


@pytest.mark.parametrize("name", ["smtp-01", "smtp-02", "smtp-03"])
async def test_an_odd_line_ending_that_is_normalised_makes_one_message(name: str) -> None:
    desk = FakeDesk()
    client = await played(name, desk, normalize=True)
    assert codes(await client.hears()) == ["220", "250", "250", "250", "354", "250", "221"]
    (mail,) = desk.accepted
    assert mail.envelope.sender is not None
    assert mail.envelope.sender.text == "ida@corp.example"
    assert b"MAIL FROM:<evil@else.example>\r\n" in mail.message.head
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", mail.message.head)


async def test_a_body_line_of_1_mib_passes_unchanged() -> None:
    # smtp-06
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    content = b"Subject: long line\r\n\r\n" + b"x" * (1 << 20) + b"\r\n"
    assert (await client.sends(content)).startswith("250 ")
    assert desk.contents() == [content]


async def test_raw_8_bit_letters_in_header_fields_pass_unchanged() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    content = (CASES / "smtp-08.eml").read_bytes()
    assert (await client.sends(content)).startswith("250 ")
    assert desk.contents() == [content]


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
async def test_three_chunks_with_the_last_one_empty_are_one_message(size: int) -> None:
    # smtp-12
    desk = FakeDesk()
    client = await played("smtp-12", desk, size=size)
    assert codes(await client.hears()) == ["220", "250", "250", "250", "250", "250", "250", "221"]
    assert desk.contents() == [b"Subject: chunks\r\n\r\nabcdef\r\n"]


async def test_ret_and_envid_are_taken() -> None:
    desk = FakeDesk()
    client = await played("smtp-20", desk)
    assert codes(await client.hears()) == ["220", "250", "250", "250", "221"]


async def test_a_bdat_before_rcpt_is_503_and_its_chunk_thrown_away() -> None:
    desk = FakeDesk()
    client = await played("smtp-21", desk)
    assert codes(await client.hears()) == ["220", "250", "250", "503", "221"]
    assert len(desk.clients) == 1


async def test_a_bare_cr_inside_a_command_is_not_carried_out() -> None:
    desk = FakeDesk()
    client = await played("smtp-24", desk)
    assert codes(await client.hears()) == ["220", "250", "500", "221"]
    assert desk.clients == []


@pytest.mark.parametrize("name", ["smtp-25", "smtp-27", "smtp-29"])
async def test_odd_but_right_addresses_and_parameters_are_taken(name: str) -> None:
    client = await played(name, FakeDesk())
    assert codes(await client.hears()) == ["220", "250", "250", "250", "221"]
