"""The process that `recording` measures: the recorder, its store, and nothing else.

    python -m benchmarks.weight.recorder_alone FOLDER EVENTS

prints the CPU seconds that so many events took and waits on standard input, so that it can be looked at.
"""

import sys
from time import process_time

from box_agent.consent import Shown
from box_agent.core import Core
from box_agent.events import read_event
from shared.notice_version import notice_version
from shared.system_clock import SystemClock


def main(folder: str, events: int) -> None:
    """Record, and wait."""
    clock = SystemClock()
    core = Core(folder, f"{folder}/consent.json", clock)
    if not core.consent.active():
        core.consent.grant(notice_version(), Shown("bench"), clock.now())
    recorder = core.recorder
    began = process_time()
    for number in range(events):
        item = b'{"kind":"live","genre":67,"ref":"svc-%d"}' % (number % 40)
        recorder.report(read_event(b'{"event":"play","seq":%d,"item":%s}' % (number, item)))
    recorder.flush()
    print(process_time() - began, flush=True)
    input()
    core.store.park()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
