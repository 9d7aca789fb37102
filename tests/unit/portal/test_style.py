"""Style sheets and attributes of a mail, cleaned."""

from __future__ import annotations

import pytest

from gateway.portal.style import MAX_INLINE, Loads, clean_declarations, clean_sheet


@pytest.mark.parametrize(
    ("style", "clean"),
    [
        ("color:red", "color:red"),
        ("COLOR : Red ; Font: 12px/1.4 'Helvetica Neue', Arial", 'color:Red;font:12px/1.4 "Helvetica Neue", Arial'),
        ("margin:0 auto!important", "margin:0 auto !important"),
        ("width:calc(100% - 2px)", "width:calc(100% - 2px)"),
        ("c\\6flor:red", "color:red"),
        ("background:linear-gradient(90deg, red, blue)", "background:linear-gradient(90deg, red, blue)"),
        ("position:fixed;top:0;left:0;z-index:9", ""),
        ("width:expression(alert(1))", ""),
        ("content:'x'", ""),
        ("--x:url(//e)", ""),
        ("color:var(--x)", ""),
        ("background-attachment:fixed", ""),
        ("animation:x 1s", ""),
        ("color:red;}p{color:blue", "color:red"),
        ("width:min(" + "(" * 60 + "1px", ""),
        ("", ""),
    ],
)
def test_properties_pass_by_list(style: str, clean: str) -> None:
    assert clean_declarations(style, Loads()) == clean


@pytest.mark.parametrize(
    "value",
    [
        "url(//e)",
        "URL( '//e' )",
        "u\\72l(//e)",
        "url(data:image/png;base64,AA)",
        "image-set('//e' 1x)",
        "min(url(//e))",
    ],
)
def test_what_loads_is_counted_and_left_out(value: str) -> None:
    loads = Loads()
    assert clean_declarations(f"background:red {value};color:blue", loads) == "color:blue"
    assert loads.count == 1


def test_of_rules_media_queries_alone_stay() -> None:
    loads = Loads()
    sheet = (
        "@import 'a.css';@font-face{src:url(x)}@keyframes x{from{color:red}}"
        "@media print{p{color:red}@media screen{b{color:#fff}}}"
    )
    assert clean_sheet(sheet, loads) == "@media print{p{color:red}\n@media screen{b{color:#fff}}}"
    assert loads.count == 2


def test_no_sheet_can_end_its_element() -> None:
    cleaned = clean_sheet("a[title='</style><script>']{color:red} b{font-family:'</style>'}", Loads())
    assert "<" not in cleaned
    assert "color:red" in cleaned


def test_a_style_beyond_the_limit_is_read_as_far_as_it_goes() -> None:
    style = "color:red;" + "margin:0;" * (MAX_INLINE // 9) + "padding:0"
    assert "padding" not in clean_declarations(style, Loads())
    assert clean_declarations(style, Loads()).startswith("color:red;margin:0")
