"""A signature that we make is good, one that was tampered with is bad and says why, an old one is weak."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asn1crypto import cms as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, x25519

from gateway.keys.vault import Unavailable
from gateway.mail.opened import SignatureStatus
from gateway.smime.cms import attributes, ber, der
from gateway.smime.cms.algorithms import DATA, MD5, SHA1, SHA256, SHA512, SIGNED_DATA, Digest
from gateway.smime.cms.findings import Finding, Unusable
from gateway.smime.cms.identifiers import Identifier, Named
from gateway.smime.cms.schemes import Scheme
from gateway.smime.cms.signed import (
    MOST_CERTIFICATES,
    MOST_SIGNERS,
    CertificateIndex,
    ReadSigned,
    SignerFinding,
    read_signed,
)
from gateway.smime.cms.signing import MemoryKey, Signer, sign
from tests.fakes.mail_keys import SIGNING, authority, certificate, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\nthe plain words\r\n"
NOW = 1_700_000_000.0
SHA256_RSA = der.algorithm(der.oid_octets("1.2.840.113549.1.1.11"), der.NULL)
RSA = der.algorithm(der.oid_octets("1.2.840.113549.1.1.1"), der.NULL)


def signer(kind: str = "p256", **how: Any) -> Signer:
    return Signer.of(certificate(kind), private_key(kind), **how)


def only(found: ReadSigned) -> SignerFinding:
    assert found.finding is None
    (one,) = found.signers
    return one


def status(found: ReadSigned) -> tuple[str, str | None]:
    one = only(found)
    return one.status, one.reason


@pytest.mark.parametrize("now", [None, NOW, NOW + 1])
@pytest.mark.parametrize("digest", [bytes(32), b"\xff" * 32, SHA256.of([CONTENT]), SHA512.of([CONTENT])])
def test_attributes_are_those_of_the_content_and_the_moment_in_der(digest: bytes, now: float | None) -> None:
    """What is the same in many signatures is kept: nothing of another message or second may stay in it."""
    signed: list[bytes] = []

    class Key:
        def sign(self, data: bytes, scheme: Scheme) -> bytes:
            signed.append(data)
            return b"signature"

    one = signer().with_key(Key())
    for other, moment in ((b"x" * len(digest), now), (digest, NOW + 7), (digest, now)):
        one.info(other, moment)
    wanted = [attributes.CONTENT_IS_DATA, attributes.attribute(attributes.MESSAGE_DIGEST, der.octet_string(digest))]
    wanted += [*one.told, *([] if now is None else [attributes.signing_time(now)])]
    assert signed[-1] == der.set_of(*wanted)
    assert len(set(signed)) == len(signed)


def test_a_key_that_signs_no_mail_is_refused_whatever_it_was_asked_before() -> None:
    for _ in range(2):
        with pytest.raises(Unusable, match="signs no mail"):
            MemoryKey(x25519.X25519PrivateKey.generate())
        with pytest.raises(Unusable, match="signs no mail"):
            MemoryKey(object())


@pytest.mark.parametrize("detached", [True, False], ids=["clear", "opaque"])
@pytest.mark.parametrize("by_ski", [False, True], ids=["by serial", "by key identifier"])
@pytest.mark.parametrize("kind", [*SIGNING, "rsa-pss"])
def test_a_signature_is_good(kind: str, by_ski: bool, detached: bool) -> None:
    pss = kind == "rsa-pss"
    kind = "rsa" if pss else kind
    octets = sign(CONTENT, [signer(kind, pss=pss, by_ski=by_ski)], now=NOW, detached=detached)
    found = read_signed(octets, CONTENT if detached else None)
    one = only(found)
    assert (one.status, one.reason) == (SignatureStatus.GOOD, None)
    assert one.certificate == certificate(kind)
    assert one.time == NOW
    assert one.capabilities == attributes.OUR_CAPABILITIES
    assert found.content == (None if detached else CONTENT)
    assert found.content_type == DATA
    assert found.certificates == (certificate(kind),)


def test_what_we_say_of_the_algorithm() -> None:
    expected = {
        "rsa": ("rsa-sha-256", "sha-256"),
        "p256": ("ecdsa-sha-256", "sha-256"),
        "p384": ("ecdsa-sha-384", "sha-384"),
        "p521": ("ecdsa-sha-512", "sha-512"),
        "ed25519": ("ed25519", "sha-512"),  # RFC 8419 3.1
        "ed448": ("ed448", "shake256"),
    }
    for kind, (name, micalg) in expected.items():
        one = signer(kind)
        assert (only(read_signed(sign(CONTENT, [one], now=NOW), CONTENT)).algorithm, one.micalg) == (name, micalg)
    assert signer("rsa", pss=True).scheme.name == "rsa-pss-sha-256"


def test_what_another_reader_sees_is_der_with_the_signed_attributes() -> None:
    one = signer("rsa", pss=True, chain=[authority()], encryption=certificate("rsa:open"))
    octets = sign(CONTENT, [one], now=NOW, detached=False)
    whole = asn1.ContentInfo.load(octets, strict=True)
    data = whole["content"]
    assert data["version"].native == "v1"
    assert data["encap_content_info"]["content"].native == CONTENT
    assert len(data["certificates"]) == 3
    info = data["signer_infos"][0]
    told = {attribute["type"].dotted: attribute["values"] for attribute in info["signed_attrs"]}
    assert told["1.2.840.113549.1.9.3"][0].native == "data"
    assert told["1.2.840.113549.1.9.4"][0].native == SHA256.of([CONTENT])
    assert told["1.2.840.113549.1.9.5"][0].native.timestamp() == NOW
    assert set(told) == {
        "1.2.840.113549.1.9.3",
        "1.2.840.113549.1.9.4",
        "1.2.840.113549.1.9.5",
        "1.2.840.113549.1.9.15",
        "1.2.840.113549.1.9.16.2.11",
        "1.2.840.113549.1.9.16.2.47",
    }
    encoded = [attribute.dump() for attribute in info["signed_attrs"]]
    assert encoded == sorted(encoded)
    parameters = info["signature_algorithm"]["parameters"]
    assert parameters["salt_length"].native == 32
    assert parameters["hash_algorithm"]["algorithm"].native == "sha256"
    copy = asn1.ContentInfo.load(octets)
    assert copy.native
    assert copy.dump(force=True) == octets


def test_the_preference_names_the_certificate_for_answers() -> None:
    octets = sign(CONTENT, [signer("p256", encryption=certificate("rsa"))], now=None)
    one = only(read_signed(octets, CONTENT))
    named = Named.of(certificate("rsa"))
    assert one.preference == Identifier(issuer=named.issuer, serial=named.serial)
    assert one.time is None


def test_content_may_come_in_blocks_both_ways() -> None:
    blocks: list[bytes | memoryview] = [CONTENT[:7], memoryview(CONTENT)[7:20], CONTENT[20:]]
    for detached in (True, False):
        octets = sign(blocks, [signer()], now=NOW, detached=detached)
        assert status(read_signed(octets, blocks if detached else None)) == ("good", None)
        assert status(read_signed(octets, CONTENT if detached else None)) == ("good", None)


def test_several_signers_have_a_finding_each() -> None:
    octets = sign(CONTENT, [signer("p256"), signer("ed25519"), signer("rsa", by_ski=True)], now=NOW)
    found = read_signed(octets, CONTENT)
    assert sorted(one.algorithm or "" for one in found.signers) == ["ecdsa-sha-256", "ed25519", "rsa-sha-256"]
    assert {one.status for one in found.signers} == {SignatureStatus.GOOD}
    assert asn1.ContentInfo.load(octets)["content"]["version"].native == "v3"
    assert read_signed(octets, b"other").signers[0].reason is Finding.DIGEST_MISMATCH


def test_a_key_elsewhere_signs_what_it_is_given() -> None:
    class Vault:
        def sign(self, data: bytes, scheme: Scheme) -> bytes:
            made: bytes = private_key("p256").sign(data, ec.ECDSA(scheme.digest.make()))
            return made

    octets = sign(CONTENT, [Signer.of(certificate("p256"), Vault())], now=NOW)
    assert status(read_signed(octets, CONTENT)) == ("good", None)


def test_a_vault_that_is_away_is_not_hidden() -> None:
    class Away:
        def sign(self, data: bytes, scheme: Scheme) -> bytes:
            raise Unavailable("away")

    with pytest.raises(Unavailable):
        sign(CONTENT, [Signer.of(certificate("p256"), Away())], now=NOW)


def test_a_key_that_signs_nothing_is_refused() -> None:
    for kind in ("x25519", "x448"):
        with pytest.raises(Unusable):
            signer(kind)
    with pytest.raises(Unusable):
        Signer.of(certificate("p256"), private_key("x25519"))
    with pytest.raises(ValueError, match="nobody"):
        sign(CONTENT, [], now=NOW)


def test_nothing_shows_a_private_key_or_content() -> None:
    found = read_signed(sign(CONTENT, [signer()], now=NOW, detached=False))
    assert "plain words" not in repr(found)
    assert "key" not in repr(signer())


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_changed_content_is_a_mismatch() -> None:
    found = read_signed(sign(CONTENT, [signer()], now=NOW), CONTENT.replace(b"plain", b"other"))
    assert status(found) == ("bad", "digest-mismatch")
    assert only(found).certificate == certificate("p256")  # who claims to have signed


def test_a_content_inside_that_differs_from_the_one_beside_is_a_mismatch() -> None:
    octets = sign(CONTENT, [signer()], now=NOW, detached=False)
    assert status(read_signed(octets, CONTENT)) == ("good", None)
    assert status(read_signed(octets, b"what a reader of the other part sees")) == ("bad", "digest-mismatch")
    # Signed is what stands beside; inside is something else, which some would show.
    data = asn1.ContentInfo.load(sign(CONTENT, [signer()], now=NOW))
    data["content"]["encap_content_info"]["content"] = b"shown to others"
    assert status(read_signed(data.dump(force=True), CONTENT)) == ("bad", "digest-mismatch")


def test_a_changed_signature_and_changed_attributes_are_wrong() -> None:
    for kind in ("rsa", "p256", "ed25519"):
        octets = sign(CONTENT, [signer(kind)], now=NOW)
        changed = octets[:-1] + bytes([octets[-1] ^ 1])
        assert status(read_signed(changed, CONTENT)) == ("bad", "signature-wrong")
        changed = octets.replace(der.time(NOW), der.time(NOW + 1))
        assert changed != octets
        assert status(read_signed(changed, CONTENT)) == ("bad", "signature-wrong")


def test_the_certificate_may_be_known_beforehand() -> None:
    for by_ski in (False, True):
        octets = without_certificates(sign(CONTENT, [signer(by_ski=by_ski)], now=NOW))
        found = read_signed(octets, CONTENT)
        assert status(found) == ("bad", "certificate-missing")
        assert only(found).identifier is not None
        known = CertificateIndex([certificate("rsa"), certificate("p256")])
        assert status(read_signed(octets, CONTENT, known=known.find)) == ("good", None)
        assert status(read_signed(octets, CONTENT, known=CertificateIndex([]).find)) == ("bad", "certificate-missing")


def without_certificates(octets: bytes) -> bytes:
    info = asn1.ContentInfo.load(octets)
    info["content"]["certificates"] = None
    made: bytes = info.dump(force=True)
    return made


def test_another_certificate_of_the_same_key_is_not_the_signers() -> None:
    """RFC 5035 3: who puts another certificate into a message, of the same key and name, changes who signed it."""
    key = private_key("p256")
    octets = without_certificates(sign(CONTENT, [signer()], now=NOW))
    other = certificate("p256", serial=Named.of(certificate("p256")).serial, with_ski=False)
    assert other != certificate("p256")
    assert other.public_key() == key.public_key()
    found = read_signed(octets, CONTENT, known=CertificateIndex([other]).find)
    assert status(found) == ("bad", "certificate-differs")
    both = CertificateIndex([other, certificate("p256")])
    found = read_signed(octets, CONTENT, known=both.find)
    assert (status(found), only(found).certificate) == (("good", None), certificate("p256"))


def test_a_certificate_of_another_key_makes_the_signature_wrong() -> None:
    serial = Named.of(certificate("p256")).serial
    octets = without_certificates(sign(CONTENT, [signer()], now=NOW))
    for kind, reason in (("p256:other", "signature-wrong"), ("rsa", "key-does-not-fit")):
        known = CertificateIndex([certificate(kind, serial=serial)])
        assert status(read_signed(octets, CONTENT, known=known.find)) == ("bad", reason)


def test_signed_data_without_signers_gives_its_certificates() -> None:
    info = asn1.ContentInfo.load(sign(CONTENT, [signer(chain=[authority()])], now=NOW))
    info["content"]["signer_infos"] = []
    found = read_signed(info.dump(force=True))
    assert found.finding is Finding.SIGNATURE_MISSING
    assert set(found.certificates) == {certificate("p256"), authority()}


def test_a_signature_without_content_has_none() -> None:
    assert read_signed(sign(CONTENT, [signer()], now=NOW)).finding is Finding.CONTENT_MISSING
    assert status(read_signed(sign(b"", [signer()], now=NOW, detached=False))) == ("good", None)


@pytest.mark.parametrize("octets", [b"", b"x", der.sequence(der.oid(SIGNED_DATA), der.explicit(0, der.sequence()))])
def test_what_is_no_signature_has_a_finding(octets: bytes) -> None:
    assert read_signed(octets, CONTENT).finding is Finding.STRUCTURE_BROKEN


def test_every_cut_is_told() -> None:
    octets = sign(CONTENT, [signer()], now=NOW, detached=False)
    for length in range(len(octets)):
        assert read_signed(octets[:length]).finding is Finding.STRUCTURE_BROKEN


# -- what others write ------------------------------------------------------------------------------------------------


def by_hand(
    kind: str,
    signature: bytes,
    *,
    told: bytes | None,
    digest: Digest = SHA256,
    algorithm: bytes = SHA256_RSA,
    content: bytes = CONTENT,
    content_type: bytes = DATA,
    infos: int = 1,
    certificates: bytes | None = None,
) -> bytes:
    """An opaque signature of other hands. `told`: the attributes as they are sent, whatever their form."""
    one = certificate(kind)
    info = der.sequence(
        der.integer(1),
        Named.of(one).issuer_and_serial(),
        digest.identifier,
        b"" if told is None else b"\xa0" + told[1:],
        algorithm,
        der.octet_string(signature),
    )
    inside = der.sequence(der.oid(content_type), der.explicit(0, der.octet_string(content)))
    inner = certificates if certificates is not None else one.public_bytes(der_encoding())
    data = der.sequence(
        der.integer(1),
        der.set_of(digest.identifier),
        inside,
        der.explicit(0, inner),
        der.element(der.SET, info * infos),
    )
    return der.sequence(der.oid(SIGNED_DATA), der.explicit(0, data))


def der_encoding() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def told(content: bytes = CONTENT, digest: Digest = SHA256, *more: bytes, content_type: bytes = DATA) -> list[bytes]:
    return [
        attributes.attribute(attributes.CONTENT_TYPE, der.oid(content_type)),
        attributes.attribute(attributes.MESSAGE_DIGEST, der.octet_string(digest.of([content]))),
        *more,
    ]


def rsa_signature(data: bytes, digest: Digest = SHA256, kind: str = "rsa") -> bytes:
    made: bytes = private_key(kind).sign(data, padding.PKCS1v15(), digest.make())
    return made


def test_a_signature_over_the_content_alone_is_good() -> None:
    octets = by_hand("rsa", rsa_signature(CONTENT), told=None)
    assert status(read_signed(octets)) == ("good", None)
    assert status(read_signed(by_hand("rsa", rsa_signature(CONTENT + b"x"), told=None))) == ("bad", "signature-wrong")


def test_attributes_shown_as_content_are_refused() -> None:
    """The attack: the attributes of somebody's signature are sent as the content, without any; the signature holds."""
    signed = der.set_of(*told())
    octets = by_hand("rsa", rsa_signature(signed), told=None, content=signed)
    assert status(read_signed(octets)) == ("bad", "attributes-wrong")


def test_sha_1_is_weak_and_md5_is_bad() -> None:
    for digest, expected in ((SHA1, "weak"), (MD5, "bad")):
        signed = der.set_of(*told(CONTENT, digest))
        algorithm = der.algorithm(der.oid_octets("1.2.840.113549.1.1.1"), der.NULL)
        octets = by_hand("rsa", rsa_signature(signed, digest), told=signed, digest=digest, algorithm=algorithm)
        assert status(read_signed(octets)) == (expected, "weak-algorithm")


def test_a_weak_digest_of_the_content_makes_a_strong_signature_weak() -> None:
    signed = der.set_of(*told(CONTENT, SHA1))
    octets = by_hand("rsa", rsa_signature(signed), told=signed, digest=SHA1)
    assert status(read_signed(octets)) == ("weak", "weak-algorithm")


def test_a_short_key_is_weak() -> None:
    signed = der.set_of(*told())
    octets = by_hand("rsa-1024", rsa_signature(signed, kind="rsa-1024"), told=signed)
    assert status(read_signed(octets)) == ("weak", "weak-algorithm")


def test_dsa_of_old_is_weak() -> None:
    signed = der.set_of(*told(CONTENT, SHA1))
    signature = private_key("dsa").sign(signed, hashes.SHA1())
    algorithm = der.algorithm(der.oid_octets("1.2.840.10040.4.3"))
    octets = by_hand("dsa", signature, told=signed, digest=SHA1, algorithm=algorithm)
    assert status(read_signed(octets)) == ("weak", "weak-algorithm")


def test_pss_by_its_defaults_is_sha_1() -> None:
    signed = der.set_of(*told())
    scheme = padding.PSS(padding.MGF1(hashes.SHA1()), 20)
    signature = private_key("rsa").sign(signed, scheme, hashes.SHA1())
    algorithm = der.algorithm(der.oid_octets("1.2.840.113549.1.1.10"), der.sequence())
    octets = by_hand("rsa", signature, told=signed, algorithm=algorithm)
    assert (status(read_signed(octets)), only(read_signed(octets)).algorithm) == (
        ("weak", "weak-algorithm"),
        "rsa-pss-sha-1",
    )


def test_attributes_that_are_sent_in_another_order_or_form_are_signed_in_der() -> None:
    # RFC 5652 5.4: signed is the DER, whatever is sent.
    parts = told(CONTENT, SHA256, attributes.signing_time(NOW))
    signed = der.set_of(*parts)
    reverse = der.element(der.SET, *sorted(parts, reverse=True))
    assert reverse != signed
    for sent in (reverse, b"\x31\x80" + b"".join(sorted(parts)) + b"\0\0", b"\x31\x80" + reverse[2:] + b"\0\0"):
        assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=sent))) == ("good", None)
    # Some sign what they send, or what they would send if they knew its length.
    for sent in (reverse, b"\x31\x80" + reverse[2:] + b"\0\0"):
        assert status(read_signed(by_hand("rsa", rsa_signature(reverse), told=sent))) == ("good", None)


@pytest.mark.parametrize(
    "parts",
    [
        told()[:1],
        told()[1:],
        [*told(), *told()[:1]],
        [*told(), *told()[1:]],
        told(content_type=SIGNED_DATA),
        [told()[0], attributes.attribute(attributes.MESSAGE_DIGEST)],
        [told()[0], attributes.attribute(attributes.MESSAGE_DIGEST, der.octet_string(b"a"), der.octet_string(b"b"))],
    ],
    ids=range(7),
)
def test_attributes_that_are_missing_or_twice_there_are_wrong(parts: list[bytes]) -> None:
    signed = der.set_of(*parts)
    assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=signed))) == ("bad", "attributes-wrong")


def test_content_of_another_type_needs_attributes() -> None:
    other = der.oid_octets("1.2.840.113549.1.9.16.1.4")
    octets = by_hand("rsa", rsa_signature(CONTENT), told=None, content_type=other)
    assert status(read_signed(octets)) == ("bad", "attributes-wrong")
    signed = der.set_of(*told(content_type=other))
    found = read_signed(by_hand("rsa", rsa_signature(signed), told=signed, content_type=other))
    assert (status(found), found.content_type) == (("good", None), other)


def test_the_older_attribute_binds_the_certificate_too() -> None:
    octets = certificate("rsa").public_bytes(der_encoding())
    for named, expected in ((octets, ("good", None)), (octets + b"x", ("bad", "certificate-differs"))):
        value = der.sequence(der.sequence(der.sequence(der.octet_string(SHA1.of([named])))))
        signed = der.set_of(*told(CONTENT, SHA256, attributes.attribute(attributes.SIGNING_CERTIFICATE, value)))
        assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=signed))) == expected
        digest = der.sequence(SHA512.identifier, der.octet_string(SHA512.of([named])))
        value = der.sequence(der.sequence(digest))
        signed = der.set_of(*told(CONTENT, SHA256, attributes.attribute(attributes.SIGNING_CERTIFICATE_V2, value)))
        assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=signed))) == expected


def test_a_signing_time_of_an_odd_form_is_none() -> None:
    time_ = attributes.attribute(attributes.SIGNING_TIME, der.element(der.UTC_TIME, b"2311142213+0100"))
    signed = der.set_of(*told(CONTENT, SHA256, time_))
    found = read_signed(by_hand("rsa", rsa_signature(signed), told=signed))
    assert (status(found), only(found).time) == (("good", None), None)


def test_an_issuer_that_was_written_anew_as_another_string_is_found() -> None:
    named = Named.of(certificate("p256"))
    anew = named.issuer.replace(b"\x0c\x07Test CA", b"\x13\x07TEST CA")
    assert anew != named.issuer
    assert named.is_meant(Identifier(issuer=anew, serial=named.serial))
    assert not named.is_meant(Identifier(issuer=anew.replace(b"TEST", b"REST"), serial=named.serial))
    assert not named.is_meant(Identifier(issuer=b"x", serial=named.serial))


def test_signers_and_certificates_have_a_limit() -> None:
    signed = der.set_of(*told())
    signature = rsa_signature(signed)
    began = time.process_time()
    found = read_signed(by_hand("rsa", signature, told=signed, infos=MOST_SIGNERS))
    assert [one.status for one in found.signers] == [SignatureStatus.GOOD] * MOST_SIGNERS
    many = by_hand("rsa", signature, told=signed, infos=MOST_SIGNERS + 1)
    assert read_signed(many).finding is Finding.TOO_MANY_MEMBERS
    one = certificate("rsa").public_bytes(der_encoding())
    much = by_hand("rsa", signature, told=signed, certificates=one * MOST_CERTIFICATES)
    assert status(read_signed(much)) == ("good", None)
    much = by_hand("rsa", signature, told=signed, certificates=one * (MOST_CERTIFICATES + 1))
    assert read_signed(much).finding is Finding.TOO_MANY_MEMBERS
    assert time.process_time() - began < 5


def test_attributes_have_a_limit() -> None:
    def odd(count: int) -> bytes:
        more = [attributes.attribute(der.oid_octets(f"1.2.3.{at}"), der.NULL) for at in range(count)]
        return der.set_of(*told(CONTENT, SHA256, *more))

    signed = odd(attributes.MOST_ATTRIBUTES - 2)
    assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=signed))) == ("good", None)
    signed = odd(attributes.MOST_ATTRIBUTES - 1)
    assert status(read_signed(by_hand("rsa", rsa_signature(signed), told=signed))) == ("bad", "too-many-members")


def test_a_certificate_that_can_not_be_read_is_nobodys() -> None:
    signed = der.set_of(*told())
    good = certificate("rsa").public_bytes(der_encoding())
    of_version_8 = good.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07")
    assert of_version_8 != good
    for broken in (der.sequence(der.integer(1)), of_version_8, der.octet_string(b"x")):
        found = read_signed(by_hand("rsa", rsa_signature(signed), told=signed, certificates=broken + good))
        assert (status(found), found.certificates) == (("good", None), (certificate("rsa"),))


def test_unknown_algorithms_are_told() -> None:
    signed = der.set_of(*told())
    unknown = der.algorithm(der.oid_octets("1.2.3.4"))
    octets = by_hand("rsa", rsa_signature(signed), told=signed, algorithm=unknown)
    assert status(read_signed(octets)) == ("bad", "algorithm-unknown")
    other = Digest("x", der.oid_octets("1.2.3.5"), hashes.SHA256)
    octets = by_hand("rsa", rsa_signature(signed), told=signed, digest=other)
    assert status(read_signed(octets)) == ("bad", "algorithm-unknown")


def test_a_signature_of_another_kind_of_key_does_not_fit() -> None:
    signed = der.set_of(*told())
    octets = by_hand("p256", rsa_signature(signed), told=signed, algorithm=RSA)
    assert status(read_signed(octets)) == ("bad", "key-does-not-fit")


def test_a_certificate_of_version_1_is_named_too() -> None:
    assert isinstance(certificate("p256"), x509.Certificate)
    tbs = ber.read(certificate("p256").tbs_certificate_bytes).members()

    class Old:
        tbs_certificate_bytes = der.sequence(*[bytes(one.raw) for one in tbs[1:7]])
        extensions = certificate("p256").extensions

    assert Named.of(Old()) == Named.of(certificate("p256"))  # type: ignore[arg-type]
