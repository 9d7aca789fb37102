"""`check`: settings judged with all that they name, every fault at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.app import devcerts
from gateway.app.check import check
from gateway.app.init import init
from gateway.app.own_certificates import SOON
from gateway.keys.vault import Denied
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

DAY = 86400.0


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "var"
    init(folder, hostname="mail", clock=FakeClock(), chance=FakeChance())
    return folder


@pytest.fixture
def folder(pattern: Path, tmp_path: Path) -> Path:
    """What `init` makes, in a copy that the test may spoil."""
    import shutil

    return Path(shutil.copytree(pattern, tmp_path / "var"))


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "gateway.toml"


def lines(path: Path, now: float | None = None) -> list[str]:
    """The faults without the file in front; the folder is written as @."""
    clock = FakeClock() if now is None else FakeClock(now)
    whole = (str(fault).removeprefix(f"{path}: ") for fault in check(path, clock))
    return [line.replace(str(path.parent), "@") for line in whole]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_init_makes_has_no_fault(path: Path) -> None:
    assert check(path, FakeClock()) == []


def test_a_missing_file_is_the_only_fault(tmp_path: Path) -> None:
    assert [fault.key for fault in check(tmp_path / "gateway.toml", FakeClock())] == [""]


LISTENERS = {
    "no address": (
        'listen = "mail.corp.example:25"',
        'listeners[0].listen: found "mail.corp.example:25"; right would be an IP address and a port, such as '
        '"127.0.0.1:2525", "0.0.0.0:25" or "[::]:25" for all',
    ),
    "no port": (
        'listen = "127.0.0.1"',
        'listeners[0].listen: found "127.0.0.1"; right would be HOST:PORT, such as "127.0.0.1:2525"; '
        'an IPv6 address stands in brackets, such as "[::1]:2525"',
    ),
    "twice the same": (
        'listen = "[::1]:25"\ntls = "none"\n[[listeners]]\nlisten = "[0::1]:25"',
        'listeners[1].listen: found "[0::1]:25", which listeners[0].listen has already; '
        "right would be another address or port",
    ),
    "all addresses beside one of them": (
        'listen = "127.0.0.1:25"\ntls = "none"\n[[listeners]]\nlisten = "0.0.0.0:25"',
        'listeners[1].listen: found "0.0.0.0:25" beside "127.0.0.1:25" of listeners[0].listen, one of which holds the '
        "other; right would be another port, or one of the two alone",
    ),
    "all IPv6 addresses beside one of them": (
        'listen = "[::]:25"\ntls = "none"\n[[listeners]]\nlisten = "[::1]:25"',
        'listeners[1].listen: found "[::1]:25" beside "[::]:25" of listeners[0].listen, one of which holds the '
        "other; right would be another port, or one of the two alone",
    ),
    "IPv6 without brackets": (
        'listen = "::1:2620"',
        'listeners[0].listen: found "::1:2620"; right would be an IPv6 address in brackets, such as "[::1]:2620"',
    ),
    "a proxy that is no address": (
        'listen = "127.0.0.1:2525"\nproxy_protocol_from = ["10.0.0.5", "balancer"]',
        'listeners[0].proxy_protocol_from[1]: found "balancer"; right would be an IP address or a network, such as '
        '"192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"',
    ),
    "a proxy with bits behind its prefix": (
        'listen = "127.0.0.1:2525"\nproxy_protocol_from = ["10.0.0.5/8"]',
        'listeners[0].proxy_protocol_from[0]: found "10.0.0.5/8"; right would be "10.0.0.0/8": behind the prefix there '
        "are zeros alone",
    ),
    "everybody as a proxy": (
        'listen = "127.0.0.1:2525"\nproxy_protocol_from = ["10.0.0.0/8", "::/0"]',
        "listeners[0].proxy_protocol_from: found the whole internet (::/0); right would be the addresses of your own "
        "load balancers: from anywhere else anybody could claim to be anybody",
    ),
    "half of the internet as a proxy": (
        'listen = "127.0.0.1:2525"\nproxy_protocol_from = ["128.0.0.0/1"]',
        "listeners[0].proxy_protocol_from: found 128.0.0.0/1, a public network larger than /8; right would be the "
        "addresses of your own load balancers: from anywhere else anybody could claim to be anybody",
    ),
    "a bad host name": (
        'listen = "127.0.0.1:2525"\nhostname = "mail server"',
        'listeners[0].hostname: found "mail server"; right would be a host name, such as "mail.corp.example"',
    ),
}


def test_an_address_of_another_machine_is_told_before_the_gateway_is_to_serve(path: Path) -> None:
    change(path, 'listen = "127.0.0.1:2525"', 'listen = "192.0.2.7:2525"')
    assert lines(path) == [
        'listeners[0].listen: warning: found "192.0.2.7:2525", an address that this machine does not have now; right '
        "would be an address of this machine by the time that it serves, or 0.0.0.0 or [::] for all"
    ]
    assert check(path, FakeClock(), ask=False) == []


@pytest.mark.parametrize(
    ("least", "said"),
    [
        (1 << 60, "more than the disk with @ has, 4096000: no mail would ever be taken"),
        (4096000, "more than the disk with @ has, 4096000: no mail would ever be taken"),
        (2000000, "more than is free now where @ lies, 1024000: mail is answered 452"),
    ],
)
def test_more_room_than_there_is_can_not_be_kept_free(
    path: Path, monkeypatch: pytest.MonkeyPatch, least: int, said: str
) -> None:
    disk = SimpleNamespace(f_blocks=1000, f_frsize=4096, f_bavail=250)
    monkeypatch.setattr("gateway.app.check.os.statvfs", lambda _: disk)
    change(path, "[storage]", f"[storage]\nmin_free = {least}")
    (line,) = lines(path)
    assert "storage.min_free: " in line and said in line.replace("@/data", "@")
    if "ever" in said:
        assert line.endswith("right would be a small part of it, such as 204800, or a larger disk")


@pytest.mark.parametrize("name", LISTENERS)
def test_listener_faults(path: Path, name: str) -> None:
    text, expected = LISTENERS[name]
    change(path, 'listen = "127.0.0.1:2525"', text)
    assert lines(path) == [expected]


def test_tls_needs_a_certificate(path: Path) -> None:
    change(path, 'certificate = "certs/server.pem"', "")
    change(path, 'key = "certs/server.key"', "")
    assert lines(path) == [
        'listeners[0].certificate: found nothing; right would be the certificate\'s PEM file, or tls = "none"'
    ]
    change(path, 'tls = "starttls"', 'tls = "none"')
    assert lines(path) == []


def test_certificate_and_key_may_stand_in_one_file(path: Path) -> None:
    certs = path.parent / "certs"
    change(path, 'key = "certs/server.key"', "")
    assert lines(path) == [
        "listeners[0].key: found no private key in @/certs/server.pem; "
        "right would be a PEM file with a PRIVATE KEY block"
    ]
    both = (certs / "server.key").read_bytes() + (certs / "server.pem").read_bytes()
    (certs / "server.pem").write_bytes(both)
    (certs / "server.pem").chmod(0o600)
    assert lines(path) == []


def test_a_certificate_that_is_not_there(path: Path) -> None:
    change(path, "certs/server.pem", "certs/none.pem")
    assert lines(path) == [
        "listeners[0].certificate: found no file @/certs/none.pem; right would be a PEM file with certificates"
    ]


def test_the_key_of_another_certificate(path: Path) -> None:
    change(path, "certs/server.key", "certs/ca.key")
    assert lines(path) == [
        "listeners[0].key: found the key of another certificate in @/certs/ca.key; "
        "right would be the key of the first certificate in @/certs/server.pem"
    ]


def test_an_expired_certificate_is_a_warning_and_so_is_one_that_expires_soon(path: Path) -> None:
    made = FakeClock().now()
    end = made - 3600 + devcerts.SERVER_DAYS * DAY
    assert lines(path, end - SOON - 1) == []
    (soon,) = check(path, FakeClock(end - SOON + 1))
    assert soon.severity == "warning"
    assert soon.found.startswith("a certificate that expires at 20")
    (over,) = check(path, FakeClock(end + 1))
    assert over.severity == "warning"
    assert over.found.startswith("a certificate that expired at 20")
    (early,) = check(path, FakeClock(made - 2 * 3600))
    assert early.severity == "warning"
    assert "not valid before" in early.found


def test_a_private_key_for_everybody_is_a_warning(path: Path) -> None:
    (path.parent / "certs/server.key").chmod(0o644)
    (fault,) = check(path, FakeClock())
    assert (fault.severity, fault.key) == ("warning", "listeners[0].key")
    assert fault.right == f"chmod 600 {path.parent}/certs/server.key"


def test_a_vault_that_is_not_there(path: Path) -> None:
    (path.parent / "vault/root-keys").unlink()
    (fault,) = check(path, FakeClock())
    assert (fault.key, fault.severity) == ("vaults[0].path", "error")
    assert lines(path) == [
        "vaults[0].path: found no file @/vault/root-keys; "
        "right would be the folder of the vault that belongs to the data, with its disk mounted, or its backup"
    ]


def test_a_vault_that_others_may_read(path: Path) -> None:
    (path.parent / "vault/root-keys").chmod(0o640)
    (fault,) = check(path, FakeClock())
    assert "chmod 600" in fault.found


def test_no_vault_at_all(path: Path) -> None:
    text = path.read_text()
    head, _, tail = text.partition("[[vaults]]")
    path.write_text("vaults = []\n" + head + tail.partition('secret_file = "service-secret"')[2])
    assert lines(path) == [
        "vaults: found an empty list; right would be one vault at least: without a key nothing can be stored"
    ]


PLACES = {
    "metrics": (
        '[metrics]\nlisten = "9125"',
        'metrics.listen: found "9125"; right would be HOST:PORT, such as "127.0.0.1:2525"; '
        'an IPv6 address stands in brackets, such as "[::1]:2525"',
    ),
    "metrics where mail is taken": (
        '[metrics]\nlisten = "127.0.0.1:2525"',
        'metrics.listen: found "127.0.0.1:2525", which listeners[0].listen has already; '
        "right would be another address or port",
    ),
    "a resolver by name": (
        '[dns]\nresolvers = ["127.0.0.1:5353", "::1", "dns.example"]',
        'dns.resolvers[1]: found "::1"; right would be the IP address of a resolver, with its port where that is '
        'not 53, such as "127.0.0.1:5353"\n'
        'dns.resolvers[2]: found "dns.example"; right would be the IP address of a resolver, with its port where '
        'that is not 53, such as "127.0.0.1:5353"',
    ),
    "a log in a folder that is not there": (
        '[log]\nfile = "log/gateway.log"',
        "log.file: found no folder @/log; right would be a file in a folder that is there",
    ),
    "a log that is a folder": (
        '[log]\nfile = "data"',
        "log.file: found @/data, which is a folder; right would be a file",
    ),
    "the gateway's name": (
        '[server]\nhostname = "x y"',
        'server.hostname: found "x y"; right would be a host name, such as "mail.corp.example"',
    ),
}


RETRIES = {
    "first = 30\nlongest = 20": ["retry.first: found 30, more than longest; right would be at most longest, 20"],
    "first = 30\nexpire = 20": ["retry.first: found 30, more than expire; right would be at most expire, 20"],
    "longest = 20": [
        "retry.longest: found 20, less than first, which is 60 by default; "
        "right would be more than that, or a smaller first beside it"
    ],
    "first = 30\nlongest = 30\nexpire = 30": [],
}


@pytest.mark.parametrize("text", RETRIES)
def test_a_first_wait_above_the_longest_or_the_end_is_an_error(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}\n[retry]\n{text}\n")
    assert lines(path) == RETRIES[text]


def test_every_ipv4_and_every_ipv6_address_may_stand_side_by_side(path: Path) -> None:
    change(path, 'listen = "127.0.0.1:2525"', 'listen = "0.0.0.0:25"\ntls = "none"\n[[listeners]]\nlisten = "[::]:25"')
    assert lines(path) == []


def test_a_mailbox_connector_for_every_domain_is_doubtful(path: Path) -> None:
    change(path, 'deliver = "folder"\nfolder = "outbox"', 'deliver = "mailbox"')
    assert lines(path) == [
        'connectors.outbound[0].recipient_domains: warning: found "*" with deliver = "mailbox"; right would be the '
        "domains whose mailboxes are here; as it stands nobody anywhere else can be written to"
    ]


def test_a_catch_all_that_is_no_address_is_an_error(path: Path) -> None:
    path.write_text(f'{path.read_text()}\n[mailboxes.catch_all]\n"corp.example" = "office"\n')
    assert lines(path) == [
        'mailboxes.catch_all.corp.example: found "office" (the local part is malformed); right would be a domain and '
        'the address of a mailbox, such as "corp.example" = "office@corp.example"'
    ]


@pytest.mark.parametrize("key", ["storage.url", "log.file"])
def test_a_folder_that_may_not_be_entered_is_a_fault_and_no_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    if key == "log.file":
        path.write_text(f'{path.read_text()}\n[log]\nfile = "closed/gateway.log"\n')
    else:
        change(path, "sqlite:data", "sqlite:closed/data")
    stat = Path.stat

    def closed(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", closed)
    (fault,) = check(path, FakeClock())
    assert fault.key == key and "may not write" in fault.found


def test_a_vault_that_can_t_be_used_is_told_with_its_reason(path: Path) -> None:
    (path.parent / "vault/root-keys").write_text("x")
    (line,) = lines(path)
    assert line.startswith("vaults[0].path: found a vault that can't be used (@/vault/root-keys is not a file of root")
    assert line.endswith("; right would be the vault as `gateway init` made it, or its backup")


@pytest.mark.parametrize("name", PLACES)
def test_faults_of_other_sections(path: Path, name: str) -> None:
    text, expected = PLACES[name]
    path.write_text(f"{path.read_text()}\n{text}\n")
    assert lines(path) == expected.split("\n")


def test_storage_that_is_a_file(path: Path) -> None:
    change(path, "sqlite:data", "sqlite:gateway.toml")
    assert lines(path) == ["storage.url: found @/gateway.toml, which is a file; right would be a folder"]
    change(path, "sqlite:gateway.toml", "sqlite:")
    assert lines(path) == ['storage.url: found "sqlite:"; right would be "sqlite:FOLDER", such as "sqlite:data"']


def test_a_folder_where_the_gateway_may_not_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = path.parent / "outbox"
    outbox.chmod(0o500)
    if os.geteuid() == 0:  # Root may write everywhere, so the system's answer to others is given for it.
        real = os.access
        monkeypatch.setattr(os, "access", lambda where, mode: Path(where) != outbox and real(where, mode))
    assert [fault.key for fault in check(path, FakeClock())] == ["connectors.outbound[0].folder"]


def test_a_folder_that_may_be_made_is_no_fault(path: Path) -> None:
    change(path, 'folder = "outbox"', 'folder = "new/outbox"')
    assert lines(path) == []
    assert not (path.parent / "new").exists(), "a check changes nothing"


@pytest.mark.parametrize("contact", ["", "x\\u0007", "grüße@corp.example", "x" * 201])
def test_a_contact_that_no_reply_can_hold(path: Path, contact: str) -> None:
    change(path, "postmaster@corp.example", contact)
    assert [fault.key for fault in check(path, FakeClock())] == ["contact"]


def test_no_domains_of_ours_is_a_warning(path: Path) -> None:
    change(path, '["corp.example"]', "[]")
    assert [(fault.key, fault.severity) for fault in check(path, FakeClock())] == [("accepted_domains", "warning")]


def test_faults_of_every_kind_are_told_in_one_run(path: Path) -> None:
    path.write_text(
        """
        accepted_domains = ["a b"]
        contakt = "x"
        [[listeners]]
        listen = "127.0.0.1"
        kind = "submission"
        auth = false
        [[listeners]]
        listen = "127.0.0.1:26"
        tls = "sometimes"
        certificate = "certs/none.pem"
        [[connectors.inbound]]
        name = "in"
        type = "on_premises"
        [[connectors.outbound]]
        name = "out"
        recipient_domains = ["*"]
        smart_host = ["a.example"]
        tls_settings = "domain_validation"
        trusted_ca = "none.pem"
        dane = "opportunistic"
        [storage]
        url = "sqlite:data"
        trace_days = "30"
        [[vaults]]
        path = "nowhere"
        """
    )
    faults = check(path, FakeClock())
    assert [fault.key for fault in faults if fault.severity == "error"] == [
        "accepted_domains[0]",
        "contakt",
        "listeners[0].certificate",
        "listeners[0].listen",
        "listeners[0].auth",
        "listeners[1].tls",
        "listeners[1].certificate",
        "connectors.inbound[0].sender_ip_addresses",
        "connectors.outbound[0].smart_host",
        "connectors.outbound[0].trusted_ca",
        "storage.trace_days",
        "vaults[0].path",
    ]
    assert [fault.key for fault in faults if fault.severity == "warning"] == ["connectors.outbound[0].dane"]


def test_what_only_follows_from_a_misspelt_key_is_not_told(path: Path) -> None:
    change(path, 'deliver = "folder"', 'deliver = "foldr"')
    change(path, 'folder = "outbox"', 'foldr = "outbox"')
    assert [fault.key for fault in check(path, FakeClock())] == [
        "connectors.outbound[0].deliver",
        "connectors.outbound[0].foldr",
    ]


BESIDE = {
    "first": ("[retry]\nfirst = nan\nlongest = 50\n", ["retry.first"]),
    "first is too long": ("[retry]\nfirst = inf\nexpire = 50\n", ["retry.first"]),
    "longest": ("[retry]\nfirst = 20000\nlongest = nan\n", ["retry.longest"]),
    "expire": ("[retry]\nexpire = -inf\ndelay_notice = 500000\n", ["retry.expire"]),
    "a misspelt first": ("[retry]\nfrist = 5\nlongest = 50\n", ["retry.frist"]),
    "two that are both wrong": ("[retry]\nfirst = nan\njitter = inf\n", ["retry.first", "retry.jitter"]),
    "a vault's name": ('[[vaults]]\nname = 5\npath = "x"\n[dkim]\nvault = "b"\n', ["vaults[1].name"]),
    "deliver": (
        '[[connectors.outbound]]\nname = "m"\nrecipient_domains = ["a.example"]\ndeliver = 5\nfolder = "x"\n',
        ["connectors.outbound[1].deliver"],
    ),
    "tls_settings": (
        '[[connectors.outbound]]\nname = "m"\nrecipient_domains = ["a.example"]\nuse_mx = true\ntls_settings = 5\n'
        'tls_domain = "a.example"\n',
        ["connectors.outbound[1].tls_settings"],
    ),
    "a certificate": (
        '[imap]\nlisten = "127.0.0.1:1993"\ncertificate = 5\nkey = "x"\n'
        '[[connectors.outbound]]\nname = "m"\nrecipient_domains = ["a.example"]\ndeliver = "mailbox"\n',
        ["imap.certificate"],
    ),
    "what mailboxes are filled by": (
        '[imap]\nlisten = "127.0.0.1:1993"\ncertificate = "certs/server.pem"\nkey = "certs/server.key"\n'
        '[[connectors.outbound]]\nname = "m"\nrecipient_domains = ["a.example"]\ndelivr = "mailbox"\n'
        "use_mx = true\n",
        ["connectors.outbound[1].delivr"],
    ),
}


@pytest.mark.parametrize(("text", "keys"), BESIDE.values(), ids=BESIDE.keys())
def test_what_was_judged_by_another_value_that_is_at_fault_is_not_told(path: Path, text: str, keys: list[str]) -> None:
    path.write_text(f"{path.read_text()}\n{text}")
    assert [fault.key for fault in check(path, FakeClock(), ask=False)] == keys


def test_a_path_of_a_vault_that_is_no_text_is_one_fault_and_no_vault_that_does_not_open(path: Path) -> None:
    path.write_text(f'{path.read_text()}\n[[vaults]]\nname = "b"\npath = 5\nsecret_file = "certs/server.key"\n')
    assert [fault.key for fault in check(path, FakeClock())] == ["vaults[1].path"]


def test_a_vaults_folder_in_which_others_may_write_is_a_warning(path: Path) -> None:
    assert check(path, FakeClock()) == []
    vault = path.parent / "vault"
    vault.chmod(0o777)
    ((fault,),) = [check(path, FakeClock())]
    assert (fault.key, fault.severity, fault.right) == ("vaults[0].path", "warning", f"chmod 700 {vault}")
    assert "mode 0777" in fault.found


def test_a_mended_connector_shares_no_pattern_with_another(path: Path) -> None:
    change(path, 'recipient_domains = ["*"]', 'recipient_domain = ["*"]')
    text = path.read_text()
    more = '[[connectors.outbound]]\nname = "more"\nrecipient_domains = ["*"]\nuse_mx = true\n'
    path.write_text(text.replace("[storage]", f"{more}\n[storage]", 1))
    assert {fault.key for fault in check(path, FakeClock())} == {
        "connectors.outbound[0].recipient_domain",
        "connectors.outbound[0].recipient_domains",
    }


def test_a_folder_that_the_account_may_not_enter_is_told_and_hides_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def stat(one: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if one.parent.name in ("data", "vault"):  # As somebody else, who may list the folder above.
            raise PermissionError(errno.EACCES, "Permission denied", str(one))
        return real(one, follow_symlinks=follow_symlinks)

    def refused(*_: object) -> None:
        raise Denied("root-keys may not be read by this account")

    path.write_text(f'{path.read_text()}\n[[vaults]]\nname = "second"\npath = "second"\n')
    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr("gateway.app.file_vaults.facts", refused)
    assert any("root-keys may not be read by this account" in line for line in lines(path))
