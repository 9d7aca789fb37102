"""Actions that say how mail is protected, and under which terms it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.mail.terms import Otherwise, Smime, Wanted
from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.shapes import CONNECTOR, FLAG, SMIME, TEMPLATE
from gateway.rules.values import WantedSmime

ENCRYPT_ONLY: Final = "encrypt-only"


def _apply_smime(value: WantedSmime, scene: Scene) -> None:
    """What an earlier rule asked for is never made less: encrypting and signing are both."""
    work = scene.work
    before, what, otherwise = work.wanted, value.what, value.otherwise
    template = None
    if before is not None:
        template = before.template
        if before.smime not in (None, what) or (before.smime is None and what is Smime.SIGN):
            what = Smime.BOTH
        if value.what is Smime.SIGN:  # Whoever wanted it encrypted has said what becomes of it else.
            otherwise = before.otherwise
    work.wanted = Wanted(rule=scene.rule.name, smime=what, otherwise=otherwise, template=template)


def _rights(template: str, scene: Scene) -> None:
    """By itself rights alone; beside S/MIME the step below it, which then has to encrypt."""
    work = scene.work
    if (before := work.wanted) is None or before.smime is None:
        work.wanted = Wanted(rule=scene.rule.name, otherwise=Otherwise.RIGHTS, template=template)
    else:
        smime = Smime.ENCRYPT if before.smime is Smime.ENCRYPT else Smime.BOTH
        work.wanted = replace(before, smime=smime, otherwise=Otherwise.RIGHTS, template=template)


def _apply_ome(_: bool, scene: Scene) -> None:
    before = scene.work.wanted
    _rights(ENCRYPT_ONLY if before is None or before.template is None else before.template, scene)


def _require_tls(_: bool, scene: Scene) -> None:
    scene.work.require_tls = True


def _remove_ome(_: bool, scene: Scene) -> None:
    scene.work.remove_rights = True


def _connector(name: str, scene: Scene) -> None:
    scene.work.connector = name


PROTECTION: Final = (
    ActionKind(
        name="apply_smime",
        shape=SMIME,
        text="Encrypts or signs the message as S/MIME, or does both.",
        act=_apply_smime,
        protects=True,
        hardens=True,
    ),
    ActionKind(
        name="apply_ome",
        shape=FLAG,
        text="Protects the message by rights (Encrypt-Only): the recipient reads it on the portal, with a code.",
        act=_apply_ome,
        protects=True,
        hardens=True,
    ),
    ActionKind(
        name="apply_rights_protection_template",
        shape=TEMPLATE,
        text="Protects the message by the rights of that template: the recipient reads it on the portal, with a code.",
        act=_rights,
        protects=True,
        hardens=True,
    ),
    ActionKind(
        name="remove_ome",
        shape=FLAG,
        text="Delivers what came under rights of ours without them, to those inside whom its licence names, or to whom "
        "its sender himself has sent it.",
        act=_remove_ome,
    ),
    ActionKind(
        name="route_message_outbound_require_tls",
        shape=FLAG,
        text="Lets the message leave over TLS or not at all.",
        act=_require_tls,
        protects=True,
        hardens=True,
    ),
    ActionKind(
        name="route_message_outbound_connector",
        shape=CONNECTOR,
        text="Lets the message leave by the outbound connector of that name.",
        act=_connector,
        protects=True,
        hardens=True,
    ),
)
