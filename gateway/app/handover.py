"""What the supervisor hands over to a worker at its start and at a reload: settings, rules, sockets, master keys."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.settings.load import Loaded, loaded
from gateway.world.sockets import Socket, receive_sockets


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What the supervisor hands over. `masters`: master keys of vaults that a passphrase opened, by vaults' names."""

    settings: Loaded
    listening: dict[str, Socket]
    masters: dict[str, bytes] = field(repr=False)


def taken_over(handover: Socket, path: Path) -> TakenOver:
    """Settings, with their rules, and listening sockets from the supervisor. Blocks; raises BadSettings, EOFError,
    OSError.
    """
    octets, sockets = receive_sockets(handover)
    note = json.loads(octets)
    rules = tuple([(name, text) for name, text in note["rules"]])
    return TakenOver(
        replace(loaded(path, note["settings"].encode()), rules=rules),
        dict(zip(note["listeners"], sockets, strict=True)),
        {name: b64decode(master) for name, master in note["masters"].items()},
    )
