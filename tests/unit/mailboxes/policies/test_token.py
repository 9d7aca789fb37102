"""A policy whose second root lies in a real token (SoftHSM2): the roots' owner there opens and closes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.keys.providers.pkcs11.module import module_at
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from gateway.keys.vault import Denied, KeyType
from gateway.mailboxes.faults import PolicyDenied
from gateway.storage.mailboxes.model import PolicyState
from tests.fakes.clock import FakeClock
from tests.fakes.policies import ROOT_A, ROOT_B
from tests.pkcs11 import MISSING, TokenFolder, library
from tests.unit.mailboxes.policies.test_purge import PUBLIC, Scene


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pkcs11Vault]:
    found = library()
    if found is None:
        pytest.skip(MISSING)
    module, folder = found.resolve(), TokenFolder(tmp_path / "softhsm")
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    module_at(module).close()  # What another test left is of another folder.
    token = folder.token()
    yield Pkcs11Vault(TokenTerms(vault="b", module=module, token=token.label, pin=token.pin_file), clock=FakeClock())
    module_at(module).close()


async def test_a_root_that_a_token_can_not_wrap_with_makes_no_policy(hsm: Pkcs11Vault) -> None:
    scene = Scene()
    scene.ground.vaults["b"] = hsm  # type: ignore[assignment]
    hsm.create("mail", KeyType.RSA_2048)
    with pytest.raises(Denied, match="b/mail can't be the second root"):  # It has no OAEP with SHA-256.
        await scene.ground.life.create("house", [ROOT_A, ROOT_B])
    assert scene.ground.rows.writes == []


async def test_a_root_in_a_token_opens_rotates_closes_and_ends_a_policy(hsm: Pkcs11Vault) -> None:
    """Rows k02, k05, k06, k07, k10."""
    scene = Scene()
    ground = scene.ground
    ground.vaults["b"] = hsm  # type: ignore[assignment]
    hsm.create("mail", KeyType.AES_256)
    row = await ground.life.create("house", [ROOT_A, ROOT_B], custodian=PUBLIC)
    mailbox = await ground.mailbox(row.id)
    key = await ground.mailbox_keys.key(mailbox)
    ground.a.away = True
    ground.keys.forget()
    assert await ground.mailbox_keys.key(mailbox) == key
    hsm.rotate("mail")
    ground.a.away = False
    after, renewed = await ground.life.refresh("house")
    assert [one.after.key_version for one in renewed] == [1, 2, 1]
    ground.a.disable("mail")
    ground.keys.forget()
    assert await ground.mailbox_keys.key(mailbox) == key
    hsm.disable("mail")
    ground.keys.forget()
    with pytest.raises(PolicyDenied):
        await ground.mailbox_keys.key(mailbox)
    gone = await scene.purge.order(after, scene.order(), grace=0, by="ida")
    assert gone.state is PolicyState.PURGED and gone.copies == ()
