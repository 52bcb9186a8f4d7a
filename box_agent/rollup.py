"""From a week's viewing to its fragments. Pure: chance is handed in.

What a box contributes to a measure before anything is drawn is its `Contribution`; `draw` turns that into
exactly the quota of fragments. What carries nothing is `none`, so that their number tells nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from box_agent.chance import RandomBelow
from box_agent.sessions import Minute
from shared.anonymous import NONE_CELL, Fragment
from shared.genres import ORDERED_GENRES
from shared.register import ORDERED_GENRE, REGION, SIXTEENTHS, Grid, Kind, Measure
from shared.weeks import Week

REACH_MINUTES = 3
"""Consecutive minutes that make reach; viewing below it becomes `none`."""


@dataclass(frozen=True)
class Viewed:
    """What a week's fragments are made of; no title, no time but the grids' own, no box.

    `minutes` come in order, as `clock_minutes` answers them.
    """

    minutes: Sequence[Minute]
    ordered: Sequence[str | None]
    region: str

    @cached_property
    def reached(self) -> bool:
        """Whether there are three consecutive minutes of anything."""
        return has_run(minute.number for minute in self.minutes)

    @cached_property
    def sorts(self) -> dict[Minute, list[int]]:
        """The numbers of the minutes of each sort (a `Minute` with number 0 stands for its sort)."""
        found: dict[tuple[str, str, str, str], list[int]] = {}
        for number, genre, shift, daypart, detail in self.minutes:
            found.setdefault((genre, shift, daypart, detail), []).append(number)
        return {Minute(0, *sort): numbers for sort, numbers in found.items()}


@dataclass(frozen=True)
class Contribution:
    """What a box adds to one measure, exactly, before drawing.

    `counts` are the things that may be drawn in each cell: minutes, or orders of the ordered-genre measure;
    of a timed measure they are capped at V. `reached` are the cells with three consecutive minutes.
    """

    measure: Measure
    counts: dict[int, int] = field(default_factory=dict)
    reached: frozenset[int] = frozenset()

    def total(self) -> int:
        """All that may be drawn; of a timed measure its minutes capped at V."""
        return sum(self.counts.values())

    def share(self, cell: int) -> Fraction:
        """The probability that a one-minute measure draws this cell."""
        return Fraction(self.counts.get(cell, 0), self.total() or 1)


def contribution(measure: Measure, grid: Grid, viewed: Viewed) -> Contribution:
    """The box's exact contribution to a measure; the figure that panel estimates are compared with."""
    if ORDERED_GENRE in measure.grid:
        return Contribution(measure, _orders(grid, viewed.ordered))
    if not viewed.reached:
        return Contribution(measure)
    cells = _cells(measure, grid, viewed)
    if measure.kind is Kind.ONE_MINUTE:
        return Contribution(measure, {cell: len(numbers) for cell, numbers in cells.items()})
    reached = frozenset(
        cell for cell, numbers in cells.items() if cell != NONE_CELL and has_run(sorted(numbers))
    )
    if measure.kind is Kind.UNTIMED:
        return Contribution(measure, dict.fromkeys(reached, 1), reached)
    volume = measure.volume_minutes
    return Contribution(measure, {cell: min(len(cells[cell]), volume) for cell in reached}, reached)


def draw(found: Contribution, week: Week, random_below: RandomBelow) -> list[Fragment]:
    """The full quota of fragments of one measure."""
    match found.measure.kind:
        case Kind.ONE_MINUTE:
            cells = _one(found.counts, random_below)
        case Kind.TIMED:
            volume = found.measure.volume_minutes
            cells = [(cell, sixteenths(found.counts[cell], volume, random_below)) for cell in found.reached]
        case Kind.UNTIMED:
            cells = [(cell, 1) for cell in found.reached]
    quota = found.measure.quota
    cells = sorted(cells)[:quota] + [(NONE_CELL, 0)] * (quota - len(cells))
    return [Fragment(found.measure.number, week, cell, value) for cell, value in cells]


def fragments(
    measures: Iterable[tuple[Measure, Grid]], week: Week, viewed: Viewed, random_below: RandomBelow
) -> list[Fragment]:
    """All fragments of a week: for each measure its full quota, drawn independently."""
    return [
        fragment
        for measure, grid in measures
        for fragment in draw(contribution(measure, grid, viewed), week, random_below)
    ]


def sixteenths(minutes: int, volume: int, random_below: RandomBelow) -> int:
    """Minutes as sixteenths of V, rounded at random without bias; at most 16."""
    whole, rest = divmod(min(minutes, volume) * SIXTEENTHS, volume)
    return whole + (random_below(volume) < rest)


def has_run(numbers: Iterable[int], length: int = REACH_MINUTES) -> bool:
    """Whether ascending minute numbers hold `length` consecutive ones."""
    run, previous = 0, None
    for number in numbers:
        run = run + 1 if previous is not None and number == previous + 1 else 1
        if run >= length:
            return True
        previous = number
    return False


def _one(counts: dict[int, int], random_below: RandomBelow) -> list[tuple[int, int]]:
    total = sum(counts.values())
    if not total:
        return []
    left = random_below(total)
    for cell, count in counts.items():
        if left < count:
            return [(cell, 1)] if cell != NONE_CELL else []
        left -= count
    raise AssertionError("a draw below the total falls into a cell")


def _orders(grid: Grid, ordered: Sequence[str | None]) -> dict[int, int]:
    # None marks an adult title: it is in no measure, so it is not even drawn from.
    counted = Counter(genre for genre in ordered if genre in ORDERED_GENRES)
    return {grid.cell(str(genre)): count for genre, count in counted.items()}


def _cells(measure: Measure, grid: Grid, viewed: Viewed) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for sort, numbers in viewed.sorts.items():
        cell = _cell(measure, grid, _values(measure, sort, viewed.region))
        found.setdefault(cell, []).extend(numbers)
    return found


def _values(measure: Measure, minute: Minute, region: str) -> tuple[str, ...]:
    return tuple(region if name == REGION else str(getattr(minute, name)) for name in measure.grid)


def _cell(measure: Measure, grid: Grid, values: tuple[str, ...]) -> int:
    for name, value, allowed in zip(measure.grid, values, grid.dimensions, strict=True):
        if name == REGION and value not in allowed:
            return NONE_CELL  # a postal area that the directory does not list
    return grid.cell(*values)
