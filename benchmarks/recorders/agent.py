"""Ours: `box_agent.recorder` on its store, in groups as it comes, or each event made durable by itself."""

from pathlib import Path

from benchmarks.recorders.running import run
from box_agent.consent import Consent
from box_agent.events import read_event
from box_agent.recorder import Recorder
from box_agent.store import ANONYMOUS_TABLES, Store
from shared.clock import Clock
from shared.system_clock import SystemClock


class Grouped:
    """As the agent records: at most 20 events or 60 seconds in memory; each group synced."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        door = Store(folder / "box.sqlite").door(ANONYMOUS_TABLES)
        consent = Consent(door, folder / "consent.json")
        if not consent.active():
            _ask(consent, clock)  # on the first start only, which is not measured
        self.recorder = Recorder(door, consent, clock)

    def take(self, number: int) -> None:
        """See `Recording`."""
        item = {"kind": "live", "genre": 67, "ref": f"svc-{number % 40}"}
        self.recorder.report(read_event({"event": "play", "seq": number, "item": item}))

    def finish(self) -> None:
        """See `Recording`."""
        self.recorder.flush()

    def recovered(self) -> int:
        """See `Recording`."""
        return len(self.recorder.events())


class Single(Grouped):
    """Each event in a transaction of its own, synced before it is told as taken."""

    def take(self, number: int) -> None:
        """See `Recording`."""
        super().take(number)
        self.recorder.flush()


def _ask(consent: Consent, clock: Clock) -> None:
    from box_agent.consent import Shown  # noqa: PLC0415 (recording needs none of this)
    from shared.notice import notice_version  # noqa: PLC0415

    consent.grant(notice_version(), Shown("bench"), clock.now())


if __name__ == "__main__":
    run({"grouped": Grouped, "single": Single})
