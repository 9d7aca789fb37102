"""A licence's text is cut at its roots, and each root into its BODY and SIGNATURE."""

from __future__ import annotations

import pytest

from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.root import MAX_LICENCE, MAX_ROOTS, PROLOGUE, root, roots, written

BODY = "<BODY type='x'><A/></BODY>"
SIGNATURE = "<SIGNATURE><VALUE>1</VALUE></SIGNATURE>"
ROOT = written(BODY, SIGNATURE)


def test_roots_stand_one_behind_the_other() -> None:
    assert roots(PROLOGUE + ROOT + ROOT) == (ROOT, ROOT)
    assert roots(f"{PROLOGUE}\n{ROOT}\r\n {ROOT}\n\0\0") == (ROOT, ROOT)
    assert roots(ROOT) == (ROOT,)


def test_a_body_is_taken_as_it_stands() -> None:
    text = (
        f'<XrML version="1.2" xmlns="" purpose="Content-License">\r\n <BODY  a = "&#65;">\n x</BODY> {SIGNATURE}</XrML>'
    )
    found = root(text)
    assert found.body == '<BODY  a = "&#65;">\n x</BODY>'
    assert found.purpose == "Content-License"
    assert found.signature is not None
    assert found.signature.one("VALUE").text == "1"


def test_rights_data_have_no_signature() -> None:
    assert root(written(BODY), signed=False).body == BODY
    with pytest.raises(BadLicence):
        root(written(BODY))
    with pytest.raises(BadLicence):
        root(ROOT, signed=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROLOGUE,
        "x" + ROOT,
        ROOT + "x",
        ROOT + "<XrML>",
        "\ufeff" + ROOT,
        "<!DOCTYPE x>" + ROOT,
        '<!DOCTYPE x [<!ENTITY a "b">]>' + ROOT,
        PROLOGUE + PROLOGUE + ROOT,
        ROOT + PROLOGUE + ROOT,
        ROOT.replace("<A/>", "<!-- x -->"),
        ROOT.replace("<A/>", "<?x?>"),
        '<?xml version="1.0" standalone="no"?>' + ROOT,
    ],
)
def test_what_is_no_row_of_roots_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        root(roots(text)[0])


@pytest.mark.parametrize(
    "text",
    [
        written(BODY + BODY, SIGNATURE),
        written(BODY, SIGNATURE + SIGNATURE),
        written(SIGNATURE + BODY),
        written(BODY.replace("<A/>", BODY), SIGNATURE),
        written(f"<X>{BODY}</X>", SIGNATURE),
        written(BODY, f"<X>{SIGNATURE}</X>"),
        written(BODY, SIGNATURE + "<X/>"),
        written("x" + BODY, SIGNATURE),
        written("</BODY><BODY>", SIGNATURE),
        written(BODY.replace("<A/>", "<XrML x='1'>"), SIGNATURE),
        f"<XrMLx>{BODY}{SIGNATURE}</XrML>",
        written(SIGNATURE.replace("1", BODY)),
    ],
)
def test_a_root_that_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        root(roots(text)[0])


def test_a_licence_has_an_end() -> None:
    fill = " " * (MAX_LICENCE - len(ROOT))
    assert roots(ROOT + fill) == (ROOT,)
    with pytest.raises(BadLicence, match="long"):
        roots(ROOT + fill + " ")


def test_the_number_of_roots_has_an_end() -> None:
    assert len(roots(ROOT * MAX_ROOTS)) == MAX_ROOTS
    with pytest.raises(BadLicence, match="roots"):
        roots(ROOT * (MAX_ROOTS + 1))


def test_elements_are_counted_over_all_roots() -> None:
    large = written("<BODY>" + "<A/>" * 10_500 + "</BODY>", SIGNATURE)
    roots(large)
    with pytest.raises(BadLicence, match="elements"):
        roots(large + large)
