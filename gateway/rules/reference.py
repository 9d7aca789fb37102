"""Writes docs/rules.md out of the tables of rules: `python -m gateway.rules.reference > docs/rules.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gateway.rules import forms, later
from gateway.rules.data_types import properties as type_keys
from gateway.rules.grammar import Grammar, Kind, grammar
from gateway.rules.reading import PROPERTIES, Property
from gateway.rules.shapes import Choice, Record, Several, Shape

_HEAD: Final = """\
# Rules: rules/*.yaml

<!-- Made by `python -m gateway.rules.reference`; change the tables in gateway/rules instead of this page. -->

A file holds a list of rules; the files are read in the order of their names. `gateway check` tells every fault with
its file and line, `gateway rule list` shows the rules in the order in which they run, `gateway rule test` tells what
they would do with a message, `gateway rule schema` prints the JSON Schema of a file for editors, and `gateway reload`
takes changed rules, the whole of them or nothing. [Samples](../rules/README.md) are documented in themselves.

    - name: Tagged mail is protected
      priority: 10
      when: {subject_contains_words: ["[secure]"], sent_to_scope: not_in_organization}
      unless: {recipient_domain_is: [partner.example]}
      then: {apply_smime: encrypt, smime_otherwise: reject}

- All conditions of `when` must hold and none of `unless`; several values of one condition: any of them.
- Where a list may stand, one value may stand alone. A text that begins with `[`, `{`, `*`, `&`, `!`, `%` or `@`, or
  that holds `: ` or ` #`, stands in quotes; a pattern stands best in single quotes, where a backslash is only that.
- Words are whole words or phrases of at most 128 letters; case does not count, nor white space of any kind between
  them. Punctuation inside a value is meant as it stands: `[secure]` is not `secure`.
- Patterns are regular expressions of RE2, case-insensitive; they know no look-around and no back-references, and a
  message can't make them slow. One that RE2 can't run is a fault, with its place and a hint.
- Domains stand for themselves and their subdomains. Sizes are octets, or take B, KB, MB, GB, TB (1 KB is 1,024).
- Each rule sees a message as the rules before left it. A condition on recipients forks it: the actions touch the copy
  for those alone who match; `any_of_...` conditions look at the header, do not fork, and touch everybody.
- Of several actions of one rule that say what becomes of a message the strictest is done: `reject_message`, then
  `delete_message`, `quarantine`, `redirect_message_to`; `gateway check` warns.
- YAML's anchors, aliases and tags are refused, as is a key that stands twice; unknown keys are faults, never ignored.
"""


def reference(known: Grammar | None = None) -> str:
    """The page, in Markdown."""
    known = known or grammar()
    lines = [_HEAD.rstrip(), "", "## A rule", ""]
    lines += _keys(PROPERTIES)
    lines += ["| `when` | conditions | every message | All of them must hold. |"]
    lines += ["| `unless` | conditions | none | None of them may hold: the exceptions. |"]
    lines += [
        "| `then` | actions | must be there | What is done, in their order. |",
        "",
        "## Conditions and exceptions",
        "",
    ]
    lines += _kinds(known.conditions)
    lines += ["", "## Actions", "", *_kinds(known.actions), "", "## Keys of values that are tables", ""]
    lines += ["| of | key | value | |\n|---|---|---|---|", *_parts(known.conditions), *_parts(known.actions), ""]
    lines += [*_forms(known), "", *_types(known), "", *_later()]
    return "\n".join(lines) + "\n"


def _keys(properties: Mapping[str, Property]) -> Iterator[str]:
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for name, one in properties.items():
        yield f"| `{name}` | {_cell(one.shape.text)} | {one.default} | {_cell(one.meaning)} |"


def _kinds(kinds: Mapping[str, Kind]) -> Iterator[str]:
    yield "| name | value | meaning |\n|---|---|---|"
    for name, kind in kinds.items():
        yield f"| `{name}` | {_cell(_value(kind.shape))} | {_cell(kind.text)} |"


def _value(shape: Shape) -> str:
    """What it takes; of a list of words, which words there are."""
    if isinstance(shape, Several) and isinstance(shape.one, Choice):
        return f"any of {_listed(word for word, _ in shape.one.words)}"
    return shape.text


def _parts(kinds: Mapping[str, Kind]) -> Iterator[str]:
    """The keys of values that are tables."""
    for name, kind in kinds.items():
        shape: Shape = kind.shape
        if isinstance(shape, Several):
            shape = shape.one
        if not isinstance(shape, Record):
            continue
        for key in shape.keys:
            if not key.later:
                need = "must be there" if key.required else ""
                yield f"| `{name}` | `{key.name}` | {_cell(_value(key.shape))} | {need} |"


def _forms(known: Grammar) -> Iterator[str]:
    yield "## Other ways to write the same"
    yield ""
    yield "Exchange spreads some values over several parameters; both forms are taken."
    yield ""
    yield "| these | are the same as |\n|---|---|"
    for spread, kinds in ((forms.CONDITIONS, known.conditions), (forms.ACTIONS, known.actions)):
        for form in spread:
            if form.joint not in kinds:
                continue
            names = ", ".join(f"`{name}`" for name in form.parts)
            keys = ", ".join(f"`{key}`" for key in form.parts.values())
            beside = f"beside `{form.joint}`: " if form.beside else ""
            yield f"| {beside}{names} | {keys} of `{form.joint}` |"


def _types(known: Grammar) -> Iterator[str]:
    yield "## Data types"
    yield ""
    yield f"Built in: {_listed(sorted(known.data_types))}. Types of your own stand in `types/*.yaml` below the folder"
    yield "of rules, each file a list of them. Where a type finds the same value twice it counts once."
    yield ""
    yield from _keys(type_keys(known.checksums))


def _later() -> Iterator[str]:
    yield "## What comes later"
    yield ""
    yield "These are refused by name, so that nobody trusts in what is not there."
    yield ""
    yield "| with | names |\n|---|---|"
    parts: dict[str, list[str]] = {}
    for names in (later.CONDITIONS, later.ACTIONS, later.PROPERTIES):
        for name, part in names.items():
            parts.setdefault(part, []).append(name)
    for part, some in parts.items():
        yield f"| {part} | {_listed(some)} |"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


if __name__ == "__main__":
    sys.stdout.write(reference())
