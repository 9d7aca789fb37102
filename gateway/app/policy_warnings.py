"""What `gateway status` says of data encryption policies: what processes have seen, and worker 0 has looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from gateway.world.clock import rfc3339

RECENT: Final = 86_400.0  # Seconds for which a use of an availability key is told.


def policy_warnings(workers: Sequence[dict[str, Any]], now: float) -> list[dict[str, str]]:
    """Each thing once, in the form of `status`: {"code", "text"}."""
    states = [facts for one in workers if (facts := one.get("mailboxes"))]
    keys = [facts for state in states if (facts := state.get("policies"))]
    watch = [facts for state in states if (facts := state.get("watch"))]
    found = [*_closed(keys, watch), *_roots(keys, watch), *_availability(keys, now), *_ends(watch), *_doubtful(watch)]
    return list({(one["code"], one["text"]): one for one in found}.values())


def _closed(keys: Sequence[dict[str, Any]], watch: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    ended = {name for facts in watch for name in facts["ended"]}  # Nobody opens those any more, and nobody is to.
    troubles = _troubles(keys, "closed")
    for name, trouble in sorted(troubles.items()):
        if name in ended:
            continue
        since = rfc3339(trouble["since"])
        text = f"the mailboxes of the policy {name} are closed since {since}, and mail for them waits: "
        yield {"code": "policy_closed", "text": text + trouble["reason"]}


def _roots(keys: Sequence[dict[str, Any]], watch: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Roots that fail, as they were looked at or, where nobody has looked since, as somebody met them.

    A process that nobody uses meets nothing, and would tell for ever what it met last.
    """
    looked = {name: "; ".join(faults.values()) for facts in watch for name, faults in facts["roots"].items()}
    ended = {name for facts in watch for name in facts["ended"]}
    seen: dict[str, float] = {}
    for facts in watch:
        seen.update(facts["looked"])
    met = {
        name: trouble["reason"]
        for facts in keys
        for name, trouble in facts["troubles"].items()
        if trouble["what"] == "one_root" and not (trouble["shows"] and trouble["last"] <= seen.get(name, 0.0))
    }
    for name, reason in sorted((met | looked).items()):
        if name in ended:
            continue
        yield {
            "code": "policy_root",
            "text": f"a key of the policy {name} does not answer, and its mail is read by what is left: {reason}",
        }


def _availability(keys: Sequence[dict[str, Any]], now: float) -> Iterator[dict[str, str]]:
    last: dict[str, float] = {}
    for facts in keys:
        for name, used in facts["availability"].items():
            last[name] = max(used, last.get(name, 0.0))
    for name, used in sorted(last.items()):
        if now - used < RECENT:
            yield {
                "code": "availability_key_used",
                "text": f"the policy {name} was opened by the service's availability key, since neither of its roots "
                f"answered; the last time at {rfc3339(used)}",
            }


def _ends(watch: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for facts in watch:
        for name, until in sorted(facts["purging"].items()):
            if name not in facts["stuck"]:
                yield {
                    "code": "policy_purge",
                    "text": f"the policy {name} is closed and will be destroyed for ever after {until}; until then: "
                    f"gateway policy purge {name} --cancel",
                }
        for name, reason in sorted(facts["stuck"].items()):
            text = f"the grace of the policy {name} is over, and it can't be destroyed: {reason}"
            yield {"code": "policy_purge_stuck", "text": text}


def _doubtful(watch: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for facts in watch:
        for words in facts["doubtful"]:
            yield {"code": "settings", "text": words}


def _troubles(keys: Sequence[dict[str, Any]], what: str) -> dict[str, dict[str, Any]]:
    """By policy, as the process has it that saw it first."""
    found: dict[str, dict[str, Any]] = {}
    for facts in keys:
        for name, trouble in facts["troubles"].items():
            if trouble["what"] == what and (name not in found or trouble["since"] < found[name]["since"]):
                found[name] = trouble
    return found
