"""Any files as mail to import, and any octets in the place of rows and blobs: read, passed over, or damaged by name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.message import Held
from gateway.mailboxes.contents import chunk
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer.eml import About, folder_path
from gateway.mailboxes.transfer.found import BadSource, Found
from gateway.mailboxes.transfer.maildir import folder_name
from gateway.mailboxes.transfer.mbox import Form, read_mbox
from gateway.world.chance import SystemChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_blobs import MemoryMailboxBlobs, MemoryNames
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore")]

# Few ways lead through these readers: they are soon walked.
SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "2"))
LINES = (
    b"From a Thu Nov 26 16:01:09 2026", b"From - Mon Feb 30 99:99 0000 +9999", b">From b", b">>From c", b"", b"\r",
    b"Status: RO", b"X-Status: AFTD", b"X-Mozilla-Status: 0009", b"X-Mozilla-Status: ffff", b"\0\xff", b"From ",
)  # fmt: skip


def run(strategy: st.SearchStrategy[Any], judge: Callable[[Any], None]) -> None:
    @ROUND
    @given(strategy)
    def judged(one: Any) -> None:
        judge(one)

    for_seconds(SECONDS, judged)


def test_any_file_is_an_mbox_or_refused(tmp_path: Path) -> None:
    line = st.one_of(st.sampled_from(LINES), st.binary(max_size=30))
    ends = st.sampled_from([b"\n", b"\r\n"])
    file = st.tuples(st.lists(line, max_size=12), ends, st.sampled_from(list(Form)))

    def judge(one: tuple[list[bytes], bytes, Form]) -> None:
        lines, end, form = one
        (tmp_path / "box").write_bytes(end.join(lines))
        told: list[int] = []
        try:
            found = list(read_mbox(tmp_path / "box", form, told=told.append))
        except BadSource as fault:
            assert "\n" not in str(fault)
            return
        assert told == sorted(told)
        assert len({message.place for message in found}) == len(found)
        assert (
            sum(len(message.octets.replace(b"\r\n", b"\n")) for message in found if isinstance(message, Found))
            <= (tmp_path / "box").stat().st_size
        )
        for message in found:
            if isinstance(message, Found):
                assert b"\n" not in message.octets.replace(b"\r\n", b"")
                assert message.flags & ~31 == 0

    run(file, judge)


def test_any_name_of_a_folder_stays_below_its_own(tmp_path: Path) -> None:
    def judge(name: str) -> None:
        path = folder_path(folder_name(name))
        assert not path.is_absolute()
        assert not {".", "..", ""} & set(path.parts)
        assert all(len(os.fsencode(part)) <= 255 and "\0" not in part for part in path.parts)
        (tmp_path / "folder.json").write_text(name, errors="replace")
        assert About.read(tmp_path) == About()

    text = st.text(st.characters(codec="utf-8"), max_size=300)
    run(
        st.one_of(text, st.lists(st.sampled_from(["..", ".", "/", "&AOk-", "&", "-", "a"]), max_size=9).map("".join)),
        judge,
    )


def test_no_other_octets_than_were_written_ever_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("chunk", "contents", "pieces"):
        monkeypatch.setattr(f"gateway.mailboxes.contents.{module}.CHUNK", 16)
    assert chunk.chunk_count(40) == 3
    key = MailboxKey(7, 1, b"k" * 32)
    change = st.tuples(
        st.sampled_from(["map", "head", "size", "blobs", "blob", "swap", "drop"]),
        st.integers(0, 200),
        st.integers(0, 255),
    )

    async def changed(changes: list[tuple[str, int, int]], executor: ThreadPoolExecutor) -> None:
        blobs = MemoryMailboxBlobs()
        contents = Contents(MemoryNames(), blobs, executor=executor, chance=SystemChance(), clock=FakeClock())
        texts = [b"a" * 40, b"b" * 40]
        rows = [await contents.write(key, Held(text), text[:9]) for text in texts]
        row, other = rows
        names = list(blobs.kept)
        for what, at, octet in changes:
            match what:
                case "map":
                    octets = row.map if octet & 1 else other.map
                    row = replace(row, map=octets[:at] + bytes([octet]) + octets[at + 1 :])
                case "head":
                    octets = row.head if octet & 1 else other.head
                    row = replace(row, head=octets[:at] + bytes([octet]) + octets[at + 1 :])
                case "size":
                    row = replace(row, size=at)
                case "blobs":
                    row = replace(row, blobs=(*row.blobs[: at % 4], names[octet % 6], *row.blobs[at % 4 + 1 :]))
                case "blob" if names[octet % 6] in blobs.kept:
                    one = blobs.kept[names[octet % 6]]
                    blobs.kept[names[octet % 6]] = one[:at] + bytes([octet]) + one[at + 1 :]
                case "swap":
                    first, second = names[at % 6], names[octet % 6]
                    if first in blobs.kept and second in blobs.kept:
                        blobs.kept[first], blobs.kept[second] = blobs.kept[second], blobs.kept[first]
                case "drop":
                    blobs.kept.pop(names[octet % 6], None)
        for text, found in zip(texts, await contents.read_many(key, [row, other]), strict=True):
            assert isinstance(found, Damaged) or found == text
        for text, head in zip(texts, await contents.heads(key, [row, other]), strict=True):
            assert isinstance(head, Damaged) or head in (text[:9], None)

    with ThreadPoolExecutor(1) as executor, asyncio.Runner() as runner:
        run(st.lists(change, min_size=1, max_size=4), lambda changes: runner.run(changed(changes, executor)))
