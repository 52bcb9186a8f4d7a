"""The process that `recording` measures: the recorder, its store, and nothing else.

    python -m benchmarks.weight.recorder_alone FOLDER EVENTS

prints the CPU seconds that so many events took and waits on standard input, so that it can be looked at.
"""

import sys
from pathlib import Path
from time import process_time

from box_agent.consent import Consent
from box_agent.events import read_event
from box_agent.recorder import Recorder
from box_agent.store import ANONYMOUS_TABLES, Store
from shared.clock import Clock
from shared.system_clock import SystemClock


def main(folder: Path, events: int) -> None:
    """Record, and wait."""
    folder.mkdir(parents=True, exist_ok=True)
    clock, store = SystemClock(), Store(folder / "box.sqlite")
    door = store.door(ANONYMOUS_TABLES)
    consent = Consent(door, folder / "consent.json")
    if not consent.active():
        _ask(consent, clock)  # on the first start only, which is not measured
    recorder = Recorder(door, consent, clock)
    began = process_time()
    for number in range(events):
        item = b'{"kind":"live","genre":67,"ref":"svc-%d"}' % (number % 40)
        recorder.report(read_event(b'{"event":"play","seq":%d,"item":%s}' % (number, item)))
    recorder.flush()
    print(process_time() - began, flush=True)
    input()
    store.park()


def _ask(consent: Consent, clock: Clock) -> None:
    from box_agent.consent import Shown  # noqa: PLC0415 (recording needs none of this)
    from shared.notice import notice_version  # noqa: PLC0415

    consent.grant(notice_version(), Shown("bench"), clock.now())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
