"""A property that is judged for a time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from hypothesis import HealthCheck, Phase, settings

# Time ends between rounds, never within one: Hypothesis repeats examples, and takes one whose outcome depends on the
# clock for flaky.
ROUND = settings(
    max_examples=100,
    deadline=None,
    derandomize=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    database=None,
)


def for_seconds(seconds: float, judged: Callable[[], None]) -> None:
    """Rounds of other examples each time, at least one."""
    ends = monotonic() + seconds
    while True:
        judged()
        if monotonic() > ends:
            return
