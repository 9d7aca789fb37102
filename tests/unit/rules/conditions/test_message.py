"""The message as a whole: its size, its kind, and what we found out about its sender."""

from __future__ import annotations

import pytest

from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.opened import COMPRESSED, Layer, LayerKind, Opened
from tests.fakes.judging import judge, letter, matching, rule

KINDS = (
    *("oof", "auto_forward", "encrypted", "calendaring", "permission_controlled", "voicemail", "signed"),
    *("approval_request", "read_receipt"),
)


def test_the_size_is_that_of_the_message_as_sent() -> None:  # r24
    message = letter("x" * 1000)
    assert matching("message_size_over", len(message) - 1, message=message)
    assert not matching("message_size_over", len(message), message=message)


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n", "encrypted"),  # r32
        ("Content-Type: application/x-pkcs7-mime; smime-type=authEnveloped-data\r\n", "encrypted"),
        ('Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n', "encrypted"),
        ('Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n', "signed"),  # r33
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n", "signed"),
        ("Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n", "oof"),  # r34
        ("Content-Type: text/calendar; method=REQUEST\r\n", "calendaring"),
        ("Content-Type: message/disposition-notification\r\n", "read_receipt"),
        ("", None),
    ],
)
def test_what_kind_it_is(headers: str, kind: str | None) -> None:
    message = letter("--b\r\n\r\nx\r\n--b--\r\n", headers=f"MIME-Version: 1.0\r\n{headers}")
    found = [one for one in KINDS if matching("message_type_matches", one, message=message)]
    assert found == ([] if kind is None else [kind])


def test_a_message_with_rights_has_its_licence_attached() -> None:  # r35
    kind = "application/x-microsoft-rpmsg-message; name=message.rpmsg"
    body = f"--b\r\n\r\nx\r\n--b\r\nContent-Type: {kind}\r\n\r\nx\r\n--b--\r\n"
    message = letter(body, headers="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
    assert matching("message_type_matches", "permission_controlled", message=message)


def test_several_kinds_are_any_of_them() -> None:
    message = letter(headers="MIME-Version: 1.0\r\nContent-Type: text/calendar\r\n")
    assert matching("message_type_matches", ["signed", "calendaring"], message=message)


def test_what_is_only_compressed_is_not_encrypted() -> None:
    """Else a rule that spares what is encrypted already would let it out, and everybody can read it."""
    layer = Layer(kind=LayerKind.ENVELOPED, ok=False, reason=COMPRESSED)
    assert not matching("message_type_matches", "encrypted", opened=Opened(layers=(layer,)))


def test_what_was_opened_counts_as_what_it_was() -> None:
    opened = Opened(layers=(Layer(kind=LayerKind.ENVELOPED, ok=True), Layer(kind=LayerKind.SIGNED)), octets=letter())
    assert matching("message_type_matches", "encrypted", opened=opened)
    assert matching("message_type_matches", "signed", opened=opened)
    assert not matching("message_type_matches", "encrypted")


def signed(*verdicts: Verdict) -> Authentication:
    return Authentication(dkim=tuple(DkimResult(verdict=one, domain="partner.example") for one in verdicts))


@pytest.mark.parametrize(
    ("value", "authentication", "hits"),
    [
        ({"dkim": "pass"}, signed(Verdict.PASS), True),
        ({"dkim": "pass"}, signed(Verdict.FAIL, Verdict.PASS), True),
        ({"dkim": ["fail", "none"]}, signed(Verdict.FAIL), True),
        ({"dkim": "pass"}, signed(Verdict.FAIL), False),
        ({"dkim": "none"}, signed(Verdict.NONE), True),
        ({"dkim": "none"}, None, True),
        ({"dkim": "pass"}, None, False),
    ],
)
def test_our_own_judgement_counts(value: object, authentication: Authentication | None, hits: bool) -> None:
    assert bool(matching("authentication_results", value, authentication=authentication)) is hits


def test_what_others_claim_of_authentication_does_not_count() -> None:
    claimed = letter(headers="Authentication-Results: corp.example; dkim=pass header.d=corp.example\r\n")
    assert not judge(rule("a", {"authentication_results": {"dkim": "pass"}}), message=claimed).matched
