"""Where the files of one gateway lie, below the folder of `[storage] url`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.settings.load import Loaded
from gateway.storage.spool import DATABASE

PORTAL: Final = 900  # Number of the portal's process and of its spool: above all workers, of whom there are 64 at most.


@dataclass(frozen=True, slots=True)
class Places:
    """`data` is the storage folder."""

    data: Path

    @staticmethod
    def of(loaded: Loaded) -> Places:
        """The places that the settings name."""
        return Places(loaded.storage)

    @property
    def shared(self) -> Path:
        """The shared database."""
        return self.data / "gateway.db"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.data / "control.sock"

    @property
    def lock(self) -> Path:
        """Locked by whoever uses the data: one supervisor, or one command while nothing serves."""
        return self.data / "lock"

    @property
    def copies(self) -> Path:
        """Stored copies of rights-managed messages that are too large for the shared database."""
        return self.data / "copies"

    def spool(self, number: int) -> Path:
        """The folder of one worker's spool."""
        return self.data / "spool" / str(number)

    def spools(self) -> list[int]:
        """The numbers of all spools that are there, those of workers that are no more too."""
        folder = self.data / "spool"
        if not folder.is_dir():
            return []
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit() and (path / DATABASE).exists())

    def left_over(self, number: int, count: int, *, has_portal: bool) -> list[int]:
        """Of the spools of workers that are no more, those that worker `number` of `count` sees to.

        Where there is no portal any more, the mail of its process is theirs too.
        """
        if number == PORTAL:
            return []
        mine = PORTAL if has_portal else None
        return [one for one in self.spools() if one >= count and one != mine and one % count == number]
