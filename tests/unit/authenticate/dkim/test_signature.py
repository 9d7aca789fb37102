"""A signer whose fields were read before is read the short way: what comes of it is what the long way finds."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticate.dkim import signature as module
from gateway.authenticate.dkim.signature import Signature, Unreadable, read_signature

HASH, MADE = b64encode(bytes(32)), b64encode(b"a signature" * 20)
FOLDED = HASH[:10] + b"\r\n " + HASH[10:]
ORDER = (b"v", b"a", b"c", b"d", b"s", b"h", b"t", b"x", b"bh", b"b")
VALUES: dict[bytes, st.SearchStrategy[bytes]] = {
    b"v": st.just(b"1"),
    b"a": st.sampled_from([b"rsa-sha256", b"ed25519-sha256", b"rsa-sha1"]),
    b"c": st.sampled_from([b"relaxed/relaxed", b"simple", b"odd"]),
    b"d": st.sampled_from([b"partner.example", b"other.example"]),
    b"s": st.sampled_from([b"sel", b"s2"]),
    b"h": st.sampled_from([b"from:to", b"from : subject", b"to"]),
    b"t": st.sampled_from([b"100", b"200", b" 100", b"", b"1x", b"9" * 80, b"1\r0"]),
    b"x": st.sampled_from([b"100", b"150", b"300", b"", b"-1", b"\n150"]),
    b"bh": st.sampled_from(
        [HASH, b64encode(b"\1" * 32), b64encode(bytes(31)), b"", HASH[:10] + b"\r\n " + HASH[10:], b"\xe4"]
    ),
    b"b": st.sampled_from([MADE, MADE[:40], MADE[:41], b"", MADE[:8] + b"\r\n\t" + MADE[8:], MADE + b"\r", b"A=B="]),
}
BLANKS = st.sampled_from([b" ", b"", b"\r\n ", b"\r\n\t", b"  "])


@st.composite
def raws(draw: st.DrawFn) -> bytes:
    names = draw(st.lists(st.sampled_from(ORDER), min_size=7, max_size=11) | st.just([*ORDER]))
    specs = [
        draw(BLANKS) + name + draw(st.sampled_from([b"=", b"=", b"=", b" =", b"= "])) + draw(VALUES[name])
        for name in names
    ]
    return b"DKIM-Signature:" + b";".join(specs) + draw(st.sampled_from([b"", b";", b" ;"]))


@given(st.lists(raws(), min_size=1, max_size=8))
def test_the_short_way_and_the_long_one_find_the_same(fields: list[bytes]) -> None:
    long: list[Signature | Unreadable] = []
    for raw in fields:
        module._usual.clear()
        long.append(read_signature(raw))
    module._usual.clear()
    for _ in range(2):
        assert [read_signature(raw) for raw in fields] == long


def field(**tags: bytes) -> bytes:
    told = {
        b"v": b"1",
        b"a": b"rsa-sha256",
        b"d": b"partner.example",
        b"s": b"sel",
        b"h": b"from",
        b"bh": HASH,
        b"b": MADE,
    }
    told |= {name.encode(): value for name, value in tags.items()}
    return b"DKIM-Signature: " + b"; ".join([name + b"=" + value for name, value in told.items()])


def test_a_signer_is_known_again_by_all_but_what_differs() -> None:
    module._usual.clear()
    first = read_signature(field(t=b"100", x=b"200"))
    assert isinstance(first, Signature) and len(module._usual) == 1
    again = read_signature(field(t=b"101", x=b"300", b=MADE[:40]))
    assert isinstance(again, Signature) and len(module._usual) == 1
    assert (again.expires, again.signature, again.domain) == (300, first.signature[:30], "partner.example")
    assert again.own == field(t=b"101", x=b"300", b=b"")
    assert isinstance(read_signature(field(t=b"301", x=b"300")), Unreadable)


def test_no_more_signers_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_USUAL", 10)
    module._usual.clear()
    for number in range(100):
        read_signature(field(s=b"s%d" % number))
    assert len(module._usual) <= 10
    module._usual.clear()
    read_signature(field(h=b"from:" + b"x" * 2000))
    assert not module._usual, "long ones are not kept"
