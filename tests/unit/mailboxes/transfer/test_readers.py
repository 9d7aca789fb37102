"""What lies in mbox files, Maildirs and folders of .eml is found, and nothing that is none of it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from gateway.mailboxes.transfer import found as limits
from gateway.mailboxes.transfer import mbox
from gateway.mailboxes.transfer.eml import About, file_name, folder_path, uid_of
from gateway.mailboxes.transfer.found import BadSource, Found, Skipped, with_crlf
from gateway.mailboxes.transfer.maildir import folder_name
from gateway.mailboxes.transfer.mbox import Form
from gateway.mailboxes.transfer.source import octets_of, read_source
from gateway.storage.mailboxes.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

FROM = b"From ida@corp.example Thu Nov 26 16:01:09 2026\n"


def read(path: Path, form: Form = Form.MBOXRD) -> list[Found]:
    found = list(read_source(path, form))
    assert all(isinstance(one, Found) for one in found), found
    return [one for one in found if isinstance(one, Found)]


def box(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "box"
    path.write_bytes(b"".join(parts))
    return path


# -- mbox -------------------------------------------------------------------------------------------------------------


def test_messages_of_an_mbox_are_parted_and_get_lines_of_mail(tmp_path: Path) -> None:
    path = box(
        tmp_path, FROM, b"Subject: 1\n\none\n\n", FROM, b"Subject: 2\r\n\r\ntwo\r\n", b"\n", FROM, b"Subject: 3\n\n3"
    )
    assert [one.octets for one in read(path)] == [
        b"Subject: 1\r\n\r\none\r\n",
        b"Subject: 2\r\n\r\ntwo\r\n",
        b"Subject: 3\r\n\r\n3",
    ]
    assert [one.place for one in read(path)] == [f"box: message {number}" for number in (1, 2, 3)]


def test_a_from_within_a_text_parts_nothing(tmp_path: Path) -> None:
    text = b"Subject: 1\n\nFrom here on\n\nFrom what I know it is Thursday\nFrom a Thu Nov 26 16:01:09 2026\n"
    (one,) = read(box(tmp_path, FROM, text))
    assert one.octets == with_crlf(text)


@pytest.mark.parametrize(
    ("form", "quoted", "plain"),
    [
        (Form.MBOXRD, b">From a\n>>From b\n> From c\n", b"From a\r\n>From b\r\n> From c\r\n"),
        (Form.MBOXO, b">From a\n>>From b\n> From c\n", b"From a\r\n>>From b\r\n> From c\r\n"),
    ],
)
def test_quoted_lines_are_as_they_were_written(tmp_path: Path, form: Form, quoted: bytes, plain: bytes) -> None:
    (one,) = read(box(tmp_path, FROM, b"\n", quoted), form)
    assert one.octets == b"\r\n" + plain


@pytest.mark.parametrize(
    ("line", "date"),
    [
        (b"From a Thu Nov 26 16:01:09 2026", 1795708869.0),
        (b"From - Thu Nov 26 16:01:09 2026", 1795708869.0),
        (b"From a Thu Nov 26 16:01:09 2026 +0130", 1795708869.0 - 5400),
        (b"From a Thu Nov 26 16:01:09 CET 2026", 1795708869.0),
        (b"From a  Thu Nov  5 06:01 2026", 1793858460.0),
        (b"From a Thu Nov 31 16:01:09 2026", None),
        (b"From a Thu Nov 26 16:01:09 9999999", None),
        (b"From nobody knows when", None),
    ],
)
def test_the_date_is_that_of_the_line(tmp_path: Path, line: bytes, date: float | None) -> None:
    (one,) = read(box(tmp_path, line, b"\nSubject: x\n\n"))
    assert one.date == date


@pytest.mark.parametrize(
    ("head", "flags"),
    [
        (b"Status: RO\n", SEEN),
        (b"Status: RO\nX-Status: AF\n", SEEN | ANSWERED | FLAGGED),
        (b"x-status: TD\r\n", DRAFT | DELETED),
        (b"X-Mozilla-Status: 0007\n", SEEN | ANSWERED | FLAGGED),
        (b"\nStatus: R\n", 0),
        (b"X-Mozilla-Status: zzzz\n", 0),
    ],
)
def test_flags_are_those_of_the_header(tmp_path: Path, head: bytes, flags: int) -> None:
    (one,) = read(box(tmp_path, FROM, b"Subject: x\n", head, b"\ntext\n"))
    assert one.flags == flags


def test_what_is_no_message_is_passed_over_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "MAX_MESSAGE", 100)
    parts = [
        b"X-Mozilla-Status: 0009\n\ngone\n\n",
        b"",
        b"\n" + b"x" * 100 + b"\n",
        b"\n" + b"x" * 97 + b"\n\n",
    ]
    path = box(tmp_path, *(FROM + one + (b"" if one.endswith(b"\n\n") else b"\n") for one in parts))
    told = list(read_source(path))
    assert [type(one) for one in told] == [Skipped, Skipped, Skipped, Found]
    assert [one.why.split()[1:3] for one in told if isinstance(one, Skipped)] == [
        ["was", "deleted"],
        ["is", "empty"],
        ["has", "103"],
    ]


def test_a_line_without_an_end_is_read_in_pieces(tmp_path: Path) -> None:
    text = b"x" * (3 * mbox.PIECE) + b"From a Thu Nov 26 16:01:09 2026"
    (one,) = read(box(tmp_path, FROM, b"\n", text))
    assert one.octets == b"\r\n" + text


def test_the_end_of_a_long_line_is_no_empty_line(tmp_path: Path) -> None:
    text = b"x" * mbox.PIECE + b"\n"
    (one,) = read(box(tmp_path, FROM, b"\n", text))
    assert one.octets == b"\r\n" + text[:-1] + b"\r\n"


def test_a_message_of_short_lines_takes_not_much_more_memory_than_its_size(tmp_path: Path) -> None:
    size = 1 << 19
    path = box(tmp_path, FROM, b"ab\n" * (size // 3))
    tracemalloc.start()
    try:
        (one,) = read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(one.octets) == 4 * (size // 3)
    assert most < 6 * size


@pytest.mark.parametrize(
    "line", [b"Status: " + b" " * 40_000 + b"R!", b"X-Status:" + b"\t " * 20_000 + b"\x80", b"Status:" + b" " * 60_000]
)
def test_a_flag_s_line_of_blanks_is_read_in_time_that_grows_with_its_length(tmp_path: Path, line: bytes) -> None:
    """Attack: sixty thousand blanks behind Status take minutes where each is tried with each."""
    path = box(tmp_path, *[FROM + line + b"\n\ntext\n\n"] * 60)
    assert [one.flags for one in read(path)] == [0] * 60


def test_a_file_that_is_no_mbox_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match=r"box is no mbox: its first line would begin with `From `"):
        list(read_source(box(tmp_path, b"Subject: x\n\n")))
    with pytest.raises(BadSource, match="there is no"):
        read_source(tmp_path / "nothing")
    (tmp_path / "empty").write_bytes(b"")
    assert list(read_source(tmp_path / "empty")) == []


def test_how_far_it_is_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    told: list[int] = []
    path = box(tmp_path, *[FROM + b"\ntext\n\n"] * 5)
    list(read_source(path, told=told.append))
    assert told == sorted(told)
    assert told[-1] == octets_of(path) == path.stat().st_size


# -- Maildir ----------------------------------------------------------------------------------------------------------


def maildir(path: Path, *names: str) -> Path:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_bytes(f"Subject: {name}\n\n".encode())
        os.utime(path / name, (1000, 1000))
    return path


def test_messages_of_a_maildir_have_its_flags_and_folders(tmp_path: Path) -> None:
    top = maildir(tmp_path / "m", "new/1.a", "cur/2.b:2,FRS", "cur/3.c:2,DTab", "tmp/4.d", "cur/.hidden")
    maildir(top / ".Sent", "cur/5.e:2,S")
    maildir(top / ".Work.Entw&APw-rfe", "new/6.f")
    maildir(top / "Tree" / "Leaf", "new/7.g")
    found = {one.place: one for one in read(top)}
    assert {place: (one.folder, one.flags) for place, one in found.items()} == {
        "new/1.a": (None, 0),
        "cur/2.b:2,FRS": (None, FLAGGED | ANSWERED | SEEN),
        "cur/3.c:2,DTab": (None, DRAFT | DELETED),
        ".Sent/cur/5.e:2,S": ("Sent", SEEN),
        ".Work.Entw&APw-rfe/new/6.f": ("Work/Entwürfe", 0),
        "Tree/Leaf/new/7.g": ("Tree/Leaf", 0),
    }
    assert found["new/1.a"].octets == b"Subject: new/1.a\r\n\r\n"
    assert found["new/1.a"].date == 1000


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A&-B", "A&B"),
        ("&ZeVnLIqe-", "日本語"),
        ("&U,BTFw-", "台北"),
        ("&***-", "&***-"),
        ("&AA-", "&AA-"),
        ("plain", "plain"),
    ],
)
def test_names_in_modified_utf_7_are_read(text: str, name: str) -> None:
    assert folder_name(text) == name


def test_links_out_of_what_was_named_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.eml").write_bytes(b"Subject: secret\n\n")
    maildir(tmp_path / "elsewhere", "cur/1.a")
    top = maildir(tmp_path / "m", "cur/1.a")
    (top / "cur" / "2.b").symlink_to(tmp_path / "secret.eml")
    (top / ".Linked").symlink_to(tmp_path / "elsewhere")
    found = list(read_source(top))
    assert [(type(one), one.place) for one in found] == [(Found, "cur/1.a"), (Skipped, "cur/2.b")]


# -- .eml -------------------------------------------------------------------------------------------------------------


def test_a_folder_of_eml_files_gives_them_all_by_folder(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("1.eml", "0000000007,FS.eml", "a/2.EML", "a/b/3.eml", "a/notes.txt", ".hidden.eml"):
        (tmp_path / name).write_bytes(b"Subject: x\n\n")
    assert {one.place: (one.folder, one.flags) for one in read(tmp_path)} == {
        "1.eml": (None, 0),
        "0000000007,FS.eml": (None, FLAGGED | SEEN),
        "a/2.EML": ("a", 0),
        "a/b/3.eml": ("a/b", 0),
    }
    (one,) = read(tmp_path / "1.eml")
    assert one.octets == b"Subject: x\r\n\r\n"


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(BadSource, match=r"no Maildir \(cur, new\) and holds no \.eml file"):
        read_source(tmp_path)


def test_files_that_are_none_or_too_long_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.mailboxes.transfer import files

    monkeypatch.setattr(files, "MAX_MESSAGE", 10)
    (tmp_path / "1.eml").write_bytes(b"")
    (tmp_path / "2.eml").write_bytes(b"x" * 11)
    (tmp_path / "3.eml").write_bytes(b"x" * 10)
    os.mkfifo(tmp_path / "4.eml")
    told = list(read_source(tmp_path))
    assert [one.why for one in told if isinstance(one, Skipped)] == [
        "it is empty",
        "it has 11 octets, and 10 are taken at most",
        "it is no file",
    ]
    assert [one.place for one in told if isinstance(one, Found)] == ["3.eml"]
    assert limits.MAX_MESSAGE == 256 << 20


@pytest.mark.parametrize(
    "name", ["INBOX", "a/b", "..", "../../etc", ".hidden", "a,b", "\\n", "Entwürfe " * 40, "con:nul", "x" * 900]
)
def test_a_folders_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    path = folder_path(name)
    assert not path.is_absolute()
    assert len(path.parts) == len(name.split("/"))
    (tmp_path / path).mkdir(parents=True)
    assert (tmp_path / path).resolve().is_relative_to(tmp_path.resolve())
    assert not any(part.startswith(".") or "," in part for part in path.parts)


@pytest.mark.parametrize("name", ["cur", "new", "tmp", "New", "a/cur"])
def test_a_folder_named_like_a_part_of_a_maildir_is_read_as_what_it_is(tmp_path: Path, name: str) -> None:
    """Else an export with a folder `cur` is taken for a Maildir: its folder.json would be messages, the rest lost."""
    for folder in ("INBOX", name):
        path = tmp_path / folder_path(folder)
        path.mkdir(parents=True)
        (path / "folder.json").write_bytes(About(folder).octets)
        (path / file_name(1, 0)).write_bytes(b"Subject: " + folder.encode() + b"\r\n\r\n")
    found = {one.folder: one.octets for one in read_source(tmp_path) if isinstance(one, Found)}
    assert found == {folder: b"Subject: " + folder.encode() + b"\r\n\r\n" for folder in ("INBOX", name)}


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    assert folder_path("x" * 900 + "1") != folder_path("x" * 900 + "2")


def test_a_files_name_tells_uid_and_flags() -> None:
    assert file_name(12, FLAGGED | SEEN) == "0000000012,FS.eml"
    assert [uid_of(name) for name in ("0000000012,FS.eml", "12.eml", "x.eml", "12,FS.txt")] == [12, 12, None, None]


@pytest.mark.parametrize(
    "octets",
    [b"", b"{", b"[]", b'{"version": 2, "name": "a", "keywords": {}}', b'{"version": 1, "name": 5, "keywords": {}}',
     b'{"version": 1, "name": "a", "keywords": []}', b'{"version": 1, "name": "a", "keywords": {"x": ["y"]}}',
     b'{"version": 1, "name": "' + b"a" * 1001 + b'", "keywords": {}}'],
)  # fmt: skip
def test_a_folder_json_of_another_form_tells_nothing(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "folder.json").write_bytes(octets)
    assert About.read(tmp_path) == About()


def test_a_folder_json_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "folder.json")
    assert About.read(tmp_path) == About()


def test_a_folder_json_tells_the_real_name_and_keywords(tmp_path: Path) -> None:
    about = About("Entwürfe/..", {7: ("$Forwarded",)}, 5, 7)
    (tmp_path / "folder.json").write_bytes(about.octets)
    assert About.read(tmp_path) == about
