"""What an LDAP server's answers mean, and what python-ldap's failures become."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.directory.filters import Filter
from gateway.directory.ldap import LdapQuestion
from gateway.directory.model import Answer, Finding
from gateway.directory.terms import LdapTerms
from gateway.mail.address import parse_address
from gateway.world.ldap import LdapFault, LdapServer, SystemLdap
from tests.fakes.ldap import FakeLdap

TERMS = LdapTerms(
    url="ldaps://dc1.corp.example:636",
    starttls=False,
    trusted_ca=None,
    bind_dn=None,
    password_file=None,
    base="dc=corp,dc=example",
    filter=Filter.of("(proxyAddresses=smtp:{address})"),
)
IDA = parse_address("ida@corp.example")


async def test_who_is_found_is_known_and_who_is_not_is_unknown() -> None:
    ldap = FakeLdap("smtp:ida@")
    ask = LdapQuestion(ldap, TERMS, None)
    assert await ask(IDA) == Finding(Answer.KNOWN)
    assert await ask(parse_address("otto@corp.example")) == Finding(Answer.UNKNOWN)
    assert ldap.asked[0] == ("dc=corp,dc=example", "(proxyAddresses=smtp:ida@corp.example)")


async def test_any_fault_is_doubt_never_a_no() -> None:
    ldap = FakeLdap()
    ldap.fault = "No such object"
    assert await LdapQuestion(ldap, TERMS, None)(IDA) == Finding(Answer.UNSURE, "No such object", away=True)


class FakeLibrary(ModuleType):
    """python-ldap as far as it is used; `raises` are what searches raise, one after the other."""

    class LDAPError(Exception):
        pass

    class SERVER_DOWN(LDAPError):
        pass

    class CONNECT_ERROR(LDAPError):
        pass

    class NO_SUCH_OBJECT(LDAPError):
        pass

    class SIZELIMIT_EXCEEDED(LDAPError):
        pass

    SCOPE_SUBTREE = 2

    def __init__(self) -> None:
        super().__init__("ldap")
        self.raises: list[Exception | None] = []
        self.found: list[tuple[str | None, object]] = []
        self.said: list[tuple[str, object]] = []
        self.made = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("OPT_"):
            return name
        raise AttributeError(name)

    def initialize(self, url: str, **options: object) -> Any:
        self.made += 1
        return FakeConnection(self)


class FakeConnection:
    def __init__(self, library: FakeLibrary) -> None:
        self.fake = library

    def set_option(self, name: str, value: object) -> None:
        self.fake.said.append((name, value))

    def start_tls_s(self) -> None:
        self.fake.said.append(("starttls", None))

    def simple_bind_s(self, name: str, password: str) -> None:
        self.fake.said.append(("bind", name))

    def search_ext_s(self, *arguments: object, **named: object) -> Any:
        if self.fake.raises and (error := self.fake.raises.pop(0)) is not None:
            raise error
        return self.fake.found

    def unbind_ext_s(self) -> None:
        self.fake.said.append(("unbind", None))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    one = FakeLibrary()
    monkeypatch.setitem(sys.modules, "ldap", one)
    return one


def server(*, url: str = "ldap://dc1.corp.example:389", starttls: bool = True, password: str = "secret") -> SystemLdap:
    terms = LdapServer(
        url=url,
        starttls=starttls,
        trusted_ca=Path("ca.pem"),
        bind_dn="cn=gateway",
        password=lambda: password,
        timeout=5,
    )
    return SystemLdap(terms, 2)


async def test_tls_is_demanded_and_comes_before_the_password(library: FakeLibrary) -> None:
    library.found = [("uid=ida", {})]
    ldap = server()
    assert await ldap.finds("dc=corp", "(x=y)")
    names = [name for name, _ in library.said]
    assert ("OPT_X_TLS_REQUIRE_CERT", "OPT_X_TLS_DEMAND") in library.said
    assert ("OPT_REFERRALS", 0) in library.said
    assert names.index("OPT_X_TLS_NEWCTX") < names.index("starttls") < names.index("bind")
    ldap.close()


async def test_a_connection_is_kept_and_a_dead_one_is_replaced(library: FakeLibrary) -> None:
    ldap = server()
    await ldap.finds("dc=corp", "(x=y)")
    await ldap.finds("dc=corp", "(x=y)")
    assert library.made == 1
    library.raises = [FakeLibrary.SERVER_DOWN({"desc": "Can't contact LDAP server"})]
    assert not await ldap.finds("dc=corp", "(x=y)")
    assert library.made == 2
    ldap.close()


async def test_referrals_find_nobody_and_several_entries_find_somebody(library: FakeLibrary) -> None:
    ldap = server()
    library.found = [(None, ["ldap://else.example"])]
    assert not await ldap.finds("dc=corp", "(x=y)")
    library.raises = [FakeLibrary.SIZELIMIT_EXCEEDED({})]
    assert await ldap.finds("dc=corp", "(x=y)")
    ldap.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FakeLibrary.NO_SUCH_OBJECT({"desc": "No such object", "info": "\x1b[31m"}), "No such object:  [31m"),
        (FakeLibrary.SERVER_DOWN({"desc": "Can't contact LDAP server"}), "certificate does not hold"),
        (FakeLibrary.LDAPError(), "LDAPError"),
        (OSError("x"), "OSError"),
    ],
)
async def test_a_failure_is_told_in_words_without_controls(library: FakeLibrary, error: Exception, words: str) -> None:
    library.raises = [error]
    ldap = server()
    with pytest.raises(LdapFault) as caught:
        await ldap.finds("dc=corp", "(x=y)")
    assert words in str(caught.value)
    ldap.close()


async def test_an_empty_password_is_no_login(library: FakeLibrary) -> None:
    """RFC 4513 5.1.2: with a name and no password the server says yes, and then finds what nobody may see: nothing."""
    ldap = server(password="")
    with pytest.raises(LdapFault, match="password file is empty"):
        await ldap.finds("dc=corp", "(x=y)")
    assert ("unbind", None) in library.said
    ldap.close()


async def test_without_the_library_nobody_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ldap", None)
    ldap = server()
    with pytest.raises(LdapFault, match="python-ldap is not installed"):
        await ldap.finds("dc=corp", "(x=y)")
    ldap.close()
