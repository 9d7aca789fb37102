"""A process that gives up all it does not need before it looks at what strangers made (seccomp, setrlimit; Linux).

After `confine` it can compute, read and write what is open, and end: it opens no file and no socket, starts no process,
maps nothing executable, and its memory, time and output have an end. What it may not do fails with EPERM, so that a
library that looks for a font or a zone goes on without. Only for a process of its own: there is no way back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from typing import Final

# read, write, close, fstat, lseek, munmap, brk, rt_sigaction, rt_sigprocmask, rt_sigreturn, mremap, madvise,
# sched_yield, getpid, gettid, nanosleep, clock_nanosleep, exit, exit_group, futex, gettimeofday, clock_gettime,
# getrandom, sigaltstack, restart_syscall, set_robust_list, rseq, sched_getaffinity, sysinfo; then mmap and mprotect,
# which are looked at more closely.
_CALLS: Final = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 11, 12, 13, 14, 15, 25, 28, 24, 39, 186, 35, 230, 60, 231, 202, 96, 228, 318, 131, 219, 273,
         334, 204, 99),
        (9, 10),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 80, 62, 215, 214, 134, 135, 139, 216, 233, 124, 172, 178, 101, 115, 93, 94, 98, 169, 113, 278,
         132, 128, 99, 293, 123, 179),
        (222, 226),
    ),
}  # fmt: skip
_LOAD, _EQUAL, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x45, 0x06  # Classic BPF: ld abs, jeq, jset, ret.
_ALLOW, _EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
_NUMBER, _ARCHITECTURE, _THIRD = 0, 4, 32  # Places in struct seccomp_data; of the third argument its lower half.
_PROT_EXEC: Final = 4
_PR_GET_SECCOMP: Final = 21
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}  # seccomp(2)
_SET_FILTER, _EACH_THREAD = 1, 1


class NotConfined(OSError):
    """This system can't do it; what strangers made is not to be looked at here."""


def lacking() -> str | None:
    """What this machine lacks for `confine`, in words for its administrator; None: nothing that can be known before."""
    if platform.machine() not in _CALLS:
        return f"no list of system calls for {platform.machine()}"
    if sys.platform != "linux":
        return "no Linux"
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:  # seccomp(2): EINVAL without it.
        return "a kernel without seccomp"
    return None


def confine(*, memory: int, seconds: int, output: int) -> None:
    """Confine this process, for good. `memory`: octets of address space, `seconds` of CPU, `output`: octets of a file.

    Everything that it will need must be imported by then. Raises NotConfined, and then nothing may be looked at.
    """
    calls = _CALLS.get(platform.machine())
    if calls is None:
        raise NotConfined(f"no list of system calls for {platform.machine()}")
    parent = os.getppid()
    limits = (
        (resource.RLIMIT_CORE, 0),  # A dump would hold a stranger's words.
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, output),
    )
    try:
        for kind, most in limits:
            resource.setrlimit(kind, (most, most))
    except (OSError, ValueError) as error:
        raise NotConfined("a limit was refused") from error
    libc = ctypes.CDLL(None, use_errno=True)
    _control(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise NotConfined("who asked for it has ended")
    _control(libc, _PR_SET_DUMPABLE, 0)
    _control(libc, _PR_SET_NO_NEW_PRIVS, 1)
    octets = ctypes.create_string_buffer(_program(*calls))
    program = struct.pack("HxxxxxxP", (len(octets) - 1) // 8, ctypes.addressof(octets))
    # Not by prctl(2), which binds the thread that calls it alone: a library may have started others.
    given = (_SECCOMP[platform.machine()], _SET_FILTER, _EACH_THREAD)
    if libc.syscall(*map(ctypes.c_long, given), ctypes.create_string_buffer(program)) != 0:
        raise NotConfined(ctypes.get_errno(), "the system refused to confine each thread of a process")


def _control(libc: ctypes.CDLL, what: int, *arguments: int) -> None:
    given = map(ctypes.c_ulong, (*arguments, 0, 0, 0, 0)[:4])
    if libc.prctl(what, *given) != 0:
        raise NotConfined(ctypes.get_errno(), "the system refused to confine a process")


def _program(architecture: int, plain: tuple[int, ...], mapping: tuple[int, ...]) -> bytes:
    """Which calls pass. Jumps count the instructions that are left out."""
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_ANSWER, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    # Behind the list: no (0), yes (1), then what looks at a mapping (2 to 5).
    left = len(plain) + len(mapping)
    for number in plain:
        left -= 1
        steps.append((_EQUAL, left + 1, 0, number))
    for number in mapping:
        left -= 1
        steps.append((_EQUAL, left + 2, 0, number))
    steps += [
        (_ANSWER, 0, 0, _EPERM),
        (_ANSWER, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _THIRD),
        (_ANY_BIT, 0, 1, _PROT_EXEC),
        (_ANSWER, 0, 0, _EPERM),
        (_ANSWER, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
