"""A place for heads of the key-access log, in memory."""

from __future__ import annotations

from gateway.keys.access_head import BadHead, Head


class FakePlace:
    """`away`: the disk refuses; `damaged`: what is there can't be read."""

    def __init__(self) -> None:
        self.name = "vault/key-log-head"
        self.head: Head | None = None
        self.away = False
        self.damaged = False

    def read(self) -> Head | None:
        self._fail()
        if self.damaged:
            raise BadHead("vault/key-log-head holds no head of the key-access log: it is no JSON")
        return self.head

    def keep(self, head: Head) -> None:
        self._fail()
        if self.head is None or self.head.line < head.line:
            self.head = head

    def set_aside(self, line: int) -> str | None:
        self._fail()
        former, self.head = self.head, None
        return None if former is None else f"{self.name}.{line}"

    def _fail(self) -> None:
        if self.away:
            raise OSError(5, "Input/output error", self.name)
