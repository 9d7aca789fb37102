"""How many forms with files are read at once: each takes a mebibyte of memory as long as its browser takes its time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.accounts.attempts import network_of
from gateway.portal.desk import Away

AT_ONCE: Final = 100
OF_NETWORK: Final = 10  # Whoever sends slowly from one place keeps nobody else from sending.


class Uploads:
    """Those under way. Used on one event loop."""

    def __init__(self, at_once: int = AT_ONCE, of_network: int = OF_NETWORK) -> None:
        self._at_once = at_once
        self._of_network = of_network
        self._networks: Counter[bytes] = Counter()

    @contextmanager
    def begin(self, client: str) -> Iterator[None]:
        """A block in which a form of that IP address is read. Raises Away where there are too many."""
        network = network_of(client)
        if self._networks.total() >= self._at_once or self._networks[network] >= self._of_network:
            raise Away
        self._networks[network] += 1
        try:
            yield
        finally:
            self._networks[network] -= 1
            if not self._networks[network]:
                del self._networks[network]
