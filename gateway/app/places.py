"""Where the files of one gateway lie, below the folder of `[storage] url`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.load import Loaded
from gateway.storage.spool import DATABASE


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

    def left_over(self, number: int, count: int, *, faces: Collection[int]) -> list[int]:
        """Of the spools of workers that are no more, those that worker `number` of `count` sees to.

        `faces` are the numbers of the faces' processes: where there is one no more, its mail is theirs too.
        """
        if number >= count:  # A face's process sees to its own.
            return []
        return [one for one in self.spools() if one >= count and one not in faces and one % count == number]
