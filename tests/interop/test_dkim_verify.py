"""Others' signatures, judged by us: the messages and results of another server's tests, and dkimpy's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization

from gateway.app.authenticate import message_of
from gateway.authenticate.dkim.canonical import fields
from gateway.authenticate.dkim.verify import Verifier
from gateway.mail.authentication import Authentication, Verdict
from gateway.mail.message import Message
from gateway.world.zone_file import ZoneNames
from tests.fakes.clock import FakeClock
from tests.fakes.dkim import MESSAGE, NAME, record, rsa_key, sign
from tests.fakes.names import FakeNames
from tests.interop.opendkim import OpenDkim

# Where we judge otherwise than that server, and why.
OTHERWISE = {
    "02-too_many_headers": [True] * 7,  # It looks at five signatures of a message, we at ten.
    "09-limited_body": [False, True, True],  # It passes l= with text behind; RFC 6376 8.2 tells why one should not.
}


async def judged(message: Message, names: ZoneNames | FakeNames) -> Authentication:
    return await Verifier(names, FakeClock()).verify(message)


def followed(path: Path) -> Path:
    """A file that only names another one stands for that."""
    text = path.read_bytes() if path.exists() else b""
    return path.with_name(text.decode().strip()) if re.fullmatch(rb"[\w.-]+\s*", text) else path


async def test_the_messages_of_another_server_have_the_results_that_it_expects(corpus: Path) -> None:
    cases = sorted((corpus / "dkim/chasquid").glob("*.result"))
    if not cases:
        pytest.skip(f"{corpus} has no messages in dkim/chasquid/")
    for case in cases:
        name = case.stem
        zone = followed(case.with_suffix(".dns"))
        names = ZoneNames(zone) if zone.exists() else FakeNames()
        found = await judged(message_of(followed(case.with_suffix(".msg")).read_bytes()), names)
        expected = [one["State"] == "SUCCESS" for one in json.loads(followed(case).read_text())["Results"]]
        assert [one.verdict is Verdict.PASS for one in found.dkim] == OTHERWISE.get(name, expected), name
        if name == "05-dns_temp_error":
            assert found.dkim[0].verdict is Verdict.TEMPERROR


async def test_the_example_of_rfc_8463_passes_twice(corpus: Path) -> None:
    message = corpus / "dkim/mk-rfc8463-example.msg"
    zone = corpus / "dkim/chasquid/01-rfc8463.dns"
    if not message.exists() or not zone.exists():
        pytest.skip(f"{corpus} lacks the example")
    found = await judged(message_of(message.read_bytes()), ZoneNames(zone))
    assert [one.verdict for one in found.dkim if one.domain == "football.example.com"] == [Verdict.PASS] * 2


def signable(octets: bytes) -> bool:
    """Whether it has one From and a header section that holds nothing but fields."""
    found, whole = fields(message_of(octets).header_section())
    return whole and [name for name, _ in found].count(b"from") == 1


@pytest.mark.parametrize("how", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")], ids=str)
async def test_what_dkimpy_signs_passes(corpus: Path, how: tuple[bytes, bytes]) -> None:
    files = sorted(path for path in (corpus / "mime").glob("*") if path.is_file())
    if not files:
        pytest.skip(f"{corpus} has no messages in mime/")
    pem = rsa_key(2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    names = FakeNames(texts={NAME: (record(),)})
    passed = 0
    for file in files:
        octets = message_of(file.read_bytes()).content.inline or b""
        if not signable(octets):
            continue
        try:
            signature = dkim.sign(octets, b"sel", b"corp.example", pem, canonicalize=how, include_headers=[b"from"])
        except dkim.DKIMException:
            continue
        found = await judged(message_of(signature + octets), names)
        own = found.dkim[0]
        assert (own.verdict, own.reason) == (Verdict.PASS, ""), file.name
        passed += 1
    assert passed > 100


async def test_dkimpy_and_we_agree_where_dkimpy_is_right() -> None:
    names = FakeNames(texts={NAME: (record(),)})
    good = sign(c="relaxed/simple")
    for octets in (good, good + b"more\r\n", good.replace(b"quarterly", b"yearly"), good.replace(b"d=corp", b"d=x")):
        ours = (await judged(message_of(octets), names)).dkim[0].verdict is Verdict.PASS
        theirs = dkim.verify(octets, dnsfunc=lambda name, timeout=5: record() if b"corp" in name else None)
        assert ours == theirs


async def test_opendkim_and_we_agree_where_opendkim_is_right(tmp_path: Path) -> None:
    names = FakeNames(texts={NAME: (record(),)})
    judge = OpenDkim(tmp_path, {NAME: record().decode()})
    # Blanks around a value do not survive OpenDKIM's reading of a file, and `simple` counts them.
    plain = MESSAGE.replace(b"  quarterly   figures\r\n\tof  this year \r\n", b" quarterly figures\r\n")
    good = [sign(plain, c=how) for how in ("simple/simple", "relaxed/relaxed", "relaxed/simple", "simple/relaxed")]
    bad = [
        good[1] + b"more\r\n",
        good[0].replace(b"quarterly", b"yearly"),
        sign(plain, h="to:subject"),
        sign(plain, t="5", x="6"),
    ]
    for octets in good + bad:
        ours = (await judged(message_of(octets), names)).dkim[0].verdict is Verdict.PASS
        assert (judge.results(octets).get("sel") == "pass") == ours == (octets in good)
