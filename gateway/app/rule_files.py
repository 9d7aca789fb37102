"""The rules that the settings name: loading them, and judging them with what the settings say besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.mail.terms import Otherwise
from gateway.rights.template import Templates
from gateway.rules import fault as rules
from gateway.rules.fault import BadRules
from gateway.rules.files import RuleFiles, kept_files, read_files
from gateway.rules.load import understood
from gateway.rules.model import NO_RULES, Action, Mode, RuleSet
from gateway.rules.review import review
from gateway.rules.values import WantedSmime
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded

FOLDER: Final = "rules"
_CHOOSES: Final = "route_message_outbound_connector"
_TEMPLATE: Final = "apply_rights_protection_template"
_RIGHTS: Final = ("apply_ome", _TEMPLATE)


def rule_folder(loaded: Loaded) -> Path | None:
    """Where the rules lie; None where the settings name no folder and there is none beside them."""
    named = loaded.settings.rules.folder
    if named is not None:
        return loaded.resolve(named)
    beside = loaded.folder / FOLDER
    return beside if beside.exists() else None


def load_rules(loaded: Loaded) -> RuleSet:
    """The rules of these settings: those that came with them, else what lies on the disk. Raises BadRules with every
    fault. Blocks.
    """
    return _understood(loaded, _files(loaded))


def _files(loaded: Loaded) -> RuleFiles | None:
    if loaded.rules is not None:
        named = loaded.settings.rules.folder
        return kept_files(loaded.folder / FOLDER if named is None else loaded.resolve(named), loaded.rules)
    folder = rule_folder(loaded)
    return None if folder is None else read_files(folder)


def _understood(loaded: Loaded, files: RuleFiles | None) -> RuleSet:
    if files is None:
        return NO_RULES
    found = understood(files)
    if faults := [*_strangers(found, loaded), *_unknown_templates(found, loaded)]:
        raise BadRules(faults)
    return found


def judge_rules(loaded: Loaded, now: float) -> tuple[list[Fault], Loaded]:
    """Every fault of the rules, and what is hardly meant; and the settings with the files of rules that were judged.
    `now`: seconds since 1970. Blocks.
    """
    files = _files(loaded)
    with_rules = replace(loaded, rules=() if files is None else tuple([(one.name, one.text) for one in files.files]))
    try:
        found = _understood(loaded, files)
    except BadRules as bad:
        return [_told(fault) for fault in bad.faults], with_rules
    return [_told(fault) for fault in (*found.warnings, *review(found, now), *_unreadable(found, loaded))], with_rules


def _strangers(found: RuleSet, loaded: Loaded) -> Iterator[rules.Fault]:
    """A fault for each rule that leads to a connector which is not in the settings."""
    names = [one.name for one in loaded.settings.connectors.outbound]
    for rule in found:
        for action in rule.then:
            if action.name == _CHOOSES and action.value not in names:
                yield rules.Fault(
                    file=rule.file,
                    line=action.line,
                    rule=rule.name,
                    key=f"then.{_CHOOSES}",
                    found=f"the unknown connector `{action.value}`",
                    right=f"an outbound connector of {loaded.path.name}: {', '.join(names) or 'there is none'}",
                )


def _unknown_templates(found: RuleSet, loaded: Loaded) -> Iterator[rules.Fault]:
    """A fault for each rule that protects by a template which there is not: its mail would wait for ever."""
    names = [*Templates().names, *(one.name for one in loaded.settings.rights.templates)]
    for rule in found:
        for action in rule.then:
            if action.name == _TEMPLATE and action.value not in names:
                yield rules.Fault(
                    file=rule.file,
                    line=action.line,
                    rule=rule.name,
                    key=f"then.{_TEMPLATE}",
                    found=f"the unknown template `{action.value}`",
                    right=f"one of {', '.join(names)}, or one of your own in [[rights.templates]]",
                )


def _unreadable(found: RuleSet, loaded: Loaded) -> Iterator[rules.Fault]:
    """A warning for each rule whose mail waits, since nobody could read it: rights need the portal."""
    if loaded.settings.portal is not None:
        return
    for rule in found:
        for action in rule.then if rule.enabled and rule.mode is Mode.ENFORCE else ():
            if _asks_for_rights(action):
                yield rules.Fault(
                    file=rule.file,
                    line=action.line,
                    rule=rule.name,
                    key=f"then.{action.name}",
                    found="rights protection, and no [portal] where a recipient could read what it protects",
                    right=f"[portal] in {loaded.path.name}; until then mail of this rule waits (4xx)",
                    severity="warning",
                )


def _asks_for_rights(action: Action) -> bool:
    if action.name in _RIGHTS:
        return True
    value = action.value
    return isinstance(value, WantedSmime) and value.otherwise is Otherwise.RIGHTS


def _told(fault: rules.Fault) -> Fault:
    return Fault(fault.file, fault.place, fault.found, fault.right, fault.severity)
