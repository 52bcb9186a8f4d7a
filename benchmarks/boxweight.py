"""What the agent weighs on a box: start, memory, CPU time, flash memory, the wire, the installation.

Everything is measured on real processes (the agent as `box-agent run`, a real headend and relay, a real
disk), and set beside bare Python in the same run. Where a figure has a target, the table tells whether it is
met; that changes nothing about the exit status, since this measures and does not judge.

    python -m benchmarks.boxweight --idle 60

Compiled files are kept in a folder of the run's own, so that starts find them whatever the environment says.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.weight import busy, flash, proc, recording, size, start
from benchmarks.weight.evening import Told, week_of_events
from benchmarks.weight.figures import Figure, table
from benchmarks.weight.installed import Installed
from benchmarks.weight.weeks import FIRST, START, Life, Spent

ZONE = ZoneInfo("Europe/Amsterdam")
HOUSEHOLD = 7
"""Of the simulated town: one whose box is on for about as long as the mean, 144 minutes a day."""
IDLE_TARGET_MIB, PEAK_TARGET_MIB, WIRE_TARGET_KIB = 25.0, 45.0, 20.0
KIB = 1024
SECOND = (FIRST.plus(1).start(ZONE), FIRST.plus(2).start(ZONE))
_FIRST_TICKS_S = 12.0


class Weighing:
    """The figures of a run, and what could not be measured."""

    def __init__(self, folder: Path, rounds: int, idle_s: float) -> None:
        self.folder = folder
        self.rounds = rounds
        self.idle_s = idle_s
        self.bare, self.bare_high_kib = proc.bare()
        self.figures: list[Figure] = []
        self.missing: list[str] = []

    def take(self, what: str, measure: Callable[[], list[Figure]]) -> None:
        """Measure one thing; if it cannot be done, note that and go on."""
        print(f"  {what} ...", file=sys.stderr, flush=True)
        try:
            self.figures += measure()
        except (flash.NotMeasuredError, OSError, ValueError) as error:
            self.missing.append(f"{what}: {error}")

    def weeks(self) -> list[Figure]:
        """Memory, CPU time, flash memory and wire of an agent in two weeks without TLS."""
        told = [one for week in (FIRST, FIRST.plus(1)) for one in week_of_events(week, ZONE, HOUSEHOLD)]
        installed = Installed(self.folder / "plain", START)
        try:
            life = Life(installed, "plain", tls=False)
            life.begin()
            time.sleep(_FIRST_TICKS_S)
            spent = life.weigh(told, SECOND)
            idle_day, idle = busy.idle(life.box.pid, self.idle_s)
            settled = proc.memory(life.box.pid)
            life.box.stop()
        finally:
            installed.stop()
        if not spent.fragments:
            raise ValueError("no fragment of the box was counted")
        second = [one for one in told if SECOND[0] <= one.at < SECOND[1]]
        return [
            *self._memory(spent, settled, busy.rested(self.folder)),
            *idle,
            *_ordinary_day(spent, idle_day, second),
            *flash.measured(self.folder, spent.written, second),
            *_wire(spent),
        ]

    def tls(self) -> list[Figure]:
        """The same exchanges over TLS: what that adds on the wire and in memory."""
        installed = Installed(self.folder / "tls", START)
        try:
            life = Life(installed, "tls", tls=True)
            life.begin()
            spent = life.weigh([], SECOND)
            life.box.stop()
        finally:
            installed.stop()
        if not spent.fragments:
            raise ValueError("no fragment of the box was counted")
        per_day, most = (spent.named + spent.anonymous) / KIB / 7, spent.high_water_kib - self.bare_high_kib
        return [
            Figure(
                "wire: the same over TLS", per_day, "KiB/day", note=f"{spent.connections} connections a week"
            ),
            Figure("memory: peak while uploading, over TLS", most / KIB, "MiB", note="VmHWM"),
        ]

    def _memory(self, spent: Spent, settled: proc.Memory, rested: proc.Memory) -> list[Figure]:
        fresh, after = spent.fresh.over(self.bare), settled.over(self.bare)
        high = (spent.high_water_kib - self.bare_high_kib) / KIB
        family = (spent.most_pss_kib - self.bare.pss_kib) / KIB
        sampled = (
            f"VmHWM {high:.1f}; PSS with {spent.children} children {family:.1f}, {spent.samples} samples"
        )
        return [
            _idle_memory("memory: idle, before any upload, RSS", fresh),
            Figure("memory: after uploads, before it rests, RSS", after.rss_kib / KIB, "MiB"),
            _idle_memory("memory: idle again, after a rest, RSS", rested.over(self.bare)),
            Figure("memory: peak while uploading", max(high, family), "MiB", PEAK_TARGET_MIB, sampled),
        ]


def _idle_memory(name: str, over: proc.Memory) -> Figure:
    return Figure(name, over.rss_kib / KIB, "MiB", IDLE_TARGET_MIB, f"PSS {over.pss_kib / KIB:+.1f} MiB")


def _ordinary_day(spent: Spent, idle_day: float, told: list[Told]) -> list[Figure]:
    signs = sum(one.body["event"] == "progress" for one in told)
    seen = f"{(len(told) - signs) / 7:.0f} events and {signs / 7:.0f} signs of life"
    note = f"{seen}, and a seventh of the week's sending"
    return [Figure("cpu: an ordinary day", idle_day + spent.cpu_s / 7, "s", note=note)]


def _wire(spent: Spent) -> list[Figure]:
    named, anonymous = spent.named / KIB / 7, spent.anonymous / KIB / 7
    note = (
        f"named {named:.1f}, anonymous {anonymous:.1f}; {spent.fragments} fragments a week, no orders, no TLS"
    )
    return [
        Figure("wire: regional profile, both directions", named + anonymous, "KiB/day", WIRE_TARGET_KIB, note)
    ]


def main() -> int:
    """Measure; 1 if something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each kind")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of looking at an idle agent")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stb-boxweight-") as name:
        folder = Path(name)
        proc.compiled_in(folder / "compiled")
        run = Weighing(folder, asked.rounds, asked.idle)
        run.take("start", lambda: start.measured(folder, asked.rounds))
        run.take("recorder alone", lambda: recording.measured(folder, run.bare))
        run.take("events over the socket", lambda: [busy.event_over_the_socket(folder)])
        run.take("two weeks", run.weeks)
        run.take("two weeks over TLS", run.tls)
        run.take("installation", lambda: [size.own(), size.whole(folder)])
    rss, pss = run.bare.rss_kib / KIB, run.bare.pss_kib / KIB
    print(f"bare Python {sys.version.split()[0]}: RSS {rss:.1f} MiB, PSS {pss:.1f} MiB")
    print(table(run.figures))
    for one in run.missing:
        print(f"NOT MEASURED: {one}")
    return 1 if run.missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
