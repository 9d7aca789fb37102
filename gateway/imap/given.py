"""What a client gave to log in, before anybody has judged it."""

from __future__ import annotations

from collections.abc import Sequence

from pysasl.creds.server import ServerCredentials
from pysasl.exception import AuthenticationError
from pysasl.identity import Identity

from gateway.accounts.names import BadName, normal_name


class Given(ServerCredentials):
    """Name and password. `authzid`: on whose behalf it wants to act, "" where it does not say. Its repr shows none."""

    __slots__: Sequence[str] = ("_identity", "_name", "password")

    def __init__(self, name: str, password: str, identity: str = "") -> None:
        self._name = name
        self.password = password
        self._identity = identity

    @classmethod
    def of(cls, name: bytes, password: bytes, identity: bytes = b"") -> Given:
        """What is no UTF-8 is nobody's name or password, and is answered like any wrong one."""
        return cls(*(one.decode("utf-8", "surrogateescape") for one in (name, password, identity)))

    @property
    def authcid(self) -> str:
        return self._name

    @property
    def authzid(self) -> str:
        return self._identity

    @property
    def acts_as_itself(self) -> bool:
        """Whether no other identity is asked for (RFC 4616 2)."""
        if self._identity in ("", self._name):
            return True
        try:
            return normal_name(self._identity) == normal_name(self._name)
        except BadName:
            return False

    def verify(self, identity: Identity | None) -> bool:
        """pymap's way of judging a password, which is not ours: `gateway.accounts.login` does that."""
        return False

    def __repr__(self) -> str:
        return "Given()"


def plain(response: bytes) -> Given:
    """RFC 4616 2: [identity] NUL name NUL password. Raises AuthenticationError."""
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise AuthenticationError("PLAIN has an identity, a name and a password")
    return Given.of(parts[1], parts[2], parts[0])
