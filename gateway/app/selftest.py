"""The tests of cryptography with which each process begins under `[security] fips`."""

from __future__ import annotations

from gateway.settings.load import Loaded


def tested(loaded: Loaded) -> Loaded:
    """`loaded`, once every known answer came out where its settings ask for that. Blocks for some 50 ms.

    Raises SelfTestFailed (a KeyFault), naming the test.
    """
    if loaded.settings.security.fips:
        from gateway.keys.fips import self_test  # Nobody else pays for the examples.

        self_test()
    return loaded
