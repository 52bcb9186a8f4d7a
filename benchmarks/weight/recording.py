"""The recorder alone, in a process of its own: its memory, and the CPU time of an event."""

import sys
from pathlib import Path
from subprocess import PIPE, Popen

from benchmarks.weight import proc
from benchmarks.weight.figures import Figure

MEMORY_TARGET_MIB = 8.0
EVENTS = 5_000
KIB = 1024


def measured(folder: Path, bare: proc.Memory) -> list[Figure]:
    """Memory over bare Python's, and CPU time an event, written in groups as the agent does."""
    _run(folder, 1)  # makes the store, which needs more than a start does
    spent, found = _run(folder, EVENTS)
    over = found.over(bare)
    told = f"PSS {over.pss_kib / KIB:+.1f} MiB; after {EVENTS:,} events"
    return [
        Figure("memory: the recorder alone, RSS", over.rss_kib / KIB, "MiB", MEMORY_TARGET_MIB, told),
        Figure(
            "cpu: an event, recorder alone", 1e6 * spent / EVENTS, "us", note="checked, buffered, durable"
        ),
    ]


def _run(folder: Path, events: int) -> tuple[float, proc.Memory]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.weight.recorder_alone",
        str(folder / "recorder"),
        str(events),
    ]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        spent = float(process.stdout.readline())
        found = proc.memory(process.pid)
        process.communicate(b"\n")
    return spent, found
