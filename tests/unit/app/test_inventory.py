"""`gateway inventory`: a row for each technology, and one for what is not encrypted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app import inventory as module
from gateway.app.inventory import PARTS, inventory, opens
from gateway.app.inventory_row import Ground, Row
from gateway.keys.fips import SPOKEN, STORED, Module
from gateway.keys.providers.file.sheet import Head, Kind, Protector
from gateway.keys.providers.file.vault import Facts
from gateway.keys.vault import Denied
from gateway.settings.load import Loaded
from tests.fakes.certificates import make_certificate
from tests.fakes.settings import PLAIN, settings_in

MODULES = (Module("cryptography 50", STORED, False), Module("OpenSSL 3", SPOKEN, False))
MEMBERS = {
    "technology",
    "where",
    "what",
    "encrypted",
    "algorithm",
    "key_length",
    "key_management",
    "fips_approved",
    "module",
    "validation",
}


def key(vault: str, name: str, kind: str, *holds: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": f"{vault}/{name}",
        "vault": vault,
        "name": name,
        "type": kind,
        "state": "enabled",
        "versions": [{"version": 1, "created": None}, {"version": 3, "created": None}],
        "ends": None,
        "holds": list(holds),
    }


def listed(*keys: dict[str, Any], provider: str = "file") -> dict[str, Any]:
    spool = [
        {"version": 1, "created": "", "root": "main/old", "root_version": 1},
        {"version": 2, "created": "", "root": "main/default", "root_version": 3},
    ]
    holds = ({"kind": "domain_key", "key": "domain/spool", "version": 2, "root_version": 3},)
    return {
        "vaults": [{"name": "main", "provider": provider, "health": "answers", "reason": None}],
        "keys": [key("main", "default", "rsa-3072", *holds), *keys],
        "domain_keys": [{"key": "domain/spool", "versions": spool}],
    }


def ground(loaded: Loaded, *keys: dict[str, Any]) -> Ground:
    return Ground(loaded, listed(*keys), MODULES)


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    protectors = (
        Protector(kind=Kind.SECRET, name="service", created=0.0, sealed=b"x"),
        Protector(kind=Kind.SHARES, name="people", created=0.0, sealed=b"x"),
    )
    head = Head(id="00" * 16, generation=1, protectors=protectors)
    monkeypatch.setattr(module, "facts", lambda folder: Facts(folder / "root-keys", head))


def rows(loaded: Loaded, technology: str, *keys: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in inventory(ground(loaded, *keys)) if one["technology"] == technology]


def test_each_row_has_every_member(tmp_path: Path) -> None:
    found = inventory(ground(settings_in(tmp_path)))
    assert all(set(one) == MEMBERS for one in found)
    for one in found:
        assert one["algorithm"] is not None or not one["encrypted"]
        assert one["where"] and one["what"] and one["key_management"]
        # What is encrypted says by which module; what is not says so where an auditor reads it.
        assert (one["module"] is not None) is (one["algorithm"] is not None), one
        assert one["encrypted"] or "not encrypted" in one["what"] or "clear" in one["what"] + one["key_management"], one


def test_the_queue_names_its_domain_key_and_root(tmp_path: Path) -> None:
    (queue,) = rows(settings_in(tmp_path), "Queue (SQLite, journal, files)")
    assert str(tmp_path / "data/spool") in queue["where"]
    assert (queue["algorithm"], queue["key_length"]) == ("AES-256-GCM", "256 bits")
    assert queue["key_management"].startswith(
        "domain/spool version 2, wrapped by the root key main/default version 3 (rsa-3072)"
    )
    assert queue["validation"] == "approved by FIPS 140; cryptography 50, not validated"
    assert queue["fips_approved"] is True


def test_before_the_first_start_keys_are_still_to_be_made(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"vaults": [], "keys": [], "domain_keys": []}
    found = inventory(Ground(settings_in(tmp_path), nothing, MODULES))
    queue = next(one for one in found if one["technology"].startswith("Queue"))
    assert queue["key_management"].startswith("domain/spool, which is made at the first start")


def test_roots_wrap_by_their_kind(tmp_path: Path) -> None:
    holds = {"kind": "domain_key", "key": "domain/trace", "version": 1, "root_version": 1}
    rsa, aes = rows(settings_in(tmp_path), "Root key", key("main", "second", "aes-256", holds))
    assert rsa["algorithm"].startswith("RSA-OAEP with SHA-256") and rsa["key_length"] == "3072 bits"
    assert aes["algorithm"].startswith("AES key wrap (RFC 3394)") and aes["key_length"] == "256 bits"
    assert rsa["what"] == "main/default wraps domain/spool"
    assert "version 3, enabled" in rsa["key_management"]


def test_a_file_vault_names_its_protectors(tmp_path: Path) -> None:
    (vault_,) = rows(settings_in(tmp_path), "Vault (file)")
    assert vault_["where"] == str(tmp_path / "vault/root-keys")
    assert "service (HKDF-SHA256 of a service secret); people (HKDF-SHA256" in vault_["key_management"]


def test_protectors_say_how_they_open() -> None:
    def one(kind: Kind, **terms: object) -> str:
        return opens(Protector(kind=kind, name="x", created=0.0, terms=terms, sealed=b""))

    assert one(Kind.PASSPHRASE, derived_by="Argon2id, 256 MiB, 3 passes") == "Argon2id, 256 MiB, 3 passes"
    assert one(Kind.CERTIFICATE, way="rsa-oaep-sha256", subject="CN=x") == "rsa-oaep-sha256 to CN=x"
    assert "128 bits" in one(Kind.RECOVERY_KEY)


def test_a_vault_in_clear_and_one_that_is_away_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "facts", lambda folder: Facts(folder / "root-keys", None))
    (clear,) = rows(settings_in(tmp_path), "Vault (file)")
    assert not clear["encrypted"] and "in clear" in clear["key_management"]

    def missing(folder: Path) -> Facts:
        raise Denied("root-keys is missing")

    monkeypatch.setattr(module, "facts", missing)
    (away,) = rows(settings_in(tmp_path), "Vault (file)")
    assert away["algorithm"] == "unknown" and "root-keys is missing" in away["key_management"]


def test_a_token_speaks_for_itself(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path)
    section = loaded.settings.vaults[0].model_copy(
        update={"provider": "pkcs11", "module": "/usr/lib/token.so", "token": "GW", "pin_file": "pin"}
    )
    loaded = replace(loaded, settings=loaded.settings.model_copy(update={"vaults": [section]}))
    signing = key("main", "dkim.corp.example.s1", "rsa-2048")
    found = inventory(Ground(loaded, listed(signing, provider="pkcs11"), MODULES))
    by_name = {one["technology"]: one for one in found}
    token = by_name["Vault (PKCS #11)"]
    assert token["where"] == "token GW by /usr/lib/token.so"
    assert token["fips_approved"] is None and "CMVP" in token["validation"]
    assert by_name["DKIM"]["module"] == by_name["Root key"]["module"] == token["module"]


@pytest.mark.parametrize(("fips", "transport"), [(False, "RSA PKCS #1 v1.5"), (True, "RSA-OAEP with SHA-256")])
def test_smime_is_told_as_the_settings_have_it(tmp_path: Path, fips: bool, transport: str) -> None:
    text = PLAIN + f'[smime]\ndigest = "sha384"\n[security]\nfips = {str(fips).lower()}\n'
    loaded = settings_in(tmp_path, text)
    (stored,) = rows(loaded, "S/MIME certificates and keys")
    (encrypted,) = rows(loaded, "S/MIME, encrypted")
    (signed,) = rows(loaded, "S/MIME, signed")
    assert stored["algorithm"] == "AES-256-GCM"
    gcm = "AES-256-CBC (AES-256-GCM where all recipients read it)"
    assert encrypted["algorithm"].startswith(f"{gcm}; its key under {transport} or ECDH")
    assert (encrypted["encrypted"], encrypted["fips_approved"]) == (True, fips)
    assert "SHA-384" in signed["algorithm"]
    assert (signed["encrypted"], "domain/certificates" in signed["key_management"]) == (False, True)


def test_rights_managed_mail_names_its_tenant_key_and_where_copies_lie(tmp_path: Path) -> None:
    assert rows(settings_in(tmp_path), "Rights-managed mail") == []
    portal = '[portal]\nlisten = "127.0.0.1:8443"\nurl = "https://mail.corp.example"\n'
    loaded = settings_in(tmp_path, PLAIN + portal)
    (sealed,) = rows(loaded, "Rights-managed mail")
    (copies,) = rows(loaded, "Stored copies of rights-managed mail")
    assert (sealed["encrypted"], "main/tenant" in sealed["key_management"]) == (True, True)
    assert "RSA-OAEP" in sealed["algorithm"]
    assert str(tmp_path / "data" / "copies") in copies["where"] and "domain/portal" in copies["key_management"]


def test_dkim_signs_and_does_not_encrypt(tmp_path: Path) -> None:
    keys = [key("main", f"dkim.corp.example.{kind}", kind) for kind in ("ed25519", "rsa-2048")]
    first, second = rows(settings_in(tmp_path), "DKIM", *keys)
    assert (first["algorithm"], second["key_length"]) == ("Ed25519 (RFC 8463)", "2048 bits")
    assert "signed, not encrypted" in first["what"] and not first["encrypted"]


def test_the_key_access_log_is_signed_and_not_encrypted(tmp_path: Path) -> None:
    (unsigned,) = rows(settings_in(tmp_path), "Key-access log")
    assert unsigned["algorithm"] == "a chain of SHA-256" and "no vault signs" in unsigned["key_management"]
    (signed,) = rows(settings_in(tmp_path), "Key-access log", key("main", "access-log", "ec-p256"))
    assert signed["algorithm"].endswith("signed by ECDSA with P-256 and SHA-256") and not signed["encrypted"]
    assert signed["key_management"].startswith("main/access-log (ec-p256) signs its heads")
    assert signed["where"] == str(tmp_path / "data/gateway.db") and signed["fips_approved"] is True


def test_listeners_and_connectors_tell_their_tls(tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "mx.corp.example")
    tls = f'tls = "starttls"\ncertificate = "{own.file}"\nkey = "{own.key_file}"'
    text = PLAIN.replace('tls = "none"', tls) + (
        '[[connectors.outbound]]\nname = "drop"\nrecipient_domains = ["*"]\ndeliver = "folder"\nfolder = "outbox"\n'
    )
    loaded = settings_in(tmp_path, text)
    (door,) = rows(loaded, "SMTP in (TLS)")
    assert "EC secp256r1, 256 bits" in door["key_length"] and str(own.key_file) in door["key_management"]
    assert (door["fips_approved"], door["module"]) == (False, "OpenSSL 3, not validated")
    partner, ours = rows(loaded, "SMTP out (TLS)")
    assert "where the host offers it, else in clear" in partner["what"]
    assert (partner["where"], ours["where"]) == ("the hosts of the MX records", "127.0.0.1:2500")
    (drop,) = rows(loaded, "Folder out")
    assert not drop["encrypted"] and "in clear" in drop["what"]
    (clear,) = rows(settings_in(tmp_path), "SMTP in")
    assert not clear["encrypted"]


def test_who_may_read_a_file_is_told_as_it_is(tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "mx.corp.example")
    tls = f'tls = "starttls"\ncertificate = "{own.file}"\nkey = "{own.key_file}"'
    loaded = settings_in(tmp_path, PLAIN.replace('tls = "none"', tls))
    for mode, words in ((0o600, "file mode 0600; "), (0o644, "file mode 0644, so that everybody here may read it; ")):
        own.key_file.chmod(mode)
        loaded.path.chmod(mode)
        assert f"{own.key_file}, {words}" in rows(loaded, "SMTP in (TLS)")[0]["key_management"]
        assert rows(loaded, "Settings")[0]["key_management"].startswith(f"gateway.toml: {words}")
    own.key_file.unlink()
    assert "file mode unknown here" in rows(loaded, "SMTP in (TLS)")[0]["key_management"]


def test_under_fips_tls_and_passwords_are_approved(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, PLAIN + "[security]\nfips = true\n")
    (passwords,) = rows(loaded, "Passwords")
    assert passwords["algorithm"].startswith("PBKDF2-HMAC-SHA512") and passwords["fips_approved"] is True
    assert rows(loaded, "SMTP out (TLS)")[0]["algorithm"] == "TLS 1.2 and 1.3, AES suites of NIST SP 800-52r2, P-256"
    plain = settings_in(tmp_path)
    assert rows(plain, "Passwords")[0]["algorithm"].startswith("Argon2id")
    assert rows(plain, "Backup: file vaults")[0]["fips_approved"] is False


def test_ldap_in_clear_and_under_tls(tmp_path: Path) -> None:
    source = '[[recipient_sources]]\nname = "people"\nby = "ldap"\nbase = "dc=x"\nurl = "{0}"\n'
    (secure,) = rows(settings_in(tmp_path, PLAIN + source.format("ldaps://ldap.corp.example")), "Recipients (LDAP)")
    assert secure["algorithm"] == "TLS" and secure["fips_approved"] is None
    (here,) = rows(settings_in(tmp_path, PLAIN + source.format("ldap://127.0.0.1")), "Recipients (LDAP)")
    assert not here["encrypted"]
    (tls,) = rows(settings_in(tmp_path, PLAIN + source.format("ldap://ldap.corp.example")), "Recipients (LDAP)")
    assert tls["encrypted"]


def test_other_stores_have_rows_of_their_own(tmp_path: Path) -> None:
    text = PLAIN + '[storage]\nurl = "postgresql://gw@db.corp.example/mail"\nblobs = "s3://mail/a"\n'
    loaded = settings_in(tmp_path, text)
    (queue,) = rows(loaded, "Queue (PostgreSQL)")
    assert "db.corp.example" in queue["where"]
    (blobs,) = rows(loaded, "Blobs")
    assert blobs["where"] == "s3://mail/a"


def test_no_part_is_left_out(tmp_path: Path) -> None:
    own = [name for name in ("vaults", "root_keys", "dkim") if callable(getattr(module, name))]
    assert {part.__name__ for part in PARTS} >= {*own, "queue", "database", "listeners", "outbounds", "logs", "backups"}
    assert len(PARTS) == len({part.__name__ for part in PARTS})


def test_a_row_without_validation_claims_none() -> None:
    told = Row("Log", "here", "lines", None, None, "nobody", None).told()
    assert (told["fips_approved"], told["module"], told["validation"]) == (None, None, None)
