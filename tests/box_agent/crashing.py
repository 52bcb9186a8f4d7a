"""A box that places orders and records viewing until it is killed; a process of its own for test_store.

Each line says what the agent has answered yes to. The named line is down.
"""

import itertools
import sys
from datetime import timedelta
from pathlib import Path

from box_agent.app import Agent
from box_agent.events import Event, Item
from shared.clock import ManualClock
from shared.notice_version import notice_version
from tests.box_agent.fakes import START, YES, FakeHeadend, FakeRelay, offer, settings, sign_catalogue


def main(state: Path) -> None:
    """Enrol, or go on where the last process was killed."""
    clock = ManualClock(START)
    headend = FakeHeadend()
    headend.catalogue = sign_catalogue(*(offer(f"film-{number}") for number in range(2000)))
    agent = Agent(settings(state), (headend, FakeRelay(clock)), clock)
    if not agent.status()["named"]["enrolled"]:
        agent.enrol("code-1234")
        agent.tick()
        agent.set_consent(granted=True, notice=notice_version(), how="test")
    headend.down = True
    done = agent.status()["named"]["last_seq"]
    for number in itertools.count(done):
        placed = agent.place_order(f"film-{number % 2000}", YES)
        sys.stdout.write(f"{placed.seq}\n")
        sys.stdout.flush()
        clock.advance(timedelta(milliseconds=1))
        agent.report(Event(event="play", item=Item(kind="live", ref=str(number))))
        agent.tick()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
