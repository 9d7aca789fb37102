"""The little of XML that licences use is read; all else is refused, in bounded time."""

from __future__ import annotations

from time import process_time

import pytest

from gateway.rights.xrml.element import BadLicence, Element, escaped, tag
from gateway.rights.xrml.reader import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ELEMENTS, read


def test_elements_attributes_and_text_are_read() -> None:
    found = read('<A b="1" c = \'x"y\' xmlns=""><B/><C>some &lt;text&gt; &amp;&#65;&#x42;</C><B >2</B ></A>')
    assert found.attributes == {"b": "1", "c": 'x"y', "xmlns": ""}
    assert [child.name for child in found.children] == ["B", "C", "B"]
    assert found.one("C").text == "some <text> &AB"
    assert [one.text for one in found.all("B")] == ["", "2"]


def test_text_around_children_is_the_elements_own() -> None:
    assert read("<A>1<B>2</B>3</A>").text == "13"


def test_what_is_written_is_read() -> None:
    text = "a<b>&\"'\u00e4\U0001f512 "
    found = read(tag("A", tag("B", escaped(text)), type_=text, internal_id="1"))
    assert found == Element("A", {"type": text, "internal-id": "1"}, (Element("B", {}, (), text),), "")


@pytest.mark.parametrize("text", ["\x00", "\x0b", "\ud800", "\ufffe"])
def test_what_xml_can_not_hold_is_neither_written_nor_read(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        escaped(text)
    with pytest.raises(BadLicence):
        read(f"<A>{text}</A>")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "<A>",
        "</A>",
        "<A></B>",
        "<A><B></A></B>",
        "<A/><B/>",
        "<A/> ",
        " <A/>",
        "<A>x<</A>",
        "<A><1/></A>",
        "<A b=1/>",
        "<A b/>",
        '<A b="1" b="2"/>',
        '<A b="<"/>',
        "<A></A b='1'>",
        "<A><!-- x --></A>",
        "<A><![CDATA[x]]></A>",
        "<A><?x y?></A>",
        "<!DOCTYPE A><A/>",
        "<A>&nbsp;</A>",
        "<A>&amp</A>",
        "<A>& </A>",
        "<A>&#0;</A>",
        "<A>&#xd800;</A>",
        "<A>&#x110000;</A>",
        "<A>&#99999999999;</A>",
        "<A>&#;</A>",
        "<A b='&x;'/>",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        read(text)


def test_depth_has_an_end() -> None:
    read("<A>" * MAX_DEPTH + "</A>" * MAX_DEPTH)
    with pytest.raises(BadLicence, match="deep"):
        read("<A>" * (MAX_DEPTH + 1) + "</A>" * (MAX_DEPTH + 1))


def test_the_number_of_elements_has_an_end() -> None:
    read("<A>" + "<B/>" * (MAX_ELEMENTS - 1) + "</A>")
    with pytest.raises(BadLicence, match="many elements"):
        read("<A>" + "<B/>" * MAX_ELEMENTS + "</A>")


def test_the_number_of_attributes_has_an_end() -> None:
    def element(number: int) -> str:
        return "<A " + " ".join(f'a{n}="1"' for n in range(number)) + "/>"

    read(element(MAX_ATTRIBUTES))
    with pytest.raises(BadLicence, match="many attributes"):
        read(element(MAX_ATTRIBUTES + 1))


def test_an_element_that_stands_twice_is_no_one() -> None:
    found = read("<A><B><C/></B><D/><D/></A>")
    assert found.one("B", "C").name == "C"
    assert found.maybe("E") is None
    for path in (("D",), ("E",), ("B", "D")):
        with pytest.raises(BadLicence):
            found.one(*path)
    with pytest.raises(BadLicence):
        found.maybe("D")


@pytest.mark.parametrize(
    "text",
    ["<" * 300_000, "<A " * 100_000, "<A" + " " * 300_000, "<A" + ' b="1"' * 100_000, "&" * 300_000, "<A>" * 99_999],
)
def test_hostile_repetition_takes_bounded_time(text: str) -> None:
    began = process_time()
    with pytest.raises(BadLicence):
        read(text)
    with pytest.raises(BadLicence):
        read(f"<A>{text}</A>")
    assert process_time() - began < 2
