"""The LDAP client against a real slapd: TLS that holds, TLS that does not, logins, and servers that come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.world.ldap import LdapFault, LdapServer, SystemLdap
from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.slapd import ADMIN, BASE, PASSWORD, Slapd

pytest.importorskip("ldap", reason="python-ldap is not installed")

IDA = "(proxyAddresses=smtp:ida@corp.example)"


@pytest.fixture(scope="module")
def slapd(authority: Authority) -> Iterator[Slapd]:
    one = Slapd({"ida": ("smtp:ida@corp.example",)}, authority.issue("127.0.0.1"))
    yield one.start()
    one.stop()


class Client:
    def __init__(self) -> None:
        self.made: list[SystemLdap] = []

    def to(
        self,
        url: str,
        *,
        ca: Path | None = None,
        starttls: bool = False,
        name: str | None = ADMIN,
        password: str = PASSWORD,
    ) -> SystemLdap:
        server = LdapServer(
            url=url, starttls=starttls, trusted_ca=ca, bind_dn=name, password=lambda: password, timeout=3
        )
        self.made.append(SystemLdap(server, 2))
        return self.made[-1]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    one = Client()
    yield one
    for made in one.made:
        made.close()


@pytest.mark.parametrize("starttls", [False, True], ids=["ldaps", "starttls"])
async def test_somebody_is_found_over_tls(slapd: Slapd, authority: Authority, client: Client, starttls: bool) -> None:
    url = f"ldap://127.0.0.1:{slapd.port}" if starttls else f"ldaps://127.0.0.1:{slapd.tls_port}"
    ldap = client.to(url, ca=authority.ca, starttls=starttls)
    assert await ldap.finds(BASE, IDA)
    assert not await ldap.finds(BASE, IDA.replace("ida", "otto"))


@pytest.mark.parametrize("starttls", [False, True], ids=["ldaps", "starttls"])
async def test_a_certificate_that_does_not_hold_finds_nobody_and_refuses_nobody(
    slapd: Slapd, authority: Authority, client: Client, tmp_path: Path, starttls: bool
) -> None:
    scheme, port = ("ldap", slapd.port) if starttls else ("ldaps", slapd.tls_port)
    other = Authority(tmp_path, "Another CA")
    for host, ca in (("127.0.0.1", other.ca), ("localhost", authority.ca)):
        with pytest.raises(LdapFault):
            await client.to(f"{scheme}://{host}:{port}", ca=ca, starttls=starttls).finds(BASE, IDA)


async def test_tls_that_is_not_there_is_not_done_without(client: Client, authority: Authority) -> None:
    plain = Slapd({"ida": ("smtp:ida@corp.example",)})
    try:
        plain.start()
        with pytest.raises(LdapFault):
            await client.to(f"ldap://127.0.0.1:{plain.port}", ca=authority.ca, starttls=True).finds(BASE, IDA)
        assert await client.to(f"ldap://127.0.0.1:{plain.port}").finds(BASE, IDA)
    finally:
        plain.stop()


@pytest.mark.parametrize(("name", "password"), [(ADMIN, "wrong"), (None, ""), (ADMIN, "")])
async def test_who_is_not_let_in_finds_nobody_and_refuses_nobody(
    slapd: Slapd, client: Client, name: str | None, password: str
) -> None:
    with pytest.raises(LdapFault) as caught:
        await client.to(f"ldap://127.0.0.1:{slapd.port}", name=name, password=password).finds(BASE, IDA)
    assert "wrong" not in str(caught.value)


async def test_a_base_that_is_not_there_is_a_fault_not_an_empty_answer(slapd: Slapd, client: Client) -> None:
    with pytest.raises(LdapFault, match="No such object"):
        await client.to(f"ldap://127.0.0.1:{slapd.port}").finds("dc=else", IDA)


async def test_a_server_that_was_started_again_is_asked_again(slapd: Slapd, client: Client) -> None:
    ldap = client.to(f"ldap://127.0.0.1:{slapd.port}")
    assert await ldap.finds(BASE, IDA)
    slapd.halt()
    with pytest.raises(LdapFault):
        await ldap.finds(BASE, IDA)
    slapd.start()
    assert await ldap.finds(BASE, IDA)
