"""What `gateway mailbox` asks; the same whether a worker answers or the command itself.

Leaves out: export, import and verify, which move a mailbox's whole content and run in the command's own process
(`mailbox_bulk`); policies (`policies`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.app.channel import Fault
from gateway.app.mailbox_rows import mailbox_row, name_rows
from gateway.app.mailboxes import MailboxOffice
from gateway.app.people import People
from gateway.connectors.model import Deliver, Domains, Outbound
from gateway.connectors.outbound import choose
from gateway.mail.address import Address, BadAddress, normal_domain, parse_address
from gateway.mailboxes.faults import MailboxClosed, PolicyRefused
from gateway.settings.mailboxes import Mailboxes
from gateway.storage.mailboxes.faults import MailboxFault
from gateway.storage.mailboxes.model import Mailbox, NameKind, PolicyRow, PolicyState
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import rfc3339

NONE: Final = "none"  # Instead of a policy's name: none.
CHANGING: Final = ("create", "assign", "roll", "alias_add", "alias_remove", "catch_all", "quota", "remove")


def changes(command: str) -> bool:
    """Whether other processes have to forget what they know of mailboxes after `command`."""
    return command.removeprefix("mailbox.") in CHANGING


class MailboxCommands:
    """The answers of one process."""

    def __init__(
        self,
        office: MailboxOffice,
        people: People,
        *,
        section: Callable[[], Mailboxes],
        accepted: Callable[[], Domains],
        outbounds: Callable[[], tuple[Outbound, ...]],
        changed: Callable[[], None],
    ) -> None:
        """`section` [mailboxes], `accepted` and `outbounds` are those of the moment; `changed` has this process forget
        what it knew.
        """
        self._section = section
        self._office = office
        self._store = office.store
        self._people = people
        self._accepted = accepted
        self._outbounds = outbounds
        self._changed = changed

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault, whose text holds no password."""
        try:
            answer = await self._answer(command.removeprefix("mailbox."), arguments)
        except (MailboxFault, PolicyRefused, MailboxClosed) as error:
            raise Fault(str(error)) from error
        except (StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            raise Fault(f"the mailboxes can't be used: {error}") from error
        if changes(command):
            self._changed()
        return answer

    async def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        match verb:
            case "create":
                return await self._create(**arguments)
            case "list":
                return await self._list(**arguments)
            case "show":
                return await self._show(**arguments)
            case "assign":
                return await self._assign(**arguments)
            case "roll":
                return await self._roll(**arguments)
            case "alias_add" | "alias_remove":
                return await self._aliases(verb == "alias_add", **arguments)
            case "catch_all":
                return await self._catch_all(**arguments)
            case "quota":
                return await self._quota(**arguments)
            case "remove":
                return await self._remove(**arguments)
        raise Fault(f"there is no command mailbox.{verb}")

    # -- making -------------------------------------------------------------------------------------------------------

    async def _create(
        self,
        address: str,
        policy: str | None = None,
        password: str | None = None,
        quota: int | None = None,
        aliases: Sequence[str] = (),
        account: str | None = None,
    ) -> dict[str, Any]:
        """`policy` None: the default, `none`: none. A `quota` of 0 is none; None: as the settings say."""
        name = _address(address).who
        more = tuple(dict.fromkeys(_address(alias).who for alias in aliases))
        if taken := await self._store.find_many([name, *more]):
            raise Fault(f"a mailbox has {next(iter(taken))} already; gateway mailbox list shows them")
        policies = await self._store.policies()
        row = _default(policies, self._section().default_policy)
        if policy is not None:
            row = None if policy == NONE else _named(policies, policy)
        if quota is None:
            quota = self._section().quota
        id_ = self._store.new_id()
        key = await self._office.mailbox_keys.new(id_, None if row is None else row.id)  # Proves that its policy opens.
        owner, made = await self._people.provide(account or name, [name, *more], password)
        mailbox = await self._store.create(id_, name, owner, key, quota=quota or None)
        for alias in more:
            await self._store.add_alias(mailbox.id, alias)
        self._office.tell("info", "mailbox_created", mailbox=name, policy=None if row is None else row.name)
        answer = await self._told(mailbox)
        return answer | ({} if made is None else {"password": made}) | {"warnings": self._warnings([name, *more])}

    # -- telling ------------------------------------------------------------------------------------------------------

    async def _list(self, policy: str | None = None) -> list[dict[str, Any]]:
        policies = await self._store.policies()
        wanted = None if policy in (None, NONE) else _named(policies, str(policy)).id
        found = await self._store.all_mailboxes(policy=wanted)
        if policy == NONE:
            found = [one for one in found if one.policy is None]
        names = {row.id: row.name for row in policies}
        return [mailbox_row(one, names) for one in sorted(found, key=lambda one: one.address)]

    async def _show(self, address: str) -> dict[str, Any]:
        return await self._told(await self._there(address))

    async def _told(self, mailbox: Mailbox) -> dict[str, Any]:
        """Everything of one mailbox: what `list` tells, its names and folders, which keys are in use, if it is open."""
        policies = {row.id: row.name for row in await self._store.policies()}
        row = mailbox_row(mailbox, policies) | name_rows(await self._store.names(mailbox.id))
        folders = await self._store.folders(mailbox.id)
        row["folders"] = [
            {"name": one.name, "messages": one.exists, "unseen": one.unseen, "special_use": one.special_use}
            for one in folders
        ]
        row["left"] = await self._store.contents_left(mailbox.id, row["key_version"])
        try:
            await self._office.mailbox_keys.key(mailbox)
            row |= {"open": True, "reason": None}
        except MailboxClosed as closed:
            row |= {"open": False, "reason": closed.text}
        return row

    # -- changing -----------------------------------------------------------------------------------------------------

    async def _assign(self, address: str, policy: str, roll: bool = False) -> dict[str, Any]:
        mailbox = await self._there(address)
        row = None if policy == NONE else _named(await self._store.policies(), policy)
        after = await self._office.mailbox_keys.assign(mailbox, None if row is None else row.id, roll=roll)
        self._office.tell("info", "mailbox_assigned", mailbox=mailbox.address, policy=None if row is None else row.name)
        return await self._told(after)

    async def _roll(self, address: str) -> dict[str, Any]:
        mailbox = await self._there(address)
        after = await self._office.mailbox_keys.start_roll(mailbox)
        self._office.tell("info", "mailbox_roll_began", mailbox=mailbox.address)
        return await self._told(after)

    async def _aliases(self, add: bool, address: str, aliases: Sequence[str]) -> dict[str, Any]:
        mailbox = await self._there(address)
        names = list(dict.fromkeys(_address(alias).who for alias in aliases))
        if not add and (missing := await self._missing(mailbox, names)):
            raise Fault(f"{mailbox.address} has no alias {missing}; gateway mailbox show {mailbox.address} tells them")
        if add and (taken := await self._store.find_many(names)):
            raise Fault(f"a mailbox has {next(iter(taken))} already; gateway mailbox list shows them")
        for name in names:
            if add:
                await self._store.add_alias(mailbox.id, name)
            else:
                await self._store.remove_alias(mailbox.id, name)
        return await self._told(mailbox) | {"warnings": self._warnings(names) if add else []}

    async def _missing(self, mailbox: Mailbox, names: Sequence[str]) -> str | None:
        has = {one.name for one in await self._store.names(mailbox.id) if one.kind is NameKind.ALIAS}
        return next((name for name in names if name not in has), None)

    async def _catch_all(self, domain: str, address: str | None) -> dict[str, Any]:
        """`address` None: nobody takes what is addressed to nobody there."""
        try:
            name = f"*@{normal_domain(domain.removeprefix('*').removeprefix('@'))}"
        except BadAddress as error:
            raise Fault(f"{domain!r} is no domain ({error}); right would be such as corp.example") from None
        taker = None if address is None else await self._there(address)
        had = await self._store.hand_over(name, None if taker is None else taker.id)
        if not had and taker is None:
            raise Fault(f"{name[2:]} has no catch-all that gateway mailbox made; [mailboxes] catch_all may name one")
        warnings = self._warnings([name]) if taker is not None else []
        return {"domain": name[2:], "mailbox": None if taker is None else taker.address, "warnings": warnings}

    async def _quota(self, address: str, quota: int) -> dict[str, Any]:
        """`quota` 0: none."""
        mailbox = await self._there(address)
        await self._store.set_quota(mailbox.id, quota or None)
        return await self._told(await self._there(address))

    async def _remove(self, address: str) -> dict[str, Any]:
        """The mailbox and all that is in it; the account stays."""
        mailbox = await self._there(address)
        await self._store.remove(mailbox.id)
        self._office.tell("info", "mailbox_removed", mailbox=mailbox.address, messages=mailbox.messages)
        return {
            "address": mailbox.address,
            "account": mailbox.account,
            "messages": mailbox.messages,
            "removed": rfc3339(self._office.clock.now()),
        }

    # -- looking up ---------------------------------------------------------------------------------------------------

    async def _there(self, address: str) -> Mailbox:
        """The mailbox of that address or alias. Raises Fault."""
        name = _address(address).who
        mailbox = await self._store.find(name)
        if mailbox is None:
            raise Fault(f"there is no mailbox {name}; gateway mailbox list shows those that are there")
        return mailbox

    def _warnings(self, names: Sequence[str]) -> list[str]:
        """Where mail for these does not get here."""
        found = []
        for domain in dict.fromkeys(name.rpartition("@")[2] for name in names):
            outbound = choose(self._outbounds(), domain)
            if self._accepted().closeness(domain) is None:
                found.append(f"{domain} is none of accepted_domains: mail for it is not taken from outside")
            if outbound is None or outbound.deliver is not Deliver.MAILBOX:
                by = "by no connector" if outbound is None else f"by the connector {outbound.name}"
                right = f'right would be an outbound connector with deliver = "mailbox" and {domain} among its domains'
                found.append(f"mail for {domain} goes elsewhere, {by}; {right}")
        return found


def _address(text: str) -> Address:
    try:
        address = parse_address(text)
    except BadAddress as error:
        raise Fault(f"{text[:256]!r} is no address ({error}); right would be such as ida@corp.example") from None
    if not address.domain:
        raise Fault(f"{text!r} has no domain; right would be such as {text}@corp.example")
    if address.who.startswith("*@"):  # For accounts and aliases it means everybody there.
        right = f"gateway mailbox catch-all {address.domain} ADDRESS"
        raise Fault(f"{text!r} is no mailbox's address; right would be {right}")
    return address


def _default(policies: Sequence[PolicyRow], named: str | None) -> PolicyRow | None:
    """The policy of a mailbox for which none is named."""
    if named is not None:
        return _named(policies, named)
    return next((row for row in policies if row.is_default and row.state is not PolicyState.PURGED), None)


def _named(policies: Sequence[PolicyRow], name: str) -> PolicyRow:
    row = next((row for row in policies if row.name == name), None)
    if row is None:
        known = ", ".join(one.name for one in policies) or "none"
        makes = f"gateway policy create {name} --root VAULT/KEY --root VAULT/KEY makes it"
        raise Fault(f"there is no policy {name!r}; there are: {known}. {makes}")
    if row.state is not PolicyState.READY:
        raise Fault(
            f"the policy {name!r} is being destroyed or is destroyed, as gateway policy show {name} tells; right would "
            "be another one (--policy): gateway policy list shows them"
        )
    return row
