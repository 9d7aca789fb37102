"""What the supervisor hands over to a worker at its start and at a reload: settings, rules, sockets, master keys.

Over a socket alone: neither the environment nor a command line nor a disk sees keys.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.settings.load import Loaded, loaded
from gateway.world.sockets import Socket, receive_sockets, send_sockets


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What the supervisor hands over: settings, and sockets by the listener's name.

    `masters`: master keys of vaults that a passphrase opened, by vaults' names.
    """

    settings: Loaded
    listening: dict[str, list[Socket]]
    masters: dict[str, bytes] = field(repr=False)


def taken_over(handover: Socket, path: Path) -> TakenOver:
    """Settings, with their rules, and listening sockets from the supervisor. Blocks; raises BadSettings, EOFError,
    OSError.
    """
    octets, sockets = receive_sockets(handover)
    note = json.loads(octets)
    rules = tuple([(name, text) for name, text in note["rules"]])
    listening: dict[str, list[Socket]] = {}
    for name, door in zip(note["listeners"], sockets, strict=True):
        listening.setdefault(name, []).append(door)
    return TakenOver(
        replace(loaded(path, note["settings"].encode()), rules=rules),
        listening,
        _decoded(note["masters"]),
    )


def hand_masters(channel: Socket, masters: Mapping[str, bytes]) -> None:
    """Master keys alone, for a migration. Raises OSError."""
    channel.setblocking(True)
    send_sockets(channel, json.dumps(encoded(masters)).encode(), [])


def taken_masters(channel: Socket) -> dict[str, bytes]:
    """What `hand_masters` handed over. Blocks; raises EOFError, OSError."""
    channel.setblocking(True)
    octets, _ = receive_sockets(channel)
    return _decoded(json.loads(octets))


def encoded(masters: Mapping[str, bytes]) -> dict[str, str]:
    """As JSON can have them."""
    return {name: b64encode(master).decode("ascii") for name, master in masters.items()}


def _decoded(masters: Mapping[str, str]) -> dict[str, bytes]:
    return {name: b64decode(master) for name, master in masters.items()}
