"""What is sealed: for whom, under which key, and what of it can be seen; openssl judges the signatures."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import RFC_4122

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.rights.container.container import read_rpmsg
from gateway.rights.job import MAX_READERS, Job
from gateway.rights.opening import inspect, open_rpmsg
from gateway.rights.sealing import Forms, seal, shares
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY
from gateway.rights.tenant import TenantAway, TenantDenied
from gateway.rights.xrml.binary import read_base64
from gateway.rights.xrml.root import MAX_LICENCE, root, roots
from gateway.world.chance import SystemChance
from tests.fakes.chance import FakeChance
from tests.fakes.rights import NOW, OWNER, READER, URL, FakeTenant, job, nobody, private_key

MESSAGE = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\nNobody else may see them.\r\n"


def licence_of(rpmsg: bytes) -> str:
    return read_rpmsg(rpmsg).licence.decode()


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"a\nb\x00\xff", b"Subject: x\r\n\r\nno end", bytes(range(256)) * 300, MESSAGE]
)
def test_the_original_comes_back_octet_for_octet(octets: bytes) -> None:
    tenant = FakeTenant()
    sealed = seal(octets, job(), tenant, FakeChance())
    opened = open_rpmsg(sealed.rpmsg, tenant, principal=READER, now=NOW, is_revoked=nobody)
    assert opened.original == octets
    assert not opened.is_built
    assert sealed.original_sha256 == sha256(octets).hexdigest()
    assert (opened.work, opened.owner, opened.readers) == (sealed.work, OWNER, (READER,))
    assert (opened.issued, opened.expires) == (NOW, None)
    assert (opened.template, opened.title) == ("encrypt-only", "Encrypt-Only")


def test_nothing_of_the_message_and_no_reader_can_be_seen() -> None:
    sealed = seal(MESSAGE, job(expires=NOW + 86400), FakeTenant(), FakeChance())
    parts = read_rpmsg(sealed.rpmsg)
    for secret in (READER, "2026-11-04", sealed.original_sha256, "Figures"):
        for where in (sealed.rpmsg, parts.licence, parts.drm_content):
            assert secret.encode() not in where
            assert secret.encode("utf-16-le") not in where
    assert sha256(parts.drm_content).hexdigest() == sealed.content_sha256
    assert sealed.content_sha256 in parts.licence.decode()
    assert OWNER in parts.licence.decode()


def test_a_name_begins_with_its_time_so_that_new_ones_stand_behind_old_ones() -> None:
    works = [seal(MESSAGE, job(issued=NOW + at), FakeTenant(), FakeChance()).work for at in (0.0, 0.0015, 60.0)]
    assert works == sorted(works)
    assert [(one.version, one.variant) for one in works] == [(7, RFC_4122)] * 3  # RFC 9562 5.7
    assert [one.int >> 80 for one in works] == [int(NOW * 1000) + at for at in (0, 1, 60_000)]


def test_names_of_one_moment_have_nothing_in_common_but_that() -> None:
    tenant, chance = FakeTenant(), SystemChance()
    works = [seal(MESSAGE, job(), tenant, chance).work.int for _ in range(40)]
    differing = 0
    for one in works:
        differing |= one ^ works[0]
    assert differing.bit_count() == 74
    assert differing >> 80 == 0


@pytest.mark.parametrize("readers", [1, 100])
def test_a_file_is_hardly_longer_than_the_ciphertext_in_it(readers: int) -> None:
    names = tuple(f"reader{number}@partner.example" for number in range(readers))
    sealed = seal(MESSAGE, job(readers=names), FakeTenant(), FakeChance())
    parts = read_rpmsg(sealed.rpmsg)
    # Of few readers the licence stands as it is but for what all have in common; of many, its base64 is octets again.
    most = len(parts.licence) if readers == 1 else len(parts.licence) * 0.8
    assert len(sealed.rpmsg) < most + len(parts.drm_content)


def test_each_message_has_a_key_and_a_name_of_its_own() -> None:
    tenant, chance = FakeTenant(), FakeChance()
    one, other = seal(MESSAGE, job(), tenant, chance), seal(MESSAGE, job(), tenant, chance)
    assert one.work != other.work
    assert read_rpmsg(one.rpmsg).drm_content[8:24] != read_rpmsg(other.rpmsg).drm_content[8:24]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to judge")
@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_openssl_takes_both_signatures_for_good(bits: int, tmp_path: Path) -> None:
    public = private_key(bits).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    sealed = seal(MESSAGE, job(), FakeTenant(private_key(bits)), FakeChance())
    found = [root(text) for text in roots(licence_of(sealed.rpmsg))]
    assert len(found) == 2
    for one in found:
        assert one.signature is not None
        (tmp_path / "signature").write_bytes(read_base64(one.signature.one("VALUE").text))
        (tmp_path / "body").write_bytes(one.body.encode("utf-16-le"))
        command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "body"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20)
        assert said.stdout == "Verified OK\n"


def test_the_licence_looks_as_the_specification_has_it() -> None:
    licence = licence_of(seal(MESSAGE, job(), FakeTenant(), FakeChance()).rpmsg)
    assert licence.startswith('<?xml version="1.0"?><XrML version="1.2" xmlns=""><BODY type="Microsoft Rights Label" ')
    for said, times in (
        ('<ISSUEDTIME>2026-11-03T08:12</ISSUEDTIME><DESCRIPTOR><OBJECT><ID type="MS-GUID">{0af38f78-', 1),
        ("<NAME>LCID 1033:NAME Encrypt-Only:DESCRIPTION The message", 1),
        ('<DISTRIBUTIONPOINT><OBJECT type="License-Acquisition-URL">', 1),
        ('<DISTRIBUTIONPOINT><OBJECT type="Extranet-License-Acquisition-URL">', 1),
        (f'<ADDRESS type="URL">{URL}</ADDRESS>', 6),
        ('<ISSUEDPRINCIPALS><PRINCIPAL internal-id="1"><OBJECT type="MS-DRM-Server">', 2),
        ('<ENABLINGBITS type="sealed-key-v2"><VALUE encoding="base64" size="2816">', 1),
        ('<AUTHENTICATEDDATA id="Encrypted-Rights-Data">', 1),
        ('<AUTHENTICATEDDATA id="APPSPECIFIC" name="content.sha256">', 1),
        ("</BODY><SIGNATURE><ALGORITHM>RSA PKCS#1-V1.5</ALGORITHM><DIGEST><ALGORITHM>SHA256</ALGORITHM>", 2),
    ):
        assert licence.count(said) == times, said
    assert "> <" not in licence
    assert "\n" not in licence


def test_the_second_root_is_signed_once_and_kept() -> None:
    tenant, forms = FakeTenant(private_key(), private_key(number=2)), Forms()
    first = seal(MESSAGE, job(), tenant, FakeChance(), forms)
    assert tenant.signed == 2
    second = seal(MESSAGE, job(issued=NOW + 86400), tenant, FakeChance("more"), forms)
    assert tenant.signed == 3
    assert roots(licence_of(first.rpmsg))[1] == roots(licence_of(second.rpmsg))[1]
    seal(MESSAGE, job(url="https://another.example/"), tenant, FakeChance(), forms)
    assert tenant.signed == 5


def test_kept_roots_have_an_end() -> None:
    tenant, forms = FakeTenant(), Forms()
    for number in range(2 * Forms.MOST):
        forms.certificate(tenant, tenant.current, f"https://{number}.example/", NOW)
    assert len(forms._kept) <= Forms.MOST


@pytest.mark.parametrize(("switch", "fault"), [("away", TenantAway), ("denied", TenantDenied)])
def test_without_the_tenant_key_nothing_is_sealed(switch: str, fault: type[Exception]) -> None:
    tenant = FakeTenant()
    setattr(tenant, switch, True)
    with pytest.raises(fault):
        seal(MESSAGE, job(), tenant, FakeChance())


def test_nothing_is_sealed_with_a_key_of_mode_1() -> None:
    with pytest.raises(TenantDenied):
        seal(MESSAGE, job(), FakeTenant(private_key(1024)), FakeChance())


@pytest.mark.parametrize("number", [0, MAX_READERS + 1])
def test_one_file_has_1_to_100_readers(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        Job(owner=OWNER, readers=(READER,) * number, template=ENCRYPT_ONLY, issued=NOW, expires=None, url=URL)


def test_a_hundred_readers_each_open_it() -> None:
    readers = tuple(f"reader{n}@partner.example" for n in range(MAX_READERS))
    tenant = FakeTenant()
    sealed = seal(MESSAGE, job(*readers, template=DO_NOT_FORWARD), tenant, FakeChance())
    for reader in (readers[0], readers[50], readers[-1]):
        opened = open_rpmsg(sealed.rpmsg, tenant, principal=reader, now=NOW, is_revoked=nobody)
        assert opened.readers == readers
        assert opened.rights == DO_NOT_FORWARD.rights


def test_readers_with_long_addresses_are_shared_out_so_that_each_licence_is_read() -> None:
    readers = [f"{n:03}{'x' * 60}@{'y' * 60}.{'z' * 60}.{'u' * 60}.example" for n in range(120)]
    groups = list(shares(readers, ENCRYPT_ONLY))
    assert [one for group in groups for one in group] == readers
    tenant = FakeTenant()
    for group in groups:
        sealed = seal(b"x", job(*group), tenant, FakeChance())
        assert len(licence_of(sealed.rpmsg)) <= MAX_LICENCE
        open_rpmsg(sealed.rpmsg, tenant, principal=group[-1], now=NOW, is_revoked=nobody)
    assert len(groups) == 3


def test_readers_with_usual_addresses_share_a_file_by_the_hundred() -> None:
    readers = [f"reader{n}@partner.example" for n in range(250)]
    assert [len(group) for group in shares(readers, ENCRYPT_ONLY)] == [100, 100, 50]
    assert list(shares([], ENCRYPT_ONLY)) == []


def test_a_title_an_owner_and_addresses_with_markup_come_back() -> None:
    odd = '"a<b>&\'c"@corp.example'
    template = replace(ENCRYPT_ONLY, title="A <b> & 'c'", description='<i>"d"</i>')
    tenant = FakeTenant()
    sealed = seal(MESSAGE, job(odd, owner=odd, template=template, url=f"{URL}?a=1&b=<2>"), tenant, FakeChance())
    opened = open_rpmsg(sealed.rpmsg, tenant, principal=odd, now=NOW, is_revoked=nobody)
    assert (opened.owner, opened.readers, opened.title) == (odd, (odd,), template.title)
    assert inspect(sealed.rpmsg).urls == (f"{URL}?a=1&b=<2>",) * 2


@pytest.mark.parametrize("where", ["owner", "url", "reader"])
def test_what_a_licence_can_not_hold_is_refused(where: str) -> None:
    odd = "a\x00b@corp.example"
    changed = job(odd) if where == "reader" else job(**{where: odd})
    with pytest.raises(ValueError, match="character"):
        seal(MESSAGE, changed, FakeTenant(), FakeChance())


def test_mail_from_nobody_has_readers_and_no_owner() -> None:
    tenant = FakeTenant()
    sealed = seal(MESSAGE, job(owner=""), tenant, FakeChance())
    opened = open_rpmsg(sealed.rpmsg, tenant, principal=READER, now=NOW, is_revoked=nobody)
    assert opened.owner == ""
    assert opened.rights == ENCRYPT_ONLY.rights


def test_content_is_not_shown() -> None:
    sealed = seal(MESSAGE, job(), FakeTenant(), FakeChance())
    opened = open_rpmsg(sealed.rpmsg, FakeTenant(), principal=READER, now=NOW, is_revoked=nobody)
    for shown in (repr(sealed), repr(opened)):
        assert "Figures" not in shown
        assert sealed.original_sha256 not in shown
        assert READER not in shown
