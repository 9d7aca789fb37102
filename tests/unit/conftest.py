"""What unit tests share."""

from __future__ import annotations

import pytest

from gateway.storage import writer


@pytest.fixture(autouse=True)
def short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write-ahead logs are not written to their length for each test: that takes some tenths of a second."""
    monkeypatch.setattr(writer, "lengthen_log", lambda connection, path: None)
