"""How long a release's noise takes and how much memory, beside a library that starts from rows.

`python -m benchmarks.release` makes a million bounded contributions to 26,004 timed cells (what the national
profile's minutes by genre would be over 2,364 regions), adds them up as the intake does while they arrive,
and draws the release from the counters: `noisy_measure` as it stands, and the table's bytes. The yardstick is
Google's differential privacy library (python-dp), which is handed the same rows: a bounded sum and a count in
each cell. Each runs in a process of its own, so that its peak memory is its own; the best of some turns
counts.

The yardstick is no dependency of the project; without it ours is printed alone. It is another mechanism
(Laplace, by epsilon), so only cost is compared.
"""

import argparse
import json
import resource
import subprocess
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from time import process_time

import msgspec

from headend.analytics.release import noisy_measure
from headend.analytics.store import Counter
from shared.register import REGION, SIXTEENTHS, Grid, Measure, profile

ROWS = 1_000_000
REGIONS = 2_364
TURNS = 3
GOALS = (("seconds", 0.5), ("peak MiB", 0.75))
"""The yardstick's figure is at least so many times ours: exact discrete Gaussians take their time."""
_SHIFT = 32
YARDSTICK = "python-dp==1.1.5"
EPSILON = 1.0


def measure() -> tuple[Measure, Grid]:
    """Minutes by genre and region: a timed measure of two counters a cell, at the national cost and sigma."""
    declared = replace(profile("national").measure("genre-minutes"), grid=("genre", REGION))
    return declared, Grid(declared, tuple(f"region-{number}" for number in range(REGIONS)))


def rows(count: int, cells: int) -> "array[int]":
    """So many contributions, cell and sixteenths in one number; a fixed rule leaves no cell empty.

    They are kept as small as may be, so that what is weighed is the libraries' memory.
    """
    return array("i", ((1 + n * 7_919 % cells) * _SHIFT + n * 31 % (SIXTEENTHS + 1) for n in range(count)))


def counters(name: str, contributed: Iterable[int]) -> list[Counter]:
    """What the store holds when the week closes."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in contributed:
        cell, sixteenths = divmod(one, _SHIFT)
        sums[cell][0] += sixteenths
        sums[cell][1] += SIXTEENTHS - sixteenths
    return [Counter(name, cell, amount, rest) for cell, (amount, rest) in sums.items()]


def ours(count: int) -> Callable[[], int]:
    """The release from counters; the library is loaded before it is timed, as is the yardstick's."""
    declared, grid = measure()
    held = counters(declared.name, rows(count, grid.size))
    noisy_measure(profile("small").measure("genre"), Grid(profile("small").measure("genre"), ()), [])

    def work() -> int:
        table = noisy_measure(declared, grid, held)
        msgspec.json.encode(table)
        return len(table.amounts)

    return work


def yardstick(count: int) -> Callable[[], int]:
    """The other library from rows: grouped by cell, then a sum and a count of each."""
    laplacian = import_module("pydp.algorithms.laplacian")  # no dependency of the project
    _, grid = measure()
    contributed = rows(count, grid.size)

    def work() -> int:
        grouped: dict[int, list[int]] = defaultdict(list)
        for one in contributed:
            cell, sixteenths = divmod(one, _SHIFT)
            grouped[cell].append(sixteenths)
        said = {}
        for cell, values in grouped.items():
            total = laplacian.BoundedSum(epsilon=EPSILON, lower_bound=0, upper_bound=SIXTEENTHS, dtype="int")
            number = laplacian.Count(epsilon=EPSILON, dtype="int")
            said[cell] = total.quick_result(values), number.quick_result(values)
        return len(said)

    return work


WORKS = {"ours": ours, "yardstick": yardstick}


def one_process(name: str, count: int) -> dict[str, float]:
    """Do it here: the least processor seconds of some turns, and this process's peak memory."""
    work, least = WORKS[name](count), float("inf")
    cells = 0
    for _ in range(TURNS):
        start = process_time()
        cells = work()
        least = min(least, process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": least, "peak MiB": peak, "cells": cells}


def measured(name: str, count: int) -> dict[str, float]:
    """Do it in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.release", "--only", name, "--rows", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(found: dict[str, float], other: dict[str, float]) -> int:
    """Print the ratios; how many goals are missed."""
    missed = 0
    for what, goal in GOALS:
        ratio = other[what] / found[what]
        missed += ratio < goal
        print(f"  yardstick / ours, {what}: {ratio:.2f} (goal {goal}) {'met' if ratio >= goal else 'MISSED'}")
    return missed


def main() -> int:
    """Measure, print, and say by the exit code whether every goal is met."""
    parser = argparse.ArgumentParser(description="The cost of a release's noise.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=sorted(WORKS), help="one of the two, here and as JSON")
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(one_process(asked.only, asked.rows)))
        return 0
    found = measured("ours", asked.rows)
    print(f"{asked.rows:,} contributions in {found['cells']:,.0f} cells, two counters each")
    print(f"  {'ours, from counters':24} {found['seconds']:6.2f} s  {found['peak MiB']:6.0f} MiB")
    if find_spec("pydp") is None:
        print(f"  no yardstick: pip install {YARDSTICK} into this environment to compare")
        return 0
    other = measured("yardstick", asked.rows)
    print(f"  {'yardstick, from rows':24} {other['seconds']:6.2f} s  {other['peak MiB']:6.0f} MiB")
    return int(compare(found, other) > 0)


if __name__ == "__main__":
    sys.exit(main())
