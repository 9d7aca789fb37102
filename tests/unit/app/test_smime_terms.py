"""The section [smime] and the files that it names: judged, watched, and told before they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.app.check import check
from gateway.app.own_certificates import SOON, certificate_warnings
from gateway.app.renewal import Renewal
from gateway.app.smime_terms import judge_smime, smime_terms
from gateway.app.terms import policy
from gateway.settings.fault import BadSettings
from gateway.settings.load import Loaded
from gateway.smime.certificate import of
from gateway.smime.terms import SmimeTerms
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.clock import FakeClock
from tests.fakes.settings import PLAIN, settings_in


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make_certificate(folder, is_ca=True, common_name="Root", days=(-1, 60))
        self.other = make_certificate(folder, is_ca=True, common_name="Other", days=(-1, 90))
        self.clock = FakeClock(self.root.certificate.not_valid_before_utc.timestamp() + 86400)

    def put(self, name: str, *some: Certificate, more: bytes = b"") -> None:
        """Another file in the place of the former, as `cp` by a new inode does."""
        path = self.folder / "new"
        path.write_bytes(b"".join(one.file.read_bytes() for one in some) + more)
        os.replace(path, self.folder / name)

    def settings(self, text: str) -> Loaded:
        return settings_in(self.folder, PLAIN + "[smime]\n" + text)

    def faults(self, text: str) -> list[str]:
        loaded = self.settings(text)
        return [f"{one.key}: {one.severity}: {one.found}" for one in judge_smime(loaded)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_section_becomes_values(house: House) -> None:
    house.put("a.pem", house.root, house.other)
    house.put("b.pem", house.root)
    text = """
    trust_anchors = ["a.pem", "b.pem"]
    cipher = "aes256-gcm"
    digest = "sha512"
    sign_opaque = true
    signing_identity = "Gateway@Corp.Example"
    deliver_decrypted = true
    """
    assert smime_terms(house.settings(text)) == SmimeTerms(
        cipher="aes256-gcm",
        digest="sha512",
        sign_opaque=True,
        signing_identity="gateway@corp.example",
        deliver_decrypted=True,
        anchors=(of(house.root.certificate), of(house.other.certificate)),
    )
    assert smime_terms(house.settings("")) == SmimeTerms()


def test_what_is_wrong_with_an_anchor_is_named(house: House) -> None:
    leaf = make_certificate(house.folder, "otto@partner.example", issuer=house.root, common_name="Otto")
    house.put("good.pem", house.root)
    house.put("leaf.pem", leaf)
    house.put("key.pem", house.root, more=house.root.key_file.read_bytes())
    house.put("empty.pem")
    house.put("broken.pem", more=b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (house.folder / "folder").mkdir()
    assert house.faults('trust_anchors = ["good.pem"]') == []
    found = house.faults(
        'trust_anchors = ["none.pem", "key.pem", "empty.pem", "broken.pem", "folder", "leaf.pem", "good.pem"]'
    )
    for place, words in enumerate(
        ("error: no file", "error: a private key in", "error: an empty file", "the file's number 1", "can't be read")
    ):
        assert found[place].startswith(f"smime.trust_anchors[{place}]: error: ")
        assert words in found[place]
    assert found[5].startswith("smime.trust_anchors[5]: warning: the certificate of")
    assert len(found) == 6
    with pytest.raises(BadSettings) as caught:
        smime_terms(house.settings('trust_anchors = ["none.pem", "good.pem"]'))
    assert len(caught.value.faults) == 1


def test_a_signing_identity_is_an_address(house: House) -> None:
    assert house.faults('signing_identity = "the gateway"') == ['smime.signing_identity: error: "the gateway"']
    assert house.faults('signing_identity = "gateway@corp.example"') == []


def test_check_tells_all_that(house: House) -> None:
    house.settings('trust_anchors = ["none.pem"]\nsigning_identity = "nobody"')
    keys = [one.key for one in check(house.folder / "gateway.toml", house.clock, ask=False)]
    assert "smime.trust_anchors[0]" in keys
    assert "smime.signing_identity" in keys


def test_an_anchors_end_is_told_before_it_comes(house: House) -> None:
    house.put("a.pem", house.root)
    loaded = house.settings('trust_anchors = ["a.pem"]')
    end = house.root.certificate.not_valid_after_utc.timestamp()
    assert certificate_warnings(loaded, end - SOON - 1) == []
    (found,) = certificate_warnings(loaded, end - SOON + 1)
    assert found["code"] == "certificate_expires"
    assert found["text"].startswith("smime.trust_anchors[0] names a certificate that expires at")
    (found,) = certificate_warnings(loaded, end + 1)
    assert found["code"] == "certificate_not_valid"


def test_another_file_is_taken_up_and_a_bad_one_is_not(house: House) -> None:
    house.put("a.pem", house.root)
    loaded = house.settings('trust_anchors = ["a.pem"]')
    renewal, before = Renewal(loaded), policy(loaded)
    assert before.smime.anchors == (of(house.root.certificate),)
    assert renewal.look(before) == (before, [])
    house.put("a.pem", house.root, house.other)
    after, renewed = renewal.look(before)
    assert renewed == ["smime"]
    assert len(after.smime.anchors) == 2
    house.put("a.pem", more=b"half written")
    for _ in range(2):
        assert renewal.look(after) == (after, [])
    assert "smime" in renewal.failing
    assert "neither PEM nor DER" in renewal.failing["smime"]
