"""Processes that do not outlive the one that started them."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from shared.errors import StbError

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 0.2
_LOCK_TRIES = 50
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG)."""
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def watch_parent() -> None:
    """End this process soon after its parent has died.

    The kernel's signal follows the thread that started us, not the whole parent; this follows the parent.
    """
    parent = os.getppid()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_WATCH_SECONDS):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def wait_for_lock(lock: Callable[[], T]) -> T:
    """Take a lock that a dying predecessor may still hold for a moment.

    Raises:
        StbError: whatever `lock` raises, if it still does after ten seconds.
    """
    pause = threading.Event()
    for _ in range(_LOCK_TRIES - 1):
        try:
            return lock()
        except StbError:
            pause.wait(_WATCH_SECONDS)
    return lock()
