"""Any text as the address of a PostgreSQL database: an address that shows nothing of its password, or none."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.postgres.connection import BadAddress, Database
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))

# Letters that appear nowhere else: what of them comes out is a piece of the password.
SECRET = "\u2603\u2602\u2604"
PARTS = [
    *("@", "/", ":", "?", "&", "=", "#", ",", "[", "]", "%", "%40", "%2F", "%00", "%zz", " ", "\0", "\n", "\ud800"),
    *(
        "host=",
        "port=5432",
        "password=",
        "sslpassword=",
        "user=x",
        "dbname=",
        "options=-c",
        "service=a",
        "sslmode=require",
    ),
    *("db.corp.example", "127.0.0.1", "::1", "12", "mail", "gw", "postgresql://", "postgres:"),
]
TEXT = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=3)), max_size=12).map("".join)


def test_an_address_never_shows_what_stands_where_a_password_does() -> None:
    @ROUND
    @given(TEXT, TEXT)
    def read(before: str, after: str) -> None:
        url = f"postgresql://gw:{before}{SECRET}{after}@db.corp.example/mail"
        try:
            database = Database.at(url)
        except BadAddress as bad:
            assert not set(SECRET) & set(str(bad))
            assert bad.__cause__ is None
            return
        assert not set(SECRET) & set(f"{database!r} {database.shown}"), url
        assert database.shown.isprintable()
        assert database.has_password

    for_seconds(SECONDS, read)
