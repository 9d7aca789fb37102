"""What a DKIM signature is worth: a pass only where the whole body and every signed field are as they were signed."""

from __future__ import annotations

import asyncio
import base64
import gc
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import dkim
import pytest
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.keys import RSAPublicKey as Numbers

from gateway.authenticate.dkim import findings
from gateway.authenticate.dkim.body import BodyHash, body_at
from gateway.authenticate.dkim.findings import Finding
from gateway.authenticate.dkim.record import MAX_RECORD
from gateway.authenticate.dkim.signature import MAX_SIGNATURES, Unreadable, emptied, read_signature
from gateway.authenticate.dkim.verify import MAX_RECORDS, Verifier
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.body_hash import HashTerms
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.world.batch import TURNS
from gateway.world.zone_file import ZoneNames
from tests.fakes.clock import FakeClock
from tests.fakes.dkim import MESSAGE, NAME, record, sign
from tests.fakes.names import FakeNames

CASES = Path(__file__).parent / "cases"


def names(*records: bytes, at: str = NAME) -> FakeNames:
    return FakeNames(texts={at: records or (record(),)})


async def judged(octets: bytes, known: FakeNames | None = None, clock: FakeClock | None = None) -> Authentication:
    message = Message(octets[:MAX_HEAD], Held(octets))
    return await Verifier(known or names(), clock or FakeClock()).verify(message)


async def only(octets: bytes, known: FakeNames | None = None) -> DkimResult:
    (one,) = (await judged(octets, known)).dkim
    return one


def is_for(one: DkimResult, finding: Finding) -> bool:
    return (one.verdict, one.reason) == (finding.verdict, finding.word)


# -- what holds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "relaxed"])
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_good_signature_passes(kind: str, how: str) -> None:
    one = await only(sign(MESSAGE, kind, c=how), names(record(kind)))  # type: ignore[arg-type]
    assert (one.verdict, one.reason) == (Verdict.PASS, "")
    assert (one.domain, one.selector, one.algorithm) == ("corp.example", "sel", f"{kind}-sha256")
    assert one.bits == (2048 if kind == "rsa" else 256)
    assert len(one.start) == 8


def test_what_the_tests_sign_is_good_to_another_reader() -> None:
    for how in ("simple/simple", "relaxed/relaxed"):
        assert dkim.verify(sign(c=how), dnsfunc=lambda name, timeout=5: record())


@pytest.mark.parametrize(
    "tags",
    [
        {"c": None},  # simple, on both
        {"q": "dns/txt"},
        {"q": "other : dns/txt"},
        {"i": "@corp.example"},
        {"i": "ida@mail.corp.example"},
        {"t": "1", "x": "99999999999"},
        {"h": "From : To:subject"},
        {"h": "from:from:to:to:subject:subject:x-nothing"},
        {"unknown": "x"},
        {"a": "RSA-SHA256"},
        {"l": "10000"},  # RFC 6376 says that it may not be larger than the body, and nothing of the body is left out.
    ],
    ids=str,
)
async def test_odd_but_right_signatures_pass(tags: dict[str, str | None]) -> None:
    assert (await only(sign(MESSAGE, **tags))).verdict is Verdict.PASS


async def test_blanks_and_folds_within_base64_mean_nothing() -> None:
    octets = sign(MESSAGE, c="relaxed/relaxed")
    at = octets.index(b"; b=") + 30
    octets = octets[:at] + b"\r\n  " + octets[at : at + 40] + b"\r\n\t " + octets[at + 40 :]
    assert (await only(octets)).verdict is Verdict.PASS
    bh = sign(MESSAGE, bh=None).split(b"; b=")[0]
    assert b"bh=" not in bh
    spaced = base64.b64encode(_body_hash()).decode()
    assert (await only(sign(MESSAGE, bh=f"{spaced[:10]} \r\n {spaced[10:]}"))).verdict is Verdict.PASS


def _body_hash() -> bytes:
    one = BodyHash(HashTerms())
    one.update(MESSAGE[body_at(MESSAGE) :])
    return one.digest()


@pytest.mark.parametrize("tag", ["d", "s", "i"])
@pytest.mark.parametrize("value", ["[" + "x" * 200_000, "x" * 200_000, "a." * 100_000, "@" * 200_000])
def test_a_name_of_any_length_is_not_remembered(tag: str, value: str) -> None:
    """A stranger whose signatures name ever new domains of 200 KB fills the memory with them."""
    read_signature(sign(MESSAGE, **{tag: value}).partition(b"\r\nFrom")[0])  # What is imported and made once is there.
    tracemalloc.start()
    for number in range(20):
        raw = sign(MESSAGE, **{tag: f"{value}{number}"}).partition(b"\r\nFrom")[0]
        assert isinstance(read_signature(raw), Unreadable)
        del raw
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 200_000


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (b"DKIM-Signature: v=1; bh=ab=; b=QUJD", b"DKIM-Signature: v=1; bh=ab=; b="),
        (b"DKIM-Signature: v=1; bh=xb=; b=QUJD; d=b=", b"DKIM-Signature: v=1; bh=xb=; b=; d=b="),
        (b"DKIM-Signature:b=QU\r\n JD;v=1", b"DKIM-Signature:b=;v=1"),
        (b"DKIM-Signature: b=QU;v=1", b"DKIM-Signature: b=;v=1"),
        (b"DKIM-Signature: v=1; b =QU; a=x", b"DKIM-Signature: v=1; b =; a=x"),
        (b"DKIM-Signature: v=1;\r\n\tb= QU; a=x", b"DKIM-Signature: v=1;\r\n\tb=; a=x"),
        (b"DKIM-Signature: v=1;" + b" " * 100 + b"b=QU; a=x", b"DKIM-Signature: v=1;" + b" " * 100 + b"b=; a=x"),
        (b"DKIM-Signature:" + b" " * 100 + b"b=QU", b"DKIM-Signature:" + b" " * 100 + b"b="),
        (b"DKIM-Signature: i=a:b=c@x; b=QU", b"DKIM-Signature: i=a:b=c@x; b="),
        (b"DKIM-Signature: x=b=; bb=1; B=2; b=QU", b"DKIM-Signature: x=b=; bb=1; B=2; b="),
    ],
)
def test_only_the_value_of_b_is_left_out_of_what_was_signed(field: bytes, wanted: bytes) -> None:
    assert emptied(field) == wanted


async def test_a_key_with_a_list_of_services_is_for_mail() -> None:
    assert (await only(sign(), names(record(s="other:email")))).verdict is Verdict.PASS
    assert (await only(sign(), names(record(s="*")))).verdict is Verdict.PASS


async def test_names_beyond_ascii_are_asked_for_as_a_labels() -> None:
    octets = sign(MESSAGE, d="bücher.example", s="größe", i="ida@bücher.example")
    known = names(record(), at="xn--gre-6ka8i._domainkey.xn--bcher-kva.example")
    one = await only(octets, known)
    assert known.asked[0][1].endswith("._domainkey.xn--bcher-kva.example")
    known = names(record(), at=known.asked[0][1])
    one = await only(octets, known)
    assert (one.verdict, one.domain) == (Verdict.PASS, "xn--bcher-kva.example")


async def test_a_message_without_a_signature_is_not_signed() -> None:
    found = await judged(MESSAGE)
    assert is_for(found.dkim[0], findings.NOT_SIGNED)
    folded = b"X: y\r\n DKIM-Signature: v=1\r\n" + MESSAGE
    assert is_for((await judged(folded)).dkim[0], findings.NOT_SIGNED)
    assert is_for((await judged(MESSAGE + b"\r\nDKIM-Signature: v=1\r\n")).dkim[0], findings.NOT_SIGNED)


# -- what was changed -----------------------------------------------------------------------------------------------


async def test_a_changed_body_fails() -> None:
    assert is_for(await only(sign().replace(b"all is well", b"all is lost")), findings.BODY_CHANGED)
    assert is_for(await only(sign() + b"more\r\n"), findings.BODY_CHANGED)


async def test_a_changed_field_fails() -> None:
    assert is_for(await only(sign().replace(b"quarterly", b"yearly")), findings.SIGNATURE_WRONG)
    assert is_for(
        await only(sign().replace(b"d=corp.example", b"d=other.example"), names(at=NAME.replace("corp", "other"))),
        findings.SIGNATURE_WRONG,
    )


async def test_a_signature_by_another_key_fails() -> None:
    assert is_for(await only(sign(MESSAGE, "rsa", 2048), names(record("rsa", 1024))), findings.SIGNATURE_WRONG)


@pytest.mark.parametrize(
    "added", [b"Subject: win\r\n", b"From: x@y.example\r\n", b"subject : win\r\n", b"To: x@y\r\n", b"SUBJECT:\r\n"]
)
async def test_a_second_field_of_which_there_may_be_one_is_no_pass(added: bytes) -> None:
    assert is_for(await only(added + sign()), findings.FIELD_ADDED)


async def test_a_field_that_is_signed_twice_can_not_be_added() -> None:
    octets = sign(MESSAGE, h="from:from:to:subject:subject")
    assert (await only(octets)).verdict is Verdict.PASS
    assert is_for(await only(b"Subject: win\r\n" + octets), findings.SIGNATURE_WRONG)


async def test_fields_that_may_repeat_and_unsigned_ones_may_be_added() -> None:
    octets = sign(b"Received: z\r\n" + MESSAGE, h="from:to:received:subject")
    added = b"Received: x\r\nReceived: y\r\nX-Spam: no\r\nReply-To: a@b\r\n"
    assert (await only(added + octets)).verdict is Verdict.PASS


async def test_text_behind_the_signed_part_of_a_body_is_no_pass() -> None:
    octets = sign(MESSAGE, l="13")
    assert is_for(await only(octets), findings.BODY_PARTLY_SIGNED)
    assert is_for(await only(octets + b"buy this\r\n"), findings.BODY_PARTLY_SIGNED)
    assert is_for(await only(octets.replace(b"Good", b"Bad!")), findings.BODY_CHANGED)
    assert is_for(await only(sign(MESSAGE, l="0")), findings.BODY_PARTLY_SIGNED)
    whole = sign(MESSAGE, l="30")
    assert (await only(whole)).verdict is Verdict.PASS
    assert is_for(await only(whole + b"more\r\n"), findings.BODY_PARTLY_SIGNED)


async def test_of_many_partial_hashes_only_some_are_made_and_none_passes() -> None:
    octets = MESSAGE
    for length in range(5):
        octets = sign(octets, l=str(length))
    found = await judged(octets)
    assert [one.reason for one in found.dkim] == [findings.BODY_PARTLY_SIGNED.word] * 5


async def test_a_line_that_is_no_field_is_no_pass() -> None:
    head, _, body = sign().partition(b"\r\n\r\n")
    broken = await only(head + b"\r\nno field at all\r\n\r\n" + body)
    assert is_for(broken, findings.BROKEN_HEADER)
    assert broken.domain == "corp.example"


async def test_a_signature_does_not_cover_itself_but_covers_others() -> None:
    first = sign(MESSAGE, s="first")
    second = sign(first, h="from:dkim-signature:dkim-signature")
    known = FakeNames(texts={NAME: (record(),), NAME.replace("sel.", "first."): (record(),)})
    assert [one.verdict for one in (await judged(second, known)).dkim] == [Verdict.PASS, Verdict.PASS]
    lost = second.replace(b"s=first", b"s=other")
    assert is_for((await judged(lost, known)).dkim[0], findings.SIGNATURE_WRONG)


# -- what a signature says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "finding"),
    [
        ({"v": "2"}, findings.UNKNOWN_VERSION),
        ({"v": "1.0"}, findings.UNKNOWN_VERSION),
        ({"v": None}, findings.MISSING_TAG),
        ({"a": None}, findings.MISSING_TAG),
        ({"bh": None}, findings.MISSING_TAG),
        ({"d": None}, findings.MISSING_TAG),
        ({"s": None}, findings.MISSING_TAG),
        ({"h": None}, findings.MISSING_TAG),
        ({"a": "rsa-sha1"}, findings.HISTORIC_ALGORITHM),
        ({"a": "rsa-md5"}, findings.UNKNOWN_ALGORITHM),
        ({"a": ""}, findings.UNKNOWN_ALGORITHM),
        ({"c": "nofws/simple"}, findings.UNKNOWN_CANONICALIZATION),
        ({"c": "relaxed/"}, findings.UNKNOWN_CANONICALIZATION),
        ({"d": "corp..example"}, findings.BAD_DOMAIN),
        ({"d": ""}, findings.BAD_DOMAIN),
        ({"d": "corp example"}, findings.BAD_DOMAIN),
        ({"d": "a" * 300}, findings.BAD_DOMAIN),
        ({"s": "-sel"}, findings.BAD_SELECTOR),
        ({"s": "sel@x"}, findings.BAD_SELECTOR),
        ({"h": "to:subject"}, findings.FROM_NOT_SIGNED),
        ({"h": ""}, findings.FROM_NOT_SIGNED),
        ({"h": "from" + ":a" * 1000}, findings.TOO_MANY_NAMES),
        ({"q": "dns/other"}, findings.UNKNOWN_QUERY),
        ({"i": "@other.example"}, findings.IDENTITY_OUTSIDE),
        ({"i": "@notcorp.example"}, findings.IDENTITY_OUTSIDE),
        ({"i": "@example"}, findings.IDENTITY_OUTSIDE),
        ({"i": "corp.example"}, findings.IDENTITY_OUTSIDE),
        ({"l": "-1"}, findings.BAD_NUMBER),
        ({"l": "1" * 77}, findings.BAD_NUMBER),
        ({"t": "now"}, findings.BAD_NUMBER),
        ({"x": "1e9"}, findings.BAD_NUMBER),
        ({"t": "5", "x": "5"}, findings.TIMES_CROSSED),
        ({"bh": "AAAA"}, findings.BAD_BASE64),
        ({"bh": "*"}, findings.BAD_BASE64),
        ({"b": "*"}, findings.BAD_BASE64),
        ({"b": ""}, findings.BAD_BASE64),
        ({"b": "AAAA; b=AAAA"}, findings.BAD_TAGS),
        ({"v": "1; v=1"}, findings.BAD_TAGS),
        ({"h": "from; nothing"}, findings.BAD_TAGS),
    ],
    ids=str,
)
async def test_a_signature_that_is_not_in_order_is_no_pass(tags: dict[str, str | None], finding: Finding) -> None:
    if tags.get("l"):
        octets = sign().replace(b"; bh=", f"; l={tags['l']}; bh=".encode())
    else:
        octets = sign(MESSAGE, **tags)
    known = names()
    assert is_for(await only(octets, known), finding)
    assert known.asked == [], "nobody is asked about a signature that can't hold"


async def test_a_signature_ends_with_its_time() -> None:
    clock = FakeClock(1000.0)
    octets = sign(MESSAGE, t="900", x="1000")
    assert (await judged(octets, clock=clock)).dkim[0].verdict is Verdict.PASS
    await clock.advance(1)
    assert is_for((await judged(octets, clock=clock)).dkim[0], findings.EXPIRED)


# -- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "finding"),
    [
        ({"v": "DKIM2"}, findings.BAD_RECORD),
        ({"p": None}, findings.BAD_RECORD),
        ({"p": ""}, findings.REVOKED),
        ({"p": "*"}, findings.BAD_KEY),
        ({"p": "AAAA"}, findings.BAD_KEY),
        ({"k": "dsa"}, findings.OTHER_KIND),
        ({"k": "ed25519"}, findings.BAD_KEY),
        ({"s": "tlsrpt"}, findings.OTHER_SERVICE),
        ({"s": ""}, findings.OTHER_SERVICE),
        ({"h": "sha1"}, findings.OTHER_HASH),
    ],
    ids=str,
)
async def test_a_key_record_that_is_not_for_this_is_no_pass(tags: dict[str, str | None], finding: Finding) -> None:
    assert is_for(await only(sign(), names(record(**tags))), finding)


async def test_records_without_version_and_key_type_are_taken() -> None:
    assert (await only(sign(), names(record(v=None, k=None)))).verdict is Verdict.PASS
    assert is_for(await only(sign(), names(b"k=rsa; v=DKIM1; " + record(v=None, k=None))), findings.BAD_RECORD)


@pytest.mark.parametrize("records", [(), (b"",), (b"v=spf1 -all",), (b"\xff\xfe",)])
async def test_no_key_is_no_pass(records: tuple[bytes, ...]) -> None:
    known = FakeNames(texts={NAME: records})
    assert (await only(sign(), known)).verdict is Verdict.PERMERROR


async def test_a_name_that_does_not_exist_is_lasting_and_silence_is_not() -> None:
    assert is_for(await only(sign(), FakeNames()), findings.NO_KEY)
    assert is_for(await only(sign(), FakeNames(unavailable=frozenset({NAME}))), findings.NO_ANSWER)


async def test_a_key_of_another_type_beside_the_right_one_does_not_matter() -> None:
    assert (await only(sign(), names(record("ed25519"), record()))).verdict is Verdict.PASS
    assert is_for(await only(sign(), names(record("ed25519"))), findings.OTHER_KIND)


async def test_of_two_keys_of_one_type_either_may_have_signed() -> None:
    for records in ((record("rsa", 1024), record()), (record(), record("rsa", 1024))):
        one = await only(sign(), names(*records))
        assert (one.verdict, one.bits) == (Verdict.PASS, 2048)


async def test_of_many_records_only_some_are_looked_at() -> None:
    others = tuple(record(n=str(number), p="") for number in range(MAX_RECORDS))
    assert is_for(await only(sign(), names(*others, record())), findings.REVOKED)
    assert (await only(sign(), names(*others[1:], record()))).verdict is Verdict.PASS


async def test_a_record_too_long_is_not_read() -> None:
    fits = record(n="x" * (MAX_RECORD - len(record()) - 4))
    assert len(fits) == MAX_RECORD
    assert (await only(sign(), names(fits))).verdict is Verdict.PASS
    assert is_for(await only(sign(), names(fits + b" ")), findings.RECORD_TOO_LONG)


def _huge(bits: int, exponent: int = 65537) -> bytes:
    numbers = Numbers({"modulus": (1 << (bits - 1)) | 1, "public_exponent": exponent})
    return PublicKeyInfo.wrap(numbers, "rsa").dump()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("bits", "exponent", "finding"),
    [
        (1023, 65537, findings.KEY_TOO_SHORT),
        (512, 65537, findings.KEY_TOO_SHORT),
        (4097, 65537, findings.KEY_TOO_LONG),
        (16384, 65537, findings.KEY_TOO_LONG),
        (2048, (1 << 64) | 1, findings.BAD_KEY),
        (2048, 1, findings.BAD_KEY),
        (2048, 65536, findings.BAD_KEY),
    ],
)
async def test_a_key_outside_the_bounds_is_no_pass(bits: int, exponent: int, finding: Finding) -> None:
    key = base64.b64encode(_huge(bits, exponent)).decode()
    began = perf_counter()
    assert is_for(await only(sign(), names(record(p=key))), finding)
    assert perf_counter() - began < 20  # Bounded, not quick: machines are noisy.


@pytest.mark.parametrize(("sign_of_modulus", "exponent"), [(-1, 65537), (0, 65537), (1, -65537), (1, 0), (-1, -3)])
async def test_numbers_below_nought_are_no_key(sign_of_modulus: int, exponent: int) -> None:
    modulus = sign_of_modulus * ((1 << 2047) | 1)
    numbers = Numbers({"modulus": modulus, "public_exponent": exponent})
    for der in (numbers.dump(), PublicKeyInfo.wrap(numbers, "rsa").dump()):
        found = await only(sign(), names(record(p=base64.b64encode(der).decode())))
        assert found.verdict in (Verdict.PERMERROR, Verdict.POLICY) and found.bits is None


async def test_1024_bits_are_just_enough() -> None:
    assert (await only(sign(MESSAGE, "rsa", 1024), names(record("rsa", 1024)))).verdict is Verdict.PASS


async def test_the_bare_form_of_an_rsa_key_is_read_too() -> None:
    der = base64.b64decode(record().split(b"p=")[1])
    bare = PublicKeyInfo.load(der)["public_key"].parsed.dump()
    assert (await only(sign(), names(record(p=base64.b64encode(bare).decode())))).verdict is Verdict.PASS


async def test_a_domain_that_tests_counts_as_not_signed() -> None:
    known = names(record(t="y"))
    assert is_for(await only(sign(), known), findings.TESTING)
    assert is_for(await only(sign() + b"more\r\n", known), findings.TESTING)
    assert is_for(await only(sign().replace(b"quarterly", b"yearly"), known), findings.TESTING)


async def test_a_strict_key_is_for_its_very_domain() -> None:
    known = names(record(t="y:s"))
    assert is_for(await only(sign(MESSAGE, i="@mail.corp.example"), known), findings.IDENTITY_NOT_EXACT)
    known = names(record(t="s"))
    assert (await only(sign(MESSAGE, i="ida@corp.example"), known)).verdict is Verdict.PASS
    assert (await only(sign(), known)).verdict is Verdict.PASS


# -- bounds ---------------------------------------------------------------------------------------------------------


async def test_only_the_first_signatures_are_judged_and_the_rest_is_said() -> None:
    octets = MESSAGE
    for _ in range(MAX_SIGNATURES + 3):
        octets = sign(octets)
    found = await judged(octets)
    assert [one.verdict for one in found.dkim] == [Verdict.PASS] * MAX_SIGNATURES
    assert found.skipped == 3


async def test_ten_thousand_signatures_take_bounded_time() -> None:
    small = b"DKIM-Signature: v=1;\r\n"
    known = names()
    began = perf_counter()
    found = await judged(small * 10_000 + sign(), known)
    assert perf_counter() - began < 20  # Bounded, not quick: machines are noisy.
    assert len(found.dkim) == MAX_SIGNATURES
    assert found.skipped == 10_001 - MAX_SIGNATURES
    assert Verdict.PASS not in {one.verdict for one in found.dkim}
    assert known.asked == []


async def test_a_header_section_without_an_end_in_sight_is_no_pass() -> None:
    octets = b"X-Long: " + b"x" * MAX_HEAD + b"\r\n" + sign()
    assert (await judged(octets)).dkim[0].verdict is Verdict.NONE  # The signature stands behind what is looked at.
    assert is_for(
        (await judged(sign().replace(b"\r\n\r\n", b"\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n", 1))).dkim[0],
        findings.HEADER_TOO_LARGE,
    )


@pytest.mark.parametrize("filling", [b"x", b" ", b"\t", b" \t", b"\r\n ", b";", b":", b"=", b"b=", b"\xff", b"(", b'"'])
async def test_a_field_of_250_kib_takes_bounded_time(filling: bytes) -> None:
    long = filling * (250 * 1024 // len(filling))
    for octets in (
        b"Subject: " + long + b"\r\n" + sign(MESSAGE, h="from:subject:subject"),
        b"DKIM-Signature: v=1; a=rsa-sha256; d=corp.example; s=sel; bh=x; b=" + long + b"; h=from\r\n" + MESSAGE,
        b"DKIM-Signature: " + long + b"\r\n" + MESSAGE,
        sign().replace(b"h=from", b"h=from:" + long.replace(b";", b"x"), 1),
    ):
        began = perf_counter()
        found = await judged(octets)
        assert perf_counter() - began < 20  # Bounded, not quick: machines are noisy.
        assert Verdict.PASS not in {one.verdict for one in found.dkim}


# -- long bodies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Elsewhere:
    """Content that is not in memory. `read` counts how often it was read."""

    octets: bytes
    read: list[int]

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        self.read.append(1)
        for start in range(0, len(self.octets), 100):
            yield self.octets[start : start + 100]


async def test_a_body_that_lies_elsewhere_is_read_once() -> None:
    octets = sign(sign(MESSAGE), c="simple/simple")
    content = Elsewhere(octets, [])
    found = await Verifier(names(), FakeClock()).verify(Message(octets, content))
    assert [one.verdict for one in found.dkim] == [Verdict.PASS, Verdict.PASS]
    assert content.read == [1]
    changed = Elsewhere(octets.replace(b"morning", b"evening"), [])
    found = await Verifier(names(), FakeClock()).verify(Message(octets, changed))
    assert [one.reason for one in found.dkim] == [findings.BODY_CHANGED.word] * 2


async def test_a_body_that_was_hashed_as_it_came_is_not_read_again() -> None:
    octets = sign(MESSAGE)
    content = Elsewhere(octets, [])
    hashes = {HashTerms(): _body_hash(), HashTerms("simple"): b"x" * 32}
    found = await Verifier(names(), FakeClock()).verify(Message(octets, content, hashes))
    assert (found.dkim[0].verdict, content.read) == (Verdict.PASS, [])
    found = await Verifier(names(), FakeClock()).verify(Message(octets, content, {HashTerms("simple"): b""}))
    assert (found.dkim[0].verdict, content.read) == (Verdict.PASS, [1])


async def test_the_dns_is_asked_about_all_signatures_at_once() -> None:
    gate = asyncio.Event()
    asked: list[str] = []

    class Slow:
        async def txt(self, name: str) -> tuple[bytes, ...]:
            asked.append(name)
            await gate.wait()
            return (record(),)

        def txt_at_hand(self, name: str) -> None:
            return None

    octets = sign(sign(MESSAGE, s="a"), s="b")
    task = asyncio.create_task(Verifier(Slow(), FakeClock()).verify(Message(octets, Held(octets))))
    for _ in range(TURNS + 5):
        await asyncio.sleep(0)
    assert len(asked) == 2
    gate.set()
    assert [one.verdict for one in (await task).dkim] == [Verdict.PASS, Verdict.PASS]


# -- cases in which others go wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [
        ("dkim-20", {Verdict.PASS}),
        ("dkim-21", {Verdict.POLICY}),  # a second Subject on top: dkimpy 1.1.8 passes it
        ("dkim-23", {Verdict.POLICY}),  # l= and text behind: dkimpy passes it
        ("dkim-24", {Verdict.PERMERROR}),  # rsa-sha1: dkimpy passes it
        ("dkim-25", {Verdict.PASS}),  # s=other:email: dkimpy raises
        ("dkim-29", {Verdict.PASS}),  # Ed25519
    ],
)
async def test_cases_in_which_others_go_wrong(name: str, verdicts: set[Verdict]) -> None:
    octets = (CASES / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    zone = ZoneNames(CASES / f"{name}.zone")
    found = await Verifier(zone, FakeClock()).verify(Message(octets, Held(octets)))
    assert {one.verdict for one in found.dkim} == verdicts


@pytest.mark.parametrize("file", sorted(CASES.glob("*.eml")), ids=lambda file: file.stem)
async def test_keys_at_hand_and_keys_asked_for_come_to_the_same(file: Path) -> None:
    octets = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    zone = ZoneNames(file.with_suffix(".zone"))
    message = Message(octets, Held(octets))
    at_hand = await Verifier(zone, FakeClock()).verify(message)
    assert at_hand == await Verifier(Asked(zone), FakeClock()).verify(message)


async def test_messages_that_come_together_are_judged_each_by_itself() -> None:
    zone = ZoneNames(CASES / "dkim-20.zone")
    verifier = Verifier(zone, FakeClock())
    octets = (CASES / "dkim-20.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    spoilt = octets + b"More.\r\n"
    messages = [Message(one, Held(one)) for one in (octets, spoilt, MESSAGE, octets)]
    found = await asyncio.gather(*map(verifier.verify, messages))
    assert [one.dkim[0].verdict for one in found] == [Verdict.PASS, Verdict.FAIL, Verdict.NONE, Verdict.PASS]


class Asked:
    """A zone of which nothing is known before it was asked."""

    def __init__(self, zone: ZoneNames) -> None:
        self.txt = zone.txt

    def txt_at_hand(self, name: str) -> None:
        return None
