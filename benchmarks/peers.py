"""Our recorder beside its peers: what an event costs, and how many stay after a kill, a CPU second.

Each library is in a process of its own and records the same events, with the setting that suits the job best
(told in `benchmarks.recorders`). No network: the question is what the box itself keeps. Rounds alternate, and
medians are shown. The figure of merit is durable events a CPU second: events that survive SIGKILL right after
the last one was told as taken, divided by the CPU time until then. Only ours are synced to the disk: those of
the others that survive a kill need not survive a power cut.

What the peers do besides is not ours to do: glean counts, times and samples too, and sends pings (its memory
holds the parser of metric definitions, which Python loads them with); snowplow and OpenTelemetry deliver to
collectors, and are made for machines that reach them.

    python -m benchmarks.peers --events 5010
"""

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen

from benchmarks.weight import proc

EVENTS = 5_010
"""Not a multiple of the buffer: the last ten are in memory when the kill comes."""
ROUNDS = 5
KIB = 1024


@dataclass(frozen=True)
class Way:
    """A library and a setting of it."""

    label: str
    module: str
    setting: str
    package: str | None
    note: str


_OTEL = "opentelemetry-sdk"
WAYS = (
    Way("ours, in groups of 64", "agent", "grouped", None, "synced"),
    Way("ours, one by one", "agent", "single", None, "synced before it is told as taken"),
    Way("glean-sdk, events", "glean_events", "events", "glean-sdk", "written, not synced"),
    Way("snowplow-tracker", "snowplow", "memory", "snowplow-tracker", "in memory until sent"),
    Way(
        "opentelemetry-sdk, batches", "otel_logs", "batched", "opentelemetry-sdk", "a file, by another thread"
    ),
    Way(
        "opentelemetry-sdk, one by one", "otel_logs", "single", "opentelemetry-sdk", "a file, not read again"
    ),
)


@dataclass(frozen=True)
class Round:
    """One round of one way: seconds for all events, memory over bare Python, and what a kill left."""

    cpu_s: float
    wall_s: float
    rss_kib: int
    killed_cpu_s: float
    survived: int


def one_round(way: Way, folder: Path, events: int, bare: proc.Memory) -> Round:
    """Record twice, once to the end and once until killed; then see what is left.

    In folders in which it was started before, as on a box that is switched on again.
    """
    for mode in ("cost", "kill"):
        _said(_command(way, "start", folder / mode, events), 0)
    with Popen(_command(way, "cost", folder / "cost", events), stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        cpu_s, wall_s = map(float, process.stdout.readline().split())
        rss_kib = proc.memory(process.pid).over(bare).rss_kib
        process.kill()
    killed = _said(_command(way, "kill", folder / "kill", events), -9)
    survived = _said(_command(way, "recover", folder / "kill", events), 0)
    return Round(cpu_s, wall_s, rss_kib, killed, int(survived))


def _command(way: Way, mode: str, folder: Path, events: int) -> list[str]:
    module = f"benchmarks.recorders.{way.module}"
    return [sys.executable, "-m", module, way.setting, mode, str(folder), str(events)]


def _said(command: list[str], status: int) -> float:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[0]) if done.stdout else 0.0


def row(way: Way, rounds: list[Round], events: int) -> str:
    """A way's line of the table."""
    cpu = 1e6 * median(one.cpu_s for one in rounds) / events
    wall = 1e6 * median(one.wall_s for one in rounds) / events
    survived = median(one.survived for one in rounds)
    merit = median(one.survived / one.killed_cpu_s for one in rounds)
    memory = median(one.rss_kib for one in rounds) / KIB
    version = importlib.metadata.version(way.package) if way.package else ""
    label = f"{way.label} {version}".strip()
    return f"{label:38}{cpu:8.0f}{wall:9.0f}{memory:8.1f}{survived:10,.0f}{merit:12,.0f}  {way.note}"


def main() -> int:
    """Measure and tell; 1 if a library could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    found: dict[Way, list[Round]] = {way: [] for way in WAYS}
    missing: dict[Way, str] = {}
    with tempfile.TemporaryDirectory(prefix="stb-peers-") as name:
        proc.compiled_in(Path(name) / "compiled")
        bare, _ = proc.bare()
        for number in range(asked.rounds):
            for way in WAYS:
                folder = Path(name) / f"{way.module}-{way.setting}-{number}"
                try:
                    found[way].append(one_round(way, folder, asked.events, bare))
                except (RuntimeError, ValueError) as error:
                    missing[way] = str(error)
    print(
        f"{asked.events:,} events, medians of {asked.rounds} rounds;"
        " CPU and wall in us an event, RSS in MiB over bare Python"
    )
    print(f"{'':38}{'CPU':>8}{'wall':>9}{'RSS':>8}{'survive':>10}{'a CPU s':>12}")
    for way, rounds in found.items():
        print(
            f"{way.label}: NOT MEASURED: {missing[way]}" if way in missing else row(way, rounds, asked.events)
        )
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
