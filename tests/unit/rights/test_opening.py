"""Who opens what, and what stays shut for which reason. Each thing is proved before it is believed."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from gateway.rights.cipher import Cipher
from gateway.rights.container import limits
from gateway.rights.container.container import read_rpmsg, write_rpmsg
from gateway.rights.container.envelope import Envelope
from gateway.rights.container.inner import Inner, InnerAttachment
from gateway.rights.opening import OpenedMessage, inspect, open_rpmsg
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import ALL, Right
from gateway.rights.sealing import seal
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY, template
from gateway.rights.tenant import Mode
from gateway.rights.xrml.binary import write_base64
from gateway.rights.xrml.signature import signed_octets
from tests.fakes.chance import FakeChance
from tests.fakes.rights import NOW, OWNER, READER, URL, FakeTenant, foreign, job, nobody, private_key, signature

MESSAGE = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\nNobody else may see them.\r\n"
DIGEST = sha256(MESSAGE).hexdigest()
INNER = Inner(None, None, (), MESSAGE)


def opened(octets: bytes | Envelope, tenant: FakeTenant | None = None, **changed: Any) -> OpenedMessage:
    usual: dict[str, Any] = {"principal": READER, "now": NOW, "is_revoked": nobody}
    return open_rpmsg(octets, tenant or FakeTenant(), **(usual | changed))


def reason(octets: bytes, tenant: FakeTenant | None = None, **changed: Any) -> Reason:
    with pytest.raises(NotOpened) as caught:
        opened(octets, tenant, **changed)
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


def sealed(**changed: Any) -> bytes:
    readers = changed.pop("readers", (READER,))
    return seal(MESSAGE, job(*readers, **changed), FakeTenant(), FakeChance()).rpmsg


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [ENCRYPT_ONLY, DO_NOT_FORWARD, template("own", {Right.VIEW}, "Own", "Own.")])
def test_a_reader_has_the_rights_of_the_template(one: Any) -> None:
    found = opened(sealed(template=one))
    assert found.rights == one.rights
    assert found.principal == READER
    assert found.template == one.name


@pytest.mark.parametrize("written", ["BEN@Partner.Example", " ben@partner.example", '"ben"@PARTNER.example'])
def test_a_reader_is_known_however_his_address_is_written(written: str) -> None:
    assert opened(sealed(), principal=written).rights == ENCRYPT_ONLY.rights
    assert opened(sealed(readers=(written,))).rights == ENCRYPT_ONLY.rights


@pytest.mark.parametrize(
    "stranger", ["eve@partner.example", "ben@partner.example.evil", "ben", "", "@", "partner.example"]
)
def test_a_stranger_is_no_reader(stranger: str) -> None:
    assert reason(sealed(), principal=stranger) is Reason.NOT_A_READER
    assert reason(sealed(owner=""), principal=stranger) is Reason.NOT_A_READER


def test_the_owner_has_all_rights() -> None:
    assert opened(sealed(), principal=OWNER.upper()).rights == ALL


def test_the_owner_opens_after_expiry_and_revocation() -> None:
    octets = sealed(expires=NOW + 60)
    assert opened(octets, principal=OWNER, now=NOW + 1e6, is_revoked=lambda work, who: True).original == MESSAGE


def test_a_super_user_opens_at_any_time_and_nobody_is_asked() -> None:
    octets = sealed(expires=NOW + 60)
    found = opened(octets, principal=None, now=NOW + 1e6, is_revoked=lambda work, who: True)
    assert (found.rights, found.principal, found.original) == (ALL, None, MESSAGE)


def test_the_owner_who_is_also_a_reader_is_listed_as_one() -> None:
    octets = sealed(readers=(OWNER, READER))
    assert opened(octets).readers == (OWNER, READER)


# -- when --------------------------------------------------------------------------------------------------------------


def test_the_end_is_excluded() -> None:
    octets = sealed(expires=NOW + 3600)
    assert opened(octets, now=NOW + 3599.9).expires == NOW + 3600
    assert reason(octets, now=NOW + 3600) is Reason.EXPIRED


def test_an_end_within_a_minute_is_the_minutes_beginning() -> None:
    octets = sealed(expires=NOW + 3659)
    assert opened(octets).expires == NOW + 3600


def test_what_ended_before_it_began_was_never_to_be_read() -> None:
    assert reason(sealed(expires=NOW - 86400)) is Reason.EXPIRED


def test_a_clock_that_is_a_little_behind_opens_what_is_new() -> None:
    octets = sealed(expires=NOW + 86400)
    assert opened(octets, now=NOW - 299).original == MESSAGE
    assert reason(octets, now=NOW - 301) is Reason.NO_RIGHT


def test_a_stranger_does_not_learn_that_it_expired() -> None:
    assert reason(sealed(expires=NOW + 60), principal="eve@x.example", now=NOW + 61) is Reason.NOT_A_READER


def test_who_is_revoked_is_asked_by_message_and_plain_address() -> None:
    asked: list[tuple[UUID, str]] = []

    def is_revoked(work: UUID, principal: str) -> bool:
        asked.append((work, principal))
        return principal == READER

    octets, tenant = sealed(readers=(READER, "other@partner.example")), FakeTenant()
    assert reason(octets, tenant, principal="BEN@partner.example", is_revoked=is_revoked) is Reason.REVOKED
    assert tenant.unsealed == 0
    assert opened(octets, tenant, principal="other@partner.example", is_revoked=is_revoked).original == MESSAGE
    assert asked == [(inspect(octets).work, READER), (inspect(octets).work, "other@partner.example")]


# -- keys --------------------------------------------------------------------------------------------------------------


def test_an_archived_version_opens_what_is_old() -> None:
    octets = seal(MESSAGE, job(), FakeTenant(private_key()), FakeChance()).rpmsg
    tenant = FakeTenant(private_key(number=2), private_key())
    assert opened(octets, tenant).original == MESSAGE
    assert tenant.current.modulus != inspect(octets).modulus


def test_without_its_version_it_is_not_ours() -> None:
    assert reason(sealed(), FakeTenant(private_key(number=2))) is Reason.NOT_OURS


def test_a_key_that_is_away_or_denied_is_said_to_be() -> None:
    tenant = FakeTenant()
    tenant.away = True
    assert reason(sealed(), tenant) is Reason.KEY_AWAY
    tenant.away, tenant.denied = False, True
    assert reason(sealed(), tenant) is Reason.KEY_DENIED


def test_what_can_not_be_asked_about_revocation_is_not_opened() -> None:
    def fail(work: UUID, principal: str) -> bool:
        raise OSError("the database does not answer")

    with pytest.raises(OSError, match="database"):
        opened(sealed(), is_revoked=fail)


# -- damage and forgery ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [b"", b"x", MESSAGE, bytes(5000)])
def test_what_is_no_rpmsg_is_damaged(octets: bytes) -> None:
    assert reason(octets) is Reason.DAMAGED
    with pytest.raises(NotOpened) as caught:
        inspect(octets)
    assert caught.value.reason is Reason.DAMAGED


def test_a_file_that_was_cut_is_damaged() -> None:
    octets = sealed()
    for end in range(0, len(octets) - 1, 1993):
        assert reason(octets[:end]) is Reason.DAMAGED


def test_a_changed_octet_of_the_content_is_damage() -> None:
    parts = read_rpmsg(sealed())
    for at in (0, 7, 8, 100, len(parts.drm_content) - 1):
        content = bytearray(parts.drm_content)
        content[at] ^= 1
        assert reason(write_rpmsg(parts.licence, bytes(content))) is Reason.DAMAGED


def test_content_of_another_message_is_damage() -> None:
    tenant, chance = FakeTenant(), FakeChance()
    one, other = (read_rpmsg(seal(MESSAGE, job(), tenant, chance).rpmsg) for _ in range(2))
    assert reason(write_rpmsg(one.licence, other.drm_content), tenant) is Reason.DAMAGED


def test_a_changed_letter_of_the_body_is_damage_and_its_digest_does_not_help() -> None:
    parts = read_rpmsg(sealed())
    text = parts.licence.decode()
    changed = text.replace(OWNER, "eve@corp.example")
    assert reason(write_rpmsg(changed.encode(), parts.drm_content)) is Reason.DAMAGED
    assert reason(write_rpmsg(with_digest(changed).encode(), parts.drm_content)) is Reason.FORGED


def with_digest(licence: str) -> str:
    """The licence with a DIGEST that fits its BODY, as anybody can make it."""
    body = licence[licence.index("<BODY") : licence.index("</BODY>") + 7]
    digest = write_base64(sha256(signed_octets(body)).digest())
    return re.sub(r'(<VALUE encoding="base64" size="256">)[^<]*', lambda match: match[1] + digest, licence, count=1)


def test_a_whole_licence_under_our_name_by_a_key_of_others_is_forged() -> None:
    """The attack: everything is right, and the modulus is ours, but somebody else signed."""
    thief = private_key(number=3)

    def steal(licence: str) -> str:
        body = licence[licence.index("<BODY") : licence.index("</BODY>") + 7]
        start, end = licence.index("<SIGNATURE"), licence.index("</SIGNATURE>") + 12
        return licence[:start] + signature(body, thief) + licence[end:]

    assert reason(foreign(INNER, original_sha256=DIGEST, licence=steal)) is Reason.FORGED


def test_the_chain_in_the_file_proves_nothing() -> None:
    assert reason(foreign(INNER, key=private_key(number=3), original_sha256=DIGEST)) is Reason.NOT_OURS


def test_a_second_body_does_not_slip_in() -> None:
    def double(licence: str) -> str:
        body = licence[licence.index("<BODY") : licence.index("</BODY>") + 7]
        evil = body.replace(OWNER, "eve@corp.example")
        return licence.replace(body, evil + body)

    assert reason(foreign(INNER, original_sha256=DIGEST, licence=double)) is Reason.DAMAGED


def test_another_second_root_changes_nothing() -> None:
    octets = foreign(INNER, original_sha256=DIGEST, licence=lambda text: text + "<XrML><BODY/></XrML>")
    assert opened(octets).original == MESSAGE


@pytest.mark.parametrize("element", ["ISSUER", "ISSUEDPRINCIPALS", "ENABLINGBITS", "WORK", "ISSUEDTIME"])
def test_even_signed_by_us_each_thing_is_said_once(element: str) -> None:
    def twice(body: str) -> str:
        start, end = body.index(f"<{element}"), body.index(f"</{element}>") + len(element) + 3
        return body[:end] + body[start:end] + body[end:]

    assert reason(foreign(INNER, original_sha256=DIGEST, body=twice)) is Reason.DAMAGED


@pytest.mark.parametrize("name", ["Encrypted-Rights-Data", "content.sha256"])
def test_data_that_stand_twice_or_not_at_all_are_damage(name: str) -> None:
    pattern = re.compile(rf'<AUTHENTICATEDDATA [^>]*"{name}">[^<]*</AUTHENTICATEDDATA>')
    for times in (0, 2):
        changed = foreign(INNER, original_sha256=DIGEST, body=lambda text: pattern.sub(lambda m: m[0] * times, text))  # noqa: B023
        assert reason(changed) is Reason.DAMAGED


def test_a_principal_with_another_key_than_the_issuers_is_damage() -> None:
    def other(body: str) -> str:
        numbers = [FakeTenant(private_key(number=n)).current.modulus.to_bytes(256, "little") for n in (1, 3)]
        mine, theirs = map(write_base64, numbers)
        head, _, tail = body.partition("<ISSUEDPRINCIPALS>")
        return head + "<ISSUEDPRINCIPALS>" + tail.replace(mine, theirs)

    assert reason(foreign(INNER, original_sha256=DIGEST, body=other)) is Reason.DAMAGED


def test_enabling_bits_of_another_licence_are_damage() -> None:
    other = foreign(INNER, original_sha256=DIGEST, a_job=job(url="https://other.example/"))
    bits = re.compile(r"(<ENABLINGBITS.*?</ENABLINGBITS>)")
    theirs = bits.search(read_rpmsg(other).licence.decode())
    assert theirs is not None
    swapped = foreign(INNER, original_sha256=DIGEST, body=lambda text: bits.sub(theirs[1], text))
    assert reason(swapped) is Reason.DAMAGED


def test_rights_data_of_another_message_are_damage() -> None:
    def rename(text: str) -> str:
        start = text.index("<WORK>") + len('<WORK><OBJECT><ID type="MS-GUID">{')
        return text[:start] + "00000000" + text[start + 8 :]

    assert reason(foreign(INNER, original_sha256=DIGEST, rights=rename)) is Reason.DAMAGED


def test_an_original_that_is_not_the_licences_is_not_shown() -> None:
    assert reason(foreign(INNER, original_sha256=sha256(b"another").hexdigest())) is Reason.DAMAGED
    assert reason(foreign(Inner("text", None, (), None), original_sha256=DIGEST)) is Reason.DAMAGED


@pytest.mark.parametrize(
    "change",
    [lambda octets: octets[:4], lambda octets: bytes([255]) * 8 + octets[8:], lambda octets: octets + bytes(32)],
)
def test_a_length_that_is_none_is_damage(change: Callable[[bytes], bytes]) -> None:
    assert reason(foreign(INNER, original_sha256=DIGEST, content=change)) is Reason.DAMAGED


def test_single_bits_never_show_another_message() -> None:
    octets = sealed()
    tenant = FakeTenant()
    shut = 0
    for at in range(8, len(octets), 83):
        changed = bytearray(octets)
        changed[at] ^= 1 << at % 8
        try:
            found = opened(bytes(changed), tenant)
        except NotOpened as fault:
            assert fault.reason in {Reason.DAMAGED, Reason.FORGED, Reason.NOT_OURS}
            shut += 1
        else:  # Slack, padding and the second root identify nothing.
            assert (found.original, found.owner, found.readers) == (MESSAGE, OWNER, (READER,))
    assert shut > 50


def test_a_file_longer_than_the_limit_is_damage() -> None:
    octets = sealed()
    assert opened(octets, most=1 << 20).original == MESSAGE
    assert reason(octets, most=len(octets) - 1) is Reason.DAMAGED


@pytest.mark.parametrize("size", [3 << 20, 12 << 20])
def test_what_we_sealed_opens_however_long_it_is(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where messages may be longer than the limits on hostile files were made for."""
    monkeypatch.setattr(limits, "MOST_OCTETS", 1 << 20)
    octets = seal(FakeChance().octets(size), job(READER), FakeTenant(), FakeChance()).rpmsg
    assert len(octets) < limits.sealed_octets(size)
    envelope = Envelope(expected=len(octets))
    envelope.feed(octets)
    assert len(opened(octets).original) == len(opened(envelope).original) == size


# -- older and foreign forms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cipher", [Cipher.ECB, Cipher.CBC4K, Cipher.CBC4K_PADDED])
@pytest.mark.parametrize("key_octets", [16, 24, 32])
def test_every_mode_that_others_write_is_read(cipher: Cipher, key_octets: int) -> None:
    octets = foreign(INNER, cipher=cipher, key_octets=key_octets, original_sha256=DIGEST)
    found = opened(octets)
    assert (found.original, found.is_built) == (MESSAGE, False)
    assert found.weak == (("ecb",) if cipher is Cipher.ECB else ())


@pytest.mark.parametrize("name", ["SHA1", "SHA-1", "sha-1"])
def test_mode_1_opens_with_its_archived_key(name: str) -> None:
    octets = foreign(INNER, key=private_key(1024), cipher=Cipher.ECB, key_octets=16, name=name, original_sha256=DIGEST)
    found = opened(octets, FakeTenant(private_key(), private_key(1024)))
    assert found.original == MESSAGE
    assert found.weak == ("mode-1", "sha-1", "ecb")
    assert reason(octets) is Reason.NOT_OURS
    seen = inspect(octets)
    assert (seen.mode, seen.key_bits, seen.weak) == (Mode.MODE_1, 1024, ("mode-1", "sha-1"))


@pytest.mark.parametrize("name", ["SHA256", "SHA-256"])
def test_both_names_of_the_hash_are_known(name: str) -> None:
    assert opened(foreign(INNER, name=name, original_sha256=DIGEST)).original == MESSAGE


def test_sha_1_under_a_key_of_mode_2_is_forged() -> None:
    assert reason(foreign(INNER, digest="sha1", original_sha256=DIGEST)) is Reason.FORGED


@pytest.mark.parametrize("name", ["MD5", "", "SHA512"])
def test_another_hash_is_damage(name: str) -> None:
    assert reason(foreign(INNER, name=name or "none", original_sha256=DIGEST)) is Reason.DAMAGED


def test_rights_of_form_2_are_read() -> None:
    def form_2(text: str) -> str:
        text = re.sub(r'<RIGHT name="(VIEW|PRINT|EDIT|FORWARD|VIEWRIGHTSDATA)">(.*?)</RIGHT>', r"<\1>\2</\1>", text)
        return text.replace('<RIGHT name="EXTRACT">', '<RIGHT name="UNKNOWN">')

    found = opened(foreign(INNER, original_sha256=DIGEST, rights=form_2))
    assert found.rights == ENCRYPT_ONLY.rights - {Right.EXTRACT}


def test_without_view_a_reader_has_no_right() -> None:
    octets = foreign(INNER, original_sha256=DIGEST, rights=lambda text: text.replace('"VIEW"', '"LOOK"'))
    assert reason(octets) is Reason.NO_RIGHT


def test_a_file_without_an_original_is_put_together() -> None:
    inner = Inner("Some text \u00e4", "<p>Some text</p>", (InnerAttachment("a.txt", "id@x", b"attached"),), None)
    found = opened(foreign(inner))
    assert found.is_built
    assert found.original.startswith(
        b"From: ida@corp.example\r\nTo: ben@partner.example\r\nDate: Tue, 3 Nov 2026 08:12"
    )


def test_a_first_attachment_with_the_name_of_ours_is_no_original() -> None:
    found = opened(foreign(Inner("Text", None, (), MESSAGE)))
    assert found.is_built
    assert found.original != MESSAGE
    assert write_base64(MESSAGE)[:70].encode() in found.original


# -- what everybody sees -----------------------------------------------------------------------------------------------


def test_inspect_tells_what_a_file_says_of_itself() -> None:
    made = seal(MESSAGE, job(), FakeTenant(), FakeChance())
    seen = inspect(made.rpmsg)
    assert (seen.work, seen.owner, seen.title, seen.issued) == (made.work, OWNER, "Encrypt-Only", NOW)
    assert (seen.urls, seen.mode, seen.key_bits, seen.roots) == ((URL, URL), Mode.MODE_2, 2048, 2)
    assert (seen.content_sha256, seen.is_whole, seen.weak) == (made.content_sha256, True, ())


def test_inspect_tells_of_content_that_was_changed() -> None:
    parts = read_rpmsg(sealed())
    seen = inspect(write_rpmsg(parts.licence, parts.drm_content + bytes(16)))
    assert not seen.is_whole
    assert seen.content_size == len(parts.drm_content) + 16


def test_values_are_not_changed() -> None:
    found = opened(sealed())
    assert replace(found, owner="x").owner == "x"
    with pytest.raises(AttributeError):
        found.owner = "x"  # type: ignore[misc]


@pytest.mark.parametrize("length", [1, 4095, 4096, 5000, 3_000_000])
def test_a_file_that_comes_in_pieces_is_opened_in_its_place(length: int) -> None:
    original = b"Subject: large\r\n\r\n" + b"x" * length
    file = seal(original, job(), FakeTenant(), FakeChance()).rpmsg
    envelope = Envelope()
    for at in range(0, len(file), 1 << 20):
        envelope.feed(file[at : at + (1 << 20)])
    opened = open_rpmsg(envelope, FakeTenant(), principal=READER, now=NOW, is_revoked=nobody)
    assert opened.original == original
    assert type(opened.original) is bytes


def test_a_large_message_is_in_memory_once_while_it_is_opened() -> None:
    original = b"Subject: large\r\n\r\n" + b"x" * (8 << 20)
    file = seal(original, job(), FakeTenant(), FakeChance()).rpmsg
    pieces = [file[at : at + (1 << 20)] for at in range(0, len(file), 1 << 20)]
    tracemalloc.start()
    try:
        envelope = Envelope()
        for piece in pieces:
            envelope.feed(piece)
        opened = open_rpmsg(envelope, FakeTenant(), principal=READER, now=NOW, is_revoked=nobody)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(opened.original) == len(original)
    assert peak < 1.6 * len(original)
