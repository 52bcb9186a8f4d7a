"""Two weeks of a box against a real headend and relay, at the pace of simulated time.

The first week is for settling in: consent holds from its first instant. In the second everything happens that
an ordinary week has: tokens and directories for it, the fragments of the one before, heartbeats, viewing. No
orders; the catalogue does not change. The agent is ticked each minute while something plays and every four
minutes else, and looks at its own clock besides, so it does what a box does, only sooner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.weight import proc
from benchmarks.weight.evening import Told
from benchmarks.weight.installed import Installed
from benchmarks.weight.line import Proxy
from shared.weeks import Week

FIRST = Week(2026, 41)
START = datetime(2026, 10, 2, 12, tzinfo=UTC)
_STEP = timedelta(minutes=4)
_PIN = "2580"


@dataclass(frozen=True)
class Spent:
    """What the second week cost: bytes of both lines, connections, disk, CPU seconds, memory."""

    named: int
    anonymous: int
    connections: int
    written: proc.Written
    cpu_s: float
    fresh: proc.Memory
    settled: proc.Memory
    high_water_kib: int
    most_pss_kib: int
    children: int
    samples: int
    fragments: int
    events: int


class Life:
    """One box in an installation."""

    def __init__(self, installed: Installed, name: str, *, tls: bool) -> None:
        self._installed = installed
        self.box, self._lines = installed.box(name, tls=tls)
        self._name = name

    def begin(self) -> None:
        """Start the agent, enrol it, and let the household consent."""
        self.box.start()
        self.box.ask({"op": "enrol", "code": self._installed.code(self._name)})
        self.box.consent()
        self.box.ask({"op": "set-pin", "new": _PIN})
        self.box.ask({"op": "tick"})  # fetches the catalogue
        self.box.stop()
        self.box.start()  # without what only a first start needs

    def live(self, until: datetime, told: Iterable[Told] = ()) -> int:
        """Let time pass, with these events on the way; how many there were."""
        count = 0
        for one in told:
            if one.at < self._installed.now:
                continue
            if one.at >= until:
                break
            self._pass(one.at)
            self.box.ask({"op": "event", "event": one.body})
            self.box.ask({"op": "tick"})
            count += 1
        self._pass(until)
        return count

    def counted(self) -> int:
        """How many of its fragments the headend has counted."""
        sent = self.box.ask({"op": "sent", "pin": _PIN})
        return sum(one["outcome"] == "counted" for one in sent)

    def weigh(self, told: list[Told], second: tuple[datetime, datetime]) -> Spent:
        """Live until a week begins, and measure it until its end."""
        start, end = second
        fresh = proc.memory(self.box.pid)
        self.live(start, told)
        before = _bytes(self._lines), proc.written(self.box.pid), proc.stat_s(self.box.pid)
        with proc.Sampler(self.box.pid) as sampler:
            events = self.live(end, told)
        now = _bytes(self._lines), proc.written(self.box.pid), proc.stat_s(self.box.pid)
        return Spent(
            named=now[0][0] - before[0][0],
            anonymous=now[0][1] - before[0][1],
            connections=now[0][2] - before[0][2],
            written=proc.Written(now[1].calls - before[1].calls, now[1].pages - before[1].pages),
            cpu_s=now[2] - before[2],
            fresh=fresh,
            settled=proc.memory(self.box.pid),
            high_water_kib=proc.high_water_kib(self.box.pid),
            most_pss_kib=sampler.most_pss_kib,
            children=sampler.children,
            samples=sampler.samples,
            fragments=self.counted(),
            events=events,
        )

    def _pass(self, until: datetime) -> None:
        """Let time pass without an event, ticking."""
        while self._installed.now < until:
            self._installed.move_to(min(until, self._installed.now + _STEP))
            self.box.ask({"op": "tick"})


def _bytes(lines: list[Proxy]) -> tuple[int, int, int]:
    return lines[0].total(), lines[1].total(), sum(line.connections for line in lines)
