"""The truth, kept apart: what the panel's boxes really viewed and ordered, before anything was drawn.

Computed from the events that the player gave, with the box's own edit rules and roll-up, and never from
what the headend knows.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from box_agent.events import unpack
from box_agent.rollup import Viewed, contribution
from box_agent.sessions import MINUTE_MS, clock_minutes, viewing_sessions
from shared.clock import to_ms
from shared.register import Grid, Kind, Measure
from shared.weeks import Week

HOUR_MS = 3_600_000
REACH_INTO_MS = 6 * HOUR_MS
"""How far before a week its first viewing session may have begun."""


@dataclass
class MeasureTruth:
    """One measure's sums over the panel of a week.

    `amounts` are, by cell: the sum of boxes' own shares (one-minute), minutes capped at V (timed), or boxes
    that reached it (untimed); `boxes` are those that contribute anything; `reached` counts them by cell.
    """

    amounts: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    reached: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    boxes: int = 0
    panel: int = 0

    def add(self, other: "MeasureTruth") -> None:
        """Add another part of the panel."""
        for cell, amount in other.amounts.items():
            self.amounts[cell] += amount
        for cell, count in other.reached.items():
            self.reached[cell] += count
        self.boxes += other.boxes
        self.panel += other.panel


Truth = dict[tuple[str, str], MeasureTruth]
"""By week and measure."""


def viewed_in(events: list[bytes], ordered: list[tuple[int, str]], week: Week, zone: ZoneInfo) -> Viewed:
    """What a box viewed and ordered in a week; `events` as `box_agent.events.pack` wrote them."""
    start_ms, end_ms = to_ms(week.start(zone)), to_ms(week.end(zone))
    sessions = viewing_sessions(sorted(unpack(events), key=lambda event: event.at_ms or 0), end_ms)
    minutes = [
        minute for minute in clock_minutes(sessions, zone) if start_ms <= minute.number * MINUTE_MS < end_ms
    ]
    genres = [genre for at_ms, genre in ordered if start_ms <= at_ms < end_ms]
    return Viewed(minutes, genres, "")


def truth_of(measure: Measure, viewed: Viewed) -> MeasureTruth:
    """One box's exact contribution to a measure without regions, before drawing."""
    found = contribution(measure, Grid(measure, ()), viewed)
    truth = MeasureTruth(panel=1, boxes=1 if found.total() else 0)
    for cell, count in found.counts.items():
        truth.amounts[cell] = float(found.share(cell)) if measure.kind is Kind.ONE_MINUTE else float(count)
        truth.reached[cell] = 1
    return truth
