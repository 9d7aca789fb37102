"""Forms with files: what browsers send, and what nobody should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from gateway.portal.form import (
    MAX_FIELDS,
    SILENCE,
    BadForm,
    Form,
    FormLimits,
    Wrong,
    read_form,
)
from gateway.storage.writer import StorageFull
from tests.fakes.clock import FakeClock
from tests.fakes.portal_room import FakeRoom

KIND = "multipart/form-data; boundary=x"
LIMITS = FormLimits(octets=200_000, text=1000, files=3)


def part(name: str, octets: bytes, file: str | None = None, kind: str = "text/plain") -> bytes:
    named = "" if file is None else f'; filename="{file}"\r\nContent-Type: {kind}'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + octets + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


async def read(
    octets: bytes,
    room: FakeRoom,
    *,
    kind: str = KIND,
    limits: FormLimits = LIMITS,
    piece: int = 65536,
    admitted: list[dict[str, str]] | None = None,
) -> Form:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), piece):
            yield octets[start : start + piece]

    def admit(fields: Mapping[str, str]) -> None:
        if admitted is not None:
            admitted.append(dict(fields))

    return await read_form(blocks(), kind, limits, room=room, clock=FakeClock(), admit=admit)


async def refused(octets: bytes, room: FakeRoom, wrong: Wrong, **more: object) -> BadForm:
    with pytest.raises(BadForm) as caught:
        await read(octets, room, **more)  # type: ignore[arg-type]
    assert caught.value.wrong is wrong
    assert room.is_empty, "something of a form that was refused is left"
    return caught.value


@pytest.mark.parametrize("piece", [1, 7, 65536])
async def test_a_form_is_read_however_it_is_cut(piece: int) -> None:
    room = FakeRoom()
    octets = b"\r\n--\r\n--xy\r\n--x" + bytes(range(256))  # Delimiters, nearly.
    form = await read(
        whole(part("text", "grüße\r\n".encode()), part("files", octets, "a.bin", "application/x"), part("b", b"")),
        room,
        piece=piece,
    )
    assert form.fields == {"text": "grüße\r\n", "b": ""}
    [file] = form.files
    assert (file.of, file.name, file.content_type) == ("files", "a.bin", "application/x")
    assert file.content.inline == octets
    assert room.lying == [file.content]


async def test_of_two_fields_of_one_name_the_first_counts() -> None:
    form = await read(whole(part("csrf", b"ours"), part("csrf", b"theirs")), FakeRoom())
    assert form.fields == {"csrf": "ours"}


async def test_where_no_file_was_chosen_there_is_none() -> None:
    room = FakeRoom()
    assert (await read(whole(part("files", b"", "")), room)).files == ()
    assert room.begun == 0


async def test_a_file_without_octets_is_one_if_it_has_a_name() -> None:
    form = await read(whole(part("files", b"", "empty.txt")), FakeRoom())
    assert [(one.name, one.content.size) for one in form.files] == [("empty.txt", 0)]


async def test_a_name_keeps_what_browsers_escape_in_it() -> None:
    form = await read(whole(part("files", b"x", "a%22b%0D%0Ac 100%.txt"), part("files", b"", "é.txt")), FakeRoom())
    assert [one.name for one in form.files] == ['a"b  c 100%.txt', "é.txt"]


async def test_long_files_are_carried_away_as_they_come() -> None:
    room = FakeRoom()
    form = await read(whole(part("files", b"z" * 190_000, "a")), room, piece=10_000)
    assert form.files[0].content.size == 190_000
    assert room.flushed >= 2


# -- what is judged before a file is kept ------------------------------------------------------------------------------


async def test_fields_in_front_of_the_first_file_are_judged_once_before_it_is_kept() -> None:
    room, admitted = FakeRoom(), list[dict[str, str]]()
    await read(
        whole(part("csrf", b"1"), part("f", b"x", "a"), part("late", b"2"), part("f", b"x", "b")),
        room,
        admitted=admitted,
    )
    assert admitted == [{"csrf": "1"}]


async def test_a_form_without_files_is_judged_too() -> None:
    admitted = list[dict[str, str]]()
    await read(whole(part("csrf", b"1")), FakeRoom(), admitted=admitted)
    assert admitted == [{"csrf": "1"}]


async def test_a_form_that_is_not_admitted_leaves_nothing() -> None:
    """Attack: another site posts a form with large files; nothing of them may be stored for it."""
    room = FakeRoom()

    async def blocks() -> AsyncIterator[bytes]:
        yield whole(part("f", b"x" * 100_000, "a"))

    def admit(fields: Mapping[str, str]) -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        await read_form(blocks(), KIND, LIMITS, room=room, clock=FakeClock(), admit=admit)
    assert room.begun == 0


# -- limits ------------------------------------------------------------------------------------------------------------


async def test_files_may_have_just_as_much_as_is_allowed() -> None:
    parts = (part("f", b"a" * 100_000, "a"), part("f", b"b" * 100_000, "b"))
    assert len((await read(whole(*parts), FakeRoom())).files) == 2
    await refused(whole(*parts, part("f", b"c", "c")), FakeRoom(), Wrong.TOO_LARGE)


async def test_a_field_may_have_just_as_much_as_is_allowed() -> None:
    assert len((await read(whole(part("t", b"a" * 1000)), FakeRoom())).fields["t"]) == 1000
    await refused(whole(part("t", b"a" * 1001)), FakeRoom(), Wrong.TOO_LARGE)


async def test_all_fields_together_may_have_twice_as_much() -> None:
    two = [part("t", b"a" * 1000), part("u", b"a" * 1000)]
    assert len((await read(whole(*two), FakeRoom())).fields) == 2
    await refused(whole(*two, part("v", b"a")), FakeRoom(), Wrong.TOO_LARGE)


async def test_there_may_be_just_as_many_files_as_are_allowed() -> None:
    three = [part("f", b"", f"{number}") for number in range(3)]
    assert len((await read(whole(*three), FakeRoom())).files) == 3
    await refused(whole(*three, part("f", b"", "3")), FakeRoom(), Wrong.TOO_MANY)


async def test_there_may_be_just_as_many_fields_as_are_allowed() -> None:
    many = [part(f"f{number}", b"") for number in range(MAX_FIELDS)]
    assert len((await read(whole(*many), FakeRoom())).fields) == MAX_FIELDS
    await refused(whole(*many, part("one", b"")), FakeRoom(), Wrong.TOO_MANY)


async def test_what_is_typed_comes_back_where_files_are_too_large() -> None:
    error = await refused(whole(part("text", b"my words"), part("f", b"a" * 200_001, "a")), FakeRoom(), Wrong.TOO_LARGE)
    assert error.fields == {"text": "my words"}


async def test_of_a_form_that_was_not_admitted_nothing_comes_back() -> None:
    assert (await refused(part("text", b"words"), FakeRoom(), Wrong.MALFORMED)).fields == {}


async def test_octets_behind_the_end_are_counted() -> None:
    """Attack: an endless epilogue, of which nothing is kept, but which takes time."""
    epilogue = whole(part("a", b"")) + b"z" * (LIMITS.octets + 3_000_000)
    await refused(epilogue, FakeRoom(), Wrong.TOO_LARGE)


async def test_a_browser_that_is_still_sending_is_heard_to_its_end() -> None:
    taken = 0
    octets = whole(part("f", b"a" * 900_000, "a"))

    async def blocks() -> AsyncIterator[bytes]:
        nonlocal taken
        for start in range(0, len(octets), 10_000):
            taken = start
            yield octets[start : start + 10_000]

    with pytest.raises(BadForm):
        await read_form(blocks(), KIND, LIMITS, room=FakeRoom(), clock=FakeClock())
    assert taken >= len(octets) - 10_000


# -- what is no form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "multipart/mixed; boundary=x",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="x\ty"',
        'multipart/form-data; boundary="x "',
    ],
)
async def test_what_is_said_to_be_no_form_is_none(kind: str) -> None:
    await refused(whole(part("a", b"")), FakeRoom(), Wrong.MALFORMED, kind=kind)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"nothing of the kind",
        part("f", b"x" * 70_000, "a"),  # Cut off: a browser that is gone.
        whole(part("f", b"x" * 70_000, "a"))[:-6],
        b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\n\r\n--x--\r\n',
        b"--x\r\n\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"\r\n\r\n\r\n--x--',
        b"--x\r\n" + b"A: b\r\n" * 9 + b"\r\n\r\n--x--\r\n",
        b"--x\r\nA: " + b"b" * 5000 + b"\r\n\r\n\r\n--x--\r\n",
        b"--x\r\n" + b"A" * 5000 + b": b\r\n\r\n\r\n--x--\r\n",
        b"--x\r\nA b: c\r\n\r\n\r\n--x--\r\n",
        b'--x\nContent-Disposition: form-data; name="a"\n\n\n--x--\n',
    ],
)
@pytest.mark.parametrize("piece", [41, 65536])
async def test_what_is_malformed_leaves_nothing(octets: bytes, piece: int) -> None:
    await refused(octets, FakeRoom(), Wrong.MALFORMED, piece=piece)


async def test_what_hostile_forms_say_is_written_down_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    await refused(b"--secret words\r\n", FakeRoom(), Wrong.MALFORMED)
    assert not caplog.records


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_a_full_disk_leaves_nothing() -> None:
    room = FakeRoom()
    room.full = True
    with pytest.raises(StorageFull):
        await read(whole(part("f", b"", "a"), part("f", b"x" * 150_000, "b")), room, piece=60_000)
    assert room.is_empty


async def test_a_file_that_can_not_be_finished_leaves_nothing() -> None:
    room = FakeRoom()
    room.broken = True
    with pytest.raises(StorageFull):
        await read(whole(part("f", b"1", "a"), part("f", b"2", "b")), room)
    assert room.is_empty


async def test_a_silent_browser_is_taken_for_gone() -> None:
    room, clock = FakeRoom(), FakeClock()

    async def blocks() -> AsyncIterator[bytes]:
        yield part("text", b"words") + part("f", b"x" * 70_000, "a")
        await asyncio.get_running_loop().create_future()

    task = asyncio.ensure_future(read_form(blocks(), KIND, LIMITS, room=room, clock=clock))
    await clock.advance(SILENCE - 1)
    assert not task.done()
    await clock.advance(2)
    with pytest.raises(BadForm) as caught:
        await task
    assert caught.value.wrong is Wrong.SLOW
    assert caught.value.fields == {"text": "words"}
    assert room.is_empty


async def test_a_browser_that_sends_a_drop_now_and_then_does_not_stay_for_ever() -> None:
    room, clock = FakeRoom(), FakeClock()

    async def blocks() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        while True:
            await clock.sleep(SILENCE - 1)
            yield b"A"

    task = asyncio.ensure_future(read_form(blocks(), KIND, LIMITS, room=room, clock=clock))
    await clock.advance(3600)
    with pytest.raises(BadForm) as caught:
        await task
    assert caught.value.wrong is Wrong.SLOW


async def test_a_line_that_breaks_leaves_nothing() -> None:
    room = FakeRoom()

    async def blocks() -> AsyncIterator[bytes]:
        yield part("f", b"x", "a") + part("f", b"x" * 70_000, "b")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await read_form(blocks(), KIND, LIMITS, room=room, clock=FakeClock())
    assert room.is_empty


@pytest.mark.parametrize("front", [b"\r\n", b"\r\n-", b"words\r\n", b"-"])
@pytest.mark.parametrize("piece", [1, 65536])
async def test_nothing_stands_in_front_of_the_first_delimiter(front: bytes, piece: int) -> None:
    """The parser passes over some of it, depending on how the form was cut."""
    await refused(front + whole(part("a", b"")), FakeRoom(), Wrong.MALFORMED, piece=piece)
