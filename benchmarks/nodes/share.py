"""Gives processes a share of one core each, as a limit of a control group does, without needing one.

A process that has had its share of a period is stopped until the next one (SIGSTOP, SIGCONT), whatever locks
it holds. All go on when standard input ends.

    python -m benchmarks.nodes.share 0.25 PID…
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PERIOD_S = 0.02
"""Within so much time a process gets its share."""
LOOK_S = 0.001
_CPU_OF_A_PROCESS = 2
"""The last bits of the clock of another process's time (clock_getcpuclockid(3))."""


def cpu_s(pid: int) -> float:
    """Processor seconds of a process with all of its threads, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | _CPU_OF_A_PROCESS)


class Share:
    """One process, what it may still take, and whether it is stopped."""

    def __init__(self, pid: int, part: float) -> None:
        self._pid, self._part = pid, part
        self._taken, self._at = cpu_s(pid), time.monotonic()
        self._left = 0.0
        self._stopped = False

    def look(self) -> None:
        """Stop it, or let it go on; what it did not use is lost after a period."""
        taken, now = cpu_s(self._pid), time.monotonic()
        more = self._part * (now - self._at) - (taken - self._taken)
        self._left = min(self._left + more, self._part * PERIOD_S)
        self._taken, self._at = taken, now
        if not self._stopped and self._left <= 0:
            self._send(signal.SIGSTOP)
        elif self._stopped and self._left >= self._part * PERIOD_S / 2:
            self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        os.kill(self._pid, what)
        self._stopped = what is signal.SIGSTOP

    def free(self) -> None:
        """Let it go on."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGCONT)


@contextmanager
def limited(part: float, pids: list[int]) -> Iterator[None]:
    """Give each process so much of a core while the body runs; all of it, if `part` is 0."""
    if not part:
        yield
        return
    words = [sys.executable, "-m", "benchmarks.nodes.share", str(part), *map(str, pids)]
    limiter = subprocess.Popen(words, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert limiter.stdin is not None  # noqa: S101 (it is a pipe)
        limiter.stdin.close()
        limiter.wait()


def main() -> int:
    """Keep them to their share until nobody wants it any more."""
    shares = [Share(int(pid), float(sys.argv[1])) for pid in sys.argv[2:]]
    try:
        while not select.select([sys.stdin], [], [], LOOK_S)[0]:
            for share in shares:
                share.look()
    except ProcessLookupError:
        return 1
    finally:
        for share in shares:
            share.free()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
