"""From exec to the first event told as taken, beside `python -c pass`; and whether it survives a kill.

The agent's store is there and the household has consented, as after a box was switched off and on. Starts of
both kinds alternate. Whether that event is durable is looked at apart: the agent is killed (SIGKILL) as soon
as it has answered, and a further start tells how many events are on hand.
"""

import signal
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.weight.box import UNREACHED, BoxProcess
from benchmarks.weight.figures import Figure

TARGET = 2.5
PLAY = {"event": "play", "item": {"kind": "live", "genre": 67, "ref": "svc-12"}}
KILLS = 5


def measured(folder: Path, rounds: int) -> list[Figure]:
    """The ratio of the two starts, both starts, and how many first events survived."""
    box = BoxProcess(folder / "started", UNREACHED)
    box.start()
    box.consent()
    box.stop()
    ours, bare, ends = [], [], []
    for _ in range(rounds):
        began = perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(perf_counter() - began)
        began = perf_counter()
        box.start()
        listens = perf_counter() - began
        box.ask({"op": "event", "event": PLAY})
        ours.append(perf_counter() - began)
        ends.append(listens)
        box.stop()
    survived = sum(_survives(box) for _ in range(KILLS))
    ratio = median(ours) / median(bare)
    told = f"{survived} of {KILLS} first events survived SIGKILL right after the answer"
    return [
        Figure("start: exec to first durable event", ratio, "x bare Python", TARGET, told, survived == KILLS),
        Figure("  python -c pass", 1e3 * median(bare), "ms"),
        Figure("  the agent listens", 1e3 * median(ends), "ms"),
        Figure("  the first event is answered", 1e3 * median(ours), "ms"),
    ]


def _survives(box: BoxProcess) -> bool:
    box.start()
    before = _on_hand(box)
    box.stop()
    box.start()
    box.ask({"op": "event", "event": PLAY})
    box.stop(signal.SIGKILL)
    box.start()
    after = _on_hand(box)
    box.stop()
    return after > before


def _on_hand(box: BoxProcess) -> int:
    return int(box.ask({"op": "status"})["anonymous"]["events"])
