"""The contract of a vault, on SoftHSM2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from gateway.keys.vault import KeyType
from tests.fakes.clock import FakeClock
from tests.unit.keys.contract import Subject, VaultContract


class TestPkcs11Vault(VaultContract):
    """In a token. SoftHSM2 2.6 has no OAEP with SHA-256, so its RSA keys sign alone."""

    @pytest.fixture
    def subject(self, opened: Callable[[], Pkcs11Vault], clock: FakeClock) -> Subject:
        vault = opened()
        vault.create("default", KeyType.AES_256)
        return Subject(vault=vault, again=opened, clock=clock, wrapping=(KeyType.AES_256,))
