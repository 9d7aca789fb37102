"""Judging what gateway.toml says of logging in: AUTH and submission need TLS, and submission needs AUTH."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.settings.fault import Fault
from gateway.settings.load import Loaded


def judge_log_ins(loaded: Loaded) -> Iterator[Fault]:
    """Faults of the listeners at which one logs in."""
    for number, listener in enumerate(loaded.settings.listeners):
        key = f"listeners[{number}]"
        if listener.kind == "submission":
            if listener.auth is False:
                right = 'true, or kind = "relay": on a submission listener everybody logs in'
                yield loaded.fault(f"{key}.auth", "false", right)
            if listener.tls == "none":
                right = '"implicit" (port 465) or "starttls" (port 587): passwords are not taken in clear'
                yield loaded.fault(f"{key}.tls", '"none" on a submission listener', right)
        elif listener.auth and listener.tls == "none":
            right = '"starttls" or "implicit" where auth = true: passwords are not taken in clear'
            yield loaded.fault(f"{key}.tls", '"none"', right)
