"""Rights data: who may do what, until when. What is not understood is granted to nobody."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from gateway.rights.right import ALL, Right
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY
from gateway.rights.xrml import rights_data
from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.rights_data import MAX_GRANTS, RightsData, RightsForm, read_rights_data, who
from tests.fakes.rights import NOW, OWNER, READER

WORK = UUID("12345678-1234-5678-1234-567812345678")
READERS = (READER, "Eva@partner.example")


def text(**changed: Any) -> str:
    usual: dict[str, Any] = {
        "work": WORK,
        "owner": OWNER,
        "readers": READERS,
        "template": DO_NOT_FORWARD,
        "issued": NOW,
        "expires": None,
        "original_sha256": "ab" * 32,
    }
    values = usual | changed
    return RightsForm(values.pop("template")).text(**values)


def data(said: str) -> RightsData:
    return read_rights_data(said, OWNER)


def test_what_is_written_is_read() -> None:
    found = data(text(expires=NOW + 86400))
    assert found.work == WORK
    assert (found.issued, found.begins, found.ends) == (NOW, NOW, NOW + 86400)
    assert found.grants == {OWNER: ALL, READER: DO_NOT_FORWARD.rights, "eva@partner.example": DO_NOT_FORWARD.rights}
    assert found.readers == READERS
    assert found.template == "do-not-forward"
    assert found.original_sha256 == "ab" * 32


def test_each_right_of_each_principal_stands_alone() -> None:
    said = text()
    assert said.count("<RIGHT ") == 1 + 2 * len(DO_NOT_FORWARD.rights)
    assert (
        '<RIGHT name="VIEW"><CONDITIONLIST><ACCESS><PRINCIPAL><OBJECT><ID type="Unspecified"/><NAME>ben@partner.example'
        "</NAME></OBJECT></PRINCIPAL></ACCESS></CONDITIONLIST></RIGHT>"
    ) in said


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said,
        lambda said: said.replace("Eva@", "E&amp;&#118;&quot;a@"),
        lambda said: said.replace('"FORWARD"', '"UNKNOWN"'),
        lambda said: said.replace(READER, OWNER),
    ],
)
def test_reading_each_condition_once_says_the_same_as_reading_all(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = change(text(template=ENCRYPT_ONLY, expires=NOW + 60))
    quick = data(said)
    monkeypatch.setattr(rights_data, "_listed", lambda body: None)
    assert data(said) == quick


def test_rights_among_white_space_are_read_too() -> None:
    assert data(text().replace("<RIGHT ", "\n <RIGHT  ").replace("<NAME>", "<NAME>\r\n ")) == data(text())


def test_form_2_names_the_right_by_the_element() -> None:
    said = text(template=ENCRYPT_ONLY)
    form_2 = re.sub(r'<RIGHT name="(VIEW|PRINT|EDIT|FORWARD|VIEWRIGHTSDATA)">(.*?)</RIGHT>', r"<\1>\2</\1>", said)
    assert "<VIEW><CONDITIONLIST>" in form_2
    assert data(form_2) == data(said)
    odd = re.sub(r'<RIGHT name="(EXTRACT|OWNER)">(.*?)</RIGHT>', r"<\1>\2</\1>", said)
    assert data(odd).grants[READER] == ENCRYPT_ONLY.rights - {Right.EXTRACT}
    assert OWNER not in data(odd).grants


@pytest.mark.parametrize("condition", ["<METERED/>", "<TIME><RANGETIME/></TIME>", "<TIME><X/></TIME>"])
def test_a_right_with_a_condition_that_is_not_kept_is_granted_to_nobody(condition: str) -> None:
    said = text(readers=(READER,)).replace(
        '<RIGHT name="REPLY"><CONDITIONLIST>', f'<RIGHT name="REPLY"><CONDITIONLIST>{condition}'
    )
    assert data(said).grants[READER] == DO_NOT_FORWARD.rights - {Right.REPLY}


def test_days_for_which_a_licence_may_be_kept_are_no_condition_of_ours() -> None:
    kept = "<TIME><INTERVALTIME days='30'/></TIME>"
    assert data(text().replace("<CONDITIONLIST>", f"<CONDITIONLIST>{kept}")).grants == data(text()).grants


def test_the_owner_may_be_meant_without_being_named() -> None:
    meant = '<ID type="Internal">Owner</ID>'
    said = text().replace(f'<ID type="Unspecified"/><NAME>{OWNER}</NAME>', meant)
    assert data(said).grants[OWNER] == ALL
    assert "" not in read_rights_data(said, "").grants


def test_groups_such_as_everybody_are_nobody() -> None:
    said = text().replace(f'<ID type="Unspecified"/><NAME>{READER}', f'<ID type="Internal">Anyone</ID><NAME>{READER}')
    assert set(data(said).grants) == {OWNER, "eva@partner.example"}


def test_a_template_of_others_has_no_name() -> None:
    without = re.sub(r'<AUTHENTICATEDDATA id="APPSPECIFIC" name="template.name">[^<]*</AUTHENTICATEDDATA>', "", text())
    assert data(without).template == "do-not-forward"
    assert data(without.replace(str(DO_NOT_FORWARD.guid), str(WORK))).template is None
    assert data(re.sub("<DESCRIPTOR>.*?</DESCRIPTOR>", "", without)).template is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Microsoft Rights Template", "Microsoft Rights Label"),
        ("<RIGHTSGROUP ", "<RIGHTS "),
        ("<RIGHTSLIST>", "<RIGHTSLIST/><RIGHTSLIST>"),
        ("</ISSUEDTIME>", "</ISSUEDTIME><ISSUEDTIME>2026-11-03T08:12</ISSUEDTIME>"),
        ("2026-11-03T08:12", "soon"),
        ("ab" * 32, "ab" * 31),
        ("template.name", "original.sha256"),
        ("{12345678", "12345678"),
        ("<CONDITIONLIST>", "<CONDITIONS>"),
        ("<ACCESS>", "<ACCESS><PRINCIPAL/>"),
        ("<UNTIL>", "<UNTIL>2027-01-01T00:00</UNTIL><UNTIL>"),
        ("</WORK>", "</WORK><WORK/>"),
        ("</XrML>", "</XrML><XrML/>"),
        ("</XrML>", ""),
        ("<BODY", "<!-- --><BODY"),
    ],
)
def test_what_is_no_rights_data_is_refused(old: str, new: str) -> None:
    said = text(expires=NOW + 60)
    assert old in said
    with pytest.raises(BadLicence):
        data(said.replace(old, new))


def test_lists_that_are_turned_around_are_refused() -> None:
    said = text()
    turned = (
        said.replace("<RIGHTSLIST>", "<X/>")
        .replace("</RIGHTSLIST>", "")
        .replace("<WORK>", "</RIGHTSLIST><RIGHTSLIST><WORK>")
    )
    with pytest.raises(BadLicence):
        data(turned)


def test_the_number_of_rights_has_an_end() -> None:
    def many(number: int) -> str:
        one = re.search(r'<RIGHT name="VIEW">.*?</RIGHT>', text())
        assert one is not None
        return re.sub("<RIGHTSLIST>.*</RIGHTSLIST>", f"<RIGHTSLIST>{one[0] * number}</RIGHTSLIST>", text())

    assert data(many(MAX_GRANTS)).grants == {READER: {Right.VIEW}}
    with pytest.raises(BadLicence, match="too many rights"):
        data(many(MAX_GRANTS + 1))


def test_one_person_is_one_however_written() -> None:
    assert who(" Ben@PARTNER.example ") == who('"ben"@partner.example.') == "ben@partner.example"
    assert who("jörg@bücher.example") == who("JO\u0308RG@xn--bcher-kva.example")
    assert who("CORP\\ben") == "corp\\ben"


def test_nothing_is_shown() -> None:
    assert READER not in repr(data(text()))
    assert "ab" * 32 not in repr(data(text()))
