"""What Linux tells of a running process (proc(5)); memory in KiB, time in seconds, disk in bytes."""

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
SAMPLE_S = 0.005


@dataclass(frozen=True)
class Memory:
    """Resident memory: all of it, and with what is shared divided among those who share it."""

    rss_kib: int
    pss_kib: int

    def over(self, bare: "Memory") -> "Memory":
        """What it is more than another."""
        return Memory(self.rss_kib - bare.rss_kib, self.pss_kib - bare.pss_kib)


@dataclass(frozen=True)
class Written:
    """Bytes that a process gave to write calls, and bytes of the pages that it made dirty for a disk."""

    calls: int
    pages: int


def memory(pid: int) -> Memory:
    """From `smaps_rollup`."""
    lines = (line.split() for line in _read(pid, "smaps_rollup").splitlines()[1:])
    found = {words[0]: int(words[1]) for words in lines}
    return Memory(found["Rss:"], found["Pss:"])


def high_water_kib(pid: int) -> int:
    """The most that was ever resident (`VmHWM`)."""
    return _status(pid, "VmHWM:")


def cpu_s(pid: int) -> float:
    """CPU time of all threads that live, to the nanosecond (`schedstat`; `stat` counts in hundredths)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def stat_s(pid: int) -> float:
    """User and system time, those of ended threads included, in the kernel's hundredths."""
    return sum(_times(pid)[:2])


def ended_s(pid: int) -> float:
    """User and system time of its children that have ended and been waited for."""
    return sum(_times(pid)[2:])


def _times(pid: int) -> list[float]:
    words = _read(pid, "stat").rpartition(")")[2].split()
    return [int(word) / os.sysconf("SC_CLK_TCK") for word in words[11:15]]


def wake_ups(pid: int) -> int:
    """How often its threads gave up the processor to wait, and so were woken again."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(_field((task / "status").read_text(), "voluntary_ctxt_switches:") for task in tasks)


def written(pid: int) -> Written:
    """From `io`."""
    text = _read(pid, "io")
    return Written(_field(text, "wchar:"), _field(text, "write_bytes:"))


def family(pid: int) -> list[int]:
    """A process and all that it started, and they, as far as they do not end meanwhile."""
    found = [pid]
    for one in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family_s(pid: int) -> float:
    """User and system time of a process and of all that it started and that still stands."""
    spent = 0.0
    for one in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            spent += stat_s(one)
    return spent


class Sampler:
    """Looks at a process and its children every few milliseconds, and keeps the most that it saw."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.most_pss_kib = 0
        self.samples = 0
        self.children = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(SAMPLE_S):
            try:
                pids = family(self._pid)
                total = sum(memory(one).pss_kib for one in pids)
            except (OSError, ValueError, KeyError):
                continue  # a child has gone meanwhile
            self.most_pss_kib = max(self.most_pss_kib, total)
            self.children = max(self.children, len(pids) - 1)
            self.samples += 1


def compiled_in(folder: Path) -> None:
    """Let every process started from now on run this source, and keep compiled files in a folder of its own.

    Starts find them there whatever the environment said before.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder)}


def bare() -> tuple[Memory, int]:
    """What Python takes that does nothing: resident memory, and the most of it, in KiB."""
    with Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        process.stdout.readline()
        found = memory(process.pid), high_water_kib(process.pid)
        process.communicate(b"\n")
    return found


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def _status(pid: int, field: str) -> int:
    return _field(_read(pid, "status"), field)


def _field(text: str, field: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(field))
    return int(line.split()[1])
