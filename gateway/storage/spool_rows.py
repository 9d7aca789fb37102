"""What the spool's columns hold: a delivery and a record as sealed JSON, each with its version mark inside."""

from __future__ import annotations

import json
from typing import Any

import orjson

from gateway.mail.address import Address
from gateway.mail.delivery import Delivery, State, Status, Success, Target
from gateway.mail.envelope import Body
from gateway.mail.terms import PLAIN, Otherwise, Protection, Quarantine, Smime, Terms, Wanted
from gateway.observe.events import Event, Found
from gateway.storage.record import Record
from gateway.storage.sealer import SealBroken

VERSION = 1
# A delivery that has what an older gateway does not read: a notice of it was sent or is owed; a preface; terms, or a
# place among other copies; several places.
OF_NOTICES = 2
OF_PREFACES = 3
OF_TERMS = 4
OF_RUNS = 5


def _dump(value: list[Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # Half of a surrogate pair in some next hop's reply: orjson takes only what is Unicode.
        return json.dumps(value, separators=(",", ":")).encode()


def _address(address: Address | None) -> list[str] | None:
    return None if address is None else [address.text, address.domain]


def encode_delivery(delivery: Delivery) -> bytes:
    """The part of `delivery` that is nobody's business: sender, recipients, envelope parameters."""
    targets = [
        [t.address.text, t.address.domain]
        if t.status is Status.WAITING
        and (t.reply, t.reason, t.enhanced, t.host, t.notify, t.orcpt) == (None, None, None, None, None, None)
        and t.owed is None
        else [
            t.address.text,
            t.address.domain,
            t.status.value,
            t.reason,
            t.enhanced,
            t.reply,
            t.host,
            t.notify,
            t.orcpt,
            *(() if t.owed is None else (t.owed.value,)),
        ]
        for t in delivery.targets
    ]
    row: list[Any] = [
        VERSION,
        _address(delivery.sender),
        targets,
        delivery.destination,
        delivery.body.value,
        delivery.smtputf8,
        delivery.ret,
        delivery.envid,
    ]
    if delivery.delay_told or any(t.owed is not None for t in delivery.targets):
        row[0] = OF_NOTICES
        row.append(delivery.delay_told)
    if delivery.preface or delivery.slice is not None or delivery.terms is not PLAIN:
        if row[0] == VERSION:
            row.append(delivery.delay_told)
        row[0] = OF_PREFACES
        row.append(delivery.preface.decode("latin-1"))  # Each octet is a letter of JSON.
    if delivery.slice is not None or delivery.terms is not PLAIN:
        runs = delivery.slice
        row[0] = OF_TERMS if runs is None or len(runs) == 1 else OF_RUNS
        row += [runs[0] if runs is not None and len(runs) == 1 else runs, _terms(delivery.terms)]
    return _dump(row)


def _terms(terms: Terms) -> list[Any]:
    wanted, held = terms.wanted, terms.quarantine
    return [
        terms.require_tls,
        terms.connector,
        terms.protection.value,
        None if wanted is None else [wanted.rule, wanted.smime, wanted.otherwise, wanted.template],
        terms.reason,
        None if held is None else [list(held.rules), held.severity],
        terms.sign,
        *([True] if terms.remove_rights else []),
    ]


def _read_terms(row: list[Any]) -> Terms:
    require_tls, connector, protection, wanted, reason, held, sign, *more = row
    return Terms(
        require_tls=require_tls,
        connector=connector,
        protection=Protection(protection),
        wanted=None
        if wanted is None
        else Wanted(
            rule=wanted[0],
            smime=None if wanted[1] is None else Smime(wanted[1]),
            otherwise=Otherwise(wanted[2]),
            template=wanted[3],
        ),
        reason=reason,
        quarantine=None if held is None else Quarantine(rules=tuple(held[0]), severity=held[1]),
        sign=sign,
        remove_rights=bool(more and more[0]),
    )


def _target(fields: list[Any]) -> Target:
    address = Address(fields[0], fields[1])
    if len(fields) == 2:
        return Target(address=address)
    _, _, status, reason, enhanced, reply, host, notify, orcpt, *owed = fields
    return Target(
        address=address,
        status=Status(status),
        reason=reason,
        enhanced=enhanced,
        reply=reply,
        host=host,
        notify=notify,
        orcpt=orcpt,
        owed=Success(owed[0]) if owed else None,
    )


def decode_delivery(
    plain: bytes,
    *,
    id_: str,
    message: str,
    connector: str,
    state: str,
    next_attempt: float,
    attempts: int,
    created: float,
    size: int,
) -> Delivery:
    """The delivery again. Raises SealBroken for what `encode_delivery` never made."""
    try:
        version, *fields = orjson.loads(plain) if b"\\ud" not in plain else json.loads(plain)
        if version == VERSION:
            fields.append(False)
        elif version not in (OF_NOTICES, OF_PREFACES, OF_TERMS, OF_RUNS):
            raise SealBroken(f"delivery {id_} was written by a newer gateway (version {version})")
        terms, place = PLAIN, None
        if version in (OF_TERMS, OF_RUNS):
            terms = _read_terms(fields.pop())
            place = fields.pop()
            if place is not None and version == OF_TERMS:
                place = [place]
        preface = fields.pop().encode("latin-1") if version in (OF_PREFACES, OF_TERMS, OF_RUNS) else b""
        sender, targets, destination, body, smtputf8, ret, envid, delay_told = fields
        return Delivery(
            id=id_,
            message=message,
            connector=connector,
            destination=destination,
            sender=None if sender is None else Address(*sender),
            targets=tuple(map(_target, targets)),
            size=size,
            created=created,
            next_attempt=next_attempt,
            attempts=attempts,
            state=State(state),
            body=Body(body),
            smtputf8=smtputf8,
            ret=ret,
            envid=envid,
            delay_told=delay_told,
            preface=preface,
            slice=None if place is None else tuple((int(start), int(length)) for start, length in place),
            terms=terms,
        )
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise SealBroken(f"delivery {id_} is damaged") from error


def unreadable(id_: str, message: str, connector: str, attempts: int, created: float, size: int) -> Delivery:
    """A delivery of which no more is known than its columns, for people to see."""
    nobody = Target(address=Address("", ""), reason="its sealed row does not open", enhanced="4.3.0")
    return Delivery(
        id=id_,
        message=message,
        connector=connector,
        destination="",
        sender=None,
        targets=(nobody,),
        size=size,
        created=created,
        next_attempt=created,
        attempts=attempts,
        state=State.HELD,
    )


def encode_record(record: Record) -> bytes:
    """`record` without its uid, which is a column."""
    found = record.found
    return _dump(
        [
            VERSION,
            record.message,
            [[event.time, event.event, event.facts] for event in record.events],
            None if found is None else [found.sender, found.recipients, found.message_id],
        ]
    )


def decode_record(plain: bytes, uid: int) -> Record:
    """The record again. Raises SealBroken."""
    try:
        version, message, events, found = orjson.loads(plain) if b"\\ud" not in plain else json.loads(plain)
        if version != VERSION:
            raise SealBroken(f"a record of {message} was written by a newer gateway (version {version})")
        return Record(
            message=message,
            uid=uid,
            events=[Event(message=message, time=time, event=kind, facts=facts) for time, kind, facts in events],
            found=None if found is None else Found(sender=found[0], recipients=tuple(found[1]), message_id=found[2]),
        )
    except (ValueError, TypeError) as error:
        raise SealBroken(f"record {uid} is damaged") from error
