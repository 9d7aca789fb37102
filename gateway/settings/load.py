"""Reading gateway.toml (TOML 1.0). Every fault at once, each with its key, what was found and what would be right.

Leaves out: what only the connectors, the disk or the vault can tell; `gateway check` joins that.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.settings import shape
from gateway.settings.fault import BadSettings, Fault, errors
from gateway.settings.repair import Repaired, repaired
from gateway.settings.schema import Settings
from gateway.settings.unbuilt import unbuilt
from gateway.settings.words import told

__all__ = ["MAX_FILE", "BadSettings", "Loaded", "Reading", "find", "load", "loaded", "read"]

MAX_FILE = 4 << 20  # Octets. Ten thousand domains take a tenth of it; more is the wrong file.
_NAME = "gateway.toml"
_VARIABLES = ("$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they stand. Relative paths in them count from `folder`."""

    settings: Settings
    path: Path
    folder: Path
    warnings: tuple[Fault, ...] = ()
    octets: bytes = field(default=b"", repr=False, compare=False)  # What stands in the file.
    # Files of rules as they were judged together with it, by their paths below the folder; None: they lie on the disk.
    rules: tuple[tuple[str, str], ...] | None = field(default=None, repr=False, compare=False)

    def resolve(self, text: str) -> Path:
        """A path as gateway.toml has it, as one that can be opened.

        One that begins with `$CREDENTIALS_DIRECTORY/` lies where systemd puts what LoadCredential= names.
        """
        for variable in _VARIABLES:
            if text == variable or text.startswith(f"{variable}/"):
                # Without systemd it stays as it is written, so that whoever misses the file reads why.
                text = os.environ.get(variable.strip("${}"), variable) + text[len(variable) :]
        return self.folder / text

    @property
    def storage(self) -> Path:
        """The folder of `[storage] url`, or, with PostgreSQL, of what this machine alone has."""
        storage = self.settings.storage
        return self.resolve(storage.folder if self.is_shared else storage.url.removeprefix("sqlite:"))

    @property
    def is_shared(self) -> bool:
        """Whether mail lies in a database that other gateways may share (PostgreSQL)."""
        return self.settings.storage.url.startswith(("postgresql:", "postgres:"))

    def fault(self, key: str, found: str, right: str, *, beside: tuple[str, ...] = ()) -> Fault:
        """An error in this file. `beside`: the other keys by which it is one."""
        return Fault(str(self.path), key, found, right, beside=beside)

    def warning(self, key: str, found: str, right: str, *, beside: tuple[str, ...] = ()) -> Fault:
        """A warning about this file."""
        return Fault(str(self.path), key, found, right, "warning", beside)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading: the faults and, as far as it can be told, the settings without what is at fault in them.

    With faults `loaded` is good for finding more of them (pass each to `follows`), and for nothing else.
    """

    loaded: Loaded | None
    faults: tuple[Fault, ...]
    written: tuple[str, ...] = ()
    repair: Repaired | None = None

    def follows(self, fault: Fault) -> bool:
        """Whether `fault` only follows from one that is told already."""
        return self.repair is not None and any(self.repair.follows(key) for key in (fault.key, *fault.beside))

    def ordered(self, faults: Iterable[Fault]) -> list[Fault]:
        """Each once, in the order of the file; one about a key that nobody wrote stands where its section begins."""
        places = {key: number for number, key in enumerate(self.written)}

        def place(fault: Fault) -> int:
            key = fault.key
            while key and key not in places:
                key = key[: max(key.rfind("."), key.rfind("["), 0)]
            return places.get(key, -1)

        return sorted(dict.fromkeys(faults), key=place)


def find(option: Path | None) -> Path:
    """The settings' path: `--config` where given, else ./gateway.toml, else GATEWAY_CONFIG. Raises BadSettings."""
    if option is not None:
        return _existing(option, "the path of a gateway.toml")
    if (here := Path(_NAME)).is_file():
        return here
    if named := os.environ.get("GATEWAY_CONFIG"):
        return _existing(Path(named), "the path of a gateway.toml in the environment's GATEWAY_CONFIG")
    right = "--config DIR/gateway.toml, or GATEWAY_CONFIG in the environment (`gateway init DIR` makes one)"
    raise BadSettings([Fault(_NAME, "", "no such file in this folder", right)])


def _existing(path: Path, right: str) -> Path:
    try:
        folder, file = path.is_dir(), path.is_file()
    except PermissionError as error:
        found = "that it can't be reached: a folder above it may not be entered"
        raise BadSettings([Fault(str(path), "", found, "a file that the gateway's user may read")]) from error
    if folder:
        raise BadSettings([Fault(str(path), "", "a folder", f"the file in it, {path / _NAME}")])
    if not file:
        raise BadSettings([Fault(str(path), "", "no such file", f"{right} (`gateway init DIR` makes one)")])
    return path


def load(path: Path) -> Settings:
    """The settings in the file, as they are written. Raises BadSettings with all its faults."""
    return loaded(path).settings


def loaded(path: Path, octets: bytes | None = None) -> Loaded:
    """The settings with the folder from which their paths count. Raises BadSettings; warnings alone come back in it.

    `octets`: what stood in the file when it was good, instead of what stands there now.
    """
    reading = read(path, octets)
    if reading.loaded is None or errors(reading.faults):
        raise BadSettings(reading.ordered(reading.faults))
    return reading.loaded


def read(path: Path, octets: bytes | None = None) -> Reading:
    """Like `load`, but a file with faults is given back as far as it can be understood."""
    file = str(path)
    if octets is None:
        found_octets = _octets(path)
        if isinstance(found_octets, Fault):
            return Reading(None, (found_octets,))
        octets = found_octets
    data = _parse(path, octets)
    if isinstance(data, Fault):
        return Reading(None, (data,))
    later = unbuilt(data, file)
    folder = path.absolute().parent
    keys = tuple(shape.written(data))
    try:
        # Strict: a number in quotes is a fault that one is told, not a number.
        settings = Settings.model_validate(data, strict=True)
    except ValidationError as error:
        found = told(error, data, file)
        repair = repaired(data, found)
        loaded = None if repair is None else Loaded(repair.settings, path, folder)
        return Reading(loaded, tuple(fault for _, fault in found) + tuple(later), keys, repair)
    warnings = tuple(fault for fault in later if fault.severity == "warning")
    return Reading(Loaded(settings, path, folder, warnings, octets), tuple(later), keys)


def _octets(path: Path) -> bytes | Fault:
    file = str(path)
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_FILE + 1)
    except OSError as error:
        return Fault(file, "", f"that it can't be read: {error.strerror}", "a file that the gateway may read")
    if len(octets) > MAX_FILE:
        return Fault(file, "", f"more than {MAX_FILE} octets", "a settings file")
    return octets


def _parse(path: Path, octets: bytes) -> dict[str, Any] | Fault:
    file = str(path)
    try:
        return tomllib.loads(octets.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        return Fault(file, f"line {line}", "octets that are not UTF-8", "a file saved as UTF-8")
    except tomllib.TOMLDecodeError as error:
        return _syntax(file, str(error), octets)
    except RecursionError:
        return Fault(file, "", "lists or tables nested too deeply", "a settings file")


def _syntax(file: str, message: str, octets: bytes) -> Fault:
    """The parser's `Something (at line 3, column 5)`, its line in front."""
    what, _, place = message.rpartition(" (at ")
    place = place.rstrip(")")
    if not place.startswith("line "):  # The parser says "end of document" then.
        last = octets.count(b"\n") + 1
        place = f"line {last}"
    return Fault(file, place, f"TOML that can't be read: {(what or message).lower()}", 'TOML, such as key = "text"')
