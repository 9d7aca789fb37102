"""Connectors out of gateway.toml: the values that come of it, and the faults."""

from __future__ import annotations

import ssl
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway.app import devcerts
from gateway.connectors.inbound import inbounds, read_inbounds
from gateway.connectors.model import Deliver, Domains, TlsLevel
from gateway.connectors.outbound import choose, outbounds, read_outbounds
from gateway.connectors.patterns import accepted, read_accepted
from gateway.settings.fault import BadSettings, Fault
from gateway.settings.load import Loaded, loaded
from tests.fakes.chance import FakeChance

HEAD = 'accepted_domains = ["corp.example", {name = "*.Bücher.example"}]\n[[listeners]]\nlisten = "127.0.0.1:1"\n'
NOW = 1_793_700_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with certificates: ca.pem, mine.pem and mine.key, other.key, both.pem, and some that are broken."""
    chance = FakeChance()
    authority = devcerts.authority(NOW, chance)
    mine = devcerts.server(authority, ["mine.example"], NOW, chance)
    other = devcerts.server(authority, ["other.example"], NOW, chance)
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    (tmp_path / "mine.pem").write_bytes(mine.certificate_pem)
    (tmp_path / "mine.key").write_bytes(mine.key_pem)
    (tmp_path / "other.key").write_bytes(other.key_pem)
    (tmp_path / "both.pem").write_bytes(mine.key_pem + mine.certificate_pem)
    (tmp_path / "broken.pem").write_bytes(mine.certificate_pem.replace(b"\nM", b"\n!", 1))
    (tmp_path / "broken.key").write_bytes(mine.key_pem.replace(b"\nM", b"\n!", 1))
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "locked.key").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    return tmp_path


def made(folder: Path, text: str) -> Loaded:
    path = folder / "gateway.toml"
    path.write_text(HEAD + text)
    return loaded(path)


def outbound(folder: Path, text: str, *, name: str = "out", recipient_domains: str = '["*"]') -> list[str]:
    """The faults of one outbound connector, without the path and `connectors.outbound[0].` in front."""
    faults: list[Fault] = []
    whole = f'[[connectors.outbound]]\nname = "{name}"\nrecipient_domains = {recipient_domains}\n{text}\n'
    read_outbounds(made(folder, whole), faults)
    return [str(fault).removeprefix(f"{folder}/gateway.toml: connectors.outbound[0].") for fault in faults]


def inbound(folder: Path, text: str) -> list[str]:
    faults: list[Fault] = []
    whole = made(folder, f'[[connectors.inbound]]\nname = "in"\n{text}\n')
    read_inbounds(whole, accepted(whole), faults)
    return [str(fault).removeprefix(f"{folder}/gateway.toml: connectors.inbound[0].") for fault in faults]


def test_accepted_domains_are_a_labels(folder: Path) -> None:
    assert accepted(made(folder, "")) == Domains(("corp.example", "*.xn--bcher-kva.example"))


@pytest.mark.parametrize(
    ("entry", "right"),
    [
        ("ida@corp.example", 'the domain alone, "corp.example"'),
        (".corp.example", '"*.corp.example" for its subdomains'),
        ("*", "the domains by name"),
        ("a b", 'a domain, or "*.example.com" for subdomains'),
        ("*.*.corp.example", 'a domain, or "*.example.com" for subdomains'),
        ("192.0.2.1", 'a domain, or "*.example.com" for subdomains'),
        ("", 'a domain, or "*.example.com" for subdomains'),
    ],
)
def test_what_is_no_domain_is_told(folder: Path, entry: str, right: str) -> None:
    path = folder / "gateway.toml"
    path.write_text(f'accepted_domains = ["{entry}"]\n[[listeners]]\nlisten = "127.0.0.1:1"\n')
    faults: list[Fault] = []
    read_accepted(loaded(path), faults)
    assert [(fault.key, fault.right) for fault in faults] == [("accepted_domains[0]", right)]
    with pytest.raises(BadSettings):
        accepted(loaded(path))


def test_outbound_connectors_are_made_in_the_files_order(folder: Path) -> None:
    first, second, third = outbounds(
        made(
            folder,
            """
            [[connectors.outbound]]
            name = "partner"
            recipient_domains = ["Partner.Example", "*.partner.example"]
            smart_hosts = ["MX.partner.example:26", "[2001:db8::1]", "192.0.2.1", "[::1]:2525"]
            port = 2526
            tls_settings = "domain_validation"
            trusted_ca = "ca.pem"
            client_certificate = "mine.pem"
            client_key = "mine.key"
            source_address = "192.0.2.9"
            [[connectors.outbound]]
            name = "off"
            enabled = false
            recipient_domains = ["off.example"]
            use_mx = true
            [[connectors.outbound]]
            name = "demo"
            recipient_domains = ["demo.example"]
            deliver = "folder"
            folder = "outbox"
            [[connectors.outbound]]
            name = "rest"
            recipient_domains = ["*"]
            use_mx = true
            tls_settings = "domain_validation"
            tls_domain = "*.Partner.example"
            """,
        )
    )
    assert (first.name, second.name, third.name) == ("partner", "demo", "rest")
    assert first.recipient_domains.patterns == ("partner.example", "*.partner.example")
    assert first.smart_hosts == (
        ("mx.partner.example", 26),
        ("2001:db8::1", 2526),
        ("192.0.2.1", 2526),
        ("::1", 2525),
    )
    assert (first.deliver, first.tls.level, first.tls.domain) == (Deliver.SMTP, TlsLevel.DOMAIN_VALIDATION, None)
    assert first.tls.context.verify_mode is ssl.CERT_REQUIRED
    assert first.source_address == "192.0.2.9"
    assert (second.deliver, second.folder) == (Deliver.FOLDER, folder / "outbox")
    assert (third.smart_hosts, third.tls.domain) == ((), "*.partner.example")


def test_the_most_specific_recipient_domain_wins_and_the_first_wins_a_tie(folder: Path) -> None:
    text = "".join(
        f'[[connectors.outbound]]\nname = "{name}"\nrecipient_domains = ["{domain}"]\nuse_mx = true\n'
        for name, domain in (
            ("sub", "*.partner.example"),
            ("one", "mail.partner.example"),
            ("again", "mail.partner.example"),
            ("deep", "*.a.partner.example"),
        )
    )
    whole = outbounds(made(folder, text))
    for domain, name in (
        ("mail.partner.example", "one"),
        ("x.partner.example", "sub"),
        ("x.a.partner.example", "deep"),
    ):
        chosen = choose(whole, domain)
        assert chosen is not None
        assert chosen.name == name
    assert choose(whole, "partner.example") is None
    assert choose((), "partner.example") is None


OUTBOUND_TABLE = {
    "no way at all": ("", ['smart_hosts: found nothing; right would be smart_hosts = ["HOST:PORT"], or use_mx = true']),
    "two ways": (
        'smart_hosts = ["a.example"]\nuse_mx = true',
        ["use_mx: found true beside smart_hosts; right would be one of the two"],
    ),
    "a folder without its name": (
        'deliver = "folder"',
        ['folder: found nothing; right would be a folder, such as "outbox"'],
    ),
    "a folder and a smart host": (
        'deliver = "folder"\nfolder = "outbox"\nsmart_hosts = ["a.example"]\nuse_mx = true',
        [
            'smart_hosts: found a list of 1; right would be to leave it out: deliver is "folder"',
            'use_mx: found true; right would be to leave it out: deliver is "folder"',
        ],
    ),
    "a folder that nothing uses": (
        'use_mx = true\nfolder = "outbox"',
        ['folder: found "outbox"; right would be to leave it out, or deliver = "folder"'],
    ),
    "TLS into a folder": (
        'deliver = "folder"\nfolder = "outbox"\ntls_settings = "encryption_only"',
        ['tls_settings: found "encryption_only"; right would be to leave it out: a folder knows no TLS'],
    ),
    "domain validation by MX without a name": (
        'use_mx = true\ntls_settings = "domain_validation"',
        [
            "tls_domain: found nothing; right would be with use_mx, the name in the certificate, such as "
            '"*.partner.example"'
        ],
    ),
    "a wildcard in the middle": (
        'use_mx = true\ntls_settings = "domain_validation"\ntls_domain = "mx.*.example"',
        [
            'tls_domain: found "mx.*.example"; right would be a host name; a wildcard is its whole first label, '
            '"*.partner.example"'
        ],
    ),
    "a name that nothing judges": (
        'use_mx = true\ntls_settings = "certificate_validation"\ntls_domain = "mx.partner.example"',
        [
            'tls_domain: warning: found "mx.partner.example"; right would be tls_settings = "domain_validation"; '
            "otherwise no name is judged"
        ],
    ),
    "a CA that nothing judges": (
        'use_mx = true\ntls_settings = "encryption_only"\ntrusted_ca = "ca.pem"',
        [
            'trusted_ca: warning: found "ca.pem"; right would be tls_settings = "certificate_validation" or more; '
            "otherwise no certificate is judged"
        ],
    ),
    "a CA that is not there": (
        'use_mx = true\ntls_settings = "certificate_validation"\ntrusted_ca = "none.pem"',
        ["trusted_ca: found no file @/none.pem; right would be a PEM file with certificates"],
    ),
    "an empty CA file": (
        'use_mx = true\ntls_settings = "certificate_validation"\ntrusted_ca = "empty.pem"',
        ["trusted_ca: found no certificate in @/empty.pem; right would be a PEM file with a CERTIFICATE block"],
    ),
    "a key where a CA stands": (
        'use_mx = true\ntls_settings = "certificate_validation"\ntrusted_ca = "mine.key"',
        ["trusted_ca: found a private key in @/mine.key; right would be a PEM file with a CERTIFICATE block"],
    ),
    "a damaged client certificate": (
        'use_mx = true\nclient_certificate = "broken.pem"\nclient_key = "mine.key"',
        [
            "client_certificate: found a damaged certificate in @/broken.pem; "
            "right would be a PEM file with whole CERTIFICATE blocks"
        ],
    ),
    "the key of another certificate": (
        'use_mx = true\nclient_certificate = "mine.pem"\nclient_key = "other.key"',
        [
            "client_key: found the key of another certificate in @/other.key; "
            "right would be the key of the first certificate in @/mine.pem"
        ],
    ),
    "a damaged key": (
        'use_mx = true\nclient_certificate = "mine.pem"\nclient_key = "broken.key"',
        [
            "client_key: found a damaged private key in @/broken.key; "
            "right would be a PEM file with a whole PRIVATE KEY block"
        ],
    ),
    "a key with a passphrase": (
        'use_mx = true\nclient_certificate = "mine.pem"\nclient_key = "locked.key"',
        [
            "client_key: found a private key with a passphrase in @/locked.key; "
            "right would be one without, in a file of mode 0600"
        ],
    ),
    "no key": (
        'use_mx = true\nclient_certificate = "mine.pem"',
        ["client_key: found no private key in @/mine.pem; right would be a PEM file with a PRIVATE KEY block"],
    ),
    "a key alone": (
        'use_mx = true\nclient_key = "mine.key"',
        ["client_certificate: found nothing beside client_key; right would be the certificate's PEM file"],
    ),
    "certificate and key in one file": ('use_mx = true\nclient_certificate = "both.pem"', []),
    "smart hosts that are none": (
        'smart_hosts = ["a.example:70000", "2001:db8::1", "a_b c", "999.1.1.1", "good.example"]',
        [
            'smart_hosts[0]: found "a.example:70000"; right would be a port from 1 to 65535 behind the colon',
            'smart_hosts[1]: found "2001:db8::1"; right would be an IPv6 address in brackets, '
            'such as "[2001:db8::1]:25"',
            'smart_hosts[2]: found "a_b c"; right would be HOST:PORT, such as "127.0.0.1:2525"; '
            'an IPv6 address stands in brackets, such as "[::1]:2525"',
            'smart_hosts[3]: found "999.1.1.1"; right would be a host name or an IP address, '
            'such as "mx.partner.example:25"',
        ],
    ),
    "a source address that is none": (
        'use_mx = true\nsource_address = "eth0"',
        ['source_address: found "eth0"; right would be an IP address of this machine'],
    ),
}


@pytest.mark.parametrize("name", OUTBOUND_TABLE)
def test_outbound_faults(folder: Path, name: str) -> None:
    text, expected = OUTBOUND_TABLE[name]
    assert outbound(folder, text) == [line.replace("@/", f"{folder}/") for line in expected]


def test_bad_recipient_domains_are_all_told(folder: Path) -> None:
    lines = outbound(folder, "use_mx = true", recipient_domains='["x@partner.example", "ok.example", "a..b"]')
    assert [line.partition(":")[0] for line in lines] == ["recipient_domains[0]", "recipient_domains[2]"]


def test_connectors_with_one_name_are_told_apart(folder: Path) -> None:
    text = '[[connectors.outbound]]\nname = "a"\nrecipient_domains = ["{}.example"]\nuse_mx = true\n'
    with pytest.raises(BadSettings) as caught:
        outbounds(made(folder, text.format("a") + text.format("b")))
    (fault,) = caught.value.faults
    assert (fault.key, fault.found) == ("connectors.outbound[1].name", '"a"')
    assert fault.right == "a name that connectors.outbound[0] does not have"


def test_a_pattern_of_two_connectors_is_a_warning_that_names_both(folder: Path) -> None:
    text = "".join(
        f'[[connectors.outbound]]\nname = "{name}"\nrecipient_domains = ["{domain}"]\nuse_mx = true\n{more}\n'
        for name, domain, more in (
            ("off", "p.example", "enabled = false"),
            ("one", "P.example", ""),
            ("sub", "*.p.example", ""),
            ("two", "p.example", ""),
        )
    )
    faults: list[Fault] = []
    assert len(read_outbounds(made(folder, text), faults)) == 3
    assert [str(fault).removeprefix(f"{folder}/gateway.toml: ") for fault in faults] == [
        'connectors.outbound[3].recipient_domains[0]: warning: found "p.example", which connectors.outbound[1] has '
        'already; right would be to name it once: as it stands "one" counts, the first in the file, and "two" gets '
        "none of it"
    ]


def test_no_outbound_connector_is_a_warning(folder: Path) -> None:
    faults: list[Fault] = []
    assert read_outbounds(made(folder, ""), faults) == ()
    assert [(fault.key, fault.severity) for fault in faults] == [("connectors.outbound", "warning")]


def test_inbound_connectors_are_made_with_the_defaults_of_their_type(folder: Path) -> None:
    mine, partner = inbounds(
        made(
            folder,
            """
            [[connectors.inbound]]
            name = "mine"
            type = "on_premises"
            sender_ip_addresses = ["127.0.0.0/8", "::1", "::ffff:192.0.2.0/120"]
            associated_accepted_domains = ["CORP.example"]
            [[connectors.inbound]]
            name = "off"
            type = "partner"
            enabled = false
            [[connectors.inbound]]
            name = "partner"
            type = "partner"
            sender_domains = ["Partner.example"]
            recipient_domains = ["corp.example"]
            minimum_tls = "1.3"
            """,
        )
    )
    assert mine.on_premises and not mine.require_tls
    assert mine.networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("192.0.2.0/24"))
    assert mine.accepted_senders == Domains(("corp.example",))
    assert mine.recipient_domains is None
    assert not partner.on_premises and partner.require_tls
    assert partner.sender_domains == Domains(("partner.example",))
    assert (partner.recipient_domains, partner.minimum_tls) == (Domains(("corp.example",)), "1.3")


RELAY = "the addresses of your own servers: from anywhere else this would be an open relay"
INBOUND_TABLE = {
    "our own servers from anywhere": (
        'type = "on_premises"',
        [f"sender_ip_addresses: found nothing; right would be {RELAY}"],
    ),
    "the whole internet": (
        'type = "on_premises"\nsender_ip_addresses = ["0.0.0.0/0", "::/0"]',
        [
            f"sender_ip_addresses: found the whole internet (0.0.0.0/0); right would be {RELAY}",
            f"sender_ip_addresses: found the whole internet (::/0); right would be {RELAY}",
        ],
    ),
    "the whole internet in two halves": (
        'type = "on_premises"\nsender_ip_addresses = ["0.0.0.0/1", "128.0.0.0/1"]',
        [f"sender_ip_addresses: found the whole internet (0.0.0.0/0); right would be {RELAY}"],
    ),
    "the whole internet as mapped addresses": (
        'type = "on_premises"\nsender_ip_addresses = ["::ffff:0.0.0.0/96"]',
        [f"sender_ip_addresses: found the whole internet (0.0.0.0/0); right would be {RELAY}"],
    ),
    "a large part of the internet": (
        'type = "on_premises"\nsender_ip_addresses = ["64.0.0.0/7", "2000::/3", "192.0.2.0/24"]',
        [
            f"sender_ip_addresses: found 64.0.0.0/7, a public network larger than /8; right would be {RELAY}",
            f"sender_ip_addresses: found 2000::/3, a public network larger than /16; right would be {RELAY}",
        ],
    ),
    "a large part of the internet in two halves": (
        'type = "on_premises"\nsender_ip_addresses = ["64.0.0.0/8", "65.0.0.0/8"]',
        [f"sender_ip_addresses: found 64.0.0.0/7, a public network larger than /8; right would be {RELAY}"],
    ),
    "private networks and public ones that are small enough": (
        'type = "on_premises"\nsender_ip_addresses = ["10.0.0.0/8", "11.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", '
        '"127.0.0.0/8", "fc00::/7", "fe80::/10", "2001::/16"]',
        [],
    ),
    "a partner's recipient domains that are not ours": (
        'type = "partner"\nrequire_tls = false\nrecipient_domains = ["corp.example", "*.example", "else.example", '
        '"a.bücher.example", "*.b.bücher.example", "*", "*.corp.example"]',
        [
            'recipient_domains[2]: warning: found "else.example"; right would be one of accepted_domains: a partner '
            "reaches no other, so this has no effect",
            'recipient_domains[6]: warning: found "*.corp.example"; right would be one of accepted_domains: a partner '
            "reaches no other, so this has no effect",
        ],
    ),
    "our own servers' recipient domains": (
        'type = "on_premises"\nsender_ip_addresses = ["192.0.2.1"]\nrecipient_domains = ["else.example"]',
        [],
    ),
    "addresses that are none": (
        'type = "on_premises"\nsender_ip_addresses = ["10.0.0.1/8", "mail.example", "10.0.0.1"]',
        [
            'sender_ip_addresses[0]: found "10.0.0.1/8"; right would be "10.0.0.0/8": '
            "behind the prefix there are zeros alone",
            'sender_ip_addresses[1]: found "mail.example"; right would be an IP address or a network, such as '
            '"192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"',
        ],
    ),
    "a restriction to no addresses": (
        'type = "partner"\nsender_domains = ["p.example"]\nrestrict_domains_to_ip_addresses = true',
        [
            "sender_ip_addresses: found nothing; right would be the addresses to which "
            "restrict_domains_to_ip_addresses restricts them"
        ],
    ),
    "TLS demanded from all the world": (
        'type = "partner"',
        [
            "require_tls: warning: found true; right would be false on a public MX (RFC 3207 4): the connector is for "
            "everybody, so nobody may come in clear"
        ],
    ),
    "a version for who need not use TLS": (
        'type = "partner"\nrequire_tls = false\nminimum_tls = "1.3"',
        [
            'minimum_tls: warning: found "1.3"; right would be to have require_tls = true beside it; as it stands, '
            "who comes in clear is let in"
        ],
    ),
    "no sender domains": (
        'type = "partner"\nsender_domains = []',
        ['sender_domains: found an empty list; right would be domains, or ["*"] for all'],
    ),
    "associated domains that are not ours": (
        'type = "partner"\nrequire_tls = false\nassociated_accepted_domains = ["corp.example", "else.example", "*"]',
        [
            'associated_accepted_domains[2]: found "*"; right would be the domains by name',
            'associated_accepted_domains[1]: found "else.example"; right would be one of accepted_domains',
        ],
    ),
    "all of it at once": (
        'type = "partner"\nrequire_tls = false\nsender_domains = ["@"]\nrecipient_domains = [" "]\n'
        'sender_ip_addresses = ["x"]',
        [
            'sender_ip_addresses[0]: found "x"; right would be an IP address or a network, such as "192.0.2.7", '
            '"192.0.2.0/24" or "2001:db8::/32"',
            'sender_domains[0]: found "@"; right would be a domain, or "*.example.com" for subdomains, or "*" for all',
            'recipient_domains[0]: found ""; right would be a domain, or "*.example.com" for subdomains, '
            'or "*" for all',
        ],
    ),
}


@pytest.mark.parametrize("name", INBOUND_TABLE)
def test_inbound_faults(folder: Path, name: str) -> None:
    text, expected = INBOUND_TABLE[name]
    assert inbound(folder, text) == expected


def test_faulty_inbound_connectors_raise(folder: Path) -> None:
    with pytest.raises(BadSettings, match="open relay"):
        inbounds(made(folder, '[[connectors.inbound]]\nname = "in"\ntype = "on_premises"\n'))
