"""Any octets as an S/MIME message: a finding in bounded time; nothing changed is called good, nor shown after CBC."""

from __future__ import annotations

import os
from base64 import b64decode, encodebytes
from time import monotonic, perf_counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.mail.opened import LayerKind, Opened, SignatureStatus
from gateway.smime.entity import canonical, clear_signed, entity_of, split
from tests.fakes.smime_messages import AES256_GCM, HEAD, MESSAGE, encrypted, opened, signed

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
SLOW = 2.0  # Seconds for one input on a busy machine.
FUZZ = settings(max_examples=50, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
FIELDS = [
    b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n",
    b"Content-Type: application/octet-stream; name=smime.p7m\r\n",
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n',
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: application/pkcs7-signature\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: 8bit\r\n",
    b"MIME-Version: 1.0\r\n",
    b"From: rsa@corp.example\r\n",
]
BODIES = [message.partition(b"\r\n\r\n")[2] for message in (encrypted(), signed(opaque=True), encrypted(signed()))]
WORDS = [
    *FIELDS,
    *BODIES,
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"0\x80",
    b"\x00",
    b"\xff",
    b"=",
]
PIECES = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=12)), max_size=20).map(b"".join)
PLACES = st.floats(0, 1, exclude_max=True)
CHANGES = st.lists(st.tuples(PLACES, st.binary(max_size=40), st.integers(0, 40)), min_size=1, max_size=4)


def fuzzed(test: object) -> None:
    """Run a property again and again for its share of the time."""
    until = monotonic() + SECONDS / 4
    while True:
        test()  # type: ignore[operator]
        if monotonic() > until:
            return


def judged(message: bytes) -> Opened:
    began = perf_counter()
    found = opened(message)
    assert perf_counter() - began < SLOW
    for layer in found.layers:
        if layer.kind is LayerKind.ENVELOPED:
            assert layer.ok is (layer.reason is None)
        elif layer.status is SignatureStatus.GOOD:
            assert layer.reason is None
        else:
            assert layer.reason
    if any(layer.ok is False for layer in found.layers):
        # Inside of what was opened, what is broken is shown to rules as it stands.
        assert found.octets is None or (len(found.layers) > 1 and found.layers[-1].reason == "structure-broken")
    return found


def changed(octets: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    for share, new, length in changes:
        place = int(share * len(octets))
        octets = octets[:place] + new + octets[place + length :]
    return octets


def test_any_octets_are_a_finding() -> None:
    @FUZZ
    @given(PIECES, PIECES)
    @example(FIELDS[0] + FIELDS[5], b"")
    @example(FIELDS[2], b"--b\r\n" + FIELDS[0] + FIELDS[5] + b"\r\n" + BODIES[0] + b"\r\n--b\r\n\r\n--b--\r\n")
    def property(head: bytes, body: bytes) -> None:
        for message in (head + b"\r\n" + body, HEAD + head + body, canonical(head + b"\r\n" + body)):
            judged(message)

    fuzzed(property)


def test_no_change_of_what_was_signed_is_good() -> None:
    clear = signed()
    parts = clear_signed(entity_of(clear))
    assert parts is not None

    @FUZZ
    @given(CHANGES)
    def property(changes: list[tuple[float, bytes, int]]) -> None:
        found = judged(changed(clear, changes))
        if any(layer.status is SignatureStatus.GOOD for layer in found.layers):
            entity = entity_of(changed(clear, changes))
            now = clear_signed(entity)
            assert now is not None
            assert now.signed == parts.signed

    fuzzed(property)


def test_what_was_changed_under_cbc_is_shown_only_where_it_looks_as_if_somebody_had_written_it() -> None:
    sealed = encrypted(MESSAGE + b"one line of text after the other\r\n" * 30)
    head, _, body = sealed.partition(b"\r\n\r\n")
    der = b64decode(body)

    @FUZZ
    @given(CHANGES)
    def property(changes: list[tuple[float, bytes, int]]) -> None:
        text = encodebytes(changed(der, changes)).replace(b"\n", b"\r\n")
        found = judged(head + b"\r\n\r\n" + text)
        assert found.octets is None or found.octets.isascii()

    fuzzed(property)


def test_any_message_is_sealed_whole() -> None:
    @FUZZ
    @given(PIECES)
    def property(message: bytes) -> None:
        message = canonical(message)
        body = message[split(message).body :]
        sealed = encrypted(message, cipher=AES256_GCM)
        assert judged(sealed).layers[0].ok
        if entity_of(message).form.value == "other" and b"multipart" not in message:
            assert (opened(sealed).octets or b"").endswith(body)
        clear = signed(message)
        parts = clear_signed(entity_of(clear))
        is_odd = b"From " in body or any(len(line) > 990 for line in body.split(b"\r\n"))  # Such lines are encoded.
        if parts is not None and body.isascii() and not is_odd:
            assert parts.signed.endswith(body)

    fuzzed(property)
