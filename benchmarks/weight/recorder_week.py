"""The recorder on its store, to be measured beside the first version: a week of events at its own pace.

    python -m benchmarks.weight.recorder_week FOLDER < events

takes one event a line, ticks as the agent does, prints what this process has written, and waits for the end
of its input. The store is made before, by another such process without events.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from box_agent.consent import Shown
from box_agent.core import Core
from box_agent.events import read_event
from shared.clock import ManualClock
from shared.notice_version import notice_version

START = datetime(2026, 9, 1, tzinfo=UTC)
_TICK = timedelta(seconds=90)
"""Between one and two minutes, as `box_agent.running` has it."""


def main(folder: Path) -> None:
    """Record, and tell."""
    clock = ManualClock(START)
    core = Core(str(folder), folder / "consent.json", clock)
    if not core.consent.active():
        core.consent.grant(notice_version(), Shown("bench"), clock.now())
    before = _written()
    for line in sys.stdin:
        at, _, event = line.rstrip("\n").partition("\t")
        until = datetime.fromisoformat(at)
        while clock.now() + _TICK < until:
            clock.advance(_TICK)
            core.recorder.tick()
        clock.advance_to(max(until, clock.now()))
        core.recorder.report(read_event(json.loads(event)))
    core.recorder.flush()
    core.store.park()
    for name, value in _written().items():
        print(f"{name}: {value - before[name]}")


def _written() -> dict[str, int]:
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
