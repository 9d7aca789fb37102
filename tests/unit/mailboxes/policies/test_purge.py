"""The end of a policy: by its custodian's order, with both roots withdrawn, taken back in time, and then for ever."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.keys.vault import KeyType, Unavailable, VaultBroken
from gateway.mailboxes.faults import PolicyDenied, PolicyPurged, PolicyRefused
from gateway.mailboxes.policies.certificate import Certificate, verify_line
from gateway.mailboxes.policies.heeding import DAY, OLDEST
from gateway.mailboxes.policies.order import CUSTODIAN, PURGE, make_order
from gateway.mailboxes.policies.purge import PolicyPurge, certificate_of, is_due
from gateway.storage.mailboxes.model import PolicyRow, PolicyState
from tests.fakes.chance import FakeChance
from tests.fakes.policies import Ground

_KEY = Ed25519PrivateKey.generate()
PRIVATE = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Scene:
    """A policy with a mailbox and a custodian; both roots are withdrawn unless a test says otherwise."""

    def __init__(self) -> None:
        self.ground = Ground()
        self.chance = FakeChance("orders")
        self.purge = PolicyPurge(
            self.ground.rows,
            self.ground.vaults,
            backups=self._backups,
            clock=self.ground.clock,
            tell=self.ground.tell,
            executor=self.ground.executor,
        )

    async def _backups(self, row: PolicyRow) -> Sequence[Mapping[str, Any]]:
        return [{"path": "/backups/one", "made": "2026-11-03T08:12:00.000Z"}]

    async def begin(self, *, withdrawn: bool = True, custodian: bytes | None = PUBLIC) -> PolicyRow:
        row = await self.ground.policy(custodian=custodian, is_default=True)
        self.mailbox = await self.ground.mailbox(row.id)
        if withdrawn:
            self.ground.a.disable("mail")
            self.ground.b.disable("mail")
        return await self.ground.life.named("house")

    def order(
        self, policy: str = "house", *, made: float | None = None, action: str = PURGE, policy_id: int | None = None
    ) -> bytes:
        now = self.ground.clock.now() if made is None else made
        successor = PUBLIC if action == CUSTODIAN else None
        return make_order(
            action, policy, PRIVATE, policy_id=policy_id, successor=successor, now=now, chance=self.chance
        )

    async def row(self) -> PolicyRow:
        return await self.ground.life.named("house")


async def test_a_purge_without_withdrawn_roots_is_refused() -> None:
    """Row k08."""
    scene = Scene()
    row = await scene.begin(withdrawn=False)
    for withdrawn in ((), ("a",), ("b",)):
        for name, vault in scene.ground.vaults.items():
            vault.denied = name in withdrawn
        with pytest.raises(PolicyRefused, match="has not withdrawn it"):
            await scene.purge.order(row, scene.order(), grace=0, by="ida")
    assert await scene.row() == row and scene.ground.rows.writes == []


@pytest.mark.parametrize("switch", ["away", "broken"])
async def test_a_root_that_gives_no_clear_no_stops_a_purge(switch: str) -> None:
    """Row k08."""
    scene = Scene()
    row = await scene.begin(withdrawn=False)
    scene.ground.a.denied = True
    setattr(scene.ground.b, switch, True)
    with pytest.raises((Unavailable, VaultBroken), match="nothing is destroyed"):
        await scene.purge.order(row, scene.order(), grace=0, by="ida")
    assert await scene.row() == row


async def test_taking_a_vault_out_of_the_settings_withdraws_no_root() -> None:
    """Else whoever writes gateway.toml could stand for the roots' owner."""
    scene = Scene()
    row = await scene.begin()
    del scene.ground.vaults["b"]
    with pytest.raises(PolicyRefused, match="names no vault"):
        await scene.purge.order(row, scene.order(), grace=0, by="ida")
    assert await scene.row() == row


async def test_an_order_closes_at_once_and_is_taken_back_within_its_grace() -> None:
    """Row k09."""
    scene = Scene()
    row = await scene.begin()
    key_before = row.copies
    purging = await scene.purge.order(row, scene.order(), grace=2, by="ida")
    assert purging.state is PolicyState.PURGING and purging.copies == key_before
    for vault in (scene.ground.a, scene.ground.b):
        vault.enable("mail")
    scene.ground.keys.forget()
    with pytest.raises(PolicyDenied, match="--cancel"):
        await scene.ground.mailbox_keys.key(scene.mailbox)
    await scene.ground.clock.advance(DAY)
    back = await scene.purge.cancel(purging, by="ben")
    assert back.state is PolicyState.READY and back.copies == key_before
    scene.ground.keys.forget()
    await scene.ground.mailbox_keys.key(scene.mailbox)
    assert {"policy_purge_ordered", "policy_purge_cancelled"} <= set(scene.ground.events())


async def test_an_order_that_was_taken_back_does_not_count_again() -> None:
    scene = Scene()
    order = scene.order()
    purging = await scene.purge.order(await scene.begin(), order, by="ida")
    back = await scene.purge.cancel(purging, by="ben")
    with pytest.raises(PolicyRefused, match="used before"):
        await scene.purge.order(back, order, by="ida")
    await scene.purge.order(back, scene.order(), by="ida")


async def test_a_policy_is_due_when_its_grace_is_over_and_not_before() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), grace=2, by="ida")
    now = scene.ground.clock.now()
    assert not is_due(purging, now + 2 * DAY - 1) and is_due(purging, now + 2 * DAY)
    assert not is_due(await scene.purge.cancel(purging, by="ida"), now + 9 * DAY)


async def test_a_root_that_answers_again_stops_the_last_step() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), grace=2, by="ida")
    scene.ground.a.enable("mail")
    with pytest.raises(PolicyRefused, match="has not withdrawn it"):
        await scene.purge.finish(purging)
    assert await scene.row() == purging


async def test_another_default_that_was_named_meanwhile_stays() -> None:
    """Else new mailboxes would lie under the service's own key, and nobody would have said so."""
    scene = Scene()
    other = await scene.ground.policy("other")
    row = await scene.begin()
    await scene.ground.rows.set_default_policy(other.id)
    gone = await scene.purge.order(row, scene.order(), grace=0, by="ida")
    assert gone.state is PolicyState.PURGED
    assert [one.name for one in scene.ground.rows.rows.values() if one.is_default] == ["other"]


async def test_what_is_destroyed_is_gone_for_ever_and_a_certificate_tells_it() -> None:
    """Row k10."""
    scene = Scene()
    row = await scene.begin()
    gone = await scene.purge.order(row, scene.order(), grace=0, reason="leaving", contact="ida", by="ben")
    assert (gone.state, gone.copies) == (PolicyState.PURGED, ())
    stored = await scene.row()
    for copy in row.copies:
        assert copy.octets not in repr(stored).encode() and copy.octets.hex() not in str(stored.purge)
    assert not any(one.is_default for one in scene.ground.rows.rows.values())
    for vault in (scene.ground.a, scene.ground.b):
        vault.enable("mail")
    scene.ground.keys.forget()
    with pytest.raises(PolicyPurged):
        await scene.ground.mailbox_keys.key(scene.mailbox)
    said = orjson.loads(certificate_of(gone).text)
    assert said["policy"] == "house" and said["reason"] == "leaving" and said["contact"] == "ida"
    assert [one["kind"] for one in said["destroyed_copies"]] == ["root_a", "root_b", "availability"]
    assert said["mailboxes"] == {"count": 1, "addresses": ["ida@corp.example"]}
    assert said["backups"] == [{"path": "/backups/one", "made": "2026-11-03T08:12:00.000Z"}]
    assert set(said["roots"]) == {"a/mail", "b/mail"} and said["order"]["order"]["policy"] == "house"


@pytest.mark.parametrize("kind", [KeyType.EC_P256, KeyType.ED25519, KeyType.RSA_2048])
async def test_openssl_verifies_the_certificate(kind: KeyType, tmp_path: Path) -> None:
    """Row k10."""
    scene = Scene()
    row = await scene.begin()
    scene.ground.main.create("destruction", kind)
    gone = await scene.purge.order(row, scene.order(), grace=0, by="ida")
    found = certificate_of(gone)
    assert found.algorithm == kind
    (tmp_path / "C").write_bytes(found.text)
    (tmp_path / "C.sig").write_bytes(found.signature)
    (tmp_path / "C.pem").write_text(found.public_key)
    command = verify_line(found.algorithm, "C").split()
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=20).returncode == 0
    (tmp_path / "C").write_bytes(found.text.replace(b"house", b"horse"))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=20).returncode != 0
    assert Certificate.of(orjson.loads(orjson.dumps(found.told()))) == found


async def test_where_nobody_can_sign_nothing_is_destroyed() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), by="ida")
    scene.ground.main.create("destruction", KeyType.EC_P256)
    scene.ground.main.disable("destruction")
    for vault in (scene.ground.a, scene.ground.b):
        vault.create = _no  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="no vault signs"):
        await scene.purge.finish(purging)
    assert await scene.row() == purging


def _no(key: str, type_: KeyType) -> Any:
    raise Unavailable("read-only")


async def test_a_crash_before_the_last_step_is_written_leaves_everything_as_it_was() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), by="ida")

    def crash() -> None:
        raise RuntimeError

    scene.ground.rows.rival = crash
    with pytest.raises(RuntimeError):
        await scene.purge.finish(purging)
    assert await scene.row() == purging
    scene.ground.rows.rival = lambda: None
    assert (await scene.purge.finish(purging)).state is PolicyState.PURGED


async def test_somebody_who_takes_it_back_at_the_last_moment_is_first() -> None:
    scene = Scene()
    purging = await scene.purge.order(await scene.begin(), scene.order(), by="ida")

    def cancel() -> None:
        scene.ground.rows.rows[purging.id] = replace(purging, state=PolicyState.READY, edition=purging.edition + 1)

    scene.ground.rows.rival = cancel
    with pytest.raises(PolicyRefused, match="somebody else"):
        await scene.purge.finish(purging)
    assert (await scene.row()).state is PolicyState.READY and (await scene.row()).copies == purging.copies


async def test_orders_that_do_not_count_are_refused() -> None:
    scene = Scene()
    row = await scene.begin()
    now = scene.ground.clock.now()
    for order, words in (
        (scene.order("other"), "for the policy 'other'"),
        (scene.order(action=CUSTODIAN), "for 'custodian'"),
        (scene.order(policy_id=row.id + 1), "that one is gone"),
        (scene.order(made=row.created - 2), "before there was this policy"),
        (scene.order(made=row.created - 400, policy_id=row.id), "before there was this policy"),
        (scene.order(made=now + 400), "yet to come"),
        (scene.order(made=row.created - 400), "too long ago"),
        (b"{}", "can't be read"),
    ):
        with pytest.raises(PolicyRefused, match=words):
            await scene.purge.order(row, order, grace=0, by="ida")
    old = scene.order()
    await scene.ground.clock.advance(OLDEST + 1)
    with pytest.raises(PolicyRefused, match="too long ago"):
        await scene.purge.order(row, old, grace=0, by="ida")
    for grace in (-1, 4000, float("nan")):
        with pytest.raises(PolicyRefused, match="can't be waited"):
            await scene.purge.order(row, scene.order(), grace=grace, by="ida")
    with pytest.raises(PolicyRefused, match="characters"):
        await scene.purge.order(row, scene.order(), reason="x" * 1001, by="ida")
    assert await scene.row() == row


async def test_an_order_that_names_the_policy_s_id_ends_it() -> None:
    """The clock of the custodian's machine may be slow: by the id it is this policy all the same."""
    scene = Scene()
    row = await scene.begin()
    gone = await scene.purge.order(row, scene.order(policy_id=row.id, made=row.created - 200), grace=0, by="ida")
    assert gone.state is PolicyState.PURGED and gone.purge is not None
    assert gone.purge["order"]["order"]["policy_id"] == row.id


async def test_a_policy_without_a_custodian_can_not_be_ended() -> None:
    scene = Scene()
    with pytest.raises(PolicyRefused, match="has no custodian"):
        await scene.purge.order(await scene.begin(custodian=None), scene.order(), by="ida")


async def test_what_waits_for_its_end_or_is_destroyed_is_not_ordered_or_taken_back_again() -> None:
    scene = Scene()
    row = await scene.begin()
    with pytest.raises(PolicyRefused, match="nothing to cancel"):
        await scene.purge.cancel(row, by="ida")
    with pytest.raises(PolicyRefused, match="only what was destroyed"):
        certificate_of(row)
    purging = await scene.purge.order(row, scene.order(), by="ida")
    with pytest.raises(PolicyRefused, match="purging already"):
        await scene.purge.order(purging, scene.order(), by="ida")
    gone = await scene.purge.finish(purging)
    for again in (scene.purge.cancel(gone, by="ida"), scene.purge.finish(gone)):
        with pytest.raises(PolicyRefused):
            await again
    with pytest.raises(PolicyRefused, match="purged already"):
        await scene.purge.order(gone, scene.order(), by="ida")
