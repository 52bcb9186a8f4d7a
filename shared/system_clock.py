"""The only room that may ask what time it is."""

import os
import struct
import time
from datetime import UTC, datetime

from shared.clock import EPOCH, from_ms, to_ms
from shared.errors import StbError

_BOOT = "/proc/sys/kernel/random/boot_id"
_FORMAT = struct.Struct("<q")


class NoSteeredTimeError(StbError):
    """The file of a steered clock is missing or holds no time."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since this machine was started, those too in which it was suspended (clock_gettime(2))."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Which start of this machine it is, as Linux tells (random(4)); empty where nobody tells.

    It is drawn anew at each start, and stays on the box.
    """
    try:
        with open(_BOOT, encoding="ascii") as file:  # noqa: PTH123 (pathlib is a third of Python's own start)
            return file.read().strip()
    except OSError:
        return ""


class SteeredClock:
    """Simulated time: reads the instant from a file that a simulator writes.

    The file holds one little-endian signed 64-bit number, Unix milliseconds; eight aligned bytes are
    written and read at once, so a reader never sees half a time.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise NoSteeredTimeError(f"no steered clock at {path}: {error.strerror}") from error
        self.now()

    def now(self) -> datetime:
        """The instant that the simulator last wrote."""
        raw = os.pread(self._file, _FORMAT.size, 0)
        if len(raw) != _FORMAT.size:
            raise NoSteeredTimeError("the steered clock's file holds no time")
        return from_ms(_FORMAT.unpack(raw)[0])

    def monotonic(self) -> float:
        """Simulated seconds, counted from 1970: every process that reads the file was started then."""
        return (self.now() - EPOCH).total_seconds()


class ClockSteerer:
    """The simulator's hand on the clock file."""

    def __init__(self, path: str | os.PathLike[str], start: datetime) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.set(start)

    def set(self, instant: datetime) -> None:
        """Let every process that reads the file see `instant` (to the millisecond)."""
        os.pwrite(self._file, _FORMAT.pack(to_ms(instant)), 0)
