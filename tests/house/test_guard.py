"""The guard of tests/conftest.py: unit tests stay on this machine."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import is_here


def test_a_test_that_reaches_out_fails() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward,
        pytest.raises(pytest.fail.Exception, match="reached out"),
    ):
        outward.connect(("192.0.2.1", 53))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("\0abstract", True),
        (("127.8.9.1", 25), True),
        (("::1", 25, 0, 0), True),
        (("::ffff:127.0.0.1", 25), True),
        (("localhost", 25), True),
        (("192.0.2.1", 25), False),
        (("::ffff:192.0.2.1", 25), False),
        (("mx.partner.example", 25), False),
    ],
)
def test_only_this_machine_is_here(address: object, here: bool) -> None:
    assert is_here(address) is here
