"""The arrival curve as it was simulated last, and what growing costs as it was measured last."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks.capacity.arrivals import BIN_MS, WEEK, ZONE, Curve, play, scene_of
from benchmarks.capacity.boxes import NAMED
from benchmarks.growth.turns import Cost
from shared.clock import to_ms

ARRIVALS = Path(__file__).with_name("arrivals.json")
GROWTH = Path(__file__).with_name("growth.json")
BOXES = 40_000
PROFILE = "national"
OUTAGE = (timedelta(days=5, hours=18), timedelta(days=5, hours=19))
"""After the week's start, which is at two: Saturday from eight to nine in the evening."""
EVENING = (timedelta(days=5, hours=15), timedelta(days=6))


@dataclass(frozen=True)
class Arrivals:
    """A week as it usually is, and the named line's requests on an evening: usual, and with an outage."""

    usual: Curve
    evening: list[int]
    storm: list[int]


def simulate(boxes: int = BOXES) -> Arrivals:
    """Play the week twice, once with the outage."""
    start = WEEK.start(ZONE)
    down = (to_ms(start + OUTAGE[0]), to_ms(start + OUTAGE[1]))
    usual = play(boxes, scene_of(PROFILE))
    storm = play(boxes, scene_of(PROFILE, down=down))
    return Arrivals(usual, _evening(usual), _evening(storm))


def _evening(curve: Curve) -> list[int]:
    first, last = (int(one.total_seconds() * 1000) // BIN_MS for one in EVENING)
    return [
        sum(curve.answered[kind][at] + curve.unanswered[kind][at] for kind in NAMED)
        for at in range(first, last)
    ]


def record(found: Arrivals, path: Path = ARRIVALS) -> None:
    """Write it down, a line for each kind."""
    lines = msgspec.json.encode(found).decode().replace("],", "],\n").replace("{", "{\n")
    path.write_text(lines + "\n")


def arrivals(path: Path = ARRIVALS) -> Arrivals:
    """The last simulated week."""
    return msgspec.json.decode(path.read_bytes(), type=Arrivals)


@dataclass(frozen=True)
class Growth:
    """What units cost: as boxes grow, with a week of history, and as weeks do, in one town."""

    boxes: list[Cost]
    weeks: list[Cost]


def growth(path: Path = GROWTH) -> Growth:
    """The last measured growth."""
    return msgspec.json.decode(path.read_bytes(), type=Growth)


def largest(found: Growth, unit: str) -> float:
    """Microseconds of CPU of a unit in the town with the most boxes."""
    return max((cost.size, cost.cpu_us) for cost in found.boxes if cost.unit == unit)[1]
