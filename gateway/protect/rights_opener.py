"""`Opener` for what is protected by rights under our own tenant key: rules see what is inside (DESIGN, The one way).

Each opening stands in the licence log, by the gateway itself. What was sealed under another key is passed over in
silence: it is other people's mail, and most of what comes so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from gateway.mail.opened import Layer, LayerKind, Opened, Unsealed
from gateway.protect.opening import KeysAway
from gateway.protect.workroom import Workroom
from gateway.rights.opening import OpenedMessage, inspect
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.tenant import TenantFault, TenantKeys
from gateway.rights.wrapper.unwrapping import file_at, places, seen
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull

_PASSING: Final = (StorageBroken, StorageFull, KeysClosed, SealBroken)


class RightsOpener:
    """`open_` opens a file as the gateway, once that is in the licence log; it raises NotOpened, and what storing
    raises. `is_on` says whether there may be anything to open: a portal, or archived keys.
    """

    def __init__(
        self, tenant: TenantKeys, open_: Callable[[bytes], Awaitable[OpenedMessage]], *, is_on: Callable[[], bool]
    ) -> None:
        self._tenant = tenant
        self._open = open_
        self._is_on = is_on

    @property
    def is_on(self) -> bool:
        """See `Opener`."""
        return self._is_on()

    async def open(self, octets: bytes, work: Workroom) -> Opened | None:
        """See `Opener`."""
        files = await work.run(len(octets), partial(_files, octets))
        layers: list[Layer] = []
        found: list[Unsealed | None] = []
        for file in files:
            if not await work.run(len(file), partial(self._is_ours, file), slow=True):
                found.append(None)
                continue
            try:
                opened = await self._open(file)
            except NotOpened as shut:
                if shut.reason is Reason.KEY_AWAY:
                    raise KeysAway from shut
                layers.append(Layer(kind=LayerKind.RIGHTS, ok=False, reason=shut.reason.value))
                found.append(None)
                continue
            except _PASSING as error:  # It is not in the log, so that it is not opened.
                raise KeysAway from error
            layers.append(Layer(kind=LayerKind.RIGHTS, ok=True, work=str(opened.work)))
            found.append(Unsealed(original=opened.original, owner=opened.owner, readers=opened.readers))
        if not layers:
            return None
        originals = [None if one is None else one.original for one in found]
        inside = await work.run(len(octets), partial(seen, octets, originals))
        return Opened(layers=tuple(layers), octets=inside, unsealed=tuple(found))

    def _is_ours(self, file: bytes) -> bool:
        """Whether it says that it is sealed under a key of ours; raises KeysAway where that can't be told."""
        try:
            return self._tenant.find(inspect(file).modulus) is not None
        except NotOpened:
            return False
        except TenantFault as fault:
            raise KeysAway from fault


def _files(octets: bytes) -> list[bytes]:
    return [file_at(octets, place) for place in places(octets)]
