"""The login that an outbound connector shows its smart hosts, read from settings and a password file (RFC 4954).

Leaves out: names and passwords beyond ASCII; hosts prepare those in different ways (RFC 4013), so a login that is right
would fail at some.
"""

from __future__ import annotations

from pathlib import Path

from gateway.connectors.model import Login
from gateway.settings.fault import shown

LONGEST = 255  # Of user name and password (RFC 4616 2 allows that much to each).
_OTHERS = 0o027  # May be set for nobody but the owner: others' reading, and anybody's writing.


class LoginFault(Exception):
    """The login can't be used. `key` is the setting, `found` and `right` are words that never hold the password."""

    def __init__(self, key: str, found: str, right: str) -> None:
        super().__init__(f"{key}: found {found}; right would be {right}")
        self.key = key
        self.found = found
        self.right = right


def read_login(user: str, path: Path) -> Login:
    """The login of `user` with the password in the file `path`, a line end behind it taken off. Raises LoginFault."""
    if not (user.isascii() and user.isprintable() and 0 < len(user) <= LONGEST):
        right = f"the user name as the host gave it, 1 to {LONGEST} printable ASCII letters"
        raise LoginFault("auth_user", shown(user), right)
    return Login(user=user, password=_password(path))


def _password(path: Path) -> str:
    key, right = "auth_password_file", "a file that holds the password alone, of mode 0600"
    try:
        mode = path.stat().st_mode
        octets = b"" if not path.is_file() else _beginning(path)
    except FileNotFoundError:
        raise LoginFault(key, f"no file {path}", right) from None
    except OSError as error:
        raise LoginFault(key, f"{path}, which can't be read ({error.strerror})", right) from None
    if not path.is_file():
        raise LoginFault(key, f"{path}, which is no file", right)
    if mode & _OTHERS:
        raise LoginFault(key, f"{path} with mode {mode & 0o777:04o}", f"one that others can't read: chmod 600 {path}")
    octets = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not octets:
        raise LoginFault(key, f"nothing in {path}", right)
    if len(octets) > LONGEST or not octets.isascii() or not (text := octets.decode()).isprintable():
        found = f"in {path} what is not 1 to {LONGEST} printable ASCII letters in one line"
        raise LoginFault(key, found, "the password alone, without an empty line before or behind it")
    return text


def _beginning(path: Path) -> bytes:
    """As much as a password with its line end may have, and one octet more."""
    with path.open("rb") as file:
        return file.read(LONGEST + 3)
