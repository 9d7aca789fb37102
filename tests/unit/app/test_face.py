"""Processes of their own beside the workers: which there are, their spools, and what of them takes a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.face import ALL, IMAP, PORTAL, faces, lasting, named, spool_numbers
from gateway.app.places import Places
from gateway.storage.spool import DATABASE
from tests.fakes.settings import PLAIN, settings_in

WEB = '[portal]\nlisten = "127.0.0.1:8443"\nurl = "https://portal.corp.example"\n'
MAIL = '[imap]\nlisten = "127.0.0.1:9993"\n'


def test_the_settings_say_which_faces_there_are(tmp_path: Path) -> None:
    assert faces(settings_in(tmp_path)) == ()
    assert faces(settings_in(tmp_path, PLAIN + WEB)) == (PORTAL,)
    both = settings_in(tmp_path, PLAIN + MAIL + WEB)
    assert faces(both) == (PORTAL, IMAP)
    assert [face.listen(both) for face in ALL] == ["127.0.0.1:8443", "127.0.0.1:9993"]
    assert IMAP.listen(settings_in(tmp_path, PLAIN + WEB)) is None


def test_a_face_is_found_by_its_name_and_no_other_is() -> None:
    assert [named(face.name) for face in ALL] == list(ALL)
    with pytest.raises(LookupError):
        named("admin")
    assert len({face.number for face in ALL}) == len(ALL)
    assert min(face.number for face in ALL) > 64  # More workers there are not.


def test_what_a_face_leaves_behind_when_the_settings_lose_it_is_a_workers(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, PLAIN + MAIL)
    for number in (0, 1, PORTAL.number, IMAP.number):
        folder = Places.of(loaded).spool(number)
        folder.mkdir(parents=True)
        (folder / DATABASE).touch()
    assert spool_numbers(loaded, 0, 2) == [0, PORTAL.number]
    assert spool_numbers(loaded, 1, 2) == [1]
    assert spool_numbers(loaded, IMAP.number, 2) == [IMAP.number]


def test_on_postgresql_no_process_has_a_spool_of_its_own(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, PLAIN + MAIL + '[storage]\nurl = "postgresql://gateway@db.corp.example/gateway"\n')
    assert spool_numbers(loaded, IMAP.number, 2) == []


def test_place_and_least_tls_of_a_face_take_a_restart_and_its_limits_do_not(tmp_path: Path) -> None:
    before = settings_in(tmp_path, PLAIN + MAIL)

    def changed(text: str) -> list[str]:
        return [key for key, was, is_ in lasting(IMAP, before, settings_in(tmp_path, PLAIN + text)) if was != is_]

    assert changed(MAIL) == []
    assert changed(MAIL + "max_bad_commands = 5\nmax_connections = 50\n") == []
    assert changed('[imap]\nlisten = "127.0.0.1:9994"\nminimum_tls = "1.3"\n') == ["imap.listen", "imap.minimum_tls"]
    assert changed("") == ["imap"]
