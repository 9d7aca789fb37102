"""How Exchange writes names, and how we do: `SubjectContainsWords`, `subject_contains_words`."""

from __future__ import annotations

import re

# Between a small letter and a capital, and before the last capital of several: SenderADAttribute, FromScope.
_SEAM = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Names that do not follow from their letters.
_OWN = {
    "applyome": "apply_ome",
    "removeome": "remove_ome",
    "removeomev2": "remove_ome",
    "applysmime": "apply_smime",
    "removesmime": "remove_smime",
    "applyrightsprotectiontemplate": "apply_rights_protection_template",
}


def snake(name: str) -> str:
    """The name in snake_case: `NotInOrganization` is `not_in_organization`, `not-in organization` too."""
    bare = re.sub(r"[\s_-]+", "", name).lower()
    if bare in _OWN:
        return _OWN[bare]
    return re.sub(r"[\s_-]+", "_", _SEAM.sub("_", name.strip())).lower()


def exception_of(name: str) -> str | None:
    """The condition that Exchange's `ExceptIf...` (or `except_if_...`) names, in snake_case; None for other names."""
    found = snake(name)
    return found.removeprefix("except_if_") if found.startswith("except_if_") else None
