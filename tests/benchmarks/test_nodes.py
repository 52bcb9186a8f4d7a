"""What the comparison of nodes rests on: shares of a core, medians of turns. The rest is `make bench`."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.nodes.figures import Rate, paired
from benchmarks.nodes.share import Share, limited
from simulator.processes import wait_until


@pytest.fixture
def busy():
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_who_has_had_its_share_is_stopped_until_it_has_one_again(busy):
    share, seen = Share(busy, 0.2), set()

    def both():
        share.look()
        seen.add(state(busy))
        return {"T", "R"} <= seen

    wait_until(both, "a stop and a start")
    share.free()
    wait_until(lambda: state(busy) == "R", "its freedom")


def test_nobody_stays_stopped_when_the_shares_are_over(busy):
    with limited(0.01, [busy]):
        wait_until(lambda: state(busy) == "T", "a stop")
    assert state(busy) == "R"


def test_two_nodes_are_held_against_one_in_each_turn_before_the_median_is_taken():
    def rate(a_second, node_us):
        return Rate(a_second, node_us, 100.0, 10.0, 1.0)

    slow, usual, fast = (
        (rate(50, 500), rate(100, 500)),
        (rate(100, 300), rate(180, 300)),
        (rate(200, 100), rate(300, 300)),
    )
    pair = paired("order", 0.2, [slow, usual, fast])
    assert (pair.one.a_second, pair.two.a_second) == (100, 180)
    assert pair.ratio == pytest.approx(1.8)
    assert pair.per_cpu == pytest.approx(1.0)
