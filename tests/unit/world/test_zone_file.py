"""Names out of a file of records, in each form in which people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.world.names import MAX_TEXT, MAX_TEXTS, Mx, NamesUnavailable, NoSuchName
from gateway.world.zone_file import MAX_FILE, ZoneFault, ZoneNames


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    return tmp_path / "zone"


def read(zone: Path, text: str) -> ZoneNames:
    zone.write_text(text)
    return ZoneNames(zone)


async def test_a_line_is_name_type_and_value(zone: Path) -> None:
    names = read(zone, "; records\n# more\n\nA.test TXT v=DKIM1; p=abc\na.test. TXT another\nb.test TXT  x  y \n")
    assert await names.txt("a.test") == (b"v=DKIM1; p=abc", b"another")
    assert await names.txt("B.test.") == (b"x  y",)


async def test_lines_of_a_zone_file_are_read_too(zone: Path) -> None:
    names = read(
        zone,
        'a.test. 3600 IN TXT "v=DKIM1; " "p=a\\"b"\n'
        "c.test. IN MX 20 B.test.\nc.test. IN MX 10 a.test.\n"
        "a.test. 60 A 192.0.2.1\na.test. AAAA 2001:db8::1\n"
        'd.test. IN TXT (\n   "one "\n   "two")\ne.test TXT (\n"three"\n)\n',
    )
    assert await names.txt("a.test") == (b'v=DKIM1; p=a"b',)
    assert await names.txt("d.test") == (b"one two",)
    assert await names.txt("e.test") == (b"three",)
    assert await names.mx("c.test") == (Mx(10, "a.test"), Mx(20, "b.test"))
    assert await names.addresses("a.test") == ("2001:db8::1", "192.0.2.1")
    assert await names.addresses("192.0.2.9") == ("192.0.2.9",)


async def test_the_short_form_may_be_continued(zone: Path) -> None:
    names = read(zone, "s._domainkey.a.test: \\\n  v=DKIM1; k=rsa; \\\n  p=abc\n\nb.test: x: y\n")
    assert await names.txt("s._domainkey.a.test") == (b"v=DKIM1; k=rsa; p=abc",)
    assert await names.txt("b.test") == (b"x: y",)


async def test_what_is_not_there_does_not_exist_and_other_types_are_empty(zone: Path) -> None:
    names = read(zone, "a.test TXT x\n")
    with pytest.raises(NoSuchName):
        await names.txt("b.test")
    assert await names.mx("a.test") == ()


async def test_a_name_may_fail(zone: Path) -> None:
    names = read(zone, "a.test: TEMPERROR\nb.test TXT SERVFAIL\nc.test: PERMERROR\n")
    for name in ("a.test", "b.test"):
        with pytest.raises(NamesUnavailable):
            await names.txt(name)
    with pytest.raises(NoSuchName):
        await names.txt("c.test")


async def test_what_is_too_much_is_cut_as_by_the_dns(zone: Path) -> None:
    names = read(zone, f"a.test TXT {'x' * (MAX_TEXT + 1)}\n" + "b.test TXT x\n" * (MAX_TEXTS + 1))
    assert [len(one) for one in await names.txt("a.test")] == [MAX_TEXT]
    assert len(await names.txt("b.test")) == MAX_TEXTS


@pytest.mark.parametrize("text", ["nothing\n", "a.test TXT\n", "a.test NS b.test\n", "x\n" + "a.test TXT x\n"])
def test_a_line_that_is_no_record_is_named(zone: Path, text: str) -> None:
    with pytest.raises(ZoneFault, match=r"zone, line 1: no record; right would be"):
        read(zone, text)


def test_a_file_too_large_is_refused(zone: Path) -> None:
    zone.write_bytes(b";" * MAX_FILE)
    ZoneNames(zone)
    zone.write_bytes(b";" * (MAX_FILE + 1))
    with pytest.raises(ZoneFault, match="1 MiB"):
        ZoneNames(zone)
