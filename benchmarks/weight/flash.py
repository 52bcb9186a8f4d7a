"""Bytes written to flash memory, beside those of the obvious first version for the same events.

What is compared is `write_bytes` of /proc/PID/io: the pages of 4 KiB that a process made dirty for a disk,
each time anew when it was written in between. That is what a block device is asked to take; a page of 1 KiB
in a log that is synced costs 4. `wchar`, the bytes given to write calls, is told beside it. Neither has the
file system's own journal in it, nor what the flash memory copies inside.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.weight.evening import Told
from benchmarks.weight.figures import Figure
from benchmarks.weight.proc import Written, written

TARGET = 0.1
KIB = 1024
_PROBE = 256 * KIB


class NotMeasuredError(Exception):
    """This machine does not tell what was to be measured."""


def measured(folder: Path, ours: Written, told: list[Told]) -> list[Figure]:
    """A week's bytes a day: the recorder's beside the first version's, and all that the agent wrote.

    Raises:
        NotMeasuredError: the folder is on no disk.
    """
    _see_a_disk(folder)
    first = _run("first_version", folder / "first", told)
    _run("recorder_week", folder / "week", [])  # makes the store
    viewing = _run("recorder_week", folder / "week", told)
    return [
        Figure("flash: viewing a day, part of the first version's", viewing.pages / first.pages, "", TARGET),
        _a_day("  our recorder, pages", viewing, "the same events"),
        _a_day("  obvious first version, pages", first, "one commit each"),
        _a_day("  the agent, pages", ours, "everything it keeps: tokens, queue, log and duties too"),
    ]


def _a_day(name: str, week: Written, what: str) -> Figure:
    pages, calls = week.pages / KIB / 7, week.calls / KIB / 7
    return Figure(name, pages, "KiB", None, f"{what}; write calls {calls:.0f} KiB")


def _run(module: str, folder: Path, told: list[Told]) -> Written:
    lines = "".join(f"{one.at.isoformat()}\t{json.dumps(one.body)}\n" for one in told)
    command = [sys.executable, "-m", f"benchmarks.weight.{module}", str(folder)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    found = dict(line.split(": ") for line in done.stdout.splitlines() if line)
    return Written(int(found["wchar"]), int(found["write_bytes"]))


def _see_a_disk(folder: Path) -> None:
    before = written(os.getpid()).pages
    with (folder / "probe").open("wb") as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())
    if written(os.getpid()).pages - before < _PROBE:
        raise NotMeasuredError(f"{folder} is on no disk that counts what is written")
