"""Settings whose part a later version brings: refused by name, so that nobody trusts in what is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gateway.settings.fault import Fault, shown
from gateway.settings.shape import Place, dotted

# Keys that the schema does not have, by pattern: `*` stands for anything; the first that fits counts.
PARTS: tuple[tuple[str, str], ...] = (
    ("portal.oidc*", "sign-in with an OpenID Connect provider"),
    ("portal.open_id*", "sign-in with an OpenID Connect provider"),
    ("portal.social*", "sign-in with an OpenID Connect provider"),
    ("portal.passkey*", "passkeys"),
    ("admin", "the administrators' pages"),
    ("arc", "ARC"),
    ("spf", "checking SPF"),
    ("dmarc", "checking DMARC"),
    ("authenticate.spf", "checking SPF"),
    ("authenticate.dmarc", "checking DMARC"),
    ("authenticate.arc", "ARC"),
    ("authenticate.report*", "reports about authentication"),
    ("dkim.report*", "reports about authentication"),
    ("dkim.publish*", "publishing DKIM keys by itself"),
    ("dkim.overlap*", "publishing DKIM keys by itself"),
    ("dkim.rotate*", "publishing DKIM keys by itself"),
    ("reports", "reports about authentication"),
    ("transit", "vaults behind a transit engine"),
    ("kmip", "vaults that speak KMIP"),
    ("tlsrpt", "TLS reports"),
    ("*.ef_*", "enhanced filtering"),
    ("*.treat_messages_as_internal", "treating messages as internal"),
    ("*.cloud_services_mail_enabled", "believing internal headers"),
    ("*.trusted_organizations", "believing internal headers"),
    ("*.is_transport_rule_scoped", "connectors that a rule chooses"),
    ("*.all_accepted_domains", "connectors for all accepted domains"),
    ("*.route_all_messages_via_on_premises", "routing everything by the premises"),
    ("*.sender_rewriting_enabled", "rewriting senders (SRS)"),
    ("*.test_mode", "validating connectors"),
    ("*.validation_recipients", "validating connectors"),
)

# Values that a known key takes later, by the key and a pattern of the value. The schema does not have them.
VALUES: tuple[tuple[str, str, str], ...] = (
    ("vaults[].provider", "azure*", "vaults in a cloud"),
    ("vaults[].provider", "aws*", "vaults in a cloud"),
    ("vaults[].provider", "gcp*", "vaults in a cloud"),
    ("vaults[].provider", "google*", "vaults in a cloud"),
    ("vaults[].provider", "vault", "vaults behind a transit engine"),
    ("vaults[].provider", "hashicorp*", "vaults behind a transit engine"),
    ("vaults[].provider", "openbao*", "vaults behind a transit engine"),
    ("vaults[].provider", "transit", "vaults behind a transit engine"),
    ("vaults[].provider", "kmip", "vaults that speak KMIP"),
)
_INDEX = re.compile(r"\[[0-9]+\]")


def part_of(key: str) -> str | None:
    """The part that will bring the unknown key `key` (dotted), or None where it is simply unknown."""
    # Square brackets are special to fnmatch, in the pattern alone; there a question mark stands for them.
    return next((part for pattern, part in PARTS if fnmatchcase(key, pattern)), None)


def part_of_value(key: str, value: object) -> str | None:
    """The part that will take `value` for the known key `key` (dotted), or None where it is simply wrong."""
    place, word = _INDEX.sub("[]", key), str(value).lower()
    return next((part for one, pattern, part in VALUES if one == place and fnmatchcase(word, pattern)), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Values of a known key that nothing carries out yet. `[]` in `path` stands for each entry of a list."""

    path: str
    values: str
    concerns: Callable[[Any], bool]
    right: str
    warning: bool = False


def _is(word: str) -> Callable[[Any], bool]:
    return lambda value: bool(value == word)


def _other_url(value: Any) -> bool:
    return isinstance(value, str) and not value.startswith(("sqlite:", "postgresql://", "postgres://"))


_NOTHING_YET = 'to know that it does nothing yet; until then mail goes by tls_settings alone ("none" says so)'
REFUSALS: tuple[Refusal, ...] = (
    Refusal("connectors.outbound[].dane", "`mandatory`", _is("mandatory"), '"none": DANE is not built yet'),
    Refusal("connectors.outbound[].mta_sts", "`mandatory`", _is("mandatory"), '"none": MTA-STS is not built yet'),
    Refusal("connectors.outbound[].dane", "`opportunistic`", _is("opportunistic"), _NOTHING_YET, warning=True),
    Refusal("connectors.outbound[].mta_sts", "`opportunistic`", _is("opportunistic"), _NOTHING_YET, warning=True),
    Refusal(
        "storage.url",
        "other than `sqlite:` and `postgresql:`",
        _other_url,
        '"sqlite:FOLDER" or "postgresql://USER@HOST/DATABASE"; there are no other databases',
    ),
)


def unbuilt(data: dict[str, Any], file: str) -> list[Fault]:
    """The faults and warnings for values in `data`, the file as TOML reads it, that belong to later parts."""
    return [
        Fault(file, dotted(place), _found(place, value), refusal.right, "warning" if refusal.warning else "error")
        for refusal in REFUSALS
        for place, value in _values(data, refusal.path.split("."))
        if refusal.concerns(value)
    ]


def _found(place: Place, value: Any) -> str:
    # A database address may hold a password: only its kind is shown.
    return f'"{value.split(":")[0][:20]}:..."' if place == ("storage", "url") else shown(value)


def _values(here: Any, path: list[str], place: Place = ()) -> Iterator[tuple[Place, Any]]:
    if not path:
        yield place, here
        return
    name, rest = path[0].removesuffix("[]"), path[1:]
    if not isinstance(here, dict) or name not in here:
        return
    value = here[name]
    if not path[0].endswith("[]"):
        yield from _values(value, rest, (*place, name))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _values(entry, rest, (*place, name, number))
