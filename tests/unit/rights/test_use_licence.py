"""Use licences: given to whoever may read, in both forms; refused to everybody else."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from gateway.mail.digest import Hashed
from gateway.rights.container.inner import Inner
from gateway.rights.enabling import BadBits, open_key
from gateway.rights.job import SealedMessage
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import ALL, Right
from gateway.rights.sealing import seal
from gateway.rights.template import DO_NOT_FORWARD
from gateway.rights.tenant import Mode, TenantAway, TenantDenied, TenantVersion
from gateway.rights.use_licence import UseLicence, grant, write_use_licence
from gateway.rights.xrml.binary import read_base64
from gateway.rights.xrml.reader import read
from gateway.rights.xrml.root import Root, root, roots
from gateway.rights.xrml.signature import verify
from tests.fakes.chance import FakeChance
from tests.fakes.rights import NOW, OWNER, READER, URL, FakeTenant, foreign, job, nobody, private_key

MESSAGE = b"Subject: Figures\r\n\r\nNobody else may see them.\r\n"


def sealed(**changed: Any) -> SealedMessage:
    return seal(MESSAGE, job(template=DO_NOT_FORWARD, **changed), FakeTenant(), FakeChance())


def granted(octets: bytes, tenant: FakeTenant | None = None, **changed: Any) -> UseLicence:
    usual: dict[str, Any] = {"principal": READER, "now": NOW + 30, "is_revoked": nobody}
    return grant(octets, tenant or FakeTenant(), **(usual | changed))


def test_a_reader_is_given_his_rights_until_the_end() -> None:
    message = sealed(expires=NOW + 86400)
    assert json.loads(json.dumps(granted(message.rpmsg).to_json())) == {
        "version": 1,
        "work": str(message.work),
        "owner": OWNER,
        "principal": READER,
        "rights": ["VIEW", "EDIT", "REPLY", "REPLYALL", "OBJMODEL", "DOCEDIT"],
        "template": "do-not-forward",
        "issued": "2026-11-03T08:12:30.000Z",
        "expires": "2026-11-04T08:12:00.000Z",
    }


@pytest.mark.parametrize("principal", [OWNER, None])
def test_the_owner_and_a_super_user_are_given_all_rights_for_ever(principal: str | None) -> None:
    licence = granted(sealed(expires=NOW).rpmsg, principal=principal)
    assert (licence.rights, licence.expires) == (ALL, None)
    assert licence.to_json()["expires"] is None


def test_nobody_else_is_given_any() -> None:
    octets = sealed(expires=NOW + 60).rpmsg

    def everybody(work: UUID, principal: str) -> bool:
        return True

    for reason, changed in (
        (Reason.EXPIRED, {"now": NOW + 60}),
        (Reason.NOT_A_READER, {"principal": "eve@x.example"}),
        (Reason.REVOKED, {"is_revoked": everybody}),
        (Reason.NOT_OURS, {"tenant": FakeTenant(private_key(number=2))}),
    ):
        with pytest.raises(NotOpened) as caught:
            granted(octets, **changed)
        assert caught.value.reason is reason


def test_the_content_is_not_decrypted_for_it() -> None:
    """Only the licence is read: a content that is no compound file does not matter to it."""
    octets = foreign(Inner(None, None, (), None), content=lambda octets: octets[:8] + bytes(len(octets) - 8))
    assert granted(octets).rights


def taken_apart(text: str) -> Root:
    (one,) = roots(text)
    return root(one)


def test_as_xrml_it_says_the_same_and_the_tenant_key_signs() -> None:
    message = sealed(expires=NOW + 86400)
    tenant = FakeTenant()
    found = taken_apart(write_use_licence(granted(message.rpmsg), tenant, URL, FakeChance()))
    assert found.purpose == "Content-License"
    assert found.signature is not None
    verify(found.body, found.signature, tenant.current)
    body = read(found.body)
    assert body.one("WORK", "OBJECT", "ID").text == f"{{{message.work}}}"
    assert body.one("WORK", "METADATA", "OWNER", "OBJECT", "NAME").text == OWNER
    assert body.one("ISSUEDPRINCIPALS", "PRINCIPAL", "OBJECT", "NAME").text == READER
    rights = body.one("WORK", "RIGHTSGROUP", "RIGHTSLIST").children
    assert {Right(one.attributes["name"]) for one in rights} == DO_NOT_FORWARD.rights
    assert body.one("WORK", "CONDITIONLIST", "TIME", "RANGETIME", "UNTIL").text == "2026-11-04T08:12"
    assert "ENABLINGBITS" not in found.body


def test_the_content_key_is_sealed_to_the_readers_own_key() -> None:
    message, theirs = sealed(), private_key(number=4)
    licence = granted(message.rpmsg)
    text = write_use_licence(licence, FakeTenant(), URL, FakeChance(), theirs.public_key())
    body = taken_apart(text).body
    right = read(body).one("WORK", "RIGHTSGROUP", "RIGHTSLIST").children[0]
    bits = read_base64(right.one("CONDITIONLIST", "ACCESS", "PRINCIPAL", "ENABLINGBITS", "VALUE").text)
    bound = body[body.index("<ISSUEDPRINCIPALS>") : body.index("</ISSUEDPRINCIPALS>") + len("</ISSUEDPRINCIPALS>")]
    mode = Mode.MODE_2
    key = open_key(bits, 256, mode, bound, lambda octets: theirs.decrypt(octets, mode.oaep))
    assert key == licence.unlocked.key
    with pytest.raises(BadBits):
        open_key(
            bits, 256, mode, bound.replace(READER, "eve@x.example"), lambda octets: theirs.decrypt(octets, mode.oaep)
        )


def test_a_readers_key_that_is_too_short_gets_none() -> None:
    with pytest.raises(ValueError, match="1024 bits"):
        write_use_licence(granted(sealed().rpmsg), FakeTenant(), URL, FakeChance(), private_key(1024).public_key())


def test_of_a_message_of_mode_1_the_current_version_signs() -> None:
    old = private_key(1024)
    tenant = FakeTenant(private_key(), old)
    licence = granted(foreign(Inner("x", None, (), None), key=old), tenant)
    found = taken_apart(write_use_licence(licence, tenant, URL, FakeChance()))
    assert found.signature is not None
    verify(found.body, found.signature, tenant.current)
    assert str(tenant.current.guid) in found.body


class Archiving(FakeTenant):
    """Its older versions open and sign no more, as files of archived keys do."""

    def sign(self, version: TenantVersion, data: bytes | Hashed) -> bytes:
        if version.modulus != self.current.modulus:
            raise TenantDenied("archived")
        return super().sign(version, data)


def test_of_a_message_under_an_archived_key_the_current_version_signs() -> None:
    tenant = Archiving(private_key(number=2), private_key())
    found = taken_apart(write_use_licence(granted(sealed().rpmsg, tenant), tenant, URL, FakeChance()))
    assert found.signature is not None
    verify(found.body, found.signature, tenant.current)
    assert str(tenant.current.guid) in found.body


def test_a_denied_key_writes_none() -> None:
    licence, tenant = granted(sealed().rpmsg), FakeTenant()
    tenant.denied = True
    with pytest.raises(TenantDenied):
        write_use_licence(licence, tenant, URL, FakeChance())


def test_without_the_tenant_key_none_is_written() -> None:
    licence, tenant = granted(sealed().rpmsg), FakeTenant()
    tenant.away = True
    with pytest.raises(TenantAway):
        write_use_licence(licence, tenant, URL, FakeChance())


def test_no_key_is_shown() -> None:
    licence = granted(sealed().rpmsg)
    assert READER not in repr(licence)
    assert licence.unlocked.key.octets.hex() not in repr(licence) + repr(licence.unlocked)
