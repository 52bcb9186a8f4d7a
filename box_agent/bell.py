"""What wakes the agent's main thread: whoever has given it something to do, and signals.

Python runs a signal's handler in the main thread, when that runs. A wait of `threading` that has only just
begun, or whose signal the kernel gave to another thread, sleeps on until its end. A pipe's byte stays there.
"""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress

_DRAINED = 4096


class Bell:
    """Rung by anybody, from any thread; heard by the main thread alone."""

    def __init__(self) -> None:
        self._heard, self._rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake who listens; several rings are heard as one."""
        with suppress(BlockingIOError):  # full of rings that nobody has heard yet
            os.write(self._rung, b"\0")

    def on_signals(self, numbers: tuple[int, ...], act: Callable[[], None]) -> None:
        """Call `act` in the main thread when one of these signals comes, and wake it for that."""
        for number in numbers:
            signal.signal(number, lambda *_: act())
        signal.set_wakeup_fd(self._rung, warn_on_full_buffer=False)

    def listen(self, seconds: float) -> bool:
        """Wait for a ring, so long at most; whether there was one."""
        wait = select.poll()
        wait.register(self._heard, select.POLLIN)
        if not wait.poll(seconds * 1000):
            return False
        os.read(self._heard, _DRAINED)
        return True
