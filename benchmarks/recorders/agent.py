"""Ours: `box_agent.recorder` on its store, in groups as it comes, or each event made durable by itself."""

from pathlib import Path

from benchmarks.recorders.running import run
from box_agent.consent import Shown
from box_agent.core import Core
from box_agent.events import read_event
from shared.notice_version import notice_version
from shared.system_clock import SystemClock


class Grouped:
    """As the agent records: at most 64 events or 5 minutes in memory; each group synced."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        core = Core(str(folder), folder / "consent.json", clock)
        core.consent.grant(notice_version(), Shown("bench"), clock.now())
        self.recorder = core.recorder

    def take(self, number: int) -> None:
        """See `Recording`."""
        item = {"kind": "live", "genre": 67, "ref": f"svc-{number % 40}"}
        self.recorder.report(read_event({"event": "play", "seq": number, "item": item}))

    def finish(self) -> None:
        """See `Recording`."""
        self.recorder.flush()

    def recovered(self) -> int:
        """See `Recording`."""
        return sum(len(run.events) for run in self.recorder.runs())


class Single(Grouped):
    """Each event in a transaction of its own, synced before it is told as taken."""

    def take(self, number: int) -> None:
        """See `Recording`."""
        super().take(number)
        self.recorder.flush()


if __name__ == "__main__":
    run({"grouped": Grouped, "single": Single})
