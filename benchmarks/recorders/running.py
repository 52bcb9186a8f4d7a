"""What the measured processes have in common: they record, tell what it cost, and die or are looked at.

    python -m benchmarks.recorders.NAME WAY start|cost|kill|recover FOLDER EVENTS

`start` starts and ends, so that what follows is no first start. `cost` records, lets the library finish what
it does meanwhile, prints CPU and wall seconds and waits on its input. `kill` records, prints the CPU seconds
until the last event was told as taken, and is gone (SIGKILL) in the same breath. `recover` starts anew on
what the folder holds, and prints how many events are there.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Protocol


class Recording(Protocol):
    """A library, set up in a folder."""

    def take(self, number: int) -> None:
        """Take one event; the library has told that it has it when this returns."""

    def finish(self) -> None:
        """Wait until what it does beside the caller is done."""

    def recovered(self) -> int:
        """How many events are there after a start; asked of a fresh one."""


def run(ways: dict[str, Callable[[Path], Recording]]) -> None:
    """Do what the command line says."""
    way, mode, folder, events = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    recording = ways[way](folder)
    if mode == "start":
        recording.finish()
        return
    if mode == "recover":
        print(recording.recovered(), flush=True)
        return
    began, began_cpu = perf_counter(), process_time()
    for number in range(events):
        recording.take(number)
    if mode == "kill":
        print(process_time() - began_cpu, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    recording.finish()
    print(process_time() - began_cpu, perf_counter() - began, flush=True)
    input()
