"""Any octets as a vault's file, and any text as a recovery key: opened as what it was, or refused in words."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.keys.providers.file import digits, shares
from gateway.keys.providers.file.store import FILE
from gateway.keys.providers.file.vault import FileVault, facts
from gateway.keys.vault import KeyFault, KeyType, VaultKey
from tests.fakes.chance import FakeChance
from tests.fakes.clear_vault import compose
from tests.fakes.file_vault import SECRET, make, means, opened

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))

CLEAR = compose([("default", 1, b"1" * 32), ("default", 2, b"2" * 32)])
ODD = st.sampled_from(
    [b"", b"\n", b"\0", b"gateway-vault 1\n", b"gateway-vault 2\n", b"gateway-vault 99\n", b"end 0 0\n", b"{}", b"\xff"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "vault"
    make(folder)
    vault = opened(folder)
    vault.create("signer", KeyType.ED25519)
    vault.rotate("default")
    return folder


def sealed_again(lines: list[bytes]) -> bytes:
    """With a checksum that fits: what a forger would write."""
    above = b"\n".join(lines[:3]) + b"\n"
    return above + hashlib.sha256(above).hexdigest().encode() + b"\n"


def whole() -> settings:
    return settings(
        max_examples=200,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def again(play: Callable[[], None]) -> None:
    """For as long as there is time."""
    end = monotonic() + SECONDS / 4
    while monotonic() < end:
        play()


class Checked:
    """Opens what is put in the vault's place."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.folder = folder
        self.good = self.path.read_bytes()
        self.keys = opened(folder).keys()

    def check(self, octets: bytes) -> None:
        """It opens as what it was, or not at all; nothing that opens it is told."""
        self.path.write_bytes(octets)
        try:
            try:
                facts(self.folder)
                found: tuple[VaultKey, ...] = FileVault("main", self.folder, means(), chance=FakeChance()).keys()
            except KeyFault as fault:
                told = str(fault)
                assert 0 < len(told) < 2000
                assert SECRET.decode() not in told
                assert "Traceback" not in told
                return
            if octets.startswith(b"gateway-vault 2\n"):
                assert octets == self.good
                assert found == self.keys
        finally:
            self.path.write_bytes(self.good)


def test_changed_octets_never_open_as_something_else(folder: Path) -> None:
    work = Checked(folder)

    @whole()
    @given(
        edits=st.lists(
            st.tuples(st.integers(0, 5000), st.integers(0, 40), st.binary(max_size=40) | ODD), min_size=1, max_size=4
        ),
        base=st.sampled_from([work.good, CLEAR]),
    )
    def run(edits: list[tuple[int, int, bytes]], base: bytes) -> None:
        octets = base
        for place, length, put in edits:
            place %= len(octets) + 1
            octets = octets[:place] + put + octets[place + length :]
        work.check(octets)

    again(run)


def test_forged_heads_never_open(folder: Path) -> None:
    work = Checked(folder)
    lines = work.good.split(b"\n")
    head = json.loads(lines[1])
    places = ["id", "generation", "protectors", "kind", "name", "created", "proved", "terms", "sealed", "salt", "more"]

    @whole()
    @given(place=st.sampled_from(places), value=VALUES, top=st.booleans())
    def run(place: str, value: object, top: bool) -> None:
        forged = json.loads(json.dumps(head))
        if top or place in ("id", "generation", "protectors"):
            forged[place] = value
        elif place == "salt":
            forged["protectors"][0]["terms"]["salt"] = value
        else:
            forged["protectors"][0][place] = value
        text = json.dumps(forged, separators=(",", ":")).encode("ascii", "replace")
        work.check(sealed_again([lines[0], text, lines[2]]))

    again(run)


def test_any_octets_are_no_vault(folder: Path) -> None:
    work = Checked(folder)

    @whole()
    @given(octets=st.binary(max_size=400), mark=ODD)
    def run(octets: bytes, mark: bytes) -> None:
        work.check(mark + octets)

    again(run)


def test_any_text_is_a_recovery_key_or_a_reason(folder: Path) -> None:
    alphabet = st.text(alphabet="0123456789- \n\u0661x", max_size=80) | st.text(max_size=80)

    @whole()
    @given(text=alphabet, seed=st.binary(min_size=16, max_size=16), cut=st.integers(0, 60))
    def run(text: str, seed: bytes, cut: int) -> None:
        assert digits.read(digits.written(seed)) == seed
        written = digits.written(seed)
        for typed in (text, written[:cut] + text + written[cut:], written[:cut] + written[cut + 1 :] + text):
            try:
                assert len(digits.read(typed)) == 16
            except digits.Mistyped as fault:
                assert len(str(fault)) < 200
            try:
                shares.joined(typed.split("\n"))
                raise AssertionError("no share was made here")
            except shares.BadShares as fault:
                assert len(str(fault)) < 200

    again(run)
