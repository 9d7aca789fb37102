"""Durable writes that the kernel does by itself, so that neither a loop nor a thread waits for them: io_submit(2).

A thread that waits for a write costs more than the write: it has to be woken, to get the interpreter, and to wake the
loop again. Here a write is handed over in some 20 microseconds, and an eventfd tells of its end.

Only what the kernel takes without waiting itself is handed over (RWF_NOWAIT): whole pages of a file that was opened
with O_DIRECT, whose blocks are there and not in the page cache. For all else whoever asks needs a thread. Leaves out:
more than one write at a time, and machines other than those in `_CALLS`.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import struct
import sys
from collections.abc import Sequence
from typing import Final

# Numbers of io_setup, io_destroy, io_getevents, io_submit (Linux: arch/*/entry/syscalls, include/uapi/asm-generic).
_CALLS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
_WRITE: Final = 1  # IOCB_CMD_PWRITE
_TELL: Final = 1  # IOCB_FLAG_RESFD
_DURABLE: Final = 2  # RWF_DSYNC
_AT_ONCE: Final = 8  # RWF_NOWAIT
# struct iocb: data, key, flags of the write, operation, priority, descriptor, address, octets, offset, nothing, flags,
# eventfd. struct io_event: data, address of the iocb, result, nothing.
_IOCB: Final = struct.Struct("<QIIHhIQQqQII")
_EVENT: Final = struct.Struct("<QQqq")


class KernelWriter:
    """One write at a time. `descriptor` becomes readable when it has ended; `ended` then says how."""

    def __init__(self, most: int) -> None:
        """For writes of at most so many octets. Raises OSError where this system has no such thing."""
        numbers = _CALLS.get(os.uname().machine)
        if sys.platform != "linux" or sys.byteorder != "little" or numbers is None:
            raise OSError(errno.ENOSYS, "no asynchronous writes are known for this machine")
        setup, self._destroy, self._getevents, self._submit = numbers
        # The interpreter is kept: all these calls return at once, and to get it back would take longer.
        self._library = ctypes.PyDLL(None, use_errno=True)
        self._call = self._library.syscall
        self._call.restype = ctypes.c_long
        self._context = ctypes.c_ulong(0)
        if self._call(setup, 1, ctypes.byref(self._context)) < 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no asynchronous writes")
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._octets = mmap.mmap(-1, most)  # Begins on a page, as O_DIRECT asks.
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._octets))
        self._iocb = ctypes.create_string_buffer(_IOCB.size)
        self._pointers = (ctypes.c_void_p * 1)(ctypes.addressof(self._iocb))
        self._event = ctypes.create_string_buffer(_EVENT.size)
        self._size = 0
        self.is_busy = False

    def begin(self, file: int, pieces: Sequence[bytes], at: int) -> bool:
        """Have `pieces` written to `file` from `at` on; False where the kernel does not take that now."""
        size = 0
        for piece in pieces:
            self._octets[size : size + len(piece)] = piece
            size += len(piece)
        self._size = size
        flags = _DURABLE | _AT_ONCE
        _IOCB.pack_into(self._iocb, 0, 0, 0, flags, _WRITE, 0, file, self._address, size, at, 0, _TELL, self.descriptor)
        self.is_busy = self._call(self._submit, self._context, 1, self._pointers) == 1
        return self.is_busy

    def ended(self, *, wait: bool = False) -> int | None:
        """0: all of it is durable; an errno: it may be there or not (EAGAIN: not); None: it is still being written.

        `wait`: block until it has ended.
        """
        while True:
            if wait:
                select.select([self.descriptor], [], [])
            try:
                os.eventfd_read(self.descriptor)
            except BlockingIOError:
                return None
            if self._call(self._getevents, self._context, 0, 1, self._event, None) == 1:
                self.is_busy = False
                result: int = _EVENT.unpack(self._event.raw)[2]
                if result < 0:
                    return -result
                return 0 if result == self._size else errno.EAGAIN  # Cut short: whoever asked writes it all again.
            if not wait:
                return None

    def close(self) -> None:
        """Let go of everything. Nothing may be under way."""
        self._call(self._destroy, self._context)
        os.close(self.descriptor)
