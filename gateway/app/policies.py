"""What `gateway policy` asks; the same whether a worker answers or the command itself.

Leaves out: making the custodian's order, which needs no gateway (`policy_order`).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from gateway.app.availability import availability_name
from gateway.app.channel import Fault
from gateway.app.mailboxes import MailboxOffice
from gateway.app.policy_backups import known_backups
from gateway.app.policy_end import policy_purge
from gateway.app.policy_rows import looks_row, needs_rows, policy_row, renewed_rows
from gateway.app.vault_place import place_of
from gateway.keys.guard import Guarded
from gateway.keys.rotation import RootName
from gateway.keys.vault import KeyFault
from gateway.mailboxes.faults import MailboxClosed, PolicyRefused
from gateway.mailboxes.policies.certificate import verify_line
from gateway.mailboxes.policies.life import NONE, PolicyLife
from gateway.mailboxes.policies.order import is_by_name
from gateway.mailboxes.policies.past import Backup, needs
from gateway.mailboxes.policies.purge import GRACE, certificate_of
from gateway.storage.backup_notes import BackupNotes
from gateway.storage.mailboxes.model import PolicyRow
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import rfc3339

_CHANGING: Final = frozenset({"create", "refresh", "replace", "default", "custodian", "purge", "cancel"})
_LOUD: Final = frozenset({"purge", "cancel", "custodian", "replace"})


def changes(command: str) -> bool:
    """Whether every process has to forget the keys of policies after `command`."""
    return command.removeprefix("policy.") in _CHANGING


class PolicyCommands:
    """The answers of one process. One command at a time."""

    def __init__(self, office: MailboxOffice, *, by: str) -> None:
        """`by`: the account that asks."""
        self._office = office
        self._store = office.store
        self._by = by
        self._notes = BackupNotes(office.stores.shared)
        vaults = office.policy_keys.vaults
        self._life = PolicyLife(
            office.store,
            vaults,
            availability=availability_name(office.loaded),
            clock=office.clock,
            chance=office.chance,
            executor=office.executor,
            place=place_of(office.loaded),
        )
        self._purges = policy_purge(
            office.loaded,
            office.store,
            office.stores.shared,
            vaults,
            clock=office.clock,
            tell=office.tell,
            executor=office.executor,
        )

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        verb = command.removeprefix("policy.")
        for vault in self._office.policy_keys.vaults.values():
            if isinstance(vault, Guarded):
                vault.hurry()  # A person asks, who may just have brought it back.
        try:
            answer = await self._answer(verb, arguments)
        except (PolicyRefused, MailboxClosed, KeyFault) as error:
            raise Fault(str(error)) from error
        except (StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            raise Fault(f"the policies can't be read or kept: {error}") from error
        finally:
            if changes(command):
                self._office.forget_keys()
        if changes(command):
            level = "warning" if verb in _LOUD else "info"
            name = (answer or {}).get("name")
            self._office.tell(level, "policy_changed", operation=verb, policy=name, by=self._by)
        return answer

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        match verb:
            case "list":
                return await self._list()
            case "show":
                return await self._show(**arguments)
            case "create":
                return await self._create(**arguments)
            case "refresh":
                return await self._refresh(**arguments)
            case "replace":
                return await self._replace(**arguments)
            case "default":
                return await self._default(**arguments)
            case "custodian":
                return await self._custodian(**arguments)
            case "consequences":
                return await self._consequences(**arguments)
            case "purge":
                return await self._purge(**arguments)
            case "cancel":
                return await self._told(await self._purges.cancel(await self._named(**arguments), by=self._by))
            case "certificate":
                return await self._certificate(**arguments)
            case "backups":
                return await self._backups(**arguments)
        raise Fault(f"there is no command policy.{verb}")

    # -- telling ------------------------------------------------------------------------------------------------------

    async def _list(self) -> list[dict[str, Any]]:
        counts = await self._store.mailboxes_under()
        return [policy_row(row, counts.get(row.id, 0)) for row in await self._store.policies()]

    async def _show(self, name: str) -> dict[str, Any]:
        """Asks every key once."""
        row = await self._named(name)
        looks = await self._life.look(row)
        return await self._told(row) | looks_row(row, looks, needs(row, await self._known()))

    async def _told(self, row: PolicyRow) -> dict[str, Any]:
        return policy_row(row, (await self._store.mailboxes_under()).get(row.id, 0))

    async def _consequences(self, name: str) -> dict[str, Any]:
        """What would be destroyed with it."""
        row = await self._named(name)
        mailboxes = await self._store.all_mailboxes(policy=row.id)
        return await self._told(row) | {
            "addresses": sorted(one.address for one in mailboxes),
            "messages": sum(one.messages for one in mailboxes),
            "octets": sum(one.used for one in mailboxes),
        }

    # -- changing -----------------------------------------------------------------------------------------------------

    async def _create(
        self,
        name: str,
        roots: Sequence[str],
        force: bool = False,
        custodian: str | None = None,
        default: bool = False,
    ) -> dict[str, Any]:
        """`custodian`: the text of a PEM file."""
        names = [root_of(text) for text in roots]
        pem = None if custodian is None else custodian.encode()
        row = await self._life.create(name, names, force=force, custodian=pem, is_default=default)
        return await self._told(row) | {"warnings": self._vault_warnings(names)}

    def _vault_warnings(self, roots: Sequence[RootName]) -> list[str]:
        place, own = place_of(self._office.loaded), availability_name(self._office.loaded)
        return [
            f"{root} lies in the vault of the availability key ({own}), which is the service's own; its owner can "
            "withdraw it, and who loses that vault loses both"
            for root in roots
            if place(root.vault) == place(own.vault)
        ]

    async def _refresh(self, name: str) -> dict[str, Any]:
        row, renewed = await self._life.refresh(name)
        return await self._told(row) | {
            "renewed": renewed_rows(renewed),
            "needs": needs_rows(needs(row, await self._known())),
        }

    async def _replace(self, name: str, old: str, new: str, force: bool = False) -> dict[str, Any]:
        row = await self._life.replace(name, root_of(old), root_of(new), force=force)
        return await self._told(row) | {"needs": needs_rows(needs(row, await self._known()))}

    async def _default(self, name: str) -> dict[str, Any] | None:
        row = await self._life.make_default(None if name == NONE else name)
        return None if row is None else await self._told(row)

    async def _custodian(self, name: str, custodian: str, order: str | None = None) -> dict[str, Any]:
        signed = None if order is None else order.encode()
        after = await self._life.set_custodian(name, custodian.encode(), signed)
        return await self._told(after) | {"warnings": _order_warnings(after, signed)}

    async def _purge(
        self,
        name: str,
        order: str,
        grace: float = GRACE,
        reason: str | None = None,
        contact: str | None = None,
    ) -> dict[str, Any]:
        """`order`: the text of the custodian's file."""
        row, signed = await self._named(name), order.encode()
        after = await self._purges.order(row, signed, grace=grace, reason=reason, contact=contact, by=self._by)
        return await self._told(after) | {"warnings": _order_warnings(after, signed)}

    # -- what is left -------------------------------------------------------------------------------------------------

    async def _certificate(self, name: str, out: str = "CERTIFICATE.json") -> dict[str, Any]:
        """`out`: the path that the command that verifies it names."""
        found = certificate_of(await self._named(name))
        return {
            "name": name,
            "certificate": found.text.decode(),
            "signature": b64encode(found.signature).decode(),
            "public_key": found.public_key,
            "verify": verify_line(found.algorithm, out),
        }

    async def _backups(self, forget: str | None = None) -> list[dict[str, Any]]:
        if forget is not None and not await asyncio.to_thread(self._notes.forget, forget):
            raise Fault(f"no backup {forget!r} is known; gateway policy backups shows those that are, with their ids")
        return [
            {"id": one.id, "path": one.path, "made": rfc3339(one.made), "there": one.is_there}
            for one in await self._known()
        ]

    async def _known(self) -> list[Backup]:
        return await known_backups(self._office.stores.shared)

    async def _named(self, name: str) -> PolicyRow:
        return await self._life.named(name)


def _order_warnings(row: PolicyRow, signed: bytes | None) -> list[str]:
    """Of an order that was heeded here: whoever holds its file may have a use for it elsewhere."""
    if signed is None or not is_by_name(signed):
        return []
    return [
        f"the order does not name the policy's id ({row.id}), so any other gateway's policy {row.name} under the same "
        "custodian would heed it too; destroy the file. gateway policy order --id makes one that fits this one alone"
    ]


def root_of(text: str) -> RootName:
    """VAULT/KEY. Raises Fault."""
    vault, slash, key = text.partition("/")
    if not (vault and slash and key):
        raise Fault(f"{text!r} is no key; right would be VAULT/KEY, such as root-a/mail")
    return RootName(vault, key)
