"""Pages of a PDF drawn by a process of its own: by PDFium, and by programs that stand in for it."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import interpreter
from gateway.portal import pdf_drawing
from gateway.portal.pdf_pages import PAGES, PATIENCE, DrawerFailed, NotDrawn, PdfDrawer, PdfPage, PdfPart
from gateway.world.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.pdf import pdf


@pytest.fixture
def drawer() -> PdfDrawer:
    pytest.importorskip("pypdfium2")
    return PdfDrawer(interpreter.python(), interpreter.confined_environment(), SystemClock())


def blocks(octets: bytes, length: int = 100_000) -> Iterator[bytes]:
    for start in range(0, len(octets), length):
        yield octets[start : start + length]


def other(tmp_path: Path, program: str, clock: FakeClock | None = None) -> PdfDrawer:
    """One whose process is that program."""
    file = tmp_path / "program.py"
    file.write_text(program)
    return PdfDrawer((sys.executable, str(file)), {}, clock or SystemClock())


async def test_pages_are_told_with_their_text_and_drawn(drawer: PdfDrawer) -> None:
    file = pdf("Good morning", "Second page", width=595, height=842)
    part = await drawer.look(blocks(file), len(file), 0)
    assert (part.count, [one.text for one in part.pages]) == (2, ["Good morning", "Second page"])
    assert (part.pages[1].width, part.pages[1].height) == (1240, 1755)
    assert "Good" not in repr(part)
    picture = await drawer.draw(blocks(file), len(file), 1)
    assert int.from_bytes(picture[16:20]) == 1240 and abs(int.from_bytes(picture[20:24]) - 1755) <= 1
    rows = zlib.decompress(picture[picture.index(b"IDAT") + 4 : -16])
    assert {0, 255} <= set(rows), "black on white"


async def test_a_long_file_is_shown_in_parts(drawer: PdfDrawer) -> None:
    file = pdf(*(f"number {one}" for one in range(25)))
    part = await drawer.look(blocks(file), len(file), 10)
    assert [one.number for one in part.pages] == list(range(10, 20))
    assert (part.before, part.behind) == (0, 20)
    last = await drawer.look(blocks(file), len(file), 20)
    assert (len(last.pages), last.before, last.behind) == (5, 10, None)


@pytest.mark.parametrize(
    "file",
    [b"%PDF-1.4\n", b"%PDF-1.4\n" + bytes(range(256)) * 400, pdf("cut")[:200], b"", pdf("x", width=30_000), pdf()],
    ids=["a sign alone", "noise", "cut", "nothing", "no wall is so wide", "no page"],
)
async def test_what_can_not_be_drawn_is_said_to_be(drawer: PdfDrawer, file: bytes) -> None:
    with pytest.raises(NotDrawn):
        await drawer.look(blocks(file), len(file), 0)
    with pytest.raises(NotDrawn):
        await drawer.draw(blocks(file), len(file), 0)


async def test_a_page_that_is_not_there_is_not_drawn(drawer: PdfDrawer) -> None:
    file = pdf("one")
    for page in (1, 99_999):
        with pytest.raises(NotDrawn):
            await drawer.draw(blocks(file), len(file), page)
        with pytest.raises(NotDrawn):
            await drawer.look(blocks(file), len(file), page)


async def test_a_page_as_large_as_a_wall_makes_no_larger_picture(drawer: PdfDrawer) -> None:
    file = pdf("wall", width=300, height=14_400)
    picture = await drawer.draw(blocks(file), len(file), 0)
    assert int.from_bytes(picture[16:20]) * int.from_bytes(picture[20:24]) <= pdf_drawing.MOST * 1.01


async def test_a_file_over_the_limit_starts_nothing(tmp_path: Path) -> None:
    drawer = other(tmp_path, "open(__file__ + '.ran', 'w')")
    with pytest.raises(NotDrawn):
        await drawer.draw(blocks(b""), pdf_drawing.MAX_FILE + 1, 0)
    assert not (tmp_path / "program.py.ran").exists()


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit(3)", NotDrawn),
        ("import os; os.kill(os.getpid(), 9)", NotDrawn),
        ("import sys; sys.exit(1)", DrawerFailed),
        ("print('<svg>')", NotDrawn),
        ("import sys; sys.stdout.write('x' * (25 << 20))", NotDrawn),
    ],
    ids=["unreadable", "killed", "failed", "no picture", "endless"],
)
async def test_who_draws_is_not_believed(tmp_path: Path, program: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await other(tmp_path, program).draw(blocks(bytes(1 << 20)), 1 << 20, 0)


@pytest.mark.parametrize("status", [3, 1], ids=["unreadable", "failed"])
async def test_a_process_that_ends_before_it_has_read_all_leaves_nothing_in_the_log(
    tmp_path: Path, status: int
) -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    drawer = other(tmp_path, f"import os, sys; sys.stdin.close(); os._exit({status})")
    for _ in range(3):
        with pytest.raises((NotDrawn, DrawerFailed)):
            await drawer.draw(blocks(bytes(8 << 20)), 8 << 20, 0)
    gc.collect()  # A future with an error at which nobody has looked tells it when it goes.
    await asyncio.sleep(0)
    assert told == []


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{}",
        '{"count": 1, "pages": [{"number": 0}]}',
        '{"count": 0, "pages": []}',
        '{"count": 1, "pages": [{"number": "0", "width": 5, "height": 5, "text": ""}]}',
        '{"count": 1, "pages": [{"number": 0, "width": -5, "height": 5, "text": ""}]}',
        '{"count": 1, "pages": [{"number": 0, "width": 5, "height": 5, "text": ["x"]}]}',
        "[" * 100_000,
    ],
)
async def test_pages_that_are_told_wrongly_are_none(tmp_path: Path, said: str) -> None:
    with pytest.raises(NotDrawn):
        await other(tmp_path, f"print({said!r})").look(blocks(b"x"), 1, 0)


async def test_a_file_that_ends_in_the_middle_is_not_drawn_as_if_it_were_whole(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise ValueError("what follows is damaged")

    drawer = other(tmp_path, "import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write(b'\\x89PNG\\r\\n\\x1a\\n')")
    with pytest.raises(DrawerFailed, match="the file can't be read"):
        await drawer.draw(broken(), 2000, 0)
    assert await drawer.draw(blocks(b"whole"), 5, 0)


async def test_what_takes_too_long_is_ended_and_others_have_their_turn(tmp_path: Path) -> None:
    clock = FakeClock()
    drawer = other(tmp_path, "import time; time.sleep(600)", clock)
    asked = [asyncio.create_task(drawer.draw(blocks(b"x"), 1, 0)) for _ in range(3)]
    while clock.sleepers < 3:
        await asyncio.sleep(0)
    await clock.advance(PATIENCE + 1)
    assert [type(one) for one in await asyncio.gather(*asked, return_exceptions=True)] == [DrawerFailed] * 3


async def test_without_the_library_nothing_is_drawn(tmp_path: Path) -> None:
    """Where PDFium can't be imported the process ends as any that failed."""
    (tmp_path / "pypdfium2.py").write_text("raise ImportError")
    environment = interpreter.confined_environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    drawer = PdfDrawer(interpreter.python(), environment, SystemClock())
    with pytest.raises(DrawerFailed):
        await drawer.draw(blocks(pdf("x")), 100, 0)


def test_the_process_is_told_where_we_are_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PASSPHRASE", "for tests only")
    assert set(interpreter.confined_environment()) == {"PYTHONPATH", "LANG"}


def test_a_part_knows_what_is_before_and_behind_it() -> None:
    def part(first: int, count: int) -> PdfPart:
        return PdfPart(count, tuple(PdfPage(one, 1, 1, "") for one in range(first, min(count, first + PAGES))))

    assert (part(0, 3).before, part(0, 3).behind) == (None, None)
    assert (part(3, 30).before, part(3, 30).behind) == (0, 13)
    assert json.dumps(part(20, 30).before) == "10"
