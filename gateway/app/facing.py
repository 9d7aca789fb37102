"""What serves in the process of a face, out of the parts that every process has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.app.face import PORTAL, Face, Facing
from gateway.app.mailboxes import MailboxOffice
from gateway.app.parts import Stores
from gateway.app.people import People
from gateway.app.rights import RightsOffice
from gateway.app.terms import Policy
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.settings.load import Loaded
from gateway.world.chance import Chance
from gateway.world.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`settings`, `policy` and `pipeline` give those of the moment; `ids` makes queue ids."""

    stores: Stores
    rights: RightsOffice
    mailboxes: MailboxOffice
    people: People
    settings: Callable[[], Loaded]
    policy: Callable[[], Policy]
    pipeline: Callable[[], Pipeline]
    check_room: Callable[[int], None]
    ids: Callable[[], str]
    clock: Clock
    chance: Chance
    log: Log
    metrics: Metrics


def facing(face: Face, around: Surroundings) -> Facing:
    """What serves there, not yet open. The face's modules are read here: no other process needs them."""
    if face is PORTAL:
        from gateway.app.portal import Portal

        return Portal(
            around.stores,
            around.rights,
            settings=around.settings,
            policy=around.policy,
            pipeline=around.pipeline,
            check_room=around.check_room,
            ids=around.ids,
            clock=around.clock,
            chance=around.chance,
            log=around.log,
            metrics=around.metrics,
        )
    from gateway.app.imap import ImapFace

    return ImapFace(
        around.mailboxes,
        around.people,
        settings=around.settings,
        clock=around.clock,
        log=around.log,
        metrics=around.metrics,
        ids=around.ids,
    )
