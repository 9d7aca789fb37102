"""Tokens of the tests' own: SoftHSM2 with a folder of tokens that is gone afterwards.

SoftHSM2 reads SOFTHSM2_CONF when its module is initialised, so a process sees the folder of one `TokenFolder` at a
time. Its tokens are folders of files: `take_away` and `bring_back` are what pulling a cable is to an HSM.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIN: Final = "1234-tests"
SO_PIN: Final = "5678-tests"
MISSING: Final = "there is no SoftHSM2 here; Debian's package softhsm2 has it"

_LIBRARIES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


def library() -> Path | None:
    """SoftHSM2's module, or None where it is not installed with its command."""
    found = next((Path(path) for path in _LIBRARIES if Path(path).is_file()), None)
    return found if shutil.which("softhsm2-util") else None


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `pin_file` has its user's PIN, mode 0600."""

    label: str
    folder: Path
    pin_file: Path

    def take_away(self) -> None:
        """From now on nobody finds it."""
        self.folder.rename(self._elsewhere)

    def bring_back(self) -> None:
        """As it was."""
        self._elsewhere.rename(self.folder)

    @property
    def _elsewhere(self) -> Path:
        return self.folder.parent.parent / f"away-{self.folder.name}"

    def octets(self) -> bytes:
        """Everything that lies in its files."""
        return b"\0".join(path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file())


class TokenFolder:
    """A folder for tokens, with the settings that lead SoftHSM2 there."""

    def __init__(self, folder: Path) -> None:
        self._tokens = folder / "tokens"
        self._tokens.mkdir(parents=True)
        self.settings = folder / "softhsm2.conf"
        self.settings.write_text(
            f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
            "slots.removable = false\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to see these tokens."""
        return {"SOFTHSM2_CONF": str(self.settings)}

    def token(self, label: str = "gateway") -> Token:
        """A new token, set up as its manual says."""
        before = set(self._tokens.iterdir())
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=30)
        (folder,) = set(self._tokens.iterdir()) - before
        pin_file = self._tokens.parent / f"pin-{label}"
        pin_file.write_text(PIN + "\n")
        pin_file.chmod(0o600)
        return Token(label, folder, pin_file)
