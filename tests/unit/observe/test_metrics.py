"""Metrics: counted in each process, merged and rendered in one place; the client library itself reads what we write."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.metrics import TABLE, Kind, Metrics, lasting, merge, render


def numbers(*parts: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = render([part.snapshot() for part in parts]).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_of_all_processes_are_summed() -> None:
    one, other = Metrics(), Metrics()
    one.count("messages_received_total", ("in", "partner"))
    other.count("messages_received_total", ("in", "partner"), 2)
    other.count("messages_received_total", ("in", "other"))
    one.count("octets_received_total", by=4096)
    found = numbers(one, other)
    assert found["gateway_messages_received_total", (("connector", "partner"), ("listener", "in"))] == 3
    assert found["gateway_messages_received_total", (("connector", "other"), ("listener", "in"))] == 1
    assert found["gateway_octets_received_total", ()] == 4096


def test_gauges_are_summed_but_for_those_of_which_the_greatest_counts() -> None:
    one, other = Metrics(), Metrics()
    one.count("sessions_open", ("in",))
    one.count("sessions_open", ("in",))
    one.count("sessions_open", ("in",), -1)
    other.count("sessions_open", ("in",))
    one.set("queue_deliveries", 3, ("held",))
    one.set("queue_deliveries", 2, ("held",))
    one.set("oldest_waiting_seconds", 30)
    other.set("oldest_waiting_seconds", 20)
    one.set("build_info", 1, ("1.0",))
    other.set("build_info", 1, ("1.0",))
    found = numbers(one, other)
    assert found["gateway_sessions_open", (("listener", "in"),)] == 2
    assert found["gateway_queue_deliveries", (("state", "held"),)] == 2
    assert found["gateway_oldest_waiting_seconds", ()] == 30
    assert found["gateway_build_info", (("version", "1.0"),)] == 1


def test_histograms_count_up_to_and_with_their_bounds() -> None:
    one, other = Metrics(), Metrics()
    for value in (1, 2, 3):
        one.observe("spool_batch_size", value)
    other.observe("spool_batch_size", 1000)
    found = numbers(one, other)
    bucket = "gateway_spool_batch_size_bucket"
    assert [found[bucket, (("le", bound),)] for bound in ("1.0", "2.0", "4.0", "256.0", "+Inf")] == [1, 2, 3, 3, 4]
    assert found["gateway_spool_batch_size_count", ()] == 4
    assert found["gateway_spool_batch_size_sum", ()] == 1006


def test_what_has_no_labels_is_there_from_the_beginning() -> None:
    found = numbers(Metrics())
    assert found["gateway_worker_restarts_total", ()] == 0
    assert found["gateway_accept_seconds_count", ()] == 0


def test_odd_label_values_are_escaped() -> None:
    one = Metrics()
    one.count("messages_received_total", ('a"b\\c\nd', ""))
    assert numbers(one)["gateway_messages_received_total", (("connector", ""), ("listener", 'a"b\\c\nd'))] == 1


def test_a_snapshot_travels_as_json_and_is_no_view() -> None:
    one = Metrics()
    one.count("sessions_total", ("in", "TLSv1.3"))
    one.observe("attempt_seconds", 0.2, ("demo",))
    snapshot = one.snapshot()
    carried = json.loads(json.dumps(snapshot))
    one.count("sessions_total", ("in", "TLSv1.3"))
    one.observe("attempt_seconds", 0.2, ("demo",))
    assert carried == snapshot
    assert render([carried]) == render([snapshot])
    assert merge([carried, carried])["sessions_total"] == [[["in", "TLSv1.3"], 2]]


def test_of_a_process_that_ended_the_counts_last_and_the_gauges_do_not() -> None:
    dead, fresh = Metrics(), Metrics()
    dead.count("sessions_total", ("in", "none"), 5)
    dead.count("sessions_open", ("in",), 3)
    dead.observe("attempt_seconds", 1, ("demo",))
    fresh.count("sessions_total", ("in", "none"))
    merged = merge([lasting(dead.snapshot()), fresh.snapshot()])
    assert merged["sessions_total"] == [[["in", "none"], 6]]
    assert merged["sessions_open"] == []
    assert merged["attempt_seconds"][0][1][-1] == 1


def test_what_another_versions_worker_counts_is_left_out() -> None:
    assert "novelty_total" not in merge([{"novelty_total": [[[], 1]]}])


@pytest.mark.parametrize("labels", [(), ("in",), ("in", "partner", "x"), ("in", 1)])
def test_labels_that_do_not_fit_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="messages_received_total has the labels"):
        Metrics().count("messages_received_total", labels)


def test_names_that_are_not_declared_are_refused() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.count("nothing_total")
    with pytest.raises(KeyError):
        metrics.observe("sessions_total", 1)


def test_the_table_keeps_to_prometheus_customs() -> None:
    assert len({one.name for one in TABLE}) == len(TABLE)
    for one in TABLE:
        assert one.name.endswith("_total") == (one.kind is Kind.COUNTER), one.name
        assert bool(one.buckets) == (one.kind is Kind.HISTOGRAM), one.name
        assert list(one.buckets) == sorted(set(one.buckets)), one.name
        assert one.help.endswith(".")
