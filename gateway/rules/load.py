"""Reading rules/*.yaml: every fault of every file at once, or the whole set of rules.

A file holds a list of rules; files are read in the order of their names. rules/types/*.yaml hold data types.
Leaves out: whether connectors and templates that rules name are there; `gateway check` joins that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from gateway.rules.data_types import read_type
from gateway.rules.fault import MOST, BadRules, Fault
from gateway.rules.files import TYPES, RuleFiles, read_files
from gateway.rules.flaw import BadValue
from gateway.rules.grammar import Grammar, grammar
from gateway.rules.model import DataType, Rule, RuleSet
from gateway.rules.reading import Draft, read_rule
from gateway.rules.shapes import closest
from gateway.rules.tree import Items, Node, Table, kind, read_tree
from gateway.rules.values import WantedData

MAX_RULES: Final = 10_000
MAX_TYPES: Final = 500

One = TypeVar("One", Draft, DataType)
Reader = Callable[[Table, str, Grammar, list[Fault]], One | None]


def load(folder: Path, known: Grammar | None = None) -> RuleSet:
    """All rules of `folder`, in the order in which they run. Raises BadRules with every fault.

    Reads from the disk: on an event loop call it in a thread. `known`: other conditions and actions, for tests.
    """
    return understood(read_files(folder), known)


def understood(read: RuleFiles, known: Grammar | None = None) -> RuleSet:
    """The rules that stand in these files. Raises BadRules with every fault. Thousands of rules take a second."""
    known = known or grammar()
    faults: list[Fault] = list(read.faults)
    drafts: list[Draft] = []
    types: list[DataType] = []
    for file in read.files:
        path = str(read.folder / file.name)
        if file.is_types:
            types += _read(path, file.text, read_type, "data type", "- name: employee_number", known, faults)
        else:
            drafts += _read(path, file.text, read_rule, "rule", "- name: Tagged mail", known, faults)
    for what, there, most in (("rules", len(drafts), MAX_RULES), ("data types", len(types), MAX_TYPES)):
        if there > most:
            faults.append(Fault(file=str(read.folder), found=f"{there} {what}", right=f"at most {most}"))
    _unique([(draft.file, draft.line, draft.name) for draft in drafts], faults)
    _unique([(one.file, one.line, one.name) for one in types], faults)
    _types_known(drafts, known.data_types | {one.name for one in types}, faults)
    if faults:
        places = {str(read.folder / file.name): number for number, file in enumerate(read.files)}
        faults = faults[:MOST]
        raise BadRules(sorted(faults, key=lambda fault: (places.get(fault.file, len(places)), fault.file, fault.line)))
    return RuleSet(rules=_ordered(drafts), types=tuple(types), warnings=read.warnings)


def _read(
    file: str, text: str, read: Reader[One], what: str, example: str, known: Grammar, faults: list[Fault]
) -> list[One]:
    """What stands in one file."""
    try:
        root = read_tree(text)
    except BadValue as error:
        flaw = error.flaws[0]
        faults.append(Fault(file=file, line=flaw.line, found=flaw.found, right=flaw.right))
        return []
    made = [read(table, file, known, faults) for table in _tables(root, file, what, example, faults)]
    return [one for one in made if one is not None]


def _tables(root: Node | None, file: str, what: str, example: str, faults: list[Fault]) -> Iterator[Table]:
    """Each entry of the list that a file is."""
    if root is None:
        return
    if not isinstance(root, Items):
        right = f"a list: each {what} begins with -, such as {example}"
        faults.append(Fault(file=file, line=root.line, found=kind(root), right=right))
        return
    for one in root.items:
        if isinstance(one, Table):
            yield one
        else:
            faults.append(Fault(file=file, line=one.line, found=kind(one), right=f"a {what}, such as {example}"))


def _ordered(drafts: Sequence[Draft]) -> tuple[Rule, ...]:
    """By priority; those without one behind all others, as Exchange appends a new rule, in the order of the files."""
    last = max((draft.priority for draft in drafts if draft.priority is not None), default=-1)
    kept = []
    for draft in drafts:
        if draft.priority is None:
            last += 1
        kept.append(draft.rule(last if draft.priority is None else draft.priority))
    return tuple(sorted(kept, key=lambda rule: rule.priority))


def _unique(places: Sequence[tuple[str, int, str]], faults: list[Fault]) -> None:
    """A fault for each name that stood before: trace and log could not tell the two apart."""
    seen: dict[str, tuple[str, int]] = {}
    for file, line, name in places:
        if not name:  # That is told already.
            continue
        first = seen.setdefault(name.casefold(), (file, line))
        if first != (file, line):
            right = f"another name: {first[0]}, line {first[1]} has this one"
            faults.append(Fault(file=file, line=line, rule=name, key="name", found="a name twice", right=right))


def _types_known(drafts: Sequence[Draft], names: frozenset[str], faults: list[Fault]) -> None:
    """A fault for each data type that a rule asks for and nobody knows."""
    for draft in drafts:
        for section, conditions in (("when", draft.when), ("unless", draft.unless)):
            for condition in conditions:
                for one in condition.value if isinstance(condition.value, tuple) else ():
                    if isinstance(one, WantedData) and one.name not in names:
                        near = closest(one.name, sorted(names))
                        right = f"{near}, or a type of your own in {TYPES}/*.yaml; further ones come later"
                        key, line = f"{section}.{condition.name}", condition.line
                        found = f"the unknown data type `{one.name}`"
                        faults.append(
                            Fault(file=draft.file, line=line, rule=draft.name, key=key, found=found, right=right)
                        )
