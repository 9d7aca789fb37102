"""What is sealed for a recipient opens with his key; whatever else comes is told in a finding, without exception."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest
from asn1crypto import cms as asn1
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import (
    AES256_CBC,
    AES256_GCM,
    AUTH_ENVELOPED_DATA,
    CONTENT_CIPHERS,
    DATA,
    ENVELOPED_DATA,
    SIGNED_DATA,
    ContentCipher,
)
from gateway.smime.cms.enveloped import (
    MOST_TRIES,
    OpenedEnvelope,
    content_type,
    open_enveloped,
    seal_blocks,
    seal_enveloped,
)
from gateway.smime.cms.findings import Finding, Unusable
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from tests.fakes.chance import FakeChance
from tests.fakes.mail_keys import SEALABLE, certificate, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\nthe plain words\r\n"
CIPHERS = (AES256_CBC, AES256_GCM)


def keys(*kinds: str) -> DecryptionKeys:
    return DecryptionKeys([DecryptionKey.of(certificate(kind), private_key(kind)) for kind in kinds])


def sealed(*kinds: str, content: bytes = CONTENT, cipher: ContentCipher = AES256_CBC, **how: bool) -> bytes:
    return seal_enveloped(content, [recipient(certificate(kind), **how) for kind in kinds], cipher, FakeChance())


def opened(octets: bytes, *kinds: str) -> OpenedEnvelope:
    return open_enveloped(octets, keys(*kinds), FakeChance("opening"))


def by_hand(
    parameters: bytes, encrypted: bytes, *, oid: bytes, key: bytes, kind: bytes = ENVELOPED_DATA, behind: bytes = b""
) -> bytes:
    """An envelope for the RSA key around content that was encrypted here."""
    info = recipient(certificate("rsa")).info(key)
    inner = der.sequence(der.oid(DATA), der.algorithm(oid, parameters), der.element(0x80, encrypted))
    data = der.sequence(der.integer(0), der.set_of(info), inner, behind)
    return der.sequence(der.oid(kind), der.explicit(0, data))


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
@pytest.mark.parametrize("by_ski", [False, True], ids=["by serial", "by key identifier"])
@pytest.mark.parametrize("kind", SEALABLE)
def test_the_recipient_opens_it(kind: str, by_ski: bool, cipher: ContentCipher) -> None:
    found = opened(sealed(kind, cipher=cipher, by_ski=by_ski), "rsa", "p256", kind)
    assert found.content == CONTENT
    assert found.finding is None
    assert found.algorithm == cipher.name
    assert found.authenticated is (cipher is AES256_GCM)
    assert not found.weak
    assert found.key is not None
    assert found.key.certificate == certificate(kind)
    assert found.content_type == DATA


def test_oaep_opens_too() -> None:
    octets = sealed("rsa", oaep=True)
    assert opened(octets, "rsa").content == CONTENT
    info = asn1.ContentInfo.load(octets)["content"]["recipient_infos"][0].chosen
    assert info["key_encryption_algorithm"].native == {
        "algorithm": "rsaes_oaep",
        "parameters": {
            "hash_algorithm": {"algorithm": "sha256", "parameters": None},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256", "parameters": None}},
            "p_source_algorithm": {"algorithm": "p_specified", "parameters": b""},
        },
    }


def test_several_recipients_open_the_same() -> None:
    for cipher in CIPHERS:
        octets = sealed(*SEALABLE, cipher=cipher)
        assert [opened(octets, kind).content for kind in SEALABLE] == [CONTENT] * len(SEALABLE)
        assert opened(octets, "rsa:stranger").finding is Finding.NO_RECIPIENT_OF_OURS


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 4095, 4096, 3 * 1024 * 1024 + 5])
def test_content_of_any_length_in_any_blocks(length: int, cipher: ContentCipher) -> None:
    content = bytes(range(251)) * (length // 251 + 1)
    content = content[:length]
    blocks = [content[at : at + 1_000_003] for at in range(0, length, 1_000_003)]
    whole = b"".join(seal_blocks(length, blocks, [recipient(certificate("rsa"))], cipher, FakeChance()))
    assert opened(whole, "rsa").content == content
    if length < 5000:
        assert asn1.ContentInfo.load(whole, strict=True).native["content"]["version"] == "v0"


def test_the_same_length_is_made_whatever_the_blocks() -> None:
    assert len(sealed("rsa")) == len(
        b"".join(
            seal_blocks(
                len(CONTENT), [CONTENT[:9], CONTENT[9:]], [recipient(certificate("rsa"))], AES256_CBC, FakeChance()
            )
        )
    )


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
def test_blocks_of_another_length_are_refused(cipher: ContentCipher) -> None:
    for blocks in ([CONTENT], [CONTENT, b"x" * 7]):
        with pytest.raises(ValueError, match="announced"):
            list(seal_blocks(len(CONTENT) + 6, blocks, [recipient(certificate("rsa"))], cipher, FakeChance()))


def test_the_version_tells_what_is_inside() -> None:
    # RFC 5652 6.1: 0 for RSA by serial number alone, else 2; RFC 5083 2.1: always 0.
    def version(*kinds: str, cipher: ContentCipher = AES256_CBC, by_ski: bool = False) -> str:
        octets = sealed(*kinds, cipher=cipher, by_ski=by_ski)
        found: str = asn1.ContentInfo.load(octets)["content"]["version"].native
        return found

    assert version("rsa") == "v0"
    assert version("rsa", by_ski=True) == version("p256") == version("rsa", "p256") == "v2"
    assert version("p256", cipher=AES256_GCM) == "v0"


def test_an_envelope_for_nobody_is_not_made() -> None:
    with pytest.raises(ValueError, match="recipient"):
        seal_enveloped(CONTENT, [], AES256_CBC, FakeChance())


def test_each_envelope_has_keys_of_its_own() -> None:
    chance = FakeChance()
    for kind in ("rsa", "p256"):
        one, other = (seal_enveloped(CONTENT, [recipient(certificate(kind))], AES256_CBC, chance) for _ in range(2))
        assert one[-64:] != other[-64:]
        assert one != other


def test_what_another_reader_sees_is_der() -> None:
    for cipher in CIPHERS:
        octets = sealed("rsa", "p256", "x25519", cipher=cipher)
        whole = asn1.ContentInfo.load(octets, strict=True)
        assert whole["content_type"].native == (
            "enveloped_data" if cipher is AES256_CBC else "authenticated_enveloped_data"
        )
        copy = asn1.ContentInfo.load(octets)
        assert copy.native
        assert copy.dump(force=True) == octets


@pytest.mark.parametrize("kind", ["ed25519", "ed448"])
def test_a_key_that_only_signs_is_no_recipient(kind: str) -> None:
    with pytest.raises(Unusable):
        recipient(certificate(kind))
    with pytest.raises(Unusable):
        DecryptionKey.of(certificate(kind), private_key(kind))


def test_nothing_shows_a_private_key_or_content() -> None:
    key = DecryptionKey.of(certificate("rsa"), private_key("rsa"))
    found = opened(sealed("rsa"), "rsa")
    assert "private" not in repr(key)
    assert "plain words" not in repr(found)


# -- what others write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cipher", CONTENT_CIPHERS.values(), ids=lambda cipher: cipher.name)
def test_each_cipher_is_read_and_the_old_ones_are_weak(cipher: ContentCipher) -> None:
    key, vector = b"k" * cipher.key_octets, b"v" * cipher.block
    if cipher.name.endswith("gcm"):
        encrypted = AESGCM(key).encrypt(vector[:12], CONTENT, None)
        parameters = der.sequence(der.octet_string(vector[:12]), der.integer(16))
        octets = by_hand(
            parameters,
            encrypted[:-16],
            oid=cipher.oid,
            key=key,
            kind=AUTH_ENVELOPED_DATA,
            behind=der.octet_string(encrypted[-16:]),
        )
    else:
        padding = cipher.block - len(CONTENT) % cipher.block
        algorithm = {"des-ede3-cbc": TripleDES, "rc2-cbc": RC2}.get(cipher.name, AES)
        encryptor = Cipher(algorithm(key), CBC(vector)).encryptor()
        encrypted = encryptor.update(CONTENT + bytes([padding]) * padding) + encryptor.finalize()
        parameters = der.octet_string(vector)
        if cipher.name == "rc2-cbc":
            parameters = der.sequence(der.integer(58), parameters)
        octets = by_hand(parameters, encrypted, oid=cipher.oid, key=key)
    found = opened(octets, "rsa")
    assert found.content == CONTENT
    assert found.algorithm == cipher.name
    assert found.weak is (cipher.name in ("des-ede3-cbc", "rc2-cbc"))


def test_rc2_of_fewer_bits_is_not_read() -> None:
    rc2 = next(cipher for cipher in CONTENT_CIPHERS.values() if cipher.name == "rc2-cbc")
    for parameters in (der.sequence(der.integer(160), der.octet_string(bytes(8))), der.octet_string(bytes(8))):
        found = opened(by_hand(parameters, bytes(8), oid=rc2.oid, key=bytes(16)), "rsa")
        assert found.finding is Finding.ALGORITHM_UNKNOWN


def as_a_stream(octets: bytes) -> bytes:
    """The same envelope as software writes it that does not know the length beforehand."""
    whole = ber.read(octets)
    oid, choice = whole.members()
    version, infos, inner, *behind = choice.only().members()
    kind, algorithm, encrypted = inner.members()
    content = bytes(encrypted.content)
    pieces = b"".join(der.octet_string(content[at : at + 7]) for at in range(0, len(content), 7))
    end = b"\0\0"
    inner_ = b"\x30\x80" + bytes(kind.raw) + bytes(algorithm.raw) + b"\xa0\x80" + pieces + end + end
    rest = b"".join(bytes(one.raw) for one in behind)
    data = b"\x30\x80" + bytes(version.raw) + bytes(infos.raw) + inner_ + rest + end
    return b"\x30\x80" + bytes(oid.raw) + b"\xa0\x80" + data + end + end


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
def test_a_stream_of_indefinite_length_opens(cipher: ContentCipher) -> None:
    assert opened(as_a_stream(sealed("rsa", "p256", cipher=cipher)), "p256").content == CONTENT


def test_attributes_beside_the_content_are_authenticated() -> None:
    key, nonce = b"k" * 32, b"n" * 12
    attribute = der.sequence(der.oid(der.oid_octets("1.2.840.113549.1.9.3")), der.set_of(der.oid(DATA)))
    attributes = der.set_of(attribute)
    encrypted = AESGCM(key).encrypt(nonce, CONTENT, attributes)
    parameters = der.sequence(der.octet_string(nonce), der.integer(16))
    for told, right in ((attributes, True), (der.set_of(attribute, der.NULL), False)):
        behind = b"\xa1" + told[1:] + der.octet_string(encrypted[-16:])
        octets = by_hand(
            parameters, encrypted[:-16], oid=AES256_GCM.oid, key=key, kind=AUTH_ENVELOPED_DATA, behind=behind
        )
        found = opened(octets, "rsa")
        assert found.finding is (None if right else Finding.CONTENT_DAMAGED)


def test_a_short_tag_needs_its_length_told() -> None:
    key, nonce = b"k" * 32, b"n" * 12
    encrypted = AESGCM(key).encrypt(nonce, CONTENT, None)
    body, tag = encrypted[:-16], encrypted[-16:]
    for parameters, octets, finding in (
        (der.sequence(der.octet_string(nonce)), tag[:12], None),  # RFC 5084 3.2: 12 is the default
        (der.sequence(der.octet_string(nonce), der.integer(12)), tag[:12], None),
        (der.sequence(der.octet_string(nonce), der.integer(4)), tag[:4], Finding.STRUCTURE_BROKEN),
        (der.sequence(der.octet_string(nonce), der.integer(16)), tag[:12], Finding.STRUCTURE_BROKEN),
        (der.sequence(der.octet_string(b"n" * 7)), tag[:12], Finding.STRUCTURE_BROKEN),
    ):
        made = by_hand(
            parameters, body, oid=AES256_GCM.oid, key=key, kind=AUTH_ENVELOPED_DATA, behind=der.octet_string(octets)
        )
        assert opened(made, "rsa").finding is finding


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_ciphers_do_not_change_places() -> None:
    """Whoever turns AuthEnvelopedData into EnvelopedData with CBC could ask what the octets of GCM mean there."""
    for octets, wrong in (
        (sealed("rsa", cipher=AES256_GCM), der.oid(AES256_CBC.oid)),
        (sealed("rsa", cipher=AES256_CBC), der.oid(AES256_GCM.oid)),
    ):
        right = der.oid(AES256_GCM.oid if wrong == der.oid(AES256_CBC.oid) else AES256_CBC.oid)
        changed = octets.replace(right, wrong)
        assert changed != octets
        assert opened(changed, "rsa").finding is Finding.ALGORITHM_UNKNOWN


def test_one_octet_changed_in_gcm_is_damage() -> None:
    octets = sealed("rsa", cipher=AES256_GCM)
    for at in (len(octets) - 1, len(octets) - 16, len(octets) - 30):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        found = opened(changed, "rsa")
        assert found.finding is Finding.CONTENT_DAMAGED
        assert found.content is None


def with_key(octets: bytes, encrypted_key: bytes) -> bytes:
    info = asn1.ContentInfo.load(octets)
    info["content"]["recipient_infos"][0].chosen["encrypted_key"] = encrypted_key
    made: bytes = info.dump(force=True)
    return made


@pytest.mark.parametrize("oaep", [False, True], ids=["pkcs1", "oaep"])
@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
def test_wrong_padding_and_a_wrong_key_look_alike(cipher: ContentCipher, oaep: bool) -> None:
    """The attack of RFC 3218: thousands of changed keys are sent, and each answer tells if its padding was right."""
    octets = sealed("rsa", cipher=cipher, oaep=oaep, content=b"x" * 4096)
    public: Any = certificate("rsa").public_key()
    plain: Any = recipient(certificate("rsa"), oaep=oaep)
    attempts = [
        public.encrypt(b"k" * 32, plain.padding),
        public.encrypt(b"k" * 16, plain.padding),
        b"\x01" * 256,
        b"\x01" * 255,
        b"\xff" * 256,
        b"",
    ]
    found = {(one.finding, one.content, one.key) for one in (opened(with_key(octets, key), "rsa") for key in attempts)}
    assert found == {(Finding.CONTENT_DAMAGED, None, None)}


def test_a_wrong_key_under_ecdh_looks_the_same() -> None:
    info = asn1.ContentInfo.load(sealed("p256"))
    info["content"]["recipient_infos"][0].chosen["recipient_encrypted_keys"][0]["encrypted_key"] = b"k" * 40
    assert opened(info.dump(force=True), "p256").finding is Finding.CONTENT_DAMAGED


def test_a_key_of_another_kind_does_not_fit() -> None:
    octets = sealed("rsa")
    wrong = DecryptionKeys([DecryptionKey.of(certificate("rsa"), private_key("p256"))])
    assert open_enveloped(octets, wrong, FakeChance()).finding is Finding.KEY_DOES_NOT_FIT
    octets = sealed("p256")
    for kind in ("rsa", "x25519"):
        wrong = DecryptionKeys([DecryptionKey.of(certificate("p256"), private_key(kind))])
        assert open_enveloped(octets, wrong, FakeChance()).finding is Finding.KEY_DOES_NOT_FIT


def test_a_later_info_may_open_what_an_earlier_did_not() -> None:
    octets = sealed("rsa", "p256")
    wrong = DecryptionKey.of(certificate("rsa"), private_key("rsa:stranger"))
    right = DecryptionKey.of(certificate("p256"), private_key("p256"))
    found = open_enveloped(octets, DecryptionKeys([wrong, right]), FakeChance("opening"))
    assert found.content == CONTENT
    assert found.key == right


def test_all_of_ours_for_whom_it_was_encrypted_are_found_and_nobody_who_added_himself() -> None:
    octets = sealed("rsa", "p256", "x25519")
    found = opened(octets, "x25519", "p256", "rsa", "p384")
    assert {key.certificate for key in found.keys} == {certificate(kind) for kind in ("rsa", "p256", "x25519")}
    # Whoever has got hold of it knows no content key, so that an info of his own brings another one.
    parsed = asn1.ContentInfo.load(octets)
    infos = parsed["content"]["recipient_infos"]
    for kind in ("rsa:stranger", "p256:stranger"):
        infos.append(asn1.RecipientInfo.load(recipient(certificate(kind)).info(b"m" * 32)))
    found = opened(parsed.dump(force=True), "rsa", "rsa:stranger", "p256:stranger")
    assert found.content == CONTENT
    assert [key.certificate for key in found.keys] == [certificate("rsa")]


def test_an_info_that_cannot_be_read_behind_the_one_that_opens_it_changes_nothing() -> None:
    right = recipient(certificate("rsa")).info(b"k" * 32)
    vector = bytes(16)
    encrypted = Cipher(AES(b"k" * 32), CBC(vector)).encryptor().update(b"\x10" * 16)
    inner = der.sequence(
        der.oid(DATA), der.algorithm(AES256_CBC.oid, der.octet_string(vector)), der.element(0x80, encrypted)
    )
    data = der.sequence(der.integer(0), der.element(der.SET, right, der.sequence(der.integer(0))), inner)
    found = opened(der.sequence(der.oid(ENVELOPED_DATA), der.explicit(0, data)), "rsa")
    assert (found.content, len(found.keys)) == (b"", 1)


def test_padding_that_is_wrong_is_damage() -> None:
    key, vector = b"k" * 32, b"v" * 16
    for last in (b"\x00" * 16, b"\x11" * 16, b"\x02\x03" + b"\x01\x02" * 7):
        encryptor = Cipher(AES(key), CBC(vector)).encryptor()
        octets = by_hand(der.octet_string(vector), encryptor.update(last), oid=AES256_CBC.oid, key=key)
        expected = Finding.CONTENT_DAMAGED if last[-1] != 2 or last[-2] != 2 else None
        assert opened(octets, "rsa").finding is expected
    for encrypted in (b"", b"x" * 15):
        octets = by_hand(der.octet_string(vector), encrypted, oid=AES256_CBC.oid, key=key)
        assert opened(octets, "rsa").finding is Finding.CONTENT_DAMAGED


@pytest.mark.parametrize(
    ("octets", "finding"),
    [
        (b"", Finding.STRUCTURE_BROKEN),
        (b"plain text", Finding.STRUCTURE_BROKEN),
        (der.sequence(der.oid(SIGNED_DATA), der.explicit(0, der.sequence())), Finding.CONTENT_TYPE_UNKNOWN),
        (der.sequence(der.oid(ENVELOPED_DATA), der.explicit(0, der.sequence())), Finding.STRUCTURE_BROKEN),
        (
            der.sequence(
                der.oid(ENVELOPED_DATA),
                der.explicit(
                    0,
                    der.sequence(
                        der.integer(0), der.set_of(), der.sequence(der.oid(DATA), der.algorithm(AES256_CBC.oid))
                    ),
                ),
            ),
            Finding.CONTENT_MISSING,
        ),
        (by_hand(der.NULL, bytes(16), oid=AES256_CBC.oid, key=bytes(32)), Finding.STRUCTURE_BROKEN),
        (by_hand(b"", bytes(16), oid=AES256_CBC.oid, key=bytes(32)), Finding.STRUCTURE_BROKEN),
        (by_hand(der.NULL, bytes(16), oid=der.oid_octets("1.3.14.3.2.7"), key=bytes(8)), Finding.ALGORITHM_UNKNOWN),
    ],
    ids=range(8),
)
def test_what_is_no_envelope_has_a_finding(octets: bytes, finding: Finding) -> None:
    found = opened(octets, "rsa")
    assert found.finding is finding
    assert found.content is None


def test_an_unknown_cipher_is_told_by_its_identifier() -> None:
    octets = by_hand(der.NULL, bytes(16), oid=der.oid_octets("1.3.14.3.2.7"), key=bytes(8))
    assert opened(octets, "rsa").algorithm == "1.3.14.3.2.7"


def test_the_kind_is_told_without_opening() -> None:
    assert content_type(sealed("rsa")) == ENVELOPED_DATA
    assert content_type(as_a_stream(sealed("rsa", cipher=AES256_GCM))) == AUTH_ENVELOPED_DATA
    assert content_type(b"x") is Finding.STRUCTURE_BROKEN


def test_every_cut_is_told() -> None:
    for octets in (sealed("rsa", "p256"), as_a_stream(sealed("rsa", cipher=AES256_GCM))):
        for length in range(len(octets)):
            found = opened(octets[:length], "rsa")
            assert found.finding is not None
            assert found.content is None


def test_ten_thousand_recipients_are_looked_through_and_one_more_is_too_many() -> None:
    stranger = recipient(certificate("rsa:stranger")).info(bytes(32))
    ours = recipient(certificate("rsa")).info(b"k" * 32)
    vector = bytes(16)
    encryptor = Cipher(AES(b"k" * 32), CBC(vector)).encryptor()
    inner = der.sequence(
        der.oid(DATA),
        der.algorithm(AES256_CBC.oid, der.octet_string(vector)),
        der.element(0x80, encryptor.update(b"\x10" * 16)),
    )

    def made(count: int) -> bytes:
        infos = der.element(der.SET, *[stranger] * count, ours)
        return der.sequence(der.oid(ENVELOPED_DATA), der.explicit(0, der.sequence(der.integer(0), infos, inner)))

    began = time.process_time()
    assert opened(made(ber.MOST_MEMBERS - 1), "rsa").content == b""
    assert opened(made(ber.MOST_MEMBERS), "rsa").finding is Finding.TOO_MANY_MEMBERS
    assert time.process_time() - began < 5


def test_infos_that_all_name_us_are_tried_a_few_times_only() -> None:
    wrong = recipient(certificate("rsa")).info(b"w" * 32)
    right = recipient(certificate("rsa")).info(b"k" * 32)
    vector = bytes(16)
    encrypted = Cipher(AES(b"k" * 32), CBC(vector)).encryptor().update(b"\x10" * 16)
    algorithm = der.algorithm(AES256_CBC.oid, der.octet_string(vector))
    inner = der.sequence(der.oid(DATA), algorithm, der.element(0x80, encrypted))
    for count, content in ((MOST_TRIES - 1, b""), (MOST_TRIES, None)):
        infos = der.element(der.SET, *[wrong] * count, right)
        data = der.sequence(der.integer(0), infos, inner)
        octets = der.sequence(der.oid(ENVELOPED_DATA), der.explicit(0, data))
        assert opened(octets, "rsa").content == content


@pytest.mark.parametrize("cipher", CIPHERS, ids=lambda cipher: cipher.name)
def test_ten_mebibytes_stay_below_four_times_their_size(cipher: ContentCipher) -> None:
    content = bytes(10 * 1024 * 1024)
    tracemalloc.start()
    try:
        octets = sealed("rsa", content=content, cipher=cipher)
        sealing = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert opened(octets, "rsa").content == content
        opening = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # `content` was there before; the envelope is among what is held while it opens.
    assert sealing + len(content) < 4 * len(content)
    assert opening < 4 * len(content)
