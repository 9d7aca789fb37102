"""Metrics in Prometheus' form. Each process counts for itself; the supervisor merges their snapshots and renders them.

Leaves out: exemplars, native histograms, pushing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# A JSON value: name to [[labels, value], ...]; a histogram's value is [count of each bucket, +Inf last, sum].
Snapshot = dict[str, list[list[Any]]]
Labels = tuple[str, ...]


class Kind(StrEnum):
    """Of a metric: how it changes, and how several processes' values become one."""

    COUNTER = "counter"  # grows; summed
    GAUGE = "gauge"  # goes up and down; summed
    GREATEST = "greatest"  # a gauge of which the greatest counts
    HISTOGRAM = "histogram"  # counts by size; summed


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. `name` is without the prefix; `buckets` are upper bounds, each included."""

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()


PREFIX: Final = "gateway_"
_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 172800.0)
_POWERS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

TABLE: Final = (
    Declared("messages_received_total", Kind.COUNTER, "Messages taken with 250.", ("listener", "connector")),
    Declared("messages_refused_total", Kind.COUNTER, "Messages refused, by reply code.", ("listener", "code")),
    Declared("octets_received_total", Kind.COUNTER, "Octets of the messages taken."),
    Declared("sessions_total", Kind.COUNTER, "Sessions that clients began.", ("listener", "tls")),
    Declared("sessions_open", Kind.GAUGE, "Sessions open now.", ("listener",)),
    Declared("imap_connections_refused_total", Kind.COUNTER, "Mail programs beyond a limit.", ("listener",)),
    Declared("log_ins_total", Kind.COUNTER, "Attempts to log in (AUTH), by what came of them.", ("listener", "result")),
    Declared("deliveries_total", Kind.COUNTER, "Recipients by what came of an attempt.", ("connector", "outcome")),
    Declared("delivery_seconds", Kind.HISTOGRAM, "From reception to the end of a delivery.", ("connector",), _SLOW),
    Declared("attempt_seconds", Kind.HISTOGRAM, "One attempt at one destination.", ("connector",), _SLOW[:10]),
    Declared("conversions_total", Kind.COUNTER, "Copies of 7 bits made for next hops without 8BITMIME."),
    Declared("queue_deliveries", Kind.GAUGE, "Deliveries in the queue, by state.", ("state",)),
    Declared("oldest_waiting_seconds", Kind.GREATEST, "Age of the oldest delivery in the queue."),
    Declared("dkim_signatures_total", Kind.COUNTER, "DKIM signatures made; `none`: not signed.", ("algorithm",)),
    Declared("dkim_results_total", Kind.COUNTER, "DKIM signatures judged; `none`: unsigned messages.", ("result",)),
    Declared("rules_matched_total", Kind.COUNTER, "Messages that a transport rule applied to.", ("rule",)),
    Declared("rules_seconds", Kind.HISTOGRAM, "Judging one message by all rules, with the edits.", (), _QUICK),
    Declared("protected_total", Kind.COUNTER, "Recipients by the step of the ladder that they got.", ("step",)),
    Declared("licences_total", Kind.COUNTER, "Use licences given, or why not.", ("result",)),
    Declared("portal_codes_total", Kind.COUNTER, "One-time codes asked for and tried.", ("result",)),
    Declared("portal_refused_total", Kind.COUNTER, "Requests to the portal that were not served.", ("reason",)),
    Declared("portal_replies_total", Kind.COUNTER, "Answers that readers sent from the portal."),
    Declared("portal_request_seconds", Kind.HISTOGRAM, "One request to the portal.", (), _QUICK),
    Declared("portal_connections_open", Kind.GAUGE, "Connections to the portal open now."),
    Declared("smime_layers_total", Kind.COUNTER, "Layers found in what came in.", ("layer", "result")),
    Declared("accept_seconds", Kind.HISTOGRAM, "From the end of DATA to the 250.", (), _QUICK),
    Declared("spool_commit_seconds", Kind.HISTOGRAM, "One commit of a spool.", (), _QUICK),
    Declared("spool_batch_size", Kind.HISTOGRAM, "Works that shared a commit of a spool.", (), _POWERS),
    Declared("recipient_verifications_total", Kind.COUNTER, "Recipients asked about.", ("source", "answer")),
    Declared("recipient_question_seconds", Kind.HISTOGRAM, "One question to LDAP or a next hop.", ("source",), _QUICK),
    Declared("vault_calls_total", Kind.COUNTER, "What vaults were asked.", ("vault", "operation", "outcome")),
    Declared("vault_call_seconds", Kind.HISTOGRAM, "One call of a vault.", ("vault", "operation"), _QUICK),
    Declared("vault_away", Kind.GREATEST, "1 while a vault does not answer or says no.", ("vault",)),
    Declared("mail_refused", Kind.GREATEST, "1 while all new mail is answered 4xx: keys, disk or database."),
    Declared("keys_closed", Kind.GREATEST, "1 while the keys of a purpose are not at hand.", ("purpose",)),
    Declared("worker_restarts_total", Kind.COUNTER, "Workers that ended by themselves and were started again."),
    Declared("build_info", Kind.GREATEST, "Always 1; the version is a label.", ("version",)),
)


class Metrics:
    """The numbers of one process. Labels come in their declared order. A metric belongs to one thread.

    Raises KeyError for a name that is not declared, ValueError for labels that do not fit it.
    """

    def __init__(self, table: Sequence[Declared] = TABLE) -> None:
        self._declared = {one.name: one for one in table}
        self._values: dict[str, dict[Labels, float]] = {one.name: {} for one in table if one.kind is not Kind.HISTOGRAM}
        self._histograms: dict[str, tuple[tuple[float, ...], dict[Labels, list[float]]]] = {
            one.name: (one.buckets, {}) for one in table if one.kind is Kind.HISTOGRAM
        }

    def count(self, name: str, labels: Labels = (), by: float = 1) -> None:
        """Add `by` to a counter, or (it may be negative) to a gauge."""
        values = self._values[name]
        try:
            values[labels] += by
        except KeyError:
            values[self._checked(name, labels)] = by

    def note(self, name: str, labels: dict[str, str], value: float) -> None:
        """Count or observe, as the name says: whoever does not know metrics tells facts so. `labels` in their order."""
        if name.endswith("_total"):
            self.count(name, tuple(labels.values()), value)
        else:
            self.observe(name, value, tuple(labels.values()))

    def set(self, name: str, value: float, labels: Labels = ()) -> None:
        """Give a gauge its value."""
        values = self._values[name]
        values[labels if labels in values else self._checked(name, labels)] = value

    def observe(self, name: str, value: float, labels: Labels = ()) -> None:
        """Put one value into a histogram."""
        buckets, values = self._histograms[name]
        try:
            counts = values[labels]
        except KeyError:
            counts = values[self._checked(name, labels)] = [0.0] * (len(buckets) + 2)
        counts[bisect_left(buckets, value)] += 1
        counts[-1] += value

    def snapshot(self) -> Snapshot:
        """All numbers as a JSON value, for the supervisor."""
        snapshot: Snapshot = {}
        for name, values in self._values.items():
            snapshot[name] = [[list(labels), value] for labels, value in list(values.items())]
        for name, (_, counts) in self._histograms.items():
            snapshot[name] = [[list(labels), list(value)] for labels, value in list(counts.items())]
        return snapshot

    def _checked(self, name: str, labels: Labels) -> Labels:
        wanted = self._declared[name].labels
        if len(labels) != len(wanted) or not all(type(label) is str for label in labels):
            raise ValueError(f"{name} has the labels {wanted}, as text; it was given {labels!r}")
        return labels


def lasting(snapshot: Snapshot) -> Snapshot:
    """What stays true of a process that has ended: counters and histograms, no gauges.

    The supervisor keeps it and merges it in, or the sum of a counter would go down when a worker dies, which Prometheus
    takes for a restart of everything.
    """
    kinds = {one.name: one.kind for one in TABLE}
    return {name: rows for name, rows in snapshot.items() if kinds.get(name) in (Kind.COUNTER, Kind.HISTOGRAM)}


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot of several processes. What is not declared here (another version's worker) is left out."""
    kinds = {one.name: one.kind for one in TABLE}
    merged: dict[str, dict[Labels, Any]] = {}
    for snapshot in snapshots:
        for name, rows in snapshot.items():
            if (kind := kinds.get(name)) is None:
                continue
            values = merged.setdefault(name, {})
            for labels, value in rows:
                key = tuple(labels)
                values[key] = value if key not in values else _sum(kind, values[key], value)
    return {name: [[list(labels), value] for labels, value in values.items()] for name, values in merged.items()}


def _sum(kind: Kind, one: Any, other: Any) -> Any:
    if kind is Kind.HISTOGRAM:
        return [a + b for a, b in zip(one, other, strict=True)]
    return max(one, other) if kind is Kind.GREATEST else one + other


def render(snapshots: Iterable[Snapshot]) -> bytes:
    """Prometheus' text format (CONTENT_TYPE) of all processes together."""
    from prometheus_client import generate_latest

    merged = merge(snapshots)

    class Collector:
        def collect(self) -> Iterator[Metric]:
            return (_family(one, merged.get(one.name, [])) for one in TABLE)

    return generate_latest(Collector())


def _family(declared: Declared, rows: list[list[Any]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    name = PREFIX + declared.name
    rows = rows or ([] if declared.labels else [[[], _zero(declared)]])  # A rate needs a beginning.
    if declared.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, declared.help, labels=declared.labels)
        for labels, numbers in rows:
            *counts, total = numbers
            bounds = [*map(str, declared.buckets), "+Inf"]
            sums = [sum(counts[: place + 1]) for place in range(len(counts))]
            histogram.add_metric(labels, list(zip(bounds, sums, strict=True)), total)
        return histogram
    family = CounterMetricFamily if declared.kind is Kind.COUNTER else GaugeMetricFamily
    metric = family(name, declared.help, labels=declared.labels)
    for labels, value in rows:
        metric.add_metric(labels, value)
    return metric


def _zero(declared: Declared) -> Any:
    return [0.0] * (len(declared.buckets) + 2) if declared.kind is Kind.HISTOGRAM else 0.0
