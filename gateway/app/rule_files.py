"""The rules that the settings name: loading them, and judging them with what the settings say besides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.rules import fault as rules
from gateway.rules.fault import BadRules
from gateway.rules.files import RuleFiles, kept_files, read_files
from gateway.rules.load import understood
from gateway.rules.model import NO_RULES, RuleSet
from gateway.rules.review import review
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded

FOLDER: Final = "rules"
_CHOOSES: Final = "route_message_outbound_connector"


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
    if faults := list(_strangers(found, loaded)):
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
    return [_told(fault) for fault in (*found.warnings, *review(found, now))], with_rules


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


def _told(fault: rules.Fault) -> Fault:
    return Fault(fault.file, fault.place, fault.found, fault.right, fault.severity)
