"""A box on a disk of its own that fills up and turns read-only; a process of its own for test_disk.

Run within a mount namespace: it mounts a small tmpfs, and ends with a line of what it has seen.
"""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from box_agent.app import Agent
from box_agent.events import Event, Item
from box_agent.store import ReadOnlyStoreError, StoreError, StoreFullError
from shared.clock import ManualClock
from shared.notice_version import notice_version
from tests.box_agent.fakes import START, YES, FakeHeadend, FakeRelay, offer, settings, sign_catalogue

PLAY = Event(event="play", item=Item(kind="live", genre="news", ref="x"))


def main(disk: Path) -> None:
    """Fill it, free it, write-protect it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    clock = ManualClock(START)
    headend = FakeHeadend()
    headend.catalogue = sign_catalogue(*(offer(f"film-{number}") for number in range(2000)))
    agent = Agent(settings(disk / "box"), (headend, FakeRelay(clock)), clock)
    agent.enrol("code-1234")
    agent.tick()
    agent.set_consent(granted=True, notice=notice_version(), how="test")
    agent.report(PLAY)
    headend.down = True
    placed = fill(agent, clock)
    agent.report(PLAY)  # is kept in memory
    assert [order.seq for order in agent.orders()] == list(range(1, placed + 1))

    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    assert agent.place_order("film-1999", YES).seq == placed + 1, "refused orders took no place"
    agent.flush()
    agent.park()
    headend.down = False
    clock.advance(timedelta(hours=12))
    agent.tick()
    assert len(headend.chain) == placed + 1

    agent.park()  # the kernel turns no disk read-only under a file that is being written
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    refused = ""
    try:
        agent.place_order("film-1998", YES)
    except ReadOnlyStoreError as error:
        refused = type(error).__name__
    assert refused, "an order on a read-only disk was answered yes"
    agent.park()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    again = Agent(settings(disk / "box"), (headend, FakeRelay(clock)), clock)
    assert len(again.orders()) == placed + 1
    assert again._recorder._viewing.count() >= 2
    sys.stdout.write(f"{placed} placed, then refused; nothing lost\n")


def fill(agent: Agent, clock: ManualClock) -> int:
    """Order until the disk is full; answers with the number of orders that were answered yes."""
    placed = 0
    for number in range(1990):
        clock.advance(timedelta(seconds=1))
        try:
            placed = agent.place_order(f"film-{number}", YES).seq
        except StoreFullError:
            break
        except StoreError as error:
            raise AssertionError(f"told as {type(error).__name__}") from error
    else:
        raise AssertionError("the disk is never full")
    return placed


if __name__ == "__main__":
    os.umask(0o077)
    main(Path(sys.argv[1]))
