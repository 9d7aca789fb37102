"""`gateway certificate` as a process answers it, and what a process knows of certificates and keys."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12, serialize_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.app.certificates import KEPT, LOOK, Certificates
from gateway.app.channel import Fault
from gateway.connectors.model import Domains
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied, Unavailable
from gateway.mail.address import parse_address
from gateway.smime.certificate import Purpose, of
from gateway.smime.selection import CERTIFICATES_NOT_READ, NO_CERTIFICATE, NO_SIGNING_IDENTITY
from gateway.smime.terms import SmimeTerms
from gateway.smime.trust import Untrusted
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken
from tests.fakes.accounts import FakeShared
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.transport import settle

KEYS = {("certificates", 1): b"c" * 32, ("token", 1): b"k" * 32}
IDA, OTTO = parse_address("ida@corp.example"), parse_address("otto@partner.example")
DAY = 86400.0


class House:
    """One process, on a day on which what the test makes is valid."""

    def __init__(self, folder: Path, shared: FakeShared | None = None) -> None:
        self.folder = folder
        self.shared = shared or FakeShared()
        probe = make_certificate(folder, "probe@x.example")
        self.clock = FakeClock(probe.certificate.not_valid_before_utc.timestamp() + DAY)
        self.told: list[dict[str, Any]] = []
        self.terms = SmimeTerms()
        self.sealer = KeySealer(DomainKeys(KEYS), FakeChance(str(id(self))))
        self.certificates = Certificates(
            self.shared,
            self.sealer,
            terms=lambda: self.terms,
            accepted=lambda: Domains(("corp.example",)),
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append({"level": level, "event": event, **facts}),
        )

    def made(self, *names: str, **more: Any) -> Certificate:
        return make_certificate(self.folder, *names, **more)

    async def ask(self, command: str, **arguments: Any) -> Any:
        return await self.certificates.answer(f"certificate.{command}", arguments)

    async def bring(self, octets: bytes, **arguments: Any) -> Any:
        return await self.ask("import", octets=b64encode(octets).decode(), file="x.pem", **arguments)

    async def refused(self, command: str, **arguments: Any) -> str:
        with pytest.raises(Fault) as caught:
            await self.ask(command, **arguments)
        return str(caught.value)

    async def not_brought(self, octets: bytes, **arguments: Any) -> str:
        return await self.refused("import", octets=b64encode(octets).decode(), file="x.pem", **arguments)

    def both(self, one: Certificate) -> bytes:
        return one.file.read_bytes() + one.key_file.read_bytes()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_partners_certificate_is_used_at_once(house: House) -> None:
    assert house.certificates.recipient(OTTO).reason == CERTIFICATES_NOT_READ
    await house.certificates.look()
    assert house.certificates.recipient(OTTO).reason == NO_CERTIFICATE
    otto = house.made("otto@partner.example", "otto@other.example", common_name="Otto")
    answer = await house.bring(otto.file.read_bytes())
    assert answer["warnings"] == []
    (row,) = answer["certificates"]
    assert row["addresses"] == ["otto@partner.example", "otto@other.example"]
    assert (row["key"], row["state"], row["was_there"], row["private_key"]) == ("ec-p256", "valid", False, False)
    assert (row["encrypts"], row["verifies"], row["signs"], row["reasons"]) == (True, True, False, [])
    assert house.certificates.recipient(OTTO).certificate == of(otto.certificate)
    del row["was_there"]
    assert await house.ask("list") == [row]


async def test_an_identity_signs_and_opens_and_its_key_is_never_shown(house: House) -> None:
    key = rsa.generate_private_key(65537, 2048)
    ida = house.made("ida@corp.example", key=key)
    answer = await house.bring(house.both(ida))
    (row,) = answer["certificates"]
    assert (row["private_key"], row["signs"]) == (True, True)
    choice = house.certificates.signer(IDA)
    assert choice.known is not None
    identity = house.certificates.identity(choice.known)
    assert identity.key.private_numbers() == key.private_numbers()  # type: ignore[union-attr]
    secret = f"{key.private_numbers().d:x}"[:40]
    shown = await house.ask("show", name="ida@corp.example")
    for text in (repr(house.certificates), repr(identity), str(house.told), str(answer), str(shown)):
        assert secret not in text
        assert "PRIVATE KEY" not in text


async def test_the_key_is_kept_for_a_while_and_unsealed_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.bring(house.both(house.made("ida@corp.example")))
    known = house.certificates.signer(IDA).known
    assert known is not None
    opened: list[str] = []
    original = house.sealer.open

    def counted(purpose: str, record: str, sealed: bytes) -> bytes:
        opened.append(record)
        return original(purpose, record, sealed)

    monkeypatch.setattr(house.sealer, "open", counted)
    first = house.certificates.identity(known)
    await house.clock.advance(KEPT - 1)
    assert house.certificates.identity(known) is first
    assert len(opened) == 1
    await house.clock.advance(1)
    assert house.certificates.identity(known) is not first
    assert len(opened) == 2
    assert all(record.endswith("/key") for record in opened)


@pytest.mark.parametrize("fault", [Unavailable("it does not answer"), Denied("it is disabled")])
async def test_a_closed_vault_takes_the_keys_away_at_once(house: House, fault: Any) -> None:
    await house.bring(house.both(house.made("ida@corp.example")))
    known = house.certificates.signer(IDA).known
    assert known is not None
    house.certificates.identity(known)
    house.sealer.take(DomainKeys({}), closed={"certificates": fault, "token": fault})
    with pytest.raises(KeysClosed):
        house.certificates.identity(known)
    assert house.certificates._keys == {}
    assert house.certificates.recipient(IDA).certificate is not None  # What is public is still known.
    assert "can't be used" in await house.refused("list")
    house.sealer.take(DomainKeys(KEYS))
    assert house.certificates.identity(known).certificate == known.certificate


async def test_a_file_may_hold_several_and_what_is_of_no_use_is_told(house: House) -> None:
    root = house.made(is_ca=True, common_name="Root", more=[(usage(key_cert_sign=True), True)])
    otto = house.made("otto@partner.example", issuer=root)
    nameless = house.made(issuer=root, common_name="Nobody")
    server = house.made("eve@partner.example", issuer=root, purposes=[ExtendedKeyUsageOID.SERVER_AUTH], common_name="S")
    weak = house.made("old@partner.example", issuer=root, key=rsa.generate_private_key(65537, 1024), common_name="Weak")
    octets = b"".join(one.file.read_bytes() for one in (root, otto, nameless, server, weak))
    answer = await house.bring(octets)
    assert [one["addresses"] for one in answer["certificates"]] == [["otto@partner.example"]]
    told = "\n".join(answer["warnings"])
    for words in (
        "CN=Root was left out: it is an authority's; whom to believe is said by [smime] trust_anchors",
        "CN=Nobody was left out: it names no email address. --address ADDRESS says",
        "CN=S was left out: it is not made out for mail",
        "CN=Weak was left out: it has a key so short",
    ):
        assert words in told
    assert len(answer["warnings"]) == 4
    words = await house.not_brought(root.file.read_bytes() + server.file.read_bytes())
    assert "x.pem has nothing that could be used" in words
    assert "CN=S was left out" in words


async def test_one_without_an_address_is_bound_to_one_or_to_a_domain(house: House) -> None:
    nameless = house.made(common_name="Gateway", key=rsa.generate_private_key(65537, 2048))
    octets = nameless.file.read_bytes()
    assert "names no email address" in (said := await house.not_brought(octets)) and "trust_anchors" not in said
    authority = house.made(common_name="CA", is_ca=True)
    assert "is named by [smime] trust_anchors" in await house.not_brought(authority.file.read_bytes())
    answer = await house.bring(octets, addresses=["Otto@Partner.Example"], domains=["@Partner.example"])
    assert answer["certificates"][0]["addresses"] == ["otto@partner.example"]
    assert answer["certificates"][0]["domains"] == ["partner.example"]
    assert house.certificates.recipient(OTTO).whole_domain is False
    assert house.certificates.recipient(parse_address("anna@partner.example")).whole_domain is True
    assert house.certificates.recipient(parse_address("anna@sub.partner.example")).reason == NO_CERTIFICATE
    two = octets + house.made("anna@partner.example", common_name="Anna").file.read_bytes()
    assert "say for whom one certificate is used, and x.pem has 2" in await house.not_brought(
        two, domains=["x.example"]
    )
    assert "'otto' is no address" in await house.not_brought(octets, addresses=["otto"])
    assert "'*.x' is no domain" in await house.not_brought(octets, domains=["*.x"])


async def test_doubts_are_told(house: House) -> None:
    expired = house.made("old@partner.example", days=(-60, -10))
    ed = house.made("ed@partner.example", key=ed25519.Ed25519PrivateKey.generate())
    answer = await house.bring(expired.file.read_bytes() + ed.file.read_bytes())
    assert [one["state"] for one in answer["certificates"]] == ["expired", "valid"]
    told = "\n".join(answer["warnings"])
    assert "old@partner.example" in told
    assert "has expired" in told
    assert "is of use for its owner's signatures alone" in told
    answer = await house.bring(house.both(house.made(common_name="G")), domains=["partner.example"])
    assert "partner.example: is none of accepted_domains" in answer["warnings"][0]


async def test_what_comes_again_is_joined_and_nothing_is_lost(house: House) -> None:
    ida = house.made("ida@corp.example")
    await house.bring(house.both(ida), addresses=["boss@corp.example"])
    await house.clock.advance(60)
    answer = await house.bring(ida.file.read_bytes(), domains=["corp.example"])
    (row,) = answer["certificates"]
    assert row["was_there"]
    assert row["private_key"]
    assert (row["addresses"], row["domains"]) == (["ida@corp.example", "boss@corp.example"], ["corp.example"])
    (listed,) = await house.ask("list")
    assert listed["imported"] < row["valid_until"]
    assert house.certificates.identity(house.certificates.selection.all[0]).key is not None


async def test_one_is_found_by_fingerprint_address_or_domain(house: House) -> None:
    otto = house.made("otto@partner.example")
    mark = of(otto.certificate).fingerprint
    await house.bring(otto.file.read_bytes(), domains=["partner.example"])
    by_colons = ":".join(mark[n : n + 2] for n in range(0, len(mark), 2)).upper()
    for name in (mark, mark[:8], by_colons, "OTTO@partner.example", "partner.example", "@partner.example"):
        (row,) = await house.ask("show", name=name)
        assert row["fingerprint"] == mark
        assert x509.load_pem_x509_certificate(row["pem"].encode()) == otto.certificate
    assert "no certificate is known for" in await house.refused("show", name="f" * 8)
    assert "no certificate is known for" in await house.refused("show", name="nobody@partner.example")
    for wrong in ("", "a b", "*", "-" * 200):
        assert "neither an address nor a domain" in await house.refused("show", name=wrong)


async def test_a_private_key_is_given_out_under_a_password_alone(house: House) -> None:
    root = house.made(is_ca=True, common_name="Root")
    above = house.made(is_ca=True, common_name="Above", issuer=root)
    ida = house.made("ida@corp.example", issuer=above)
    await house.bring(house.both(ida) + above.file.read_bytes())
    assert "under a password alone" in await house.refused("private", name="ida@corp.example", password="")
    answer = await house.ask("private", name="ida@corp.example", password="geheim")
    bag = load_pkcs12(b64decode(answer["pkcs12"]), b"geheim")
    assert bag.key is not None
    assert bag.key.private_numbers() == load_pem_private_key(ida.key_file.read_bytes(), None).private_numbers()  # type: ignore[union-attr]
    assert [one.certificate.subject.rfc4514_string() for one in bag.additional_certs] == ["CN=Above"]
    assert house.told[-1]["event"] == "certificate_key_given_out"
    pem = (await house.ask("export", name="ida@corp.example"))["pem"]
    assert len(x509.load_pem_x509_certificates(pem.encode())) == 2
    assert "PRIVATE" not in pem
    await house.bring(house.made("otto@partner.example").file.read_bytes())
    assert "has no private key here" in await house.refused("private", name="otto@partner.example", password="x")


async def test_one_is_removed_but_a_private_key_only_where_it_is_meant(house: House) -> None:
    ida, otto = house.made("ida@corp.example"), house.made("otto@partner.example", "anna@partner.example")
    await house.bring(house.both(ida))
    await house.bring(otto.file.read_bytes())
    words = await house.refused("remove", name="ida@corp.example")
    assert "its private key goes" in words
    assert "--yes" in words
    known = house.certificates.selection.named(of(ida.certificate).fingerprint)
    assert known is not None
    house.certificates.identity(known)
    answer = await house.ask("remove", name="ida@corp.example", keys_too=True)
    assert [one["addresses"] for one in answer["removed"]] == [["ida@corp.example"]]
    assert house.certificates.signer(IDA).reason == NO_SIGNING_IDENTITY
    with pytest.raises(SealBroken):  # Whoever still holds it finds no key any more, not even the one in memory.
        house.certificates.identity(known)
    mark = of(otto.certificate).fingerprint[:16]
    assert f"is used for others too; to remove it all the same: gateway certificate remove {mark}" in (
        await house.refused("remove", name="otto@partner.example")
    )
    await house.ask("remove", name=mark)
    assert await house.ask("list") == []


async def test_a_pkcs12_file_wants_its_password(house: House) -> None:
    ida = house.made("ida@corp.example")
    octets = serialize_key_and_certificates(b"ida", ida.key, ida.certificate, None, BestAvailableEncryption(b"geheim"))
    assert "x.pem: found a PKCS#12 file and no password" in await house.not_brought(octets)
    words = await house.not_brought(octets, password="falsch")
    assert "this password does not open" in words
    assert "falsch" not in words
    assert (await house.bring(octets, password="geheim"))["certificates"][0]["private_key"]


async def test_broken_files_are_named(house: House) -> None:
    assert "x.pem: found neither PEM nor DER" in await house.not_brought(b"Dear Ida")
    assert "too many octets" in await house.not_brought(b"x" * ((4 << 20) + 10))


async def test_other_processes_see_a_change_when_they_look(house: House, tmp_path: Path) -> None:
    other = House(tmp_path, house.shared)
    await other.certificates.look()
    watching = asyncio.create_task(other.certificates.watch())
    await settle()
    await house.bring(house.made("otto@partner.example").file.read_bytes())
    assert other.certificates.recipient(OTTO).reason == NO_CERTIFICATE
    await other.clock.advance(LOOK)
    await settle()
    for _ in range(200):  # Reading certificates is a thread's.
        if other.certificates.recipient(OTTO).certificate is not None:
            break
        await asyncio.sleep(0.01)
    assert other.certificates.recipient(OTTO).certificate is not None
    watching.cancel()


async def known(house: House) -> bool:
    """Whether otto's certificate is used, once there was time to read it: that is a thread's."""
    for _ in range(200):
        if house.certificates.recipient(OTTO).certificate is not None:
            return True
        await asyncio.sleep(0.01)
    return False


class Late:
    """What is done after a process has learnt of a certificate late; it fails where it is told to."""

    def __init__(self, house: House) -> None:
        self.done = 0
        self.fault: Exception | None = None
        house.certificates.learnt_late = self

    async def __call__(self) -> None:
        self.done += 1
        if self.fault is not None:
            raise self.fault


async def test_a_word_of_another_process_is_heeded_before_the_next_look_is_due(house: House, tmp_path: Path) -> None:
    other = House(tmp_path, house.shared)
    late = Late(other)
    await other.certificates.look()
    watching = asyncio.create_task(other.certificates.watch())
    await settle()
    await house.bring(house.made("otto@partner.example").file.read_bytes())
    other.certificates.changed(late=False)
    assert await known(other)
    await settle()
    assert late.done == 0  # Whoever brought it in has what waits tried.
    watching.cancel()


@pytest.mark.parametrize("is_deaf", [True, False])
async def test_who_learns_late_has_tried_what_waits(house: House, tmp_path: Path, is_deaf: bool) -> None:
    """It may have tried that without the certificate, since it did not know of it, and put it off for hours."""
    other = House(tmp_path, house.shared)
    late = Late(other)
    await other.certificates.look()
    watching = asyncio.create_task(other.certificates.watch())
    while not other.clock.sleepers:
        await settle()
    await house.bring(house.made("otto@partner.example").file.read_bytes())
    late.fault = StorageBroken("the database is away")
    if is_deaf:
        await other.clock.advance(LOOK)
    else:
        other.certificates.changed(late=True)
    assert await known(other)
    while not other.told:
        await settle()
    assert late.done == 1 and other.told[-1]["event"] == "waiting_mail_not_tried"
    late.fault = None
    await house.ask("remove", name="otto@partner.example")
    while not other.clock.sleepers:
        await settle()
    await other.clock.advance(LOOK)  # What is gone makes nothing worth a try.
    await settle()
    assert late.done == 1 and not watching.done()
    watching.cancel()


async def test_what_was_read_goes_on_while_the_database_is_away(house: House) -> None:
    await house.bring(house.made("otto@partner.example").file.read_bytes())
    house.shared.away = StorageBroken("the database is away")
    await house.certificates.look()
    await house.certificates.look()
    assert house.certificates.recipient(OTTO).certificate is not None
    assert [one["event"] for one in house.told].count("certificates_not_read") == 1
    assert [one["code"] for one in house.certificates.warnings()] == ["certificates_not_read"]
    house.shared.away = None
    await house.certificates.look()
    assert house.certificates.warnings() == []


async def test_signatures_are_judged_by_anchors_and_by_what_was_imported(house: House) -> None:
    root = house.made(is_ca=True, common_name="Root")
    eve, otto = house.made("eve@partner.example", issuer=root), house.made("otto@partner.example")
    now = house.clock.now()

    def judged(one: Certificate) -> bool:
        try:
            house.certificates.trust.judge(of(one.certificate), now=now, purpose=Purpose.SIGN)
        except Untrusted:
            return False
        return True

    assert (judged(eve), judged(otto)) == (False, False)
    await house.bring(otto.file.read_bytes())
    assert (judged(eve), judged(otto)) == (False, True)
    house.terms = SmimeTerms(anchors=(of(root.certificate),))
    assert (judged(eve), judged(otto)) == (True, True)
    assert house.certificates.trust is house.certificates.trust  # What it remembers is worth something.


async def test_the_settings_identity_signs_for_those_who_have_none(house: House) -> None:
    await house.bring(house.both(house.made("gateway@corp.example")))
    assert house.certificates.signer(IDA).reason == NO_SIGNING_IDENTITY
    house.terms = SmimeTerms(signing_identity="gateway@corp.example")
    known = house.certificates.signer(IDA).known
    assert known is not None
    assert known.addresses == ("gateway@corp.example",)
    await house.bring(house.both(house.made("ida@corp.example")))
    known = house.certificates.signer(IDA).known
    assert known is not None
    assert known.addresses == ("ida@corp.example",)


async def test_certificates_that_end_are_told_unless_another_follows(house: House) -> None:
    ends = house.made("otto@partner.example", days=(-1, 20))
    await house.bring(ends.file.read_bytes())
    await house.bring(house.made("old@partner.example", days=(-60, -10)).file.read_bytes())
    await house.bring(house.made("long@partner.example", days=(-1, 400)).file.read_bytes())
    found = {one["code"]: one["text"] for one in house.certificates.warnings()}
    assert set(found) == {"smime_certificate_expires", "smime_certificate_expired"}
    assert "otto@partner.example" in found["smime_certificate_expires"]
    assert "old@partner.example" in found["smime_certificate_expired"]
    assert "long@" not in str(found)
    await house.bring(house.made("otto@partner.example", days=(-1, 300)).file.read_bytes())
    await house.bring(house.made("old@partner.example", days=(-1, 300)).file.read_bytes())
    assert house.certificates.warnings() == []


async def test_an_identity_is_followed_by_an_identity_alone(house: House) -> None:
    await house.bring(house.both(house.made("ida@corp.example", days=(-1, 20))))
    await house.bring(house.made("ida@corp.example", days=(-1, 300)).file.read_bytes())
    assert [one["code"] for one in house.certificates.warnings()] == ["smime_certificate_expires"]


async def test_many_that_end_make_one_warning(house: House) -> None:
    octets = b"".join(house.made(f"a{n}@partner.example", days=(-1, 20)).file.read_bytes() for n in range(8))
    await house.bring(octets)
    (found,) = house.certificates.warnings()
    assert "and 3 more" in found["text"]


def usage(**allowed: bool) -> x509.KeyUsage:
    words = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words.split()})
