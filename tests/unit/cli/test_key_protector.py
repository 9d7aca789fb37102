"""`gateway key protector` and `gateway key recovery` on the command line, on a vault as `init` makes it."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.app.file_vaults import open_file_vault
from gateway.keys import passphrase
from gateway.keys.providers.file import custody, digits, protectors
from gateway.keys.providers.file.sheet import Kind, Protector
from gateway.keys.providers.file.vault import facts
from gateway.settings.load import loaded
from tests.fakes import clear_vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.file_vault import SECRET, by_secret
from tests.unit.cli.conftest import CommandLine, Said

DIGITS = digits.written(b"sixteen octets!!")
PHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)


class Vault:
    """A vault "main" beside the settings, opened by a secret and by a recovery key."""

    def __init__(self, line: CommandLine) -> None:
        assert line.settings is not None
        self.line = line
        self.settings = line.settings
        self.folder = line.settings.parent / "vault"
        self.secret = line.settings.parent / "service-secret"
        self.secret.touch(mode=0o600)
        self.secret.write_bytes(SECRET)

    def make(self, *makers: custody.Maker) -> None:
        custody.create(self.folder, ("default",), [by_secret(), *makers], chance=FakeChance(), clock=FakeClock())

    def run(self, *arguments: str, typed: str | None = None) -> Said:
        return self.line.run(None, "key", *arguments, typed=typed)

    @property
    def protectors(self) -> dict[str, Kind]:
        head = facts(self.folder).head
        return {} if head is None else {one.name: one.kind for one in head.protectors}

    def proved(self, name: str) -> float | None:
        head = facts(self.folder).head
        found = None if head is None else head.protector(name)
        return None if found is None else found.proved

    def opens(self) -> bool:
        """Whether a gateway with these settings would start."""
        settings = loaded(self.settings)
        return bool(open_file_vault(settings, settings.settings.vaults[0]).keys())


def by_digits(id_: str, master: bytes) -> Protector:
    return protectors.with_seed(
        Kind.RECOVERY_KEY,
        id_,
        "recovery",
        digits.read(DIGITS),
        master,
        {},
        now=FakeClock().now(),
        chance=FakeChance("recovery"),
    )


@pytest.fixture
def vault(command_line: CommandLine) -> Iterator[Vault]:
    made = Vault(command_line)
    made.make(by_digits)
    yield made


# -- protectors --------------------------------------------------------------------------------------------------------


def test_the_list_shows_what_opens_each_vault(vault: Vault) -> None:
    rows = vault.run("protector", "list", "--json").json
    assert [(row["vault"], row["name"], row["kind"], row["proved"]) for row in rows] == [
        ("main", "service", "secret", None),
        ("main", "recovery", "recovery-key", None),
    ]
    assert rows[0]["created"].endswith("Z")
    said = vault.run("protector", "list", "main")
    assert re.search(r"main +service +secret", said.out)
    assert vault.run("protector", "list", "other").err.startswith("gateway: gateway.toml names no vault 'other'")


def test_a_secret_file_that_is_not_there_is_made_for_its_owner_alone(vault: Vault, tmp_path: Path) -> None:
    said = vault.run("protector", "add", "main", "--secret-file", str(tmp_path / "new"), "--name", "second")
    assert said.code == 0, said.err
    assert "was made" in said.out
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").read_text().strip() not in said.out
    assert vault.protectors == {"service": Kind.SECRET, "recovery": Kind.RECOVERY_KEY, "second": Kind.SECRET}
    vault.secret.write_bytes((tmp_path / "new").read_bytes())
    assert vault.opens()


def test_names_are_found_where_none_is_given_and_refused_where_taken(vault: Vault, tmp_path: Path) -> None:
    assert vault.run("protector", "add", "main", "--secret-file", str(tmp_path / "a")).code == 0
    assert "service-2" in vault.protectors
    said = vault.run("protector", "add", "main", "--secret-file", str(tmp_path / "b"), "--name", "service")
    assert said.code == 1
    assert "'service' already" in said.err
    assert not (tmp_path / "b").exists(), "a secret that opens nothing is not left behind"


def test_a_passphrase_comes_from_standard_input_a_file_or_the_terminal(vault: Vault, tmp_path: Path) -> None:
    assert vault.run("protector", "add", "main", "--passphrase-stdin", typed=PHRASE + "\n").code == 0
    file = tmp_path / "phrase"
    file.touch(mode=0o600)
    file.write_text(PHRASE)
    assert vault.run("protector", "add", "main", "--passphrase-file", str(file)).code == 0
    vault.line.terminal = True
    assert vault.run("protector", "add", "main", "--passphrase", typed=f"{PHRASE}\n{PHRASE}\n").code == 0
    assert [name for name, kind in vault.protectors.items() if kind is Kind.PASSPHRASE] == [
        "passphrase",
        "passphrase-2",
        "passphrase-3",
    ]
    said = vault.run("protector", "add", "main", "--passphrase-stdin", typed="short\n")
    assert (said.code, "too short" in said.err) == (2, True)


def test_without_a_terminal_a_passphrase_is_not_asked_for(vault: Vault, tmp_path: Path) -> None:
    before = vault.protectors
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "gateway",
            "key",
            "protector",
            "add",
            "main",
            "--passphrase",
            "--config",
            vault.settings,
        ],
        input=f"{PHRASE}\n{PHRASE}\n",
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # Without a terminal of its own.
    )
    assert done.returncode == 2 and "no terminal to ask at" in " ".join(done.stderr.replace("│", " ").split())
    assert "Warning" not in done.stderr and vault.protectors == before


def test_one_way_has_to_be_said_and_not_two(vault: Vault) -> None:
    for options in ([], ["--passphrase", "--passphrase-stdin"], ["--secret-file", "x", "--passphrase"]):
        said = vault.run("protector", "add", "main", *options)
        assert said.code == 2
        assert "--secret-file" in said.err


def test_removing_asks_first_and_tells_where_the_gateway_could_not_start(vault: Vault) -> None:
    assert vault.run("protector", "remove", "main", "service").code == 2
    vault.line.terminal = True
    said = vault.run("protector", "remove", "main", "service", typed="n\n")
    assert (said.code, "service" in vault.protectors) == (1, True)
    said = vault.run("protector", "remove", "main", "service", typed="y\n")
    assert said.code == 0
    assert "the gateway can't start like this" in said.err
    assert list(vault.protectors) == ["recovery"]


def test_the_last_one_can_t_be_removed(vault: Vault) -> None:
    vault.run("protector", "remove", "main", "recovery", "--yes")
    said = vault.run("protector", "remove", "main", "service", "--yes")
    assert (said.code, said.out) == (1, "")
    assert "is the last protector" in said.err
    assert vault.opens()


def test_a_vault_that_only_a_passphrase_opens_asks_for_it_at_the_terminal(vault: Vault, tmp_path: Path) -> None:
    vault.run("protector", "add", "main", "--passphrase-stdin", typed=PHRASE)
    vault.run("protector", "remove", "main", "service", "--yes")
    vault.secret.unlink()
    new = ["protector", "add", "main", "--secret-file", str(tmp_path / "new")]
    said = vault.run(*new)
    assert said.code == 1
    assert "names none of them" in said.err
    vault.line.terminal = True
    assert "does not open" in vault.run(*new, typed="another passphrase\n").err
    assert vault.run(*new, typed=PHRASE + "\n").code == 0


def test_a_vault_in_clear_is_sealed_by_its_first_protector(command_line: CommandLine, tmp_path: Path) -> None:
    vault = Vault(command_line)
    vault.secret.unlink()
    clear_vault.create(vault.folder, ("default",), FakeChance())
    assert "lie in clear" in vault.run("protector", "list").out
    said = vault.run("recovery", "create", "main")
    assert (said.code, said.out) == (1, "")
    assert "gateway key protector add main --secret-file" in said.err
    said = vault.run("protector", "add", "main", "--secret-file", str(vault.secret))
    assert "is sealed now" in said.out
    assert "can't start" not in said.err
    assert vault.protectors == {"service": Kind.SECRET}
    assert vault.opens()


def test_a_secret_that_the_settings_do_not_name_is_warned_of(command_line: CommandLine, tmp_path: Path) -> None:
    vault = Vault(command_line)
    vault.secret.unlink()
    clear_vault.create(vault.folder, ("default",), FakeChance())
    said = vault.run("protector", "add", "main", "--secret-file", str(tmp_path / "elsewhere"))
    assert said.code == 0
    assert "warning: the gateway can't start like this: vault 'main' is sealed" in said.err


# -- recovery ----------------------------------------------------------------------------------------------------------


def test_a_recovery_key_is_shown_once_and_opens_the_vault(vault: Vault) -> None:
    said = vault.run("recovery", "create", "main", "--name", "second")
    assert said.code == 0, said.err
    shown = "-".join(re.findall(r"^ +(\d{6}(?:-\d{6}){3})$", said.out, re.MULTILINE))
    assert len(digits.read(shown)) == 16
    assert shown.encode() not in (vault.folder / "root-keys").read_bytes()
    assert "shown this once" in said.out
    assert vault.run("recovery", "verify", "main", typed=shown).code == 0
    assert (vault.proved("second"), vault.proved("recovery")) == (1_793_700_000.0, None)


def test_who_proves_to_hold_the_recovery_key_is_kept_with_the_time(vault: Vault) -> None:
    vault.secret.unlink()  # Nothing else is needed for it.
    said = vault.run("recovery", "verify", "main", "--json", typed=DIGITS.replace("-", " "))
    assert said.code == 0, said.err
    when = "2026-11-03T10:00:00.000Z"
    assert said.json == {"vault": "main", "name": "recovery", "kind": "recovery-key", "proved": when}
    assert vault.proved("recovery") == 1_793_700_000.0
    assert DIGITS[:6] not in said.out


def test_a_wrong_or_mistyped_recovery_key_proves_nothing(vault: Vault) -> None:
    for typed, words in (
        (DIGITS[:-1] + ("0" if DIGITS[-1] != "0" else "1"), "group 8 of 8 is mistyped"),
        (digits.written(b"another key.....")[:-7], "42 digits"),
        (digits.written(b"another key....."), "this recovery key is not the one of vault 'main'"),
        ("", "nothing was given; right would be the 48 digits"),
        ("not digits", "something else than digits"),
    ):
        said = vault.run("recovery", "verify", "main", typed=typed)
        assert (said.code, said.out) == (1, "")
        assert words in said.err
    assert vault.proved("recovery") is None


def test_it_is_asked_for_at_the_terminal_without_being_shown(vault: Vault) -> None:
    vault.line.terminal = True
    said = vault.run("recovery", "verify", "main", typed=DIGITS + "\n")
    assert said.code == 0
    assert DIGITS not in said.out + said.err


def shares_of(said: Said) -> list[str]:
    return re.findall(r"^ +((?:[a-z]+ ){19}[a-z]+)$", said.out, re.MULTILINE)


def test_shares_prove_together_what_one_alone_can_t(vault: Vault) -> None:
    vault.run("protector", "remove", "main", "recovery", "--yes")
    said = vault.run("recovery", "create", "main", "--shares", "2/3")
    shares = shares_of(said)
    assert len(shares) == 3
    assert vault.run("protector", "list", "--json").json[1]["needed"] == 2
    alone = vault.run("recovery", "verify", "main", typed=shares[0])
    assert "2 different shares are needed, and 1 is there" in alone.err
    assert vault.proved("shares") is None
    assert vault.run("recovery", "verify", "main", typed=f"\ufeff{shares[2]}\n\n{shares[0]}\n").code == 0
    vault.line.terminal = True
    assert vault.run("recovery", "verify", "main", typed=f"{shares[1]}\n{shares[2]}\n").code == 0
    assert vault.proved("shares") == 1_793_700_000.0


def test_shares_beside_a_recovery_key_in_one_piece_are_told_from_it_by_what_is_typed(vault: Vault) -> None:
    shares = shares_of(vault.run("recovery", "create", "main", "--shares", "2/3"))
    assert vault.run("recovery", "verify", "main", typed=f"{shares[0]}\n{shares[1]}\n").code == 0
    assert (vault.proved("shares"), vault.proved("recovery")) == (1_793_700_000.0, None)
    vault.line.terminal = True
    said = vault.run("recovery", "verify", "main", "--json", typed=f"{shares[2]}\n{shares[0]}\n")
    assert said.json["name"] == "shares"
    assert vault.run("recovery", "verify", "main", "--json", typed=DIGITS + "\n").json["name"] == "recovery"


@pytest.mark.parametrize("shares", ["2", "3/2", "1/3", "2/17", "a/b", "2/3/4", "", "99999999/99999999"])
def test_odd_numbers_of_shares_are_refused(vault: Vault, shares: str) -> None:
    said = vault.run("recovery", "create", "main", "--shares", shares)
    assert said.code in (1, 2)
    assert "right would be" in " ".join(said.err.split())
    assert "shares" not in vault.protectors


def test_under_fips_there_are_no_shares_and_passphrases_go_by_pbkdf2(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passphrase, "ROUNDS", passphrase.FEWEST_ROUNDS)
    vault.settings.write_text(vault.settings.read_text() + "\n[security]\nfips = true\n")
    said = vault.run("recovery", "create", "main", "--shares", "2/3")
    assert said.code == 1
    assert "no mechanism that FIPS 140 knows" in said.err
    assert vault.run("protector", "add", "main", "--passphrase-stdin", typed=PHRASE).code == 0
    rows = vault.run("protector", "list", "--json").json
    assert rows[-1]["derived_by"].startswith("PBKDF2")


def test_the_recovery_key_gives_a_vault_a_new_protector_on_the_day_when_all_else_is_lost(
    vault: Vault, tmp_path: Path
) -> None:
    vault.secret.unlink()
    said = vault.run("recovery", "open", "main", "--secret-file", str(vault.secret), typed=DIGITS)
    assert said.code == 0, said.err
    assert "service-2" in vault.protectors
    assert vault.opens()
    said = vault.run("recovery", "open", "main", "--passphrase-stdin", typed=DIGITS)
    assert said.code == 2
    said = vault.run("recovery", "open", "main", "--secret-file", str(tmp_path / "x"), typed=DIGITS[:-7])
    assert (said.code, (tmp_path / "x").exists()) == (1, False)


def certificate(folder: Path, key: ec.EllipticCurvePrivateKey, locked: bytes | None = None) -> tuple[Path, Path]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Recovery of Corp")])
    begin = datetime.datetime.fromtimestamp(FakeClock().now(), datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365))
        .sign(key, SHA256())
    )
    (folder / "recovery.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kind = serialization.NoEncryption() if locked is None else serialization.BestAvailableEncryption(locked)
    octets = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kind)
    (folder / "recovery.key").write_bytes(octets)
    return folder / "recovery.pem", folder / "recovery.key"


def test_a_certificate_s_private_key_opens_it_once_to_set_a_new_protector(vault: Vault, tmp_path: Path) -> None:
    public, private = certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()), b"open sesame")
    assert vault.run("recovery", "create", "main", "--certificate", str(public)).code == 0
    row = vault.run("protector", "list", "--json").json[-1]
    assert (row["kind"], row["subject"]) == ("recovery-certificate", "CN=Recovery of Corp")
    vault.secret.unlink()
    said = vault.run("recovery", "verify", "main", "--key", str(private))
    assert (said.code, "needs a passphrase" in said.err) == (1, True)
    vault.line.terminal = True
    assert vault.run("recovery", "verify", "main", "--key", str(private), typed="open sesame\n").code == 0
    assert vault.proved("certificate") is not None
    opening = ["recovery", "open", "main", "--key", str(private), "--secret-file", str(vault.secret)]
    assert vault.run(*opening, typed="open sesame\n").code == 0
    assert vault.opens()


def test_a_private_key_of_another_certificate_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    public, private = certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    said = vault.run("recovery", "verify", "main", "--key", str(private))
    assert "no protector of kind recovery-certificate" in said.err
    vault.run("recovery", "create", "main", "--certificate", str(public))
    _, private = certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    said = vault.run("recovery", "verify", "main", "--key", str(private))
    assert (said.code, "this private key is not the one of vault 'main'" in said.err) == (1, True)


def test_a_vault_without_a_recovery_key_says_how_to_get_one(command_line: CommandLine) -> None:
    vault = Vault(command_line)
    vault.make()
    said = vault.run("recovery", "verify", "main", typed=DIGITS)
    assert (said.code, "gateway key recovery create main" in said.err) == (1, True)


def test_too_much_on_standard_input_is_refused(vault: Vault) -> None:
    said = vault.run("recovery", "verify", "main", typed="1" * 10_000)
    assert said.code == 2
    assert "more than 8192 octets" in " ".join(said.err.split())
