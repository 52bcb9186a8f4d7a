"""How often intervals hold the truth, how often rank ranges do, and how wide they are: by town.

A cell is *rare* where its true counter is less than twice what is withheld: noise decides whether it is
shown, and it is shown when noise was kind, so it is told apart.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import NamedTuple

from headend.analytics.estimates import Estimates, estimate
from headend.analytics.figures import EVERYWHERE, CellEstimate, GroupEstimate
from headend.analytics.intervals import Z
from headend.analytics.published import ReleaseTable
from shared.register import REGION, SIXTEENTHS, Grid, Kind, Measure
from tests.audit.bounds import Bound, binomial, deviations, mean_and_error
from tests.audit.towns import ORDERED, Played, Town, Truth

PANEL, ALL_BOXES = "panel", "all boxes"
TOP = 6
_FEW = 2_000


class Asked(NamedTuple):
    """What is counted apart: a measure's figure over so many weeks, of the panel or of all boxes."""

    measure: str
    weeks: int
    of: str
    figure: str
    rare: bool


class Ranked(NamedTuple):
    """One group's cells, how many rank ranges hold the true rank, how many of the top stand alone."""

    cells: int
    held: int
    separated: int


class Width(NamedTuple):
    """Half-widths of a group: of the largest cell (with its true value), the sixth, the median."""

    top: float
    sixth: float
    median: float
    value: float


@dataclass
class Found:
    """What one town tells."""

    seed: int
    hits: dict[Asked, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    ranks: dict[tuple[str, int], list[Ranked]] = field(default_factory=lambda: defaultdict(list))
    widths: dict[tuple[str, int, str], list[Width]] = field(default_factory=lambda: defaultdict(list))
    withheld: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    drawn: dict[str, float] = field(default_factory=dict)

    def plain(self) -> "Found":
        """Without its factories, so that it can be handed from one process to another."""
        parts = (self.hits, self.ranks, self.widths, self.withheld)
        return Found(self.seed, *(dict(part) for part in parts), self.drawn)


@dataclass(frozen=True)
class Case:
    """One measure of one town over one window, with its truth."""

    town: Town
    measure: Measure
    grid: Grid
    weeks: int
    panel: Truth
    everyone: Truth
    exact: dict[int, int]

    @property
    def noise(self) -> float:
        """The standard deviation of the noise on a summed counter."""
        return self.measure.noise_scale * math.sqrt(self.weeks)

    def counter(self, cell: int) -> float:
        """The counter that the panel's truth amounts to: before drawing, rounding and noise."""
        if self.measure.kind is Kind.ONE_MINUTE:
            return self.panel.shares[cell]
        if self.measure.kind is Kind.UNTIMED:
            return float(self.panel.reached[cell])
        return self.panel.minutes[cell] * SIXTEENTHS / self.measure.volume_minutes

    def truth(self, of: str, figure: str, cell: int, group: Sequence[int]) -> float:
        """The true value of a figure of one cell in its group."""
        sums, size = (
            (self.panel, self.town.reporting) if of == PANEL else (self.everyone, self.town.panel.size)
        )
        if figure == "box-weeks":
            return float(self.exact[cell]) if of == PANEL else sums.shares[cell]
        return sums.value(figure, cell, group, size * self.weeks, self.weeks)


def cases(town: Town, played: Sequence[dict[str, Played]]) -> Iterator[Case]:
    """Each measure of a town over all these weeks."""
    for measure, grid in town.measures():
        panel, everyone, exact = Truth(), Truth(), defaultdict(int)
        for week in played:
            panel.add(week[measure.name].panel)
            everyone.add(week[measure.name].everyone)
            for cell, (amount, _) in week[measure.name].counted.items():
                exact[cell] += amount
        yield Case(town, measure, grid, len(played), panel, everyone, exact)


def judge(
    town: Town, played: Sequence[dict[str, Played]], tables: Sequence[ReleaseTable], found: Found
) -> None:
    """Compare the figures of one window with what was true."""
    estimates: Estimates = estimate(tables)
    for case in cases(town, played):
        said = estimates.measure(case.measure.name)
        _drawing(case, found)
        for group in said.groups:
            numbers = [_number(case.grid, cell) for cell in group.cells]
            _intervals(case, group, numbers, found)
            if group.region != EVERYWHERE and ORDERED not in case.measure.grid:
                _ranks(case, group, numbers, found)
            _widths(case, group, numbers, found)


def _number(grid: Grid, cell: CellEstimate) -> int:
    return 0 if EVERYWHERE in cell.values else grid.cell(*cell.values)


def _intervals(case: Case, group: GroupEstimate, numbers: list[int], found: Found) -> None:
    for cell, number in zip(group.cells, numbers, strict=True):
        withheld = found.withheld[case.measure.name, case.weeks]
        withheld[0] += bool(cell.withheld)
        withheld[1] += 1
        if cell.withheld:
            continue
        rare = number > 0 and case.counter(number) < 2 * Z * case.noise
        for of, figures in ((PANEL, cell.panel), (ALL_BOXES, cell.all_boxes)):
            if of == ALL_BOXES and not case.town.whole:
                continue
            for name, figure in figures.items():
                truth = case.truth(of, name, number, numbers) if number else _over_regions(case, cell)
                counted = found.hits[Asked(case.measure.name, case.weeks, of, name, rare)]
                counted[0] += figure.low <= truth <= figure.high
                counted[1] += 1


def _over_regions(case: Case, cell: CellEstimate) -> float:
    """The share over all regions, each weighing by its boxes."""
    place = case.measure.grid.index(REGION)
    boxes = case.town.boxes()
    total = 0.0
    for region, weight in boxes.items():
        values = [region if at == place else value for at, value in enumerate(cell.values)]
        group = [
            number for number in range(1, case.grid.size + 1) if case.grid.values(number)[place] == region
        ]
        total += weight * case.truth(ALL_BOXES, "share", case.grid.cell(*values), group)
    return total / sum(boxes.values())


def _ranks(case: Case, group: GroupEstimate, numbers: list[int], found: Found) -> None:
    if group.withheld:
        return
    true = [case.counter(number) for number in numbers]
    held = separated = 0
    for cell, value in zip(group.cells, true, strict=True):
        best = 1 + sum(other > value for other in true)
        worst = sum(other >= value for other in true)  # cells that are truly equal share their ranks
        held += cell.rank_low <= worst and best <= cell.rank_high
        separated += best <= TOP and cell.rank_low == cell.rank_high
    found.ranks[case.measure.name, case.weeks].append(Ranked(len(true), held, separated))


def _widths(case: Case, group: GroupEstimate, numbers: list[int], found: Found) -> None:
    names = {name for cell in group.cells for name in cell.panel}
    for name in names if group.region != EVERYWHERE else ():
        shown = [
            (cell.panel[name], number)
            for cell, number in zip(group.cells, numbers, strict=True)
            if name in cell.panel
        ]
        shown.sort(key=lambda one: -one[0].value)
        half = [figure.half_width for figure, _ in shown]
        true = case.truth(PANEL, name, shown[0][1], numbers)
        width = Width(half[0], half[min(TOP, len(half)) - 1], median(half), true)
        found.widths[case.measure.name, case.weeks, name].append(width)


def _drawing(case: Case, found: Found) -> None:
    """How much of the bound s(1 - s) on the drawing was used: the rest lies between boxes."""
    if case.measure.kind is not Kind.ONE_MINUTE or not case.panel.viewers:
        return
    viewers, shares = case.panel.viewers, case.panel.shares
    used = sum(shares[cell] - case.panel.squares[cell] for cell in shares)
    bound = sum(shares[cell] * (1 - shares[cell] / viewers) for cell in shares)
    found.drawn[case.measure.name] = used / bound if bound else 1.0


class Coverage(NamedTuple):
    """Over many towns: the part of shown intervals that hold, its standard error, and how many."""

    part: float
    error: float
    shown: int

    def within(self, band: Bound, chance: float) -> bool:
        """Whether the part may be within a band, as far as chance goes: towns are independent."""
        slack = deviations(chance) * self.error
        low, high = band.low - slack, band.high + slack
        if self.shown <= _FEW:  # the normal law is too narrow for these
            low = min(low, binomial(self.shown, band.low, chance).low / self.shown)
        return low <= self.part <= high


def coverage(found: Sequence[Found], wanted) -> Coverage:
    """The coverage over all intervals that `wanted` picks; a town's cells hang together, towns do not.

    The ratio's error is that of a cluster sample (Cochran 1977, 6.3): never taken for smaller than that of
    independent intervals at the bound of the band.
    """
    towns = []
    for one in found:
        picked = [counted for asked, counted in one.hits.items() if wanted(asked)]
        hits, shown = sum(hit for hit, _ in picked), sum(shown for _, shown in picked)
        if shown:
            towns.append((hits, shown))
    shown = sum(count for _, count in towns)
    if not shown:
        return Coverage(1.0, 1.0, 0)
    part = sum(hits for hits, _ in towns) / shown
    mean = shown / len(towns)
    _, error = mean_and_error([(hits - part * count) / mean for hits, count in towns])
    return Coverage(part, max(error, math.sqrt(0.03 * 0.97 / shown)), shown)


def ranks_held(found: Sequence[Found], measure: str, weeks: int) -> tuple[Coverage, float]:
    """How many rank ranges hold the true rank, and how many of the top six stand alone on average."""
    towns = [one.ranks[measure, weeks] for one in found if one.ranks.get((measure, weeks))]
    parts = [sum(one.held for one in town) / sum(one.cells for one in town) for town in towns]
    mean, error = mean_and_error(parts)
    cells = sum(one.cells for town in towns for one in town)
    separated = fmean(one.separated for town in towns for one in town)
    return Coverage(mean, max(error, math.sqrt(0.03 * 0.97 / cells)), cells), separated
