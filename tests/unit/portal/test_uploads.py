"""Forms with files at once: so many in all, and fewer of one network."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from gateway.portal.desk import Away
from gateway.portal.uploads import Uploads


def test_one_network_leaves_room_for_others() -> None:
    uploads = Uploads(at_once=3, of_network=2)
    with ExitStack() as under_way:
        for client in ("192.0.2.1", "192.0.2.200"):
            under_way.enter_context(uploads.begin(client))
        with pytest.raises(Away), uploads.begin("192.0.2.3"):
            pass
        with uploads.begin("2001:db8::1"), pytest.raises(Away), uploads.begin("198.51.100.1"):
            pass
    with uploads.begin("192.0.2.3"):
        pass
    assert not uploads._networks, "nothing is remembered of who has gone"


def test_a_form_that_fails_makes_room() -> None:
    uploads = Uploads(at_once=1)
    for _ in range(2):
        with pytest.raises(KeyError), uploads.begin("192.0.2.1"):
            raise KeyError
