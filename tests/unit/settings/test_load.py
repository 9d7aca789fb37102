"""Reading gateway.toml: what is right loads, what is wrong is told all at once in words that help."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings import load as reading
from gateway.settings import shape
from gateway.settings.load import BadSettings, find, load, loaded, read

RIGHT = """\
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8"]
[[connectors.outbound]]
name = "out"
recipient_domains = ["*"]
smart_hosts = ["mx.partner.example"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.toml"


def lines(file: Path, text: str) -> list[str]:
    """The faults of a file with that text, without its path in front."""
    file.write_text(text)
    return [str(fault).removeprefix(f"{file}: ") for fault in read(file).faults]


def test_right_settings_load_with_defaults(file: Path) -> None:
    file.write_text(RIGHT)
    made = load(file)
    assert made.listeners[0].max_message_size == 50 * 1024 * 1024
    assert made.storage.url == "sqlite:data"
    assert made.vaults[0].name == "main"


def test_relative_paths_count_from_the_files_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(RIGHT)
    monkeypatch.chdir(file.parent)
    made = loaded(Path("gateway.toml"))
    assert made.folder == file.parent
    assert made.resolve("certs/server.pem") == file.parent / "certs/server.pem"
    assert made.resolve("/etc/ssl/ca.pem") == Path("/etc/ssl/ca.pem")
    assert made.storage == file.parent / "data"


@pytest.mark.parametrize("text", ["$CREDENTIALS_DIRECTORY/tls.key", "${CREDENTIALS_DIRECTORY}/tls.key"])
def test_credentials_of_systemd_are_found(file: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file.write_text(RIGHT)
    settings = loaded(file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/gateway.service")
    assert settings.resolve(text) == Path("/run/credentials/gateway.service/tls.key")
    assert settings.resolve(text.removesuffix("/tls.key")) == Path("/run/credentials/gateway.service")
    assert settings.resolve("x/" + text) == file.parent / "x" / text  # In front, or not at all.
    assert settings.resolve("$CREDENTIALS_DIRECTORYX/y") == file.parent / "$CREDENTIALS_DIRECTORYX/y"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert str(settings.resolve("$CREDENTIALS_DIRECTORY/tls.key")).endswith("/$CREDENTIALS_DIRECTORY/tls.key")


# The text is put behind RIGHT, or, where it begins with an exclamation mark, in front of it.
TABLE = {
    "an unknown key near a known one": (
        "[storage]\ntrace_day = 3\n",
        ["storage.trace_day: found an unknown key; right would be `trace_days`"],
    ),
    "a name as Exchange has it": (
        '[[connectors.inbound]]\nname = "p"\ntype = "partner"\nSenderIPAddresses = []\n',
        ["connectors.inbound[1].SenderIPAddresses: found an unknown key; right would be `sender_ip_addresses`"],
    ),
    "a key under the wrong header": (
        '[server]\ncontact = "x"\n',
        [
            "server.contact: found a key that does not stand here; right would be `contact` at the top of the file, "
            "before the first [section]"
        ],
    ),
    "a key of another section": (
        "[retry]\ntrace_days = 3\n",
        ["retry.trace_days: found a key that does not stand here; right would be `trace_days` in [storage]"],
    ),
    "a key that is like nothing": (
        "[metrics]\nlisten = '127.0.0.1:9'\nzzz = 3\n",
        ["metrics.zzz: found an unknown key; right would be one of listen"],
    ),
    "a missing key": (
        "[[listeners]]\ntls = 'none'\n",
        ["listeners[1].listen: found nothing; right would be text (HOST:PORT; an IPv6 address stands in brackets)"],
    ),
    "a word that is none of the choices": (
        '[log]\nlevel = "loud"\n',
        ['log.level: found "loud"; right would be one of "debug", "info", "warning", "error"'],
    ),
    "a number in quotes": (
        '[server]\nworkers = "2"\n',
        ['server.workers: found "2"; right would be a whole number'],
    ),
    "true where a number stands": (
        "[server]\nworkers = true\n",
        ["server.workers: found true; right would be a whole number"],
    ),
    "a number out of bounds": (
        "[server]\nworkers = 0\ndrain = -1.5\n",
        [
            "server.workers: found 0; right would be at least 1",
            "server.drain: found -1.5; right would be more than 0",
        ],
    ),
    "no number at all": (
        "[retry]\nfirst = nan\n",
        ["retry.first: found nan; right would be a number"],
    ),
    "a text where a list stands": (
        '[dns]\nresolvers = "127.0.0.1:53"\n',
        ['dns.resolvers: found "127.0.0.1:53"; right would be a list of texts'],
    ),
    "a table where a list of tables stands": (
        '[vaults]\npath = "x"\n',
        ["vaults: found a table; right would be a list of tables"],
    ),
    "a text where a list of some words stands": (
        "[rights]\n[[rights.templates]]\nname = 'a'\ntitle = 'A'\ndescription = 'a'\nrights = 'VIEW'\n",
        [
            'rights.templates[0].rights: found "VIEW"; right would be a list of some of "VIEW", "EDIT", "PRINT", '
            '"EXTRACT", "REPLY", "REPLYALL", "FORWARD", "OBJMODEL", "EXPORT", "VIEWRIGHTSDATA", "EDITRIGHTSDATA", '
            '"COMMENT", "DOCEDIT"'
        ],
    ),
    "an accepted domain of the wrong kind": (
        "!accepted_domains = [5, {external_relay = true}]\n",
        [
            "accepted_domains[0]: found 5; right would be text or a table",
            "accepted_domains[1].name: found nothing; right would be text "
            "(The domain; `*.` in front takes its subdomains)",
        ],
    ),
    "a section that is not built yet": (
        "[admin]\nlisten = '127.0.0.1:9'\n",
        [
            "admin: found a key for what is not built yet: the administrators' pages; "
            "right would be to leave it out until that part exists",
        ],
    ),
    "sign-in to the portal by others": (
        "[portal]\nlisten = '127.0.0.1:8443'\nurl = 'https://portal.corp.example'\noidc_issuer = 'x'\n",
        [
            "portal.oidc_issuer: found a key for what is not built yet: sign-in with an OpenID Connect provider; "
            "right would be to leave it out until that part exists",
        ],
    ),
    "SPF, reports, and keys that publish themselves": (
        "[authenticate]\nspf = true\n[dkim]\npublish = 'dns'\n[reports]\n",
        [
            "authenticate.spf: found a key for what is not built yet: checking SPF; "
            "right would be to leave it out until that part exists",
            "dkim.publish: found a key for what is not built yet: publishing DKIM keys by itself; "
            "right would be to leave it out until that part exists",
            "reports: found a key for what is not built yet: reports about authentication; "
            "right would be to leave it out until that part exists",
        ],
    ),
    "vaults of later parts": (
        "[[vaults]]\nprovider = 'azure-key-vault'\n[[vaults]]\nprovider = 'transit'\n[[vaults]]\nprovider = 'KMIP'\n"
        "[[vaults]]\nprovider = 'flie'\n",
        [
            'vaults[0].provider: found "azure-key-vault", which is not built yet: vaults in a cloud; '
            'right would be one of "file", "pkcs11"',
            'vaults[1].provider: found "transit", which is not built yet: vaults behind a transit engine; '
            'right would be one of "file", "pkcs11"',
            'vaults[2].provider: found "KMIP", which is not built yet: vaults that speak KMIP; '
            'right would be one of "file", "pkcs11"',
            'vaults[3].provider: found "flie"; right would be one of "file", "pkcs11"',
        ],
    ),
    "DANE, MTA-STS": (
        "[[connectors.outbound]]\nname = 'm'\nrecipient_domains = ['*']\nuse_mx = true\n"
        "dane = 'mandatory'\nmta_sts = 'mandatory'\n",
        [
            'connectors.outbound[1].dane: found "mandatory"; right would be "none": DANE is not built yet',
            'connectors.outbound[1].mta_sts: found "mandatory"; right would be "none": MTA-STS is not built yet',
        ],
    ),
    "another vault": (
        "[[vaults]]\nname = 'cloud'\nprovider = 'transit'\nmodule = 5\npin_credential = 'no/name'\n",
        [
            'vaults[0].provider: found "transit", which is not built yet: vaults behind a transit engine; '
            'right would be one of "file", "pkcs11"',
            "vaults[0].module: found 5; right would be text",
            'vaults[0].pin_credential: found "no/name"; right would be the credential\'s name alone: letters, digits, '
            "`.`, `_` and `-`",
        ],
    ),
}


def test_no_fault_is_explained_by_a_regular_expression() -> None:
    """Whoever wrote the key reads what would be right in words."""
    for header, section in shape.sections():
        for name, field in section.model_fields.items():
            if any(getattr(one, "pattern", None) is not None for one in field.metadata):
                more = field.json_schema_extra
                assert isinstance(more, dict) and more.get("right"), f"{header} {name}"


@pytest.mark.parametrize("name", TABLE)
def test_faults_say_key_and_what_would_be_right(file: Path, name: str) -> None:
    text, expected = TABLE[name]
    whole = text[1:] + RIGHT.partition("\n")[2] if text.startswith("!") else RIGHT + text
    assert lines(file, whole) == expected
    with pytest.raises(BadSettings) as caught:
        load(file)
    assert str(caught.value).count("right would be") == len(expected)


def test_an_empty_file_has_no_listener(file: Path) -> None:
    assert lines(file, "") == ["listeners: found nothing; right would be a list of tables (Doors for clients)"]


@pytest.mark.parametrize("part", ["dane", "mta_sts"])
def test_opportunistic_dane_and_mta_sts_load_with_a_warning(file: Path, part: str) -> None:
    file.write_text(f'{RIGHT}{part} = "opportunistic"\n')
    (warning,) = loaded(file).warnings
    assert warning.severity == "warning"
    assert warning.key == f"connectors.outbound[0].{part}"
    assert "does nothing yet" in warning.right


def test_a_database_address_shows_no_password(file: Path) -> None:
    (line,) = lines(file, RIGHT + '[storage]\nurl = "mysql://gateway:hunter2@db/mail"\n')
    assert line == (
        'storage.url: found "mysql:..."; right would be "sqlite:FOLDER" or "postgresql://USER@HOST/DATABASE"; '
        "there are no other databases"
    )
    file.write_text(RIGHT + '[storage]\nurl = "postgresql://gateway:hunter2@db/mail"\n')
    assert "hunter2" not in repr(loaded(file))


def test_the_value_of_an_unknown_key_is_not_shown(file: Path) -> None:
    (line,) = lines(file, RIGHT + '[storage]\npasswort = "hunter2"\n')
    assert "hunter2" not in line


def test_a_syntax_error_names_its_line(file: Path) -> None:
    (line,) = lines(file, "[[listeners]]\nlisten = 127.0.0.1:2525\n")
    assert line.startswith("line 2, column ")
    assert line.endswith('right would be TOML, such as key = "text"')


def test_a_syntax_error_at_the_end_names_the_last_line(file: Path) -> None:
    (line,) = lines(file, "a = [1,\n2,\n")
    assert line.startswith("line 3: found TOML that can't be read: ")


def test_octets_that_are_not_utf8_are_named_by_line(file: Path) -> None:
    file.write_bytes(b'contact = "a"\ncontact2 = "\xe9"\n')
    (fault,) = read(file).faults
    assert (fault.key, fault.right) == ("line 2", "a file saved as UTF-8")


def test_a_byte_order_mark_and_crlf_are_taken(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + RIGHT.replace("\n", "\r\n").encode())
    assert load(file).accepted_domains == ["corp.example"]


def test_a_file_one_octet_too_long_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(RIGHT)
    monkeypatch.setattr(reading, "MAX_FILE", len(RIGHT))
    load(file)
    file.write_text(RIGHT + "\n")
    with pytest.raises(BadSettings, match=f"more than {len(RIGHT)} octets"):
        load(file)


def test_deeply_nested_lists_are_a_fault_not_a_crash(file: Path) -> None:
    (line,) = lines(file, "a = " + "[" * 20_000)
    assert "right would be" in line


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="No such file"):
        load(tmp_path / "gateway.toml")


def test_repaired_settings_keep_the_numbers_of_entries(file: Path) -> None:
    file.write_text("accepted_domains = [5, 'corp.example']\nlisteners = [3, {listen = '127.0.0.1:1'}]\n")
    reading = read(file)
    assert reading.loaded is not None
    assert reading.loaded.settings.accepted_domains[1] == "corp.example"
    assert reading.loaded.settings.listeners[1].listen == "127.0.0.1:1"


def test_find_prefers_the_option_then_the_folder_then_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = tmp_path / "other.toml", tmp_path / "third.toml"
    for path in (file, other, third):
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_CONFIG", str(third))
    assert find(other) == other
    assert find(None) == Path("gateway.toml")
    file.unlink()
    assert find(None) == third


def test_find_says_what_to_do_where_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    with pytest.raises(BadSettings, match="gateway init DIR"):
        find(None)
    with pytest.raises(BadSettings, match="found a folder"):
        find(tmp_path)
    with pytest.raises(BadSettings, match="no such file"):
        find(tmp_path / "missing.toml")
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(BadSettings, match="GATEWAY_CONFIG"):
        find(None)


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["mandatory", "pkcs11", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["listen", "name", "type", "inbound", "outbound", "recipient_domains", "kind", "str", "x.y"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["accepted_domains", "listeners", "connectors", "vaults", "storage", "server", "contact", "smime"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_toml_gives_settings_or_faults(file: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any]) -> None:
    file.write_text("")
    monkeypatch.setattr(tomllib, "loads", lambda _: data)
    reading = read(file)
    assert reading.faults or reading.loaded is not None
    for fault in reading.faults:
        assert "\n" not in str(fault)
