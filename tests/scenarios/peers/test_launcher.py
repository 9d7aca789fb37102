"""A command under the launcher does what it does as a process of its own, and nothing of it remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.launcher import Launcher
from tests.scenarios.peers.ports import until

ROOT = Path(__file__).parents[3]
ACTS = "tests.scenarios.peers.acts"


@pytest.fixture(scope="module")
def acts() -> Iterator[Launcher]:
    """The launcher of a program that does what it is told."""
    one = Launcher(ACTS)
    one.run(["pass"], None, 30)
    yield one
    one.end()


def in_earnest(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", ACTS, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30, cwd=ROOT)


def alive(pid: int) -> bool:
    """Whether that process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "code",
    [
        "pass",
        "raise SystemExit",
        "raise SystemExit(3)",
        "raise SystemExit(259)",
        "raise SystemExit(-1)",
        "raise SystemExit('Grüße')",
        "raise SystemExit(('a', 1))",
        "import os; os._exit(7)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import sys; print('Grüße \\U0001f600', file=sys.stderr); print('out')",
        "import sys; print('a\\udcffb', file=sys.stderr)",
        "import sys; sys.stdout.buffer.write(b'a\\r\\nb\\rc\\n')",
        "import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('y' * 3_000_000)",
        "import sys; print(len(sys.stdin.read()), sys.stdin.encoding, sys.stdin.errors, sys.stdout.errors)",
        "import sys; print(ascii(sys.argv[2:]), sys.orig_argv[1:], sys.stdin.isatty(), sys.stdout.isatty())",
        "import os; print(os.getcwd(), sorted(set(os.environ.items()) - {('LINES', os.environ.get('LINES'))}))",
        "import signal; print([signal.getsignal(one) for one in (13, 15, 17)])",
        "import time; print(time.tzname)",
        "import tempfile; print(tempfile.gettempdir())",
        "import shutil; print(shutil.get_terminal_size())",
        "import atexit; atexit.register(print, 'at the end')",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('a thread'))).start()",
    ],
)
def test_a_command_does_what_it_does_by_itself(
    acts: Launcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    for name, value in (("TMPDIR", str(tmp_path)), ("COLUMNS", "57"), ("TZ", "Pacific/Chatham"), ("GRÜSSE", "ä")):
        monkeypatch.setenv(name, value)
    more = (code, "--name", "Jürgen Groß", "", "a\udcffb", "two\nlines")
    expected = in_earnest(*more, stdin="Grüße\n" * 40_000)
    got = acts.run(more, "Grüße\n" * 40_000, 30)
    assert (got.returncode, got.stdout, got.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_what_python_says_of_an_error_is_said(acts: Launcher) -> None:
    got, expected = acts.run(["1 / 0"], None, 30), in_earnest("1 / 0")
    assert got.returncode == expected.returncode == 1
    assert got.stderr.startswith("Traceback") and got.stderr.splitlines()[-1] == expected.stderr.splitlines()[-1]


def test_one_command_leaves_nothing_to_the_next(acts: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    acts.run(["import os, sys; os.environ['LEFT'] = 'x'; os.chdir('/'); os.umask(0o777); sys.left = 1"], None, 30)
    told = "import os, sys; print(os.environ.get('LEFT'), os.getcwd(), os.umask(0o22), hasattr(sys, 'left'))"
    assert acts.run([told], None, 30).stdout == in_earnest(told).stdout


def test_a_command_has_no_descriptor_but_its_own(acts: Launcher) -> None:
    code = "import os; print([n for n in range(3, 200) if os.path.exists(f'/proc/self/fd/{n}')])"
    assert acts.run([code], None, 30).stdout == in_earnest(code).stdout == "[]\n"


def test_no_descriptor_and_no_thread_remains_of_many_commands_at_once(acts: Launcher) -> None:
    def descriptors(pid: int | str) -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    assert acts._process is not None
    before = descriptors("self"), descriptors(acts._process.pid), threading.active_count()
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: said.append(acts.run([f"print({n})"], None, 30).stdout.strip()))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said, key=int) == [str(n) for n in range(12)]
    assert (descriptors("self"), descriptors(acts._process.pid), threading.active_count()) == before
    children = Path(f"/proc/{acts._process.pid}/task/{acts._process.pid}/children")
    until(lambda: not children.read_text(), "those that watch to end, with no zombie left")


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(acts: Launcher) -> None:
    code = (
        "import os, subprocess, time\n"
        "one = subprocess.Popen(['sleep', '100'])\n"
        "print(os.getpid(), one.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as raised:
        acts.run([code], None, 2)
    assert time.monotonic() - began < 8
    pids = [int(one) for one in (raised.value.stdout or b"").split()]
    assert len(pids) == 2
    until(lambda: not any(alive(pid) for pid in pids), "both to be killed")


def test_a_command_ends_with_the_tests_however_they_end(tmp_path: Path) -> None:
    """Even where they are killed: no command and no launcher stays behind."""
    act = "import os, sys, time; open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(100)"
    code = (
        "from tests.scenarios.peers.launcher import Launcher\n"
        f"one = Launcher({ACTS!r})\n"
        "one.run(['pass'], None, 30)\n"
        "print(one._process.pid, flush=True)\n"
        f"one.run([{act!r}, {str(tmp_path / 'pid')!r}], None, 90)\n"
    )
    tests = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    with tests.stdout:
        launcher = int(tests.stdout.readline())
    file = tmp_path / "pid"
    command = int(until(lambda: file.exists() and file.read_text(), "the command to run"))
    assert alive(launcher) and alive(command)
    tests.send_signal(signal.SIGKILL)
    tests.wait(10)
    until(lambda: not alive(launcher) and not alive(command), "launcher and command to end")


def test_a_launcher_that_was_lost_is_started_again() -> None:
    one = Launcher(ACTS)
    try:
        assert one.run(["print(1)"], None, 30).stdout == "1\n"
        assert one._process is not None
        one._process.kill()
        one._process.wait(10)
        assert one.run(["print(2)"], None, 30).stdout == "2\n"
    finally:
        one.end()


def test_a_command_that_asks_for_less_than_it_is_given_is_no_fault(acts: Launcher) -> None:
    assert acts.run(["print('enough')"], "x" * 1_000_000, 30).stdout == "enough\n"


def test_what_leaves_a_process_behind_that_holds_its_output_is_told(
    acts: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.scenarios.peers.launcher.AFTER", 0.5)
    with pytest.raises(RuntimeError, match="left behind"):
        acts.run(["import subprocess; subprocess.Popen(['sleep', '3'])"], None, 30)
