"""The figures of one measure over one window: shares, minutes, audience, reach; for the panel and for all.

Pure arithmetic on noisy sums. Each kind of measure has its own way; what they have in common stands in
`headend.analytics.intervals`. The estimands are told in docs/privacy-guarantee.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from headend.analytics.intervals import Figure, Sums, Z, around, ranks, share, weighted
from headend.analytics.published import NoisyMeasure
from shared.register import REGION, SIXTEENTHS, Kind

WEEK_MINUTES = 7 * 24 * 60
MAX_WHOLE_NOISE = 0.15
"""Shares are withheld where the noise may move their whole by more than this part of it."""
EVERYWHERE = "all regions, weighted by boxes"
SMALL = "too small: it cannot be told from an empty cell"
UNCERTAIN = "the whole is too uncertain for shares; choose a longer window"
NOBODY = "no reporting box delivered this measure"


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
    """Cells that share a whole: all of a measure, or those of one region."""

    region: str
    withheld: str
    cells: list[CellEstimate]


@dataclass(frozen=True)
class Window:
    """One measure summed over consecutive weeks.

    `noise` is the variance on each summed counter; `boxes` all boxes by region in an average week.
    """

    measure: NoisyMeasure
    weeks: int
    amounts: list[int]
    rests: list[int]
    issued: int
    accepted: int
    boxes: dict[str, float]

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

    def missing(self) -> float:
        """The part of all boxes that did not report: the finite-population correction."""
        return 1 - self.box_weeks / self.weeks / self.all_boxes


def groups_of(window: Window) -> list[GroupEstimate]:
    """All cells of a measure with their figures, in groups that share a whole."""
    if not window.accepted:
        return [_nothing(window)]
    match Kind(window.measure.kind):
        case Kind.ONE_MINUTE:
            return _one_minute(window)
        case Kind.TIMED:
            return _timed(window)
        case Kind.UNTIMED:
            return _untimed(window)


def is_ordered(measure: NoisyMeasure) -> bool:
    """Whether a measure counts orders rather than viewing."""
    return "ordered-genre" in measure.grid


def _nothing(window: Window) -> GroupEstimate:
    count = len(window.measure.cells)
    cells = [CellEstimate(values, NOBODY, 1, count, {}, {}) for values in window.measure.cells]
    return GroupEstimate("", NOBODY, cells)


# One-minute measures: shares of a whole, by region where there are regions.


def _one_minute(window: Window) -> list[GroupEstimate]:
    measure = window.measure
    if REGION not in measure.grid:
        return [_share_group(window, "", list(range(len(measure.cells))))]
    place = measure.grid.index(REGION)
    by_region: dict[str, list[int]] = {}
    for index, values in enumerate(measure.cells):
        by_region.setdefault(values[place], []).append(index)
    groups = [_share_group(window, region, indexes) for region, indexes in by_region.items()]
    return [*groups, _all_regions(window, groups, place)]


def _share_group(window: Window, region: str, indexes: list[int]) -> GroupEstimate:
    sums = Sums([window.amounts[index] for index in indexes], window.noise, 1.0)
    # Drawn minutes are fresh each week, boxes are mostly the same: between boxes, weeks do not average out.
    wide = Sums(sums.values, sums.noise, max(1.0, window.weeks * _missing(window, region, sums.whole)))
    uncertain = sums.whole_noise() > MAX_WHOLE_NOISE * sums.whole
    places = ranks(sums)
    cells = []
    for place, index in enumerate(indexes):
        panel, everyone = (
            ({}, {}) if uncertain else ({"share": share(sums, place)}, {"share": share(wide, place)})
        )
        if is_ordered(window.measure):
            panel["box-weeks"], everyone["box-weeks"] = _box_weeks(window, index)
        cells.append(
            CellEstimate(
                window.measure.cells[index],
                _withheld(sums, sums.values[place], uncertain=uncertain and not panel),
                *places[place],
                panel,
                everyone,
            )
        )
    return GroupEstimate(region, UNCERTAIN if uncertain else "", cells)


def _withheld(sums: Sums, value: float, *, uncertain: bool) -> str:
    if uncertain:
        return UNCERTAIN
    return SMALL if sums.is_noise(value) else ""


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
    everyone = around(count, window.noise + drawn).times(window.all_boxes * window.weeks / trials)
    return around(count, window.noise), everyone


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


# Timed and untimed measures: volumes and reach, and shares of the volume where there is more than one cell.


def _timed(window: Window) -> list[GroupEstimate]:
    sums = Sums(window.amounts, window.noise + _rounding(window), 0.0)
    has_shares = len(sums.values) > 1 and sums.whole_noise() <= MAX_WHOLE_NOISE * sums.whole
    return [
        _volume_group(window, sums, lambda index: _timed_figures(window, sums, index, has_shares=has_shares))
    ]


def _untimed(window: Window) -> list[GroupEstimate]:
    sums = Sums(window.amounts, window.noise, 0.0)
    return [_volume_group(window, sums, lambda index: _reach(window, window.amounts[index], window.noise))]


_Figures = tuple[dict[str, Figure], dict[str, Figure]]


def _volume_group(window: Window, sums: Sums, figures: Callable[[int], _Figures]) -> GroupEstimate:
    places = ranks(sums)
    cells = [
        CellEstimate(
            values,
            _withheld(sums, sums.values[index], uncertain=False),
            *places[index],
            *figures(index),
        )
        for index, values in enumerate(window.measure.cells)
    ]
    return GroupEstimate("", "", cells)


def _rounding(window: Window) -> float:
    """A bound on the variance of rounding to sixteenths: a quarter for each box that reached the cell."""
    reached = [
        (amount + rest) / SIXTEENTHS for amount, rest in zip(window.amounts, window.rests, strict=True)
    ]
    return max(0.0, *reached, 0.0) / 4


def _timed_figures(window: Window, sums: Sums, index: int, *, has_shares: bool) -> _Figures:
    reached = (window.amounts[index] + window.rests[index]) / SIXTEENTHS
    panel, everyone = _reach(window, reached, 2 * window.noise / SIXTEENTHS**2)
    minutes, estimated = _minutes(window, sums, index)
    panel["minutes"], everyone["minutes"] = minutes, estimated
    per_minute = 1 / (WEEK_MINUTES * window.weeks)
    panel["audience"], everyone["audience"] = minutes.times(per_minute), estimated.times(per_minute)
    if has_shares:
        panel["share"] = share(sums, index)
        everyone["share"] = _share_of_all(window, sums, index)
    return panel, everyone


def _minutes(window: Window, sums: Sums, index: int) -> tuple[Figure, Figure]:
    """Minutes over the window; for all boxes with the bound mean (V - mean) on what differs between boxes."""
    volume = window.measure.volume_minutes
    unit = volume / SIXTEENTHS
    minutes = around(unit * window.amounts[index], unit**2 * sums.noise)
    mean = min(float(volume), max(0.0, minutes.value / window.box_weeks))
    sampled = mean * (volume - mean) * window.missing() * window.weeks / window.box_weeks
    variance = unit**2 * sums.noise / window.box_weeks**2 + sampled
    everyone = around(minutes.value / window.box_weeks, variance).times(window.all_boxes * window.weeks)
    return minutes, everyone


def _reach(window: Window, reached: float, noise: float) -> _Figures:
    """Boxes reached in an average week, and their part of all that reported."""
    trials = window.box_weeks
    part = min(1.0, max(0.0, reached / trials))
    sampled = part * (1 - part) * window.missing() * window.weeks / trials
    panel = around(reached / trials, noise / trials**2, 1.0)
    everyone = around(reached / trials, noise / trials**2 + sampled, 1.0)
    return (
        {"reach": panel.times(trials / window.weeks), "reach-share": panel},
        {"reach": everyone.times(window.all_boxes), "reach-share": everyone},
    )


def _share_of_all(window: Window, sums: Sums, index: int) -> Figure:
    """The share of all boxes' minutes; what differs between boxes is bounded for the cell and its rest."""
    volume, panel = window.measure.volume_minutes, share(sums, index)
    unit = volume / SIXTEENTHS / window.box_weeks
    part = min(1.0, max(0.0, panel.value))
    cell = _bound(unit * sums.values[index], volume)
    others = _bound(unit * (sums.whole - sums.values[index]), min(WEEK_MINUTES, volume * len(sums.values)))
    spread = ((1 - part) * cell + part * others) / (unit * sums.whole)
    variance = spread**2 * window.missing() * window.weeks / window.box_weeks
    return around(panel.value, (panel.half_width / Z) ** 2 + variance, 1.0)


def _bound(mean: float, most: float) -> float:
    """The largest standard deviation that a value between 0 and `most` with that mean can have."""
    inside = min(most, max(0.0, mean))
    return float((inside * (most - inside)) ** 0.5)
