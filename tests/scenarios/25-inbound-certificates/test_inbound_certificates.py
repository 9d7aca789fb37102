"""Who must show a certificate, and who need not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from tests.scenarios.peers.certificates import Authority, Issued
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Got, Hop
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.swaks import swaks

TO = ("--to", "otto@corp.example")
PARTNER = ("--from", "ida@partner.example", *TO)
OTHERS = ("--from", "ida@other.example", *TO)
# Seconds in which new connections must have a renewed certificate (semantics t18). It is looked for each second here;
# tests/unit/app/test_renewal.py has it in a minute where nothing is set.
RENEWED = 60.0


@dataclass
class Place:
    gateway: Gateway
    hop: Hop
    shown: dict[str, Issued]
    authority: Authority
    files: dict[str, Issued]

    @property
    def implicit(self) -> int:
        return int(self.gateway.values["IMPLICIT"])

    def put(self, issued: Issued, *, key: bool = True) -> None:
        """The listeners' certificate, as a renewal writes it."""
        for source, name in ((issued.certificate, "own.pem"), (issued.key, "own.key"))[: 2 if key else 1]:
            beside = self.gateway.folder / f"{name}.new"
            shutil.copy(source, beside)
            beside.replace(self.gateway.folder / name)


@pytest.fixture(scope="module")
def place(
    make_gateway: Callable[..., Gateway],
    make_postfix: Callable[..., Postfix],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "Nobody's CA")
    own, second = authority.issue("gateway.corp.example"), authority.issue("mx.second.example")
    shown = {
        "good": authority.issue("mx.partner.example"),
        "other name": authority.issue("mx.other.example"),
        "deeper": authority.issue("a.b.partner.example"),
        "expired": authority.issue("mx.partner.example", expired=True),
        "stranger": stranger.issue("mx.partner.example"),
    }
    good = make_postfix(
        hostname="mx.good.example", domains="good.example", certificate=authority.issue("mx.good.example")
    )
    bad = make_postfix(hostname="mx.bad.example", domains="bad.example", certificate=stranger.issue("mx.bad.example"))
    with Hop() as hop:
        gateway = make_gateway(
            IMPLICIT=free_port(),
            SECOND=second.certificate,
            SECOND_KEY=second.key,
            CA=authority.ca,
            HOP=hop.port,
            GOOD=good.port,
            BAD=bad.port,
        )
        made = Place(gateway, hop, shown, authority, {"own": own, "second": second})
        made.put(own)
        gateway.start()
        yield made


def with_certificate(issued: Issued) -> tuple[str, ...]:
    return ("--tls-cert", str(issued.certificate), "--tls-key", str(issued.key))


@pytest.mark.parametrize("version", ["tlsv1_2", "tlsv1_3"])
@pytest.mark.parametrize("door", ["starttls", "implicit"])
def test_the_partner_comes_in_with_its_certificate(place: Place, door: str, version: str) -> None:
    place.hop.taken.clear()
    port, how = (place.gateway.port, "-tls") if door == "starttls" else (place.implicit, "-tlsc")
    said = swaks(port, how, "-tlsp", version, *with_certificate(place.shown["good"]), *PARTNER)
    assert said.code == 0, said.text
    (received,) = place.gateway.story(said.queue_id, "received")
    assert received["connector"] == "partner-in"
    assert received["certificate"] == {"name": "mx.partner.example", "issuer": "Test CA", "trusted": True}
    head = b" ".join(place.hop.wait(1)[0].octets.split(b"\r\n\r\n")[0].split())
    assert b'(client certificate "mx.partner.example" from "Test CA", trusted)' in head


@pytest.mark.parametrize("kind", ["other name", "deeper", "expired", "stranger"])
def test_a_certificate_that_does_not_hold_is_refused_at_mail(place: Place, kind: str) -> None:
    said = swaks(place.gateway.port, "-tls", *with_certificate(place.shown[kind]), *PARTNER)
    assert said.code != 0
    refusal = next(line for line in said.replies if line.startswith("550"))
    assert refusal.startswith("550 5.7.51 ")
    assert "RCPT" not in said.text.replace("RCPTMAX", "")
    reason = {"expired": "certificate-expired", "stranger": "certificate-not-trusted"}.get(
        kind, "certificate-host-mismatch"
    )
    until(lambda: f'"{reason}"' in place.gateway.log, f"{reason} in the log")
    assert "certificate_refused" in place.gateway.log


def test_without_a_certificate_the_partners_mail_is_refused(place: Place) -> None:
    over_tls = swaks(place.gateway.port, "-tls", *PARTNER)
    assert any(line.startswith("550 5.7.51 ") for line in over_tls.replies)
    in_clear = swaks(place.gateway.port, *PARTNER)
    assert any(line.startswith("530 5.7.0 ") for line in in_clear.replies)


@pytest.mark.parametrize("kind", [None, "good", "other name", "expired", "stranger"])
def test_everybody_elses_mail_comes_in_whatever_they_show(place: Place, kind: str | None) -> None:
    options = with_certificate(place.shown[kind]) if kind else ()
    said = swaks(place.gateway.port, "-tls", *options, *OTHERS)
    assert said.code == 0, said.text
    assert place.gateway.story(said.queue_id, "received")[0]["connector"] == "public"
    assert swaks(place.gateway.port, *OTHERS).code == 0


def test_postfix_with_a_certificate_is_the_partner(place: Place, make_postfix: Callable[..., Postfix]) -> None:
    issued = place.shown["good"]
    postfix = make_postfix(
        hostname="mx.partner.example",
        relay_to=place.gateway.port,
        demanded="encrypt",
        extra=f"smtp_tls_cert_file = {issued.certificate}\nsmtp_tls_key_file = {issued.key}\n"
        "smtp_tls_session_cache_database = btree:${data_directory}/smtp_sessions\n",
    )
    for number in range(3):
        octets = b"From: ida@partner.example\r\nSubject: %d\r\n\r\nHello\r\n" % number
        postfix.submit("-f", "ida@partner.example", "otto@corp.example", octets=octets)

    def taken() -> list[Got]:
        return [one for one in place.hop.taken if b"by mx.partner.example (Postfix" in one.octets]

    until(lambda: len(taken()) == 3, "three messages from Postfix")
    assert all(b'client certificate "mx.partner.example"' in one.octets for one in taken())


def test_postfix_without_one_is_told_so(place: Place, make_postfix: Callable[..., Postfix]) -> None:
    postfix = make_postfix(hostname="mx2.partner.example", relay_to=place.gateway.port, demanded="may")
    postfix.submit("-f", "ida@partner.example", "otto@corp.example", octets=b"Subject: x\r\n\r\nHello\r\n")
    until(lambda: "550 5.7.51" in postfix.log, "the refusal in Postfix' log")


def s_client(port: int, *options: str, typed: str = "QUIT\n") -> str:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(
        [program, "s_client", "-connect", f"127.0.0.1:{port}", "-crlf", *options],
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_never_resumed_without_its_chain(place: Place, version: str, tmp_path: Path) -> None:
    kept = tmp_path / "session"
    issued = place.shown["good"]
    shown = ("-cert", str(issued.certificate), "-key", str(issued.key), version, "-ign_eof")
    first = s_client(place.implicit, *shown, "-sess_out", str(kept))
    assert "220 gateway.corp.example" in first
    talk = "EHLO x.example\nMAIL FROM:<ida@partner.example>\nQUIT\n"
    again = ("-sess_in", str(kept)) if kept.exists() else ()
    second = s_client(place.implicit, *shown, *again, typed=talk)
    assert "250 2.1.0" in second, second
    assert "Reused, " not in second


def test_s_client_sees_that_a_certificate_is_asked_for(place: Place) -> None:
    told = s_client(place.gateway.port, "-starttls", "smtp")
    assert "No client certificate CA names sent" in told
    assert "Requested Signature Algorithms" in told or "Client Certificate Types" in told


def served(place: Place, name: str | None) -> str:
    """The name in the certificate that a client gets that asks for `name`."""
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    import socket

    with (
        socket.create_connection(("127.0.0.1", place.implicit), timeout=10) as door,
        plain.wrap_socket(door, server_hostname=name) as over_tls,
    ):
        der = over_tls.getpeercert(binary_form=True)
    assert der is not None
    names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


def test_names_of_ours_have_their_own_certificates(place: Place) -> None:
    told = s_client(place.gateway.port, "-starttls", "smtp", "-servername", "mx.second.example")
    assert "subject=CN = mx.second.example" in told
    told = s_client(place.gateway.port, "-starttls", "smtp", "-servername", "mx.unknown.example")
    assert "subject=CN = gateway.corp.example" in told


def test_a_renewed_certificate_is_served_soon_and_by_itself(place: Place) -> None:
    assert served(place, None) == "gateway.corp.example"
    place.put(place.authority.issue("renewed.corp.example"))
    until(lambda: served(place, None) == "renewed.corp.example", "the renewed certificate", RENEWED)
    until(lambda: "certificate_renewed" in place.gateway.log, "the renewal in the log")
    starttls = s_client(place.gateway.port, "-starttls", "smtp")
    assert "subject=CN = renewed.corp.example" in starttls


def test_half_a_renewal_keeps_the_old_and_warns(place: Place) -> None:
    before = served(place, None)
    third = place.authority.issue("third.corp.example")
    place.put(third, key=False)

    def warned() -> bool:
        warnings = place.gateway.ask("status")["warnings"]
        return any(one["code"] == "certificate_not_renewed" for one in warnings)

    until(warned, "a warning in the status", RENEWED)
    assert served(place, None) == before
    place.put(third)
    until(lambda: served(place, None) == "third.corp.example", "the whole pair", RENEWED)
    assert not warned()


def test_a_certificate_that_ends_soon_is_told(place: Place) -> None:
    """Those of this scenario end in thirty days, less some seconds."""
    warnings = place.gateway.json("status")["warnings"]
    told = [one["text"] for one in warnings if one["code"] == "certificate_expires"]
    assert any(text.startswith("listeners[0].certificates[0].certificate names") for text in told), warnings


def test_connector_test_tells_a_good_host_from_a_bad_one(place: Place) -> None:
    good = place.gateway.run("connector", "test", "good", "--to", "otto@good.example", "--send")
    assert good.returncode == 0, good.stdout + good.stderr
    assert "trusted, and names mx.good.example" in good.stdout
    assert good.stdout.splitlines()[-1] == "The connector good works."
    bad = place.gateway.run("connector", "test", "bad", "--to", "otto@bad.example")
    assert bad.returncode == 1
    assert "FAILED  starttls" in bad.stdout and "certificate-not-trusted" in bad.stdout
    assert "the rejected one is for mx.bad.example, from Nobody's CA" in bad.stdout
    told = place.gateway.run("connector", "test", "partner-in", "--from-address", "127.0.0.1")
    assert told.returncode == 0, told.stdout
    assert "must show a certificate for *.partner.example" in told.stdout
