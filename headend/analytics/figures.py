"""What figures are made of, and those of one-minute measures: shares, for the panel and for all boxes.

Pure arithmetic on noisy sums; volumes and reach stand in `headend.analytics.volumes`, what all have in common
in `headend.analytics.intervals`. The estimands are told in docs/privacy-guarantee.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from headend.analytics.intervals import (
    Figure,
    PlainSums,
    Sums,
    around,
    is_noise,
    least_shown,
    share,
    told_apart,
    weighted,
    whole_noise,
)
from headend.analytics.published import NoisyMeasure
from headend.analytics.ranking import Tier, ranks, tiers
from headend.analytics.reconciled import Reconciled
from headend.kit.language import N_
from shared.register import REGION
from shared.totals import ROUNDED_TO

MAX_WHOLE_NOISE = 0.15
"""Shares are withheld where the noise may move their whole by more than this part of it."""
EVERYWHERE = N_("all regions, weighted by boxes")
SMALL = N_("too small: it cannot be told from an empty cell")
UNCERTAIN = N_("the whole is too uncertain for shares; choose a longer window")
NOBODY = N_("no reporting box delivered this measure")
Merged = tuple[list[str], list[int]]
"""A cell's values, and the measure's cells that it is the sum of."""


class CellEstimate(Struct, frozen=True):
    """One cell.

    Attributes:
        values: The cell's values, in the grid's order.
        withheld: Why nothing is shown, or empty.
        rank_low: The best rank that the noise leaves possible.
        rank_high: The worst; equal pairs are ties.
        panel: Figures by name: share (0 to 1), minutes (over the window), audience (boxes viewing in an
            average minute), reach (boxes in an average week), reach-share (0 to 1), box-weeks.
        all_boxes: Likewise, for all boxes.
    """

    values: list[str]
    withheld: str
    rank_low: int
    rank_high: int
    panel: dict[str, Figure]
    all_boxes: dict[str, Figure]


class GroupEstimate(Struct, frozen=True):
    """Cells that share a whole: all of a measure, or those of one region.

    `tiers` are their places and ties; `ranking` tells them in words where the estimates are handed out.
    """

    region: str
    withheld: str
    cells: list[CellEstimate]
    tiers: list[Tier] = []
    ranking: list[str] = []


@dataclass(frozen=True)
class Window:
    """One measure summed over consecutive weeks.

    `boxes` are all boxes by region in an average week; `reconciled` are the counters that agree with those of
    other measures, where there are such.
    """

    measure: NoisyMeasure
    weeks: int
    amounts: list[int]
    rests: list[int]
    issued: int
    accepted: int
    boxes: dict[str, float]
    reconciled: Reconciled | None = None

    @property
    def noise(self) -> float:
        """The variance of the noise on each summed counter."""
        return self.weeks * self.measure.noise_scale**2

    @property
    def box_weeks(self) -> float:
        """Full reports delivered: participation is exact, it is not secret."""
        return self.accepted / self.measure.quota

    @property
    def all_boxes(self) -> float:
        """All boxes in an average week, at least as many as reported."""
        return max(sum(self.boxes.values()), self.box_weeks / self.weeks)

    @property
    def rounding(self) -> float:
        """The variance of the number of all boxes, which billing told rounded, region by region."""
        return len(self.boxes) * ROUNDED_TO**2 / 12

    def missing(self) -> float:
        """The part of all boxes that did not report: the finite-population correction."""
        return 1 - self.box_weeks / self.weeks / self.all_boxes

    def sums(self, cells: Sequence[Sequence[int]]) -> Sums:
        """Sums that share a whole, each over some of the measure's cells; reconciled if the measure is."""
        if self.reconciled is not None:
            return self.reconciled.sums(cells)
        return PlainSums([sum(self.amounts[index] for index in one) for one in cells], self.noise, 1.0)


def is_ordered(measure: NoisyMeasure) -> bool:
    """Whether a measure counts orders rather than viewing."""
    return "ordered-genre" in measure.grid


def nothing_of(window: Window) -> GroupEstimate:
    """All cells withheld, where nobody delivered the measure."""
    count = len(window.measure.cells)
    cells = [CellEstimate(values, NOBODY, 1, count, {}, {}) for values in window.measure.cells]
    return GroupEstimate("", NOBODY, cells)


def one_minute(window: Window) -> list[GroupEstimate]:
    """The shares of a one-minute measure; by region, and over all, where there are regions."""
    measure = window.measure
    if REGION not in measure.grid:
        return [share_group(window, "", _single(window, range(len(measure.cells))))]
    place = measure.grid.index(REGION)
    by_region: dict[str, list[int]] = {}
    for index, values in enumerate(measure.cells):
        by_region.setdefault(values[place], []).append(index)
    groups = [share_group(window, region, _single(window, indexes)) for region, indexes in by_region.items()]
    return [*groups, _all_regions(window, groups, place)]


def _single(window: Window, indexes: Sequence[int]) -> list[Merged]:
    return [(window.measure.cells[index], [index]) for index in indexes]


def share_group(window: Window, region: str, merged: Sequence[Merged]) -> GroupEstimate:
    """Shares of cells, or of sums over cells, in their whole."""
    sums = window.sums([indexes for _, indexes in merged])
    between = between_boxes(window, region, sum(sums.values))
    uncertain = is_uncertain(sums)
    above = told_apart(sums)
    places = ranks(above, len(merged))
    cells = []
    for place, (values, indexes) in enumerate(merged):
        panel: dict[str, Figure] = {}
        everyone: dict[str, Figure] = {}
        if not uncertain:
            panel, everyone = {"share": share(sums, place)}, {"share": share(sums, place, between)}
        if is_ordered(window.measure):
            panel["box-weeks"], everyone["box-weeks"] = _box_weeks(window, indexes[0])
        withheld = withheld_why(sums, place, uncertain=uncertain and not panel)
        cells.append(CellEstimate(values, withheld, *places[place], panel, everyone))
    tiers_told = tiers_of(cells, sums.values, above)
    return GroupEstimate(region, UNCERTAIN if uncertain else "", cells, tiers_told)


def tiers_of(
    cells: Sequence[CellEstimate], values: Sequence[float], above: set[tuple[int, int]]
) -> list[Tier]:
    """The places and ties of the cells that are shown; `above` are the pairs that are told apart."""
    if len(cells) == 1:
        return []
    ordered = sorted(range(len(cells)), key=lambda index: -values[index])
    shown = [index for index in ordered if not cells[index].withheld]
    return tiers(shown, {index: (cells[index].rank_low, cells[index].rank_high) for index in shown}, above)


def is_uncertain(sums: Sums) -> bool:
    """Whether the noise may move the whole too much for shares of it."""
    return whole_noise(sums) > MAX_WHOLE_NOISE * sum(sums.values)


def between_boxes(window: Window, region: str, whole: float) -> float:
    """The least drawing that all boxes' shares are given: the chance of which boxes are in the panel.

    Drawn minutes are fresh each week, boxes are mostly the same: between boxes, weeks do not average out.
    """
    return window.weeks * _missing(window, region, whole)


def withheld_why(sums: Sums, index: int, *, uncertain: bool) -> str:
    """Why a cell is not shown, or nothing; the noisy values decide, no exact one takes part."""
    if uncertain:
        return UNCERTAIN
    return SMALL if is_noise(sums, index) else ""


def _missing(window: Window, region: str, whole: float) -> float:
    if not region:
        return window.missing()
    boxes = window.boxes.get(region, 0.0)
    return min(1.0, max(0.0, 1 - whole / window.weeks / boxes)) if boxes else 1.0


def _box_weeks(window: Window, index: int) -> tuple[Figure, Figure]:
    """Reporting boxes whose drawn order was of the cell, over the weeks; and the same for all boxes."""
    count, trials = window.amounts[index], window.box_weeks
    part = min(1.0, max(0.0, count / trials))
    drawn = max(1.0, window.weeks * window.missing()) * trials * part * (1 - part)
    least = least_shown(PlainSums(window.amounts, window.noise, 0.0), index)
    everyone = around(count / trials, (window.noise + drawn) / trials**2).reaching(least / trials)
    panel = around(count, window.noise).reaching(least)
    return panel, everyone.for_all(window.all_boxes, window.rounding).times(window.weeks)


def _all_regions(window: Window, groups: list[GroupEstimate], place: int) -> GroupEstimate:
    """Shares over all regions, each weighted by its boxes (post-stratification)."""
    weights = [window.boxes.get(group.region, 0.0) for group in groups]
    uncertain = any(group.withheld for group in groups) or not sum(weights)
    cells = []
    for row in zip(*(group.cells for group in groups), strict=True):
        values = [EVERYWHERE if at == place else value for at, value in enumerate(row[0].values)]
        if uncertain:
            cells.append(CellEstimate(values, UNCERTAIN, 1, len(groups[0].cells), {}, {}))
            continue
        everyone = weighted([cell.all_boxes["share"] for cell in row], weights)
        withheld = SMALL if everyone.low <= 0 else ""
        cells.append(CellEstimate(values, withheld, 1, len(groups[0].cells), {}, {"share": everyone}))
    return GroupEstimate(EVERYWHERE, UNCERTAIN if uncertain else "", cells)
