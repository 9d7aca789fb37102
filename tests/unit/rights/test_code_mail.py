"""The mail that brings a code: what it says, and what it must not."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

import pytest

from gateway.mail.address import parse_address
from gateway.mail.envelope import Body
from gateway.mail.mail import Mail
from gateway.rights.branding import Branding
from gateway.rights.code_mail import CodeMail, DoorMail, code_mail, door_mail
from gateway.rights.wording import WORDINGS

NOW = 1_793_693_520.0


def made(to: str = "otto@partner.example", **branding: str) -> tuple[Mail, EmailMessage]:
    about = CodeMail(
        id="Q1",
        author=parse_address("portal@corp.example"),
        to=parse_address(to),
        code="01234567",
        reference="KX7P",
        now=NOW,
        ends=NOW + 900,
    )
    mail = code_mail(about, Branding(**{"name": "Corp", **branding}))  # type: ignore[arg-type]
    octets = mail.message.content.inline
    assert octets is not None and b"01234567" in octets and "01234567" not in repr(about)
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return mail, found


@pytest.mark.parametrize("language", list(WORDINGS))
def test_both_texts_have_the_code_its_page_and_its_end(language: str) -> None:
    mail, found = made(language=language)
    assert "KX7P" in found["Subject"] and "01234567" not in found["Subject"]
    for kind in ("plain", "html"):
        part = found.get_body((kind,))
        assert part is not None
        said = part.get_content()
        assert "01234567" in said and "KX7P" in said and WORDINGS[language].date(NOW + 900) in said
        if kind == "html":  # Mail programs on the web take off `html` and `body`, and with them the direction.
            assert f'lang="{language}" dir="{"rtl" if WORDINGS[language].is_rtl else "ltr"}" class="page"' in said
        assert "http" not in said  # A link in a mail with a code is what phishing looks like.
    assert mail.message.head == mail.message.content.inline


@pytest.mark.parametrize("language", list(WORDINGS))
def test_a_door_has_its_link_and_no_code(language: str) -> None:
    link = "https://portal.corp.example/m/A/door/B&C"
    about = DoorMail(
        id="Q1",
        author=parse_address("portal@corp.example"),
        to=parse_address("otto@partner.example"),
        link=link,
        now=NOW,
        ends=NOW + 7200,
    )
    mail = door_mail(about, Branding(name="Corp", language=language))
    octets = mail.message.content.inline
    assert octets is not None and link not in repr(about)
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    assert mail.envelope.sender is None and found["Auto-Submitted"] == "auto-generated"
    for kind, written in (("plain", link), ("html", link.replace("&", "&amp;"))):
        part = found.get_body((kind,))
        assert part is not None
        said = part.get_content()
        assert said.count(written) == (3 if kind == "html" else 1) and WORDINGS[language].date(NOW + 7200) in said
        assert not re.search(r"\b[0-9]{8}\b", said)


def test_no_program_answers_it() -> None:
    mail, found = made()
    assert mail.envelope.sender is None and mail.client is None
    assert [one.notify for one in mail.envelope.recipients] == ["NEVER"]
    assert (found["Auto-Submitted"], found["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert found["From"] == '"Corp: Protected mail" <portal@corp.example>'
    assert found["Message-ID"] == "<Q1@corp.example>"
    assert mail.envelope.body is Body.SEVEN_BIT


def test_an_address_beyond_ascii_says_so() -> None:
    mail, _ = made("jörg@partner.example")
    assert mail.envelope.smtputf8 and mail.envelope.body is Body.EIGHT_BIT_MIME


@pytest.mark.parametrize("name", ['a "b" \\ c', "<script>", "Bänk\r\nBcc: x@y.example"])
def test_a_name_is_nothing_but_a_name(name: str) -> None:
    _, found = made(name=name)
    assert found["Bcc"] is None
    assert [one.addr_spec for one in found["From"].addresses] == ["portal@corp.example"]
    part = found.get_body(("html",))
    assert part is not None and "<script" not in part.get_content()


@pytest.mark.parametrize(("code", "reference"), [("1234567", "A"), ("1234567x", "A"), ("12345678", "a b"), ("", "A")])
def test_what_is_no_code_is_not_mailed(code: str, reference: str) -> None:
    address = parse_address("x@y.example")
    with pytest.raises(ValueError, match=r"passcode|reference"):
        CodeMail(id="Q", author=address, to=address, code=code, reference=reference, now=NOW, ends=NOW)
