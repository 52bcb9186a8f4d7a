"""Takes turns over worlds and kinds of work, and sets each size beside the smallest of the same turn."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time

from benchmarks.growth.sized import Size
from benchmarks.growth.units import Unit
from benchmarks.growth.world import World
from shared.system_clock import SystemClock

Timer = Callable[[], float]
Clocked = tuple[float, float]
"""Seconds of CPU time and of the clock on the wall, for one unit."""


@dataclass(frozen=True)
class Cost:
    """What a unit costs in one size: microseconds of CPU and wall, and its CPU beside the smallest size's."""

    unit: str
    size: Size
    cpu_us: float
    wall_us: float
    ratio: float


def measure(
    worlds: Sequence[World], kinds: Sequence[Unit], turns: int, cpu: Timer = process_time
) -> list[Cost]:
    """Every kind in every world, in turns, after one that warms up; ratios are medians of the turns' own."""
    found = defaultdict(list)
    for _ in range(turns + 1):
        for kind in kinds:
            for world in worlds:
                found[kind.name, world.size].append(_clocked(kind, world, cpu))
    least = worlds[0].size
    return [
        _cost(kind.name, world.size, found[kind.name, world.size][1:], found[kind.name, least][1:])
        for kind in kinds
        for world in worlds
    ]


def _clocked(kind: Unit, world: World, cpu: Timer) -> Clocked:
    wall, work = SystemClock().monotonic, kind.prepare(world, kind.times)
    began, stood = cpu(), wall()
    done = work()
    return (cpu() - began) / done, (wall() - stood) / done


def _cost(unit: str, size: Size, here: list[Clocked], least: list[Clocked]) -> Cost:
    ratios = [mine / small for (mine, _), (small, _) in zip(here, least, strict=True)]
    cpu, wall = (1e6 * median(one[at] for one in here) for at in (0, 1))
    return Cost(unit, size, cpu, wall, median(ratios))
