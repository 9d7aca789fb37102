"""Have a newcomer's mail signed, and a partner's encrypted, make a mailbox, and tell, before `gateway serve` starts,
where it will listen and how to send some.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PARTNER = "partner@secure.example"
PASSWORD = "demo"  # noqa: S105 - of the demo's PKCS#12 file, printed below: it guards nothing.
READER = "ida"  # Whose mailbox the demo has, in the first domain.
WORD = "rhubarb"  # It stands in the mail that the demo proposes, and is looked for on the disk.
RULE = """\
# Made by `make run` for the demo, and yours to change. rules/README.md says what a rule may be.
- name: The demo's partner gets S/MIME
  when: {recipient_domain_is: [secure.example]}
  then: {apply_smime: encrypt, smime_otherwise: reject}
"""


def sign(path: Path, command: str) -> str | None:
    """Make the demo's DKIM keys, where it has none: the domain in whose name mail is signed, or None."""
    domains = [one["domain"] for one in json.loads(_asked(path, command, "list", "--json") or "[]")]
    if not domains and (ours := _domains(path)) and _asked(path, command, "create", ours[0]):
        domains = ours
    return domains[0] if domains else None


def _asked(path: Path, command: str, *words: str) -> str:
    """What `gateway dkim key` answers, "" where it can't: a demo runs without signatures too."""
    whole = [command, "dkim", "key", *words, "--config", str(path)]
    return subprocess.run(whole, check=False, stdout=subprocess.PIPE, text=True).stdout


def partner(path: Path, command: str) -> Path | None:
    """A recipient with a certificate that the gateway knows, and a rule for him: the folder with both, and his key.

    Made once; None where it can't be. His key is a demo's: it lies here so that you can open what he gets.
    """
    folder = path.parent / "partner"
    rules = path.parent / "rules"
    if (folder / "certificate.pem").exists():
        return folder
    if not rules.is_dir():
        return None
    folder.mkdir(mode=0o700, exist_ok=True)
    _certify(folder)
    taken = [command, "certificate", "import", str(folder / "certificate.pem"), "--config", str(path)]
    if subprocess.run(taken, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        (folder / "certificate.pem").unlink()  # The next start tries again.
        return None
    rule = rules / "20-partner.yaml"
    if not rule.exists():
        rule.write_text(RULE, "utf-8")
    return folder


def mailbox(path: Path, command: str) -> tuple[str, str] | None:
    """The demo's mailbox and its password, made once; None where no mail ends here, or it can't be made.

    The password lies beside the settings, so that the next start tells it too: it is a demo's.
    """
    domains = _domains(path)
    if "imap" not in tomllib.loads(path.read_text("utf-8")) or not domains:
        return None
    address, kept = f"{READER}@{domains[0]}", path.parent / f"{READER}.password"
    if not kept.exists():
        password = secrets.token_urlsafe(12)
        whole = [command, "mailbox", "create", address, "--password-stdin", "--config", str(path)]
        made = subprocess.run(whole, check=False, stdout=subprocess.DEVNULL, input=password, text=True)
        if made.returncode != 0:
            return None
        _write(kept, password.encode())
    return address, kept.read_text("utf-8").strip()


def _certify(folder: Path) -> None:
    """A key with a certificate that it has signed itself: an administrator who imports it trusts it as it stands."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The demo's partner")])
    now = datetime.now(UTC)  # noqa: TID251 - no part of the gateway
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(PARTNER)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .sign(key, hashes.SHA256())
    )
    under = BestAvailableEncryption(PASSWORD.encode())
    _write(folder / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(folder / "partner.p12", pkcs12.serialize_key_and_certificates(b"partner", key, made, None, under))
    _write(folder / "certificate.pem", made.public_bytes(Encoding.PEM))


def _write(path: Path, octets: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(octets)


def _domains(path: Path) -> list[str]:
    settings = tomllib.loads(path.read_text("utf-8"))
    return [name if isinstance(name, str) else name["name"] for name in settings.get("accepted_domains", [])]


def hello(
    path: Path,
    command: str,
    signed: str | None = None,
    partner: Path | None = None,
    mailbox: tuple[str, str] | None = None,
) -> str:
    """What `make run` prints for the settings in `path`; `command` is how to call the gateway."""
    settings = tomllib.loads(path.read_text("utf-8"))
    listeners = [listener for listener in settings.get("listeners", []) if "listen" in listener]
    if not listeners:
        return f"Settings      {path}"
    first = listeners[0]
    domains = _domains(path)
    sender = f"ida@{domains[0] if domains else 'localhost'}"
    tls = {"none": "", "implicit": " --tls-on-connect"}.get(first.get("tls", "starttls"), " --tls")
    folders = [one["folder"] for one in settings.get("connectors", {}).get("outbound", []) if "folder" in one]
    lines = [
        f"Settings      {path}",
        f"Listening on  {', '.join(listener['listen'] for listener in listeners)}",
        *(f"Messages      land as .eml files in {path.parent / folder}" for folder in folders),
        *_portal(path, settings),
        *([] if mailbox is None else _imap(settings, *mailbox)),
        *([f"Signed for    {signed} (DKIM): {command} dkim key show {signed} --config {path}"] if signed else []),
        "",
        "Send a first message from another terminal:",
        f"  {command} send --config {path}",
        "or, the same with swaks:",
        f"  swaks --server {first['listen']}{tls} --from {sender} --to otto@partner.example",
        "",
        *(_protected(path, command, settings, folders, mailbox) if "portal" in settings else []),
        *(_sealed(path, command, f"{first['listen']}{tls} --from {sender}", partner, folders) if partner else []),
        *([] if mailbox is None else _kept(path, command, settings, f"{first['listen']}{tls}", *mailbox)),
        "Ctrl-C stops it; what was accepted stays.",
        "",
    ]
    return "\n".join(lines)


def _portal(path: Path, settings: dict[str, Any]) -> list[str]:
    """Where readers come to, and why their browser will doubt it."""
    url = settings.get("portal", {}).get("url")
    if url is None:
        return []
    authority = path.parent / "certs" / "ca.pem"
    return [
        f"Portal        {url}",
        f"              (your browser does not know who made its certificate: {authority}, on this machine;",
        "              import that authority, or go on for this once; in earnest it is one that browsers know)",
    ]


def _imap(settings: dict[str, Any], address: str, password: str) -> list[str]:
    """Where a mail program finds the mailbox."""
    return [f"IMAP          {settings['imap']['listen']}, TLS at once; user {address}, password {password}"]


def _kept(path: Path, command: str, settings: dict[str, Any], way: str, address: str, password: str) -> list[str]:
    """How to send something into the mailbox, read it, look for it on the disk, and have it destroyed."""
    folder, config = path.parent, f"--config {path}"
    text = f"Nobody finds this word on the disk: {WORD}."
    order, proof = folder / "order.json", folder / "destroyed.json"
    return [
        f"Mail to {address} ends here, in a mailbox under the policy `default`:",
        f"  {command} send {config} --from otto@partner.example --to {address} --body '{text}'",
        f"  swaks --server {way} --from otto@partner.example --to {address} --body '{text}'",
        "Its owner reads it with any mail program, or with curl (the first message):",
        f"  curl --cacert {folder / 'certs/ca.pem'} --user {address}:{password} "
        f"'imaps://{settings['imap']['listen']}/INBOX;MAILINDEX=1'",
        "and nothing of it is to be found on the disk:",
        f"  grep -ra {WORD} {path.parent / 'data'} || echo 'not a word'",
        "Who owns the policy's two roots closes it, and with the custodian's order destroys it for ever:",
        f"  {command} key disable root-a/mail --yes {config} && {command} key disable root-b/mail --yes {config}",
        f"  {command} policy order default --out {order} --key {folder / 'certs/custodian.pem'} {config}",
        f"  {command} policy purge default --order {order} --grace 0 --yes {config}",
        f"  {command} policy certificate default --out {proof} {config}",
        "",
    ]


def _protected(
    path: Path, command: str, settings: dict[str, Any], folders: list[str], mailbox: tuple[str, str] | None
) -> list[str]:
    """How to send something that a rule protects by rights, and how a stranger reads it."""
    lines = [
        f"A rule ({path.parent / 'rules/10-secure.yaml'}) has mail tagged [secure] leave protected, for any stranger:",
        f"  {command} send --config {path} --subject '[secure] For you alone' --body 'Nobody else reads this.'",
    ]
    if folders:
        last = f'"$(ls -t {path.parent / folders[0]}/*.eml | head -1)"'
        answer = "as well" if mailbox is None else f"comes into the mailbox of {mailbox[0]}, below"
        lines += [
            "What has arrived has a link to the portal; open it, and ask there for a code:",
            f"  grep -o '{settings['portal']['url'].rstrip('/')}/m/[A-Za-z0-9_-]*' {last} | head -1",
            f"The mail with the code lands in the outbox too; your answer {answer}:",
            f"  grep -E '^ +[0-9]{{8}}' {last}",  # It is in the language of your browser, the code's line in none.
        ]
    return [*lines, ""]


def _sealed(path: Path, command: str, way: str, partner: Path, folders: list[str]) -> list[str]:
    """How to send something that a rule encrypts, and how its recipient opens it."""
    lines = [
        f"A rule ({path.parent / 'rules/20-partner.yaml'}) has mail to {PARTNER} leave encrypted (S/MIME):",
        f"  swaks --server {way} --to {PARTNER} --body 'For you alone.'",
    ]
    if folders:
        last = f'"$(ls -t {path.parent / folders[0]}/*.eml | head -1)"'
        key = f"-inkey {partner / 'key.pem'} -recip {partner / 'certificate.pem'}"
        lines += [
            "Its recipient's key is the demo's, so you can open what has arrived, with either of:",
            f"  openssl cms -decrypt -in {last} {key}",
            f"  {command} smime open {last} --p12 {partner / 'partner.p12'} --password {PASSWORD} --out -",
        ]
    return [*lines, ""]


if __name__ == "__main__":
    settings_path, gateway = Path(sys.argv[1]), sys.argv[2]
    signs, knows = sign(settings_path, gateway), partner(settings_path, gateway)
    told = hello(settings_path, gateway, signs, knows, mailbox(settings_path, gateway))
    sys.stdout.write(told + "\n")
