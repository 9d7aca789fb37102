"""Internationalised domain names, against what IDNA of 2008 and browsers make of them."""

from __future__ import annotations

import pytest

from gateway.mail.a_labels import a_labels, u_labels
from gateway.mail.address import BadAddress, normal_domain


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("b\u00fccher.example", "xn--bcher-kva.example"),  # RFC 5891's own kind of example.
        ("fa\u00df.de", "xn--fa-hia.de"),  # UTS #46, section 2: of old this was fass.de.
        ("\u03b2\u03cc\u03bb\u03bf\u03c2.com", "xn--nxasmm1c.com"),  # Likewise.
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3.com", "xn--10cl1a0b660p.com"),  # A joiner where the script needs it.
        ("\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com", "xn--mgba3gch31f060k.com"),
        ("\u65e5\u672c\u8a9e\u3002jp", "xn--wgv71a119e.jp"),  # Their full stop is one.
        ("B\u00dcCHER.\uff25\uff38", "xn--bcher-kva.ex"),
        ("\u2603.net", "xn--n3h.net"),  # There are domains with symbols.
        ("plain.example", "plain.example"),
    ],
)
def test_a_name_is_what_browsers_ask_for(written: str, name: str) -> None:
    assert a_labels(written) == normal_domain(written) == name
    assert a_labels(u_labels(name)) == name


@pytest.mark.parametrize(
    "written",
    [
        "a\u200db.de",
        "\u0301a.de",
        "\u202ea.de",
        "\udc80.de",
        "\u2100.de",
        "xn--a-\u00fc.de",
        "\u3002",
        "a\u3002\u3002b",
        "\u00fc" * 60,
        "".join(map(chr, range(0x4E00, 0x4E00 + 1000))),
    ],
)
def test_what_no_name_can_have_is_no_domain(written: str) -> None:
    with pytest.raises(BadAddress):
        normal_domain(written)


@pytest.mark.parametrize("name", ["xn--a.de", "xn--\u00fc.de", "xn--fass-.de", "xn--99999999999.de"])
def test_a_label_that_stands_for_nothing_is_shown_as_nothing(name: str) -> None:
    with pytest.raises(ValueError):
        u_labels(name)
