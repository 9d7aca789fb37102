"""What `gateway rights` asks; the same whether a worker answers or the command itself."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from gateway.app.channel import Fault
from gateway.app.rights import RightsOffice
from gateway.app.rights_desk import NoCopy
from gateway.mail.address import Address, BadAddress, parse_address
from gateway.mail.header_address import mailboxes
from gateway.mail.reading import read
from gateway.protect.rights import LONGEST_ID, LONGEST_SUBJECT
from gateway.rights.job import MAX_READERS, Job
from gateway.rights.opening import OpenedMessage
from gateway.rights.reason import NotOpened
from gateway.rights.sealing import seal
from gateway.rights.template import Template
from gateway.rights.tenant import TenantFault
from gateway.settings.load import Loaded
from gateway.storage.rights_model import LINK_OCTETS, KeptMessage, KeptRights, LicenceEntry
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

MOST: Final = 10_000  # Rows in one answer.
# In a licence that names nowhere to ask: whoever has no portal seals for `gateway rights open` alone.
NOWHERE: Final = "https://portal.invalid/"
_UNKNOWN: Final = "no rights-managed message {name!r} is known here; right would be its Message-ID, queue id or work"


def portal_url(loaded: Loaded) -> str | None:
    """Where readers find the portal, by the settings."""
    portal = getattr(loaded.settings, "portal", None)
    url: str | None = None if portal is None else portal.url
    return url


class RightsCommands:
    """The answers of one process."""

    def __init__(self, office: RightsOffice, *, clock: Clock, chance: Chance, url: str | None) -> None:
        """`url`: of the portal, where there is one."""
        self._office = office
        self._clock = clock
        self._chance = chance
        self._url = url

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault, StorageFull, StorageBroken."""
        try:
            match command:
                case "rights.open":
                    return await self._open(**arguments)
                case "rights.seal":
                    return await self._seal(**arguments)
                case "rights.revoke":
                    return await self._revoke(**arguments)
                case "rights.status":
                    return await self._status(**arguments)
                case "rights.log":
                    return await self._log(**arguments)
        except (SealBroken, KeysClosed, TenantFault) as error:
            raise Fault(str(error)) from error
        raise Fault(f"there is no command {command!r}")

    async def _open(self, octets: str | None, by: str, principal: str | None = None, name: str | None = None) -> Any:
        """Open a file, or with `name` the stored copy of a message."""
        what = b64decode(octets) if octets is not None else (await self._one(name or "")).work
        try:
            opened = await self._office.super_user.open(what, by, principal=principal)
        except NotOpened as refusal:
            return refused(refusal.reason.value)
        except PermissionError as error:
            raise Fault(str(error)) from error
        except NoCopy as error:
            raise Fault(f"{error}; right would be the message.rpmsg that its readers got") from error
        return told(opened) | {"original": b64encode(opened.original).decode()}

    async def _seal(
        self,
        original: str,
        to: list[str],
        by: str,
        owner: str = "",
        template: str = "encrypt-only",
        expires_in_days: int | None = None,
    ) -> Any:
        octets, now = b64decode(original), self._clock.now()
        terms = self._office.terms
        days = terms.expires_in_days if expires_in_days is None else expires_in_days
        said = Said.by(octets)
        owner = owner or said.author
        job = job_of(terms.templates.find(template), to, owner, now, self._url, days)
        sealed = await asyncio.get_running_loop().run_in_executor(
            None, seal, octets, job, self._office.tenant, self._chance
        )
        kept = KeptRights(
            work=sealed.work,
            message_id=said.message_id,
            queue_id="",
            sender=owner,
            readers=tuple((address, self._chance.octets(LINK_OCTETS)) for address in job.readers),
            subject=said.subject,
            template=job.template.name,
            created=now,
            expires=job.expires,
            shows_subject=False,
        )
        # So that it can be revoked; the file itself is in the caller's hands.
        await self._office.store.keep(kept, None)
        return {"rpmsg": b64encode(sealed.rpmsg).decode(), "work": str(sealed.work), "sha256": sealed.content_sha256}

    async def _revoke(self, name: str, by: str, recipient: str | None = None) -> Any:
        found = await self._office.store.find(name)
        if not found:
            raise Fault(_UNKNOWN.format(name=name))
        mine = found if recipient is None else [one for one in found if one.is_reader(recipient)]
        if not mine:
            raise Fault(f"{recipient} is no reader of {name}; its readers: {', '.join(_readers(found))}")
        now = self._clock.now()
        done = [await self._office.store.revoke(one.work, now, reader=recipient) for one in mine]
        return {"revoked": [message_row(one) for one in done if one is not None]}

    async def _status(self, by: str, name: str | None = None, most: int = 50) -> Any:
        store = self._office.store
        if name is None:
            return [message_row(one) for one in await store.latest(min(most, MOST))]
        found = await store.find(name)
        if not found:
            raise Fault(_UNKNOWN.format(name=name))
        return [message_row(one) | await self._opened(one) for one in found]

    async def _opened(self, message: KeptMessage) -> dict[str, Any]:
        """Who has opened it when and from where, and who was refused why, reader by reader."""
        return {"licences": [entry_row(one) for one in await self._office.log.of(message.work)]}

    async def _log(self, by: str, name: str | None = None, most: int = 100) -> Any:
        if name is None:
            return [entry_row(one) for one in await self._office.log.latest(min(most, MOST))]
        works = [one.work for one in await self._office.store.find(name)]
        if not works:
            try:  # Of a file that was dropped and that we did not keep, the work alone is known.
                works = [UUID(name)]
            except ValueError:
                raise Fault(_UNKNOWN.format(name=name)) from None
        rows = [one for work in works for one in reversed(await self._office.log.of(work))]
        return [entry_row(one) for one in sorted(rows, key=lambda one: -one.time)[: min(most, MOST)]]

    async def _one(self, name: str) -> KeptMessage:
        found = await self._office.store.find(name)
        if not found:
            raise Fault(_UNKNOWN.format(name=name))
        if len(found) > 1:
            works = ", ".join(str(one.work) for one in found)
            raise Fault(f"{name} was sealed several times, for other readers each; say which: {works}")
        return found[0]


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of itself; each empty where it does not."""

    author: str
    message_id: str
    subject: str

    @classmethod
    def by(cls, octets: bytes) -> Said:
        """Read it off the header."""
        reading = read(octets)
        found: tuple[Address, ...] = ()
        for field in reading.named("from")[:1]:
            try:
                found = mailboxes(field.raw)
            except BadAddress:
                found = ()
        names = reading.named("message-id")
        name = names[0].text.strip("<> ")[:LONGEST_ID] if names else ""
        return cls(found[0].text if found else "", name, reading.subject[:LONGEST_SUBJECT])


def job_of(
    template: Template | None,
    to: list[str],
    owner: str,
    now: float,
    url: str | None,
    expires_in_days: int,
) -> Job:
    """What is to be sealed. Raises Fault for what can't be."""
    if template is None:
        raise Fault("there is no such template; right would be encrypt-only, do-not-forward or one of your own")
    if not 1 <= len(to) <= MAX_READERS:
        raise Fault(f"{len(to)} readers; right would be 1 to {MAX_READERS}")
    for address in [*to, *([owner] if owner else [])]:
        try:
            parse_address(address)
        except BadAddress as error:
            raise Fault(f"{address!r} is no address: {error}") from error
    expires = now + expires_in_days * 86400.0 if expires_in_days else None
    return Job(
        owner=owner,
        readers=tuple(dict.fromkeys(to)),
        template=template,
        issued=now,
        expires=expires,
        url=url or NOWHERE,
    )


def told(opened: OpenedMessage) -> dict[str, Any]:
    """In the form of `rights open --json`, without the original."""
    return {
        "opened": True,
        "sha256": sha256(opened.original).hexdigest(),
        "rights": sorted(right.value for right in opened.rights),
        "reason": None,
        "owner": opened.owner,
        "principal": opened.principal,
        "readers": list(opened.readers),
        "template": opened.template,
        "issued": rfc3339(opened.issued),
        "expires": None if opened.expires is None else rfc3339(opened.expires),
        "work": str(opened.work),
        "built": opened.is_built,
    }


def refused(reason: str) -> dict[str, Any]:
    """The same, where it does not open."""
    return {"opened": False, "sha256": None, "rights": [], "reason": reason}


def message_row(one: KeptMessage) -> dict[str, Any]:
    """In the form of `rights status --json`."""
    return {
        "work": str(one.work),
        "message_id": one.message_id,
        "queue_id": one.queue_id,
        "sender": one.sender,
        "readers": [{"address": address, "revoked": _time(one.revoked_at(address))} for address in one.readers],
        "subject": one.subject if one.shows_subject else None,
        "template": one.template,
        "created": rfc3339(one.created),
        "expires": _time(one.expires),
        "revoked": _time(one.revoked),
        "copy": one.copy.value,
        "size": one.size,
    }


def entry_row(one: LicenceEntry) -> dict[str, Any]:
    """In the form of `rights log --json`."""
    return {
        "time": rfc3339(one.time),
        "work": None if one.work is None else str(one.work),
        "principal": one.principal,
        "by": one.by,
        "purpose": one.purpose,
        "given": one.given,
        "reason": one.reason,
        "client": one.client,
        "rights": list(one.rights),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)


def _readers(found: list[KeptMessage]) -> list[str]:
    return [address for one in found for address in one.readers]
