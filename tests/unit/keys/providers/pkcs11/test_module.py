"""A token that is away, comes back, refuses its PIN, or was never there; and threads that all want it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import TokenFlag

from gateway.keys.providers.pkcs11 import module as module_module
from gateway.keys.providers.pkcs11.module import PAUSE, QUICK, TRIES, Bare, Module, module_at
from gateway.keys.providers.pkcs11.terms import LONGEST_PIN, TokenTerms
from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from gateway.keys.vault import Denied, KeyType, Unavailable, VaultBroken
from tests.pkcs11 import PIN, SO_PIN, Token, TokenFolder

KEY = b"k" * 32
# python-pkcs11 asks a lost session to end its search once more when the search is collected.
collected = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def used(vault: Pkcs11Vault) -> Pkcs11Vault:
    vault.create("default", KeyType.AES_256)
    return vault


def lost(terms: TokenTerms) -> Any:
    """The session that this process has, to be spoiled."""
    return module_at(terms.module)._sessions[terms.token]


# -- away and back ----------------------------------------------------------------------------------------------------


@collected
def test_a_token_that_is_taken_away_is_unavailable_and_works_again_when_it_is_back(
    used: Pkcs11Vault, token: Token
) -> None:
    wrapped = used.wrap("default", KEY, b"")
    uses: list[Callable[[], object]] = [
        lambda: used.unwrap(wrapped, b""),
        lambda: used.wrap("default", KEY, b""),
        lambda: used.sign("default", b""),
        lambda: used.public_key("default"),
        lambda: used.disable("default"),
        lambda: used.create("second", KeyType.AES_256),
        used.keys,
        used.health,
        lambda: used.purge(0),
    ]
    for use in uses:  # Each finds it gone with a session that was good until then.
        token.take_away()
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"there is no token 'gateway' of vault 'main'.*it shows no token"):
                use()
        token.bring_back()
        assert used.unwrap(wrapped, b"") == KEY
    assert [key.name for key in used.keys()] == ["default"]


@collected
def test_a_token_that_was_away_and_back_between_two_uses_is_not_taken_for_an_empty_one(
    used: Pkcs11Vault, token: Token, terms: TokenTerms
) -> None:
    # SoftHSM2's session stays good then, and finds nothing, without an error.
    wrapped = used.wrap("default", KEY, b"")
    for use in (lambda: used.unwrap(wrapped, b""), used.keys, lambda: used.disable("default")):
        token.take_away()
        assert list(lost(terms).get_objects()) == []
        token.bring_back()
        assert list(lost(terms).get_objects()) == []
        assert use()
    used.enable("default")


def test_a_bare_token_is_looked_at_again_after_a_new_start_of_the_module(
    terms: TokenTerms, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Module(str(terms.module))
    starts: list[str] = []
    restart = module._restart

    def restarted(terms: TokenTerms) -> None:
        starts.append(terms.token)
        restart(terms)

    monkeypatch.setattr(module, "_restart", restarted)
    seen: list[Any] = []

    def work(session: Any) -> str:
        seen.append(session)
        if len(seen) < 3:
            raise Bare
        return "there"

    with pytest.raises(Bare):  # By a session that was just made, it is what it looks like.
        module.run(terms, "looking", work)
    assert (module.run(terms, "looking", work), len(seen), starts) == ("there", 3, ["gateway"])
    module.close()


def test_keys_are_changed_by_one_process_at_a_time(vault: Pkcs11Vault, token: Token) -> None:
    with ThreadPoolExecutor(1) as threads, token.pin_file.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # As another process does while it makes a key.
        made = threads.submit(vault.create, "default", KeyType.AES_256)
        with pytest.raises(TimeoutError):
            made.result(0.3)
        assert vault.keys() == ()
        fcntl.flock(file, fcntl.LOCK_UN)
        assert made.result(20).name == "default"


@collected
def test_what_others_end_is_opened_anew(used: Pkcs11Vault, terms: TokenTerms) -> None:
    wrapped = used.wrap("default", KEY, b"")
    lost(terms).close()  # C_Logout and C_CloseSession: SESSION_HANDLE_INVALID, as after CKR_DEVICE_REMOVED.
    assert used.unwrap(wrapped, b"") == KEY
    pkcs11.lib(str(terms.module)).reinitialize()  # Or the whole library.
    assert used.unwrap(wrapped, b"") == KEY
    lost(terms).close()
    assert used.rotate("default").newest == 2
    assert [version.number for version in used.keys()[0].versions] == [1, 2]


def test_two_tokens_of_one_module_have_sessions_of_their_own(
    used: Pkcs11Vault, tokens: TokenFolder, terms: TokenTerms
) -> None:
    wrapped = used.wrap("default", KEY, b"")
    other = tokens.token("other")
    second = Pkcs11Vault(replace(terms, vault="second", token="other", pin=other.pin_file))
    second.create("default", KeyType.AES_256)  # The module sees a new token after its next start alone.
    assert second.unwrap(second.wrap("default", KEY, b""), b"") == KEY
    assert used.unwrap(wrapped, b"") == KEY
    assert [key.vault for key in (*used.keys(), *second.keys())] == ["main", "second"]


def test_two_tokens_of_one_label_are_refused(vault: Pkcs11Vault, token: Token, tokens: TokenFolder) -> None:
    tokens.token(token.label)
    with pytest.raises(Denied, match="shows 2 tokens 'gateway'"):
        vault.health()


def test_many_threads_use_one_token(used: Pkcs11Vault) -> None:
    used.create("signs", KeyType.EC_P256)

    def use(number: int) -> bool:
        plain = number.to_bytes(32, "big")
        wrapped = used.wrap("default", plain, b"%d" % number)
        used.sign("signs", plain)
        return used.unwrap(wrapped, b"%d" % number) == plain

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(64)))


def test_a_call_that_does_not_end_keeps_others_for_a_while_only(
    vault: Pkcs11Vault, terms: TokenTerms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_module, "PATIENCE", 0.01)
    with module_at(terms.module)._lock, pytest.raises(Unavailable, match="waited 0 s for another call"):
        vault.health()
    vault.health()


# -- module and token -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [None, b"", b"not a library", b"\x7fELF\x02\x01\x01" + bytes(200)])
def test_a_module_that_is_missing_or_no_module_is_denied_by_its_path(
    terms: TokenTerms, tmp_path: Path, octets: bytes | None
) -> None:
    path = tmp_path / "module.so"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(Denied, match=r"vault 'main' has the module .*/module\.so, .*right would be"):
        Pkcs11Vault(replace(terms, module=path)).health()


def test_a_library_without_pkcs11_is_denied(terms: TokenTerms) -> None:
    other = Path(pkcs11.util.__path__[0]).parent / "_pkcs11.cpython-311-x86_64-linux-gnu.so"
    library = next(iter(other.parent.glob("_pkcs11*.so")))
    with pytest.raises(Denied, match=r"can't be used.*C_GetFunctionList"):
        Pkcs11Vault(replace(terms, module=library)).health()


def test_a_token_that_is_not_there_is_unavailable_and_the_others_are_named(
    vault: Pkcs11Vault, terms: TokenTerms
) -> None:
    vault.health()
    with pytest.raises(Unavailable, match=r"there is no token 'elsewhere' of vault 'main' in .*: it shows 'gateway'"):
        Pkcs11Vault(replace(terms, token="elsewhere")).health()
    vault.health()


# -- the PIN ----------------------------------------------------------------------------------------------------------


class Counting:
    """A library whose tokens count the log-ins, and have `flags` besides their own, and none of those in `without`."""

    def __init__(self, path: str) -> None:
        self._library = pkcs11.lib(path)
        self.pins: list[str] = []
        self.flags = TokenFlag(0)
        self.without = TokenFlag(0)
        self.refusal: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def get_slots(self, token_present: bool) -> list[Any]:
        return [CountingSlot(self, slot) for slot in self._library.get_slots(token_present)]


class CountingSlot:
    def __init__(self, library: Counting, slot: Any) -> None:
        self._library = library
        self._slot = slot

    def get_token(self) -> CountingToken:
        return CountingToken(self._library, self._slot.get_token())


class CountingToken:
    def __init__(self, library: Counting, token: Any) -> None:
        self._library = library
        self._token = token
        self.label = token.label

    @property
    def flags(self) -> TokenFlag:
        return TokenFlag((self._token.flags | self._library.flags) & ~self._library.without)

    def open(self, *, rw: bool, user_pin: str) -> Any:
        self._library.pins.append(user_pin)
        if self._library.refusal is not None:
            raise self._library.refusal
        return self._token.open(rw=rw, user_pin=user_pin)


class Stopped(Counting):
    """A library that starts when what it needs is there."""

    fault: Exception | None = None

    def initialize(self) -> None:
        if self.fault is not None:
            raise self.fault
        self._library.initialize()


@pytest.mark.parametrize("fault", [pkcs11.GeneralError(), pkcs11.DeviceError(), pkcs11.FunctionFailed()])
def test_a_module_that_does_not_start_is_away_until_it_does(terms: TokenTerms, fault: Exception) -> None:
    library = Stopped(str(terms.module))
    vault = Pkcs11Vault(terms, module=Module(str(terms.module), lambda path: library))
    library.fault = fault
    with pytest.raises(Unavailable, match="which does not start"):
        vault.health()
    library.fault = None
    vault.health()


@pytest.fixture
def counting(terms: TokenTerms) -> Counting:
    return Counting(str(terms.module))


@pytest.fixture
def counted(terms: TokenTerms, counting: Counting) -> Pkcs11Vault:
    return Pkcs11Vault(terms, module=Module(str(terms.module), lambda path: counting))


def test_a_wrong_pin_is_tried_once_and_again_when_its_file_has_changed(
    counted: Pkcs11Vault, counting: Counting, token: Token
) -> None:
    token.pin_file.write_text("0000\n")
    with pytest.raises(Denied, match=r"token 'gateway' of vault 'main' refuses the PIN in .*pin-gateway") as refused:
        counted.health()
    for use in (counted.health, counted.keys, lambda: counted.wrap("default", KEY, b"")):
        with pytest.raises(Denied, match=r"has refused the PIN in .*that file is still the same"):
            use()
    assert counting.pins == ["0000"]
    assert "0000" not in str(refused.value)
    token.pin_file.write_text(PIN)
    counted.health()
    assert counting.pins == ["0000", PIN]


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (TokenFlag.USER_PIN_FINAL_TRY, "would lock itself at one more wrong PIN"),
        (TokenFlag.USER_PIN_LOCKED, "has locked"),
    ],
)
def test_a_pin_that_could_lock_the_token_is_not_tried(
    counted: Pkcs11Vault, counting: Counting, flag: TokenFlag, said: str
) -> None:
    counting.flags = flag
    with pytest.raises(Denied, match=said):
        counted.health()
    assert counting.pins == []
    counting.flags = TokenFlag(0)
    counted.health()


@pytest.mark.parametrize("refusal", [pkcs11.PinIncorrect(), pkcs11.PinInvalid(), pkcs11.PinLenRange()])
def test_a_refusal_that_counts_is_believed_until_the_file_changes(
    counted: Pkcs11Vault, counting: Counting, token: Token, refusal: Exception
) -> None:
    counting.refusal = refusal
    for said in ("refuses the PIN", "still the same", "still the same"):
        with pytest.raises(Denied, match=said):
            counted.health()
    assert len(counting.pins) == 1
    counting.refusal = None
    token.pin_file.write_text(PIN)
    counted.health()


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (pkcs11.PinLocked(), "has locked its user's PIN: its security officer"),
        (pkcs11.PinExpired(), "has expired"),
        (pkcs11.UserPinNotInitialized(), "no user's PIN yet"),
    ],
)
def test_what_the_officer_can_mend_at_the_token_is_asked_again(
    counted: Pkcs11Vault, counting: Counting, refusal: Exception, said: str
) -> None:
    counting.refusal = refusal
    counting.without = TokenFlag.USER_PIN_INITIALIZED
    for _ in range(2):
        with pytest.raises(Denied, match=said):
            counted.health()
    assert len(counting.pins) == 2
    counting.refusal, counting.without = None, TokenFlag(0)
    counted.health()


def test_a_token_whose_officer_sets_the_pin_works_without_a_new_file(terms: TokenTerms, tokens: TokenFolder) -> None:
    if shutil.which("pkcs11-tool") is None:
        pytest.skip("there is no pkcs11-tool here; Debian's package opensc has it")

    def tool(*options: str) -> None:
        command = ["pkcs11-tool", "--module", str(terms.module), *options]
        subprocess.run(command, env=tokens.environment, capture_output=True, timeout=30, check=True)

    tool("--init-token", "--slot-index", "1", "--label", "bare", "--so-pin", SO_PIN)
    vault = Pkcs11Vault(replace(terms, token="bare"))
    for _ in range(2):
        with pytest.raises(Denied, match="no user's PIN yet"):
            vault.health()
    officer = ("--login", "--login-type", "so", "--so-pin", SO_PIN)
    tool("--init-pin", "--token-label", "bare", *officer, "--new-pin", PIN)
    vault.health()


@pytest.mark.parametrize("refusal", [pkcs11.UserPinNotInitialized(), pkcs11.GeneralError()])
def test_a_token_that_was_read_while_another_process_logged_in_is_read_again(
    terms: TokenTerms, counting: Counting, refusal: Exception
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            counting.refusal = None

    vault = Pkcs11Vault(terms, module=Module(str(terms.module), lambda path: counting, sleep=pause))
    counting.refusal = refusal
    vault.health()
    assert (len(counting.pins), pauses) == (3, [PAUSE, PAUSE])


@pytest.mark.parametrize("refusal", [pkcs11.TokenNotPresent(), None])
def test_a_token_that_takes_long_to_be_away_is_asked_no_third_time(
    terms: TokenTerms, counting: Counting, refusal: Exception | None
) -> None:
    """Others wait for their tokens of the same module meanwhile."""
    moments = iter([0.0, QUICK + 1, 2 * QUICK + 2])
    vault = Pkcs11Vault(
        terms if refusal else replace(terms, token="elsewhere"),
        module=Module(
            str(terms.module), lambda path: counting, sleep=lambda seconds: None, monotonic=lambda: next(moments)
        ),
    )
    counting.refusal = refusal
    with pytest.raises(Unavailable):
        vault.health()
    assert next(moments) == 2 * QUICK + 2, "the time was looked at twice"
    assert len(counting.pins) == (2 if refusal else 0)


@pytest.mark.parametrize("refusal", [pkcs11.UserPinNotInitialized(), pkcs11.GeneralError()])
def test_a_token_that_is_never_read_whole_is_away_not_denied(
    counted: Pkcs11Vault, counting: Counting, refusal: Exception
) -> None:
    counting.refusal = refusal
    with pytest.raises(Unavailable, match="opening a session failed"):
        counted.health()
    assert len(counting.pins) == TRIES
    counting.refusal = None
    counted.health()


def test_no_process_takes_a_no_from_a_token_that_others_log_in_to(
    vault: Pkcs11Vault, terms: TokenTerms, tokens: TokenFolder
) -> None:
    vault.health()
    work = (
        "import sys\n"
        "from pathlib import Path\n"
        "from gateway.keys.providers.pkcs11.module import Module\n"
        "from gateway.keys.providers.pkcs11.terms import TokenTerms\n"
        "from gateway.keys.vault import Unavailable\n"
        "module, pin = sys.argv[1:]\n"
        "terms = TokenTerms(vault='main', module=Path(module), token='gateway', pin=Path(pin))\n"
        "for _ in range(50):\n"
        "    one = Module(module)\n"
        "    try:\n"
        "        one.run(terms, 'looking', lambda session: session)\n"
        "    except Unavailable:\n"  # On a slow machine; it passes.
        "        pass\n"
        "    one.close()\n"
    )
    command = [sys.executable, "-c", work, str(terms.module), str(terms.pin)]
    running = [
        subprocess.Popen(command, env={**os.environ, **tokens.environment}, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [one.communicate(timeout=60)[1] for one in running]
    assert ([one.returncode for one in running], said) == ([0] * 4, [""] * 4)
    vault.health()


def test_a_token_that_is_write_protected_is_used_all_the_same(counted: Pkcs11Vault, counting: Counting) -> None:
    counting.refusal = pkcs11.TokenWriteProtected()
    with pytest.raises(Denied, match="write protected"):
        counted.health()
    assert len(counting.pins) == 2  # To write, and to read alone.


@pytest.mark.parametrize(
    ("octets", "mode", "kind", "said"),
    [
        (None, 0o600, Denied, "pin is missing: is its name in gateway.toml right"),
        (b"1234", 0o640, Denied, "can be used by other accounts .mode 0640.; say: chmod 600"),
        (b"\n1234", 0o600, Denied, "has no PIN in its first line"),
        (b"\xff\xfe1234", 0o600, Denied, "has no PIN in its first line"),
        (b"1" * (LONGEST_PIN + 1), 0o600, VaultBroken, "longer than 1024 octets"),
    ],
)
def test_a_pin_file_that_is_no_good_is_named(
    terms: TokenTerms, tmp_path: Path, octets: bytes | None, mode: int, kind: type[Exception], said: str
) -> None:
    path = tmp_path / "pin"
    if octets is not None:
        path.write_bytes(octets)
        path.chmod(mode)
    vault = Pkcs11Vault(replace(terms, pin=path))
    for use in (vault.health, lambda: vault.create("default", KeyType.AES_256)):
        with pytest.raises(kind, match=said) as raised:
            use()
        assert "1234" not in repr(raised.value.__cause__)


def test_a_pin_ends_with_its_line(terms: TokenTerms, tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_bytes(PIN.encode() + b"\r\na note for colleagues\n")
    path.chmod(0o600)
    assert replace(terms, pin=path).read_pin() == PIN


# -- what lies in the token -------------------------------------------------------------------------------------------


def test_keys_never_leave_the_token(used: Pkcs11Vault, terms: TokenTerms) -> None:
    used.create("signs", KeyType.RSA_2048)
    session = lost(terms)
    out = session.generate_key(pkcs11.KeyType.AES, 256, store=False, capabilities=pkcs11.MechanismFlag.WRAP)
    secrets = [
        *session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.TOKEN: True}),
        *session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.TOKEN: True}),
    ]
    assert len(secrets) == 2
    for key in secrets:
        private = (
            pkcs11.Attribute.VALUE if key.object_class is pkcs11.ObjectClass.SECRET_KEY else pkcs11.Attribute.PRIME_1
        )
        with pytest.raises(pkcs11.AttributeSensitive):
            key[private]
        with pytest.raises(pkcs11.KeyUnextractable):
            out.wrap_key(key, mechanism=pkcs11.Mechanism.AES_KEY_WRAP_PAD)
        for attribute, value in ((pkcs11.Attribute.EXTRACTABLE, True), (pkcs11.Attribute.SENSITIVE, False)):
            with pytest.raises(pkcs11.AttributeReadOnly):
                key[attribute] = value
        assert key[pkcs11.Attribute.NEVER_EXTRACTABLE]
        assert key[pkcs11.Attribute.ALWAYS_SENSITIVE]


def test_nothing_stays_in_the_session_after_wrapping(used: Pkcs11Vault, terms: TokenTerms) -> None:
    wrapped = used.wrap("default", KEY, b"")
    used.unwrap(wrapped, b"")
    assert list(lost(terms).get_objects({pkcs11.Attribute.TOKEN: False})) == []


def test_another_process_sees_what_was_done_here(used: Pkcs11Vault, tokens: TokenFolder, terms: TokenTerms) -> None:
    listing = ["pkcs11-tool", "--module", str(terms.module), "--token-label", terms.token, "--pin", PIN, "-O"]
    if shutil.which("pkcs11-tool") is None:
        pytest.skip("there is no pkcs11-tool here; Debian's package opensc has it")
    said = subprocess.run(
        listing, env=tokens.environment, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert "Secret Key Object; AES length 32" in said
    assert "gateway:default" in said
    assert "never extractable" in said
