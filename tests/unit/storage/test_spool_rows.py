"""Deliveries and records as sealed JSON: what goes in comes out, and damage is told as such."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import Address
from gateway.mail.delivery import Delivery, State, Status, Success, Target
from gateway.mail.envelope import Body
from gateway.mail.terms import PLAIN, Otherwise, Protection, Quarantine, Smime, Terms, Wanted
from gateway.observe.events import Event, Found
from gateway.storage.record import Record
from gateway.storage.sealer import SealBroken
from gateway.storage.spool_rows import decode_delivery, decode_record, encode_delivery, encode_record

# Any text at all, halves of surrogate pairs too: a next hop's reply may hold them.
TEXT = st.text(max_size=20) | st.sampled_from(["\ud83d", "\\ud83d", '"', "\udcff\0"])
MAYBE = st.none() | TEXT
ADDRESSES = st.builds(Address, TEXT, TEXT)
TARGETS = st.builds(
    Target,
    address=ADDRESSES,
    status=st.sampled_from(Status),
    reason=MAYBE,
    enhanced=MAYBE,
    reply=MAYBE,
    host=MAYBE,
    notify=MAYBE,
    orcpt=MAYBE,
    owed=st.none() | st.sampled_from(Success),
) | st.builds(Target, address=ADDRESSES)
DELIVERIES = st.builds(
    Delivery,
    id=st.just("Q1.1"),
    message=st.just("Q1"),
    connector=st.just("out"),
    destination=TEXT,
    sender=st.none() | ADDRESSES,
    targets=st.lists(TARGETS, max_size=4).map(tuple),
    size=st.integers(0, 1 << 40),
    created=st.just(1.5),
    next_attempt=st.just(2.5),
    attempts=st.integers(0, 100),
    state=st.sampled_from(State),
    body=st.sampled_from(Body),
    smtputf8=st.booleans(),
    ret=MAYBE,
    envid=MAYBE,
    delay_told=st.booleans(),
    preface=st.binary(max_size=40),
    slice=st.none()
    | st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), min_size=1, max_size=4).map(tuple),
    terms=st.just(PLAIN)
    | st.builds(
        Terms,
        require_tls=st.booleans(),
        connector=MAYBE,
        protection=st.sampled_from(Protection),
        wanted=st.none()
        | st.builds(
            Wanted,
            rule=TEXT,
            smime=st.none() | st.sampled_from(Smime),
            otherwise=st.sampled_from(Otherwise),
            template=MAYBE,
        ),
        reason=MAYBE,
        quarantine=st.none() | st.builds(Quarantine, rules=st.lists(TEXT, max_size=2).map(tuple), severity=MAYBE),
        sign=st.booleans(),
        remove_rights=st.booleans(),
    ),
)
FACTS = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3)
RECORDS = st.builds(
    Record,
    message=st.just("Q1"),
    uid=st.just(7),
    events=st.lists(
        st.builds(Event, message=st.just("Q1"), time=st.floats(0, 2e9), event=TEXT, facts=FACTS), max_size=3
    ),
    found=st.none() | st.builds(Found, sender=TEXT, recipients=st.lists(TEXT, max_size=3).map(tuple), message_id=TEXT),
)


def decoded(plain: bytes, like: Delivery) -> Delivery:
    return decode_delivery(
        plain,
        id_=like.id,
        message=like.message,
        connector=like.connector,
        state=like.state.value,
        next_attempt=like.next_attempt,
        attempts=like.attempts,
        created=like.created,
        size=like.size,
    )


@given(DELIVERIES)
def test_a_delivery_comes_back_as_it_was(delivery: Delivery) -> None:
    assert decoded(encode_delivery(delivery), delivery) == delivery


def test_what_an_older_gateway_wrote_is_read() -> None:
    """The very octets that version 1 wrote, with and without what a next hop said."""
    full = ["b@x.example", "x.example", "sent", None, "2.0.0", "250 2.0.0 OK", "mx", "SUCCESS", "rfc822;b@x.example"]
    row = [1, ["ida@corp.example", "corp.example"], [["a@x.example", "x.example"], full], "x.example", "7BIT", False]
    plain = json.dumps([*row, "FULL", "E1"], separators=(",", ":")).encode()
    like = Delivery(
        id="Q1.1",
        message="Q1",
        connector="out",
        destination="x.example",
        sender=Address("ida@corp.example", "corp.example"),
        targets=(
            Target(address=Address("a@x.example", "x.example")),
            Target(
                address=Address("b@x.example", "x.example"),
                status=Status.SENT,
                enhanced="2.0.0",
                reply="250 2.0.0 OK",
                host="mx",
                notify="SUCCESS",
                orcpt="rfc822;b@x.example",
            ),
        ),
        size=0,
        created=0.0,
        next_attempt=0.0,
        ret="FULL",
        envid="E1",
    )
    assert decoded(plain, like) == like
    assert encode_delivery(like) == plain  # Without a notice nothing has changed, so that one can go back.


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert decode_record(encode_record(record), 7) == record


@given(
    st.binary(max_size=30)
    | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=10).map(
        lambda v: json.dumps(v).encode()
    )
)
def test_what_was_never_encoded_is_damaged(plain: bytes) -> None:
    like = Delivery(
        id="Q1.1",
        message="Q1",
        connector="out",
        destination="",
        sender=None,
        targets=(),
        size=0,
        created=0.0,
        next_attempt=0.0,
    )
    with pytest.raises(SealBroken):
        decoded(plain, like)
    with pytest.raises(SealBroken):
        decode_record(plain, 7)


@given(DELIVERIES)
def test_a_newer_version_is_named(delivery: Delivery) -> None:
    value = json.loads(encode_delivery(delivery))
    value[0] = 6
    with pytest.raises(SealBroken, match=r"newer gateway .version 6"):
        decoded(json.dumps(value).encode(), delivery)


def test_a_newer_record_is_named() -> None:
    value = json.loads(encode_record(Record(message="Q1", uid=7, events=[])))
    value[0] = 2
    with pytest.raises(SealBroken, match=r"newer gateway .version 2"):
        decode_record(json.dumps(value).encode(), 7)
