"""A SoftHSM2 token for each test, and vaults over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.keys.providers.pkcs11.module import module_at
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from tests.fakes.clock import FakeClock
from tests.pkcs11 import MISSING, Token, TokenFolder, library


@pytest.fixture
def softhsm() -> Path:
    found = library()
    if found is None:
        pytest.skip(MISSING)
    return found.resolve()


@pytest.fixture
def tokens(softhsm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenFolder]:
    folder = TokenFolder(tmp_path / "softhsm")
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    module_at(softhsm).close()  # What another test left is of another folder.
    yield folder
    module_at(softhsm).close()


@pytest.fixture
def token(tokens: TokenFolder) -> Token:
    return tokens.token()


@pytest.fixture
def terms(token: Token, softhsm: Path) -> TokenTerms:
    return TokenTerms(vault="main", module=softhsm, token=token.label, pin=token.pin_file)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opened(terms: TokenTerms, clock: FakeClock) -> Callable[[], Pkcs11Vault]:
    """Each call gives a vault over the same token, as another process would have it."""
    return lambda: Pkcs11Vault(terms, clock=clock)


@pytest.fixture
def vault(opened: Callable[[], Pkcs11Vault]) -> Pkcs11Vault:
    return opened()
