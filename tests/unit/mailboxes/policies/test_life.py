"""Policies made, refreshed, put under another root: proved first, one row each, and nothing where a proof fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyState, KeyType, Unavailable, VaultBroken
from gateway.mailboxes.faults import PolicyDenied, PolicyRefused
from gateway.mailboxes.policies.life import held
from gateway.mailboxes.policies.order import CUSTODIAN, PURGE, fingerprint, make_order
from gateway.mailboxes.policies.past import Backup, needs
from gateway.storage.mailboxes.model import CopyKind, PolicyState
from tests.fakes import file_vault
from tests.fakes.chance import FakeChance
from tests.fakes.policies import AVAILABILITY, ROOT_A, ROOT_B, Ground


def pair() -> tuple[bytes, bytes]:
    """A custodian's private and public key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def test_a_new_policy_is_wrapped_three_times_and_both_roots_are_proved() -> None:
    ground = Ground()
    row = await ground.life.create("house", [ROOT_A, ROOT_B])
    assert [(copy.kind, f"{copy.vault}/{copy.key}", copy.key_version) for copy in row.copies] == [
        (CopyKind.ROOT_A, "a/mail", 1),
        (CopyKind.ROOT_B, "b/mail", 1),
        (CopyKind.AVAILABILITY, "main/availability", 1),
    ]
    assert [(vault.wraps, vault.unwraps) for vault in ground.vaults.values()] == [(1, 1)] * 3
    assert ground.rows.writes == ["policy"]
    assert [look.fault for look in await ground.life.look(row)] == [None] * 3


@pytest.mark.parametrize("name", ["", "none", "-house", "a b", "x" * 65, "hau\u00df", "a/b"])
async def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(PolicyRefused, match="no name"):
        await Ground().life.create(name, [ROOT_A, ROOT_B])


async def test_both_roots_in_one_vault_are_refused_unless_forced() -> None:
    """Row k01."""
    ground = Ground()
    ground.a.create("second", KeyType.AES_256)
    roots = [ROOT_A, RootName("a", "second")]
    with pytest.raises(PolicyRefused, match="one vault"):
        await ground.life.create("house", roots)
    assert ground.rows.writes == []
    await ground.life.create("house", roots, force=True)


async def test_two_names_of_one_vault_are_one_vault() -> None:
    """Row k01."""
    ground = Ground()
    ground.life._place = lambda name: "the same folder"
    with pytest.raises(PolicyRefused, match="one vault"):
        await ground.life.create("house", [ROOT_A, ROOT_B])


@pytest.mark.parametrize(
    "roots",
    [[], [ROOT_A], [ROOT_A, ROOT_B, RootName("main", "default")], [ROOT_A, ROOT_A], [ROOT_A, AVAILABILITY]],
    ids=["none", "one", "three", "the same twice", "the availability key"],
)
async def test_other_than_two_roots_of_the_customer_are_refused_even_if_forced(roots: list[RootName]) -> None:
    with pytest.raises(PolicyRefused):
        await Ground().life.create("house", roots, force=True)


async def test_a_root_that_can_not_wrap_is_refused_by_name() -> None:
    ground = Ground()
    ground.b.create("signs", KeyType.EC_P256)
    ground.b.create("off", KeyType.RSA_2048)
    ground.b.disable("off")
    for key, words in (("signs", "can't wrap"), ("off", "is disabled")):
        with pytest.raises(PolicyRefused, match=f"b/{key}.*{words}"):
            await ground.life.create("house", [ROOT_A, RootName("b", key)])
    with pytest.raises(Denied, match="holds no key 'nowhere'"):
        await ground.life.create("house", [ROOT_A, RootName("b", "nowhere")])
    with pytest.raises(Denied, match="names no vault 'c'"):
        await ground.life.create("house", [ROOT_A, RootName("c", "mail")])
    assert ground.rows.writes == []


async def test_a_root_that_does_not_give_back_what_it_wrapped_makes_no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = Ground()
    monkeypatch.setattr(ground.b, "unwrap", lambda *_, **__: b"another key of 32 octets, surely")
    with pytest.raises(VaultBroken, match="b/mail"):
        await ground.life.create("house", [ROOT_A, ROOT_B])
    assert ground.rows.writes == []


async def test_a_name_is_taken_for_ever() -> None:
    ground = Ground()
    await ground.policy()
    with pytest.raises(PolicyRefused, match="already"):
        await ground.life.create("house", [ROOT_A, ROOT_B])


async def test_one_policy_is_the_default_or_none() -> None:
    ground = Ground()
    await ground.policy(is_default=True)
    await ground.policy("other")
    await ground.life.make_default("other")
    assert [row.name for row in ground.rows.rows.values() if row.is_default] == ["other"]
    await ground.life.make_default(None)
    assert not any(row.is_default for row in ground.rows.rows.values())
    with pytest.raises(PolicyRefused, match="there are: house, other"):
        await ground.life.make_default("nowhere")


async def test_a_refresh_after_a_rotation_changes_one_row_and_names_the_old_version_as_long_as_a_backup_needs_it() -> (
    None
):
    """Row k07."""
    ground = Ground()
    row = await ground.policy()
    mailbox = await ground.mailbox(row.id)
    key = await ground.mailbox_keys.key(mailbox)
    await ground.clock.advance(1000)
    backup = Backup("1", "/backups/one", ground.clock.now(), ground.clock.now() + 10, True)
    await ground.clock.advance(1000)
    ground.a.rotate("mail")
    after, renewed = await ground.life.refresh("house")
    assert ground.rows.writes == ["policy"]
    assert [(one.before.key_version, one.after.key_version) for one in renewed] == [(1, 2), (1, 1), (1, 1)]
    ground.b.denied = True  # The new copy alone opens it.
    ground.keys.forget()
    assert await ground.mailbox_keys.key(mailbox) == key
    later = Backup("2", "/backups/two", ground.clock.now(), ground.clock.now() + 10, True)
    found = {
        (need.key, need.version): (need.is_current, [one.id for one in need.backups])
        for need in needs(after, [backup, later])
    }
    assert found == {
        ("a/mail", 1): (False, ["1"]),
        ("a/mail", 2): (True, ["2"]),
        ("b/mail", 1): (True, ["1", "2"]),
        ("main/availability", 1): (True, ["1", "2"]),
    }
    assert ("a/mail", 1) not in {(need.key, need.version) for need in needs(after, [later])}


async def test_a_refresh_with_nothing_new_writes_nothing() -> None:
    ground = Ground()
    row = await ground.policy()
    after, renewed = await ground.life.refresh("house")
    assert after == row and ground.rows.writes == [] and all(one.fault is None for one in renewed)


async def test_a_refresh_leaves_what_does_not_answer_as_it_is() -> None:
    ground = Ground()
    row = await ground.policy()
    for vault in (ground.a, ground.b):
        vault.rotate("mail")
    ground.b.away = True
    after, renewed = await ground.life.refresh("house")
    assert [one.fault is None for one in renewed] == [True, False, True]
    assert after.copies[1] == row.copies[1] and after.copies[0].key_version == 2


async def test_a_refresh_mends_a_copy_that_is_damaged() -> None:
    ground = Ground()
    row = await ground.policy()
    damaged = replace(row.copies[0], octets=row.copies[0].octets[:-1] + b"?")
    ground.rows.rows[row.id] = replace(row, copies=(damaged, *row.copies[1:]))
    after, _ = await ground.life.refresh("house")
    assert [look.fault for look in await ground.life.look(after)] == [None] * 3


async def test_no_root_is_changed_by_the_availability_key_alone() -> None:
    ground = Ground()
    await ground.policy()
    ground.a.away = ground.b.away = True
    ground.main.create("mail", KeyType.AES_256)
    with pytest.raises(Unavailable, match="neither root"):
        await ground.life.replace("house", ROOT_A, RootName("main", "mail"))
    with pytest.raises(Unavailable, match="neither root"):
        await ground.life.refresh("house")
    assert ground.rows.writes == []


async def test_a_root_is_replaced_by_one_row_and_the_lost_one_is_not_needed_for_it() -> None:
    ground = Ground()
    row = await ground.policy()
    mailbox = await ground.mailbox(row.id)
    key = await ground.mailbox_keys.key(mailbox)
    ground.main.create("mail", KeyType.RSA_2048)
    ground.a.disable("mail")
    after = await ground.life.replace("house", ROOT_A, RootName("main", "mail"))
    assert ground.rows.writes == ["policy"]
    assert [copy.vault for copy in after.copies] == ["main", "b", "main"]
    ground.b.away = True
    ground.keys.forget()
    assert await ground.mailbox_keys.key(mailbox) == key


async def test_a_root_is_not_replaced_by_one_beside_the_other_nor_one_that_is_none() -> None:
    ground = Ground()
    await ground.policy()
    ground.b.create("second", KeyType.AES_256)
    with pytest.raises(PolicyRefused, match="one vault"):
        await ground.life.replace("house", ROOT_A, RootName("b", "second"))
    with pytest.raises(PolicyRefused, match="no root of the policy"):
        await ground.life.replace("house", RootName("b", "second"), ROOT_A)
    assert ground.rows.writes == []


async def test_a_policy_that_is_closed_is_not_refreshed() -> None:
    ground = Ground()
    row = await ground.policy()
    ground.rows.rows[row.id] = replace(row, state=PolicyState.PURGING)
    with pytest.raises(PolicyDenied):
        await ground.life.refresh("house")


async def test_of_two_who_change_a_policy_at_one_moment_the_second_is_refused() -> None:
    ground = Ground()
    row = await ground.policy()
    ground.a.rotate("mail")

    def first() -> None:
        ground.rows.rows[row.id] = replace(row, edition=row.edition + 1)

    ground.rows.rival = first
    with pytest.raises(PolicyRefused, match="say it again"):
        await ground.life.refresh("house")
    assert ground.rows.rows[row.id].copies == row.copies


async def test_a_custodian_is_replaced_by_his_own_order_alone() -> None:
    ground = Ground()
    (old, old_public), (_, new_public) = pair(), pair()
    row = await ground.policy(custodian=old_public)
    with pytest.raises(PolicyRefused, match="--order"):
        await ground.life.set_custodian("house", new_public)
    chance, now = FakeChance("orders"), ground.clock.now()
    for bad in (
        make_order(PURGE, "house", old, now=now, chance=chance),
        make_order(CUSTODIAN, "other", old, successor=new_public, now=now, chance=chance),
        make_order(CUSTODIAN, "house", old, successor=pair()[1], now=now, chance=chance),
        make_order(CUSTODIAN, "house", pair()[0], successor=new_public, now=now, chance=chance),
    ):
        with pytest.raises(PolicyRefused):
            await ground.life.set_custodian("house", new_public, bad)
    assert ground.rows.rows[row.id].custodian == old_public
    good = make_order(CUSTODIAN, "house", old, successor=new_public, now=now, chance=chance)
    after = await ground.life.set_custodian("house", new_public, good)
    assert after.custodian is not None and fingerprint(after.custodian) == fingerprint(new_public)


async def test_a_custodian_s_order_counts_once_and_for_one_policy_of_that_name() -> None:
    ground = Ground()
    (one, one_public), (other, other_public) = pair(), pair()
    row = await ground.policy(custodian=one_public)
    chance, now = FakeChance("orders"), ground.clock.now()
    for refused in (
        make_order(CUSTODIAN, "house", one, policy_id=row.id + 1, successor=other_public, now=now, chance=chance),
        make_order(CUSTODIAN, "house", one, successor=other_public, now=now - 5, chance=chance),
    ):
        with pytest.raises(PolicyRefused, match=r"of the id|before there was"):
            await ground.life.set_custodian("house", other_public, refused)
    there = make_order(CUSTODIAN, "house", one, policy_id=row.id, successor=other_public, now=now - 5, chance=chance)
    await ground.life.set_custodian("house", other_public, there)
    back = make_order(CUSTODIAN, "house", other, successor=one_public, now=now, chance=chance)
    await ground.life.set_custodian("house", one_public, back)
    with pytest.raises(PolicyRefused, match="used before"):
        await ground.life.set_custodian("house", other_public, there)
    assert ground.rows.rows[row.id].custodian == one_public


def test_a_key_that_another_gateway_made_or_rotated_a_moment_ago_counts(tmp_path: Path) -> None:
    """Two gateways share a vault: what one says of a key must not be what it was before the other changed it."""
    file_vault.make(tmp_path / "vault")
    ours, theirs = file_vault.opened(tmp_path / "vault"), file_vault.opened(tmp_path / "vault")
    theirs.create("mail", KeyType.AES_256)
    name = RootName("main", "mail")
    assert held({"main": ours}, name).newest == 1
    theirs.rotate("mail")
    assert held({"main": ours}, name).newest == 2
    theirs.disable("mail")
    assert held({"main": ours}, name).state is KeyState.DISABLED
