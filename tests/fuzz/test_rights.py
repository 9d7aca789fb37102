"""Any octets as a message.rpmsg, and good ones that were changed: opened as they were sealed, or shut for a reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rights.cipher import Cipher
from gateway.rights.container.container import read_rpmsg, write_rpmsg
from gateway.rights.container.inner import Inner, InnerAttachment
from gateway.rights.job import SealedMessage
from gateway.rights.opening import inspect, open_rpmsg
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.sealing import seal
from gateway.rights.template import ENCRYPT_ONLY
from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.publishing import issuer_modulus, read_body
from gateway.rights.xrml.rights_data import RightsForm, read_rights_data
from gateway.rights.xrml.root import root, roots
from tests.fakes.chance import FakeChance
from tests.fakes.rights import NOW, OWNER, READER, FakeTenant, foreign, job, nobody, private_key
from tests.fuzz.rounds import ROUND, for_seconds
from tests.fuzz.test_certificate import changed

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 3
LONGEST = 1.0  # Seconds of processor time for one file.
MESSAGE = b"Subject: Figures\r\n\r\nNobody else may see them.\r\n"
STRANGER = "eve@example.net"
BEFORE = {Reason.DAMAGED, Reason.FORGED, Reason.NOT_OURS}  # What is said before anything is believed.


def run(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """`check` any number of examples, until the time is over."""

    @ROUND
    @given(strategy)
    def examples(example: Any) -> None:
        began = process_time()
        check(example)
        assert process_time() - began < LONGEST

    for_seconds(SECONDS, examples)


def sealed() -> SealedMessage:
    return seal(MESSAGE, job(expires=NOW + 86400), FakeTenant(), FakeChance())


def test_a_changed_file_shows_what_was_sealed_or_nothing() -> None:
    made, tenant = sealed(), FakeTenant()
    parts = read_rpmsg(made.rpmsg)
    files = st.one_of(
        st.binary(max_size=600),
        changed(made.rpmsg),
        changed(parts.licence).map(lambda octets: write_rpmsg(octets or b" ", parts.drm_content)),
        changed(parts.drm_content).map(lambda octets: write_rpmsg(parts.licence, octets)),
    )

    def check(octets: bytes) -> None:
        try:
            inspect(octets)
        except NotOpened as fault:
            assert fault.reason is Reason.DAMAGED
        try:
            found = open_rpmsg(octets, tenant, principal=READER, now=NOW, is_revoked=nobody)
        except NotOpened as fault:
            assert fault.reason in BEFORE
        else:
            assert (found.original, found.work, found.rights) == (MESSAGE, made.work, ENCRYPT_ONLY.rights)
            assert (found.owner, found.readers, found.expires) == (OWNER, (READER,), NOW + 86400)
        with pytest.raises(NotOpened) as stranger:
            open_rpmsg(octets, tenant, principal=STRANGER, now=NOW, is_revoked=nobody)
        assert stranger.value.reason in BEFORE | {Reason.NOT_A_READER}

    run(files, check)


def test_any_text_is_a_licence_or_none() -> None:
    parts = read_rpmsg(sealed().rpmsg)
    rights = RightsForm(ENCRYPT_ONLY).text(
        work=sealed().work,
        owner=OWNER,
        readers=(READER,),
        issued=NOW,
        expires=NOW + 60,
        original_sha256=sha256(MESSAGE).hexdigest(),
    )
    words = ["<XrML>", "</XrML>", "<BODY>", "</BODY>", "<SIGNATURE>", "</SIGNATURE>", "<ISSUER>", "</ISSUER>", "<RIGHT"]
    words += ["<RIGHTSLIST>", "</RIGHTSLIST>", "</RIGHT>", "<ENABLINGBITS >", "</ENABLINGBITS>", "&lt;", "&#1;", "\0"]
    text = st.one_of(
        st.text(max_size=300),
        st.lists(st.sampled_from([*words, "/>", '="', "'", " ", "x"]), max_size=60).map("".join),
        *(
            changed(one).map(lambda octets: octets.decode("utf-8", "replace"))
            for one in (parts.licence, rights.encode())
        ),
    )

    def check(example: str) -> None:
        for read in (_publishing, lambda said: read_rights_data(said, OWNER)):
            try:
                read(example)
            except BadLicence as fault:
                assert len(str(fault)) < 100

    run(text, check)


def _publishing(text: str) -> object:
    body = root(roots(text)[0]).body
    return issuer_modulus(body), read_body(body)


def test_what_a_key_of_ours_signed_is_shown_or_shut_whatever_it_says() -> None:
    """Rights data and bodies that were changed before they were signed, in all modes."""
    tenant = FakeTenant(private_key(), private_key(1024))
    inner = st.one_of(
        st.just(Inner(None, None, (), MESSAGE)),
        st.builds(
            Inner,
            st.none() | st.text(max_size=40),
            st.none() | st.text(max_size=40),
            st.lists(
                st.builds(
                    InnerAttachment, st.text(max_size=20), st.none() | st.text(max_size=20), st.binary(max_size=40)
                ),
                max_size=3,
            ).map(tuple),
            st.none(),
        ),
    )
    places = st.tuples(st.integers(0, 8000), st.integers(0, 40), st.sampled_from(["", "<", "x", "VIEW", '"', "0"]))
    how = st.tuples(inner, st.sampled_from(list(Cipher)[:3]), st.sampled_from([1024, 2048]), places, st.integers(0, 3))

    def check(example: tuple[Inner, Cipher, int, tuple[int, int, str], int]) -> None:
        said, cipher, bits, (at, length, word), which = example

        def change(text: str) -> str:
            start = at % len(text)
            return text[:start] + word + text[start + length :]

        hooks: dict[str, Any] = {"rights": change} if which == 1 else {"body": change} if which == 2 else {}
        digest = sha256(said.original).hexdigest() if said.original is not None else None
        try:
            octets = foreign(said, key=private_key(bits), cipher=cipher, original_sha256=digest, **hooks)
        except ValueError:  # Text or names that no file can hold.
            return
        try:
            found = open_rpmsg(octets, tenant, principal=READER, now=NOW, is_revoked=nobody)
        except NotOpened as fault:
            assert hooks or fault.reason is Reason.DAMAGED
        else:
            assert found.is_built or found.original == MESSAGE

    run(how, check)
