"""A window against an earlier one of the same length: what went up, what went down, what cannot be told.

The interval of a difference follows from the two windows' own intervals, taken as independent. For the panel
they are: noise and drawn minutes are fresh each week. For all boxes it is the careful side, since mostly the
same boxes report in both windows, and what they share falls out of the difference.

Each interval is of 95 % for itself. An arrow says more: over all cells of a measure together, a comparison in
which nothing has changed shows one in at most 5 of 100 cases (Holm 1979).
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from statistics import NormalDist

from msgspec import Struct

from headend.analytics.estimates import Estimates, MeasureEstimate, estimate
from headend.analytics.figures import CellEstimate
from headend.analytics.intervals import Figure, Z, difference
from headend.analytics.published import ReleaseTable
from headend.analytics.series import shape
from headend.kit.language import N_
from shared.errors import StbError
from shared.weeks import NotAWeekError, Week

FALSE_ARROWS = 0.05
PANEL, ALL_BOXES = "panel", "all boxes"
_NORMAL = NormalDist()


class WindowsDifferError(StbError):
    """Two windows that do not compare."""


class Arrow(StrEnum):
    """What a comparison tells."""

    UP = N_("up")
    DOWN = N_("down")
    UNCLEAR = N_("no clear change")


class Change(Struct, frozen=True):
    """The difference of one figure with its interval of 95 %, and whether it is told from no change."""

    low: float
    value: float
    high: float
    earlier: float
    arrow: Arrow


class CellTrend(Struct, frozen=True):
    """One cell's changes by name of figure, for the panel and for all boxes; both empty if withheld."""

    region: str
    values: list[str]
    panel: dict[str, Change]
    all_boxes: dict[str, Change]


class MeasureTrend(Struct, frozen=True):
    """One measure's changes; `refused` says why there are none."""

    name: str
    refused: str
    cells: list[CellTrend]


class Trend(Struct, frozen=True):
    """A window against an earlier one."""

    against: list[str]
    measures: list[MeasureTrend]

    def change(self, name: str, region: str, values: Sequence[str], whose: str) -> dict[str, Change]:
        """A cell's changes by name of figure, for `PANEL` or `ALL_BOXES`; empty where there are none."""
        for measure in self.measures:
            for cell in measure.cells if measure.name == name else []:
                if (cell.region, cell.values) == (region, list(values)):
                    return cell.panel if whose == PANEL else cell.all_boxes
        return {}


def compare(
    now: Estimates, later: Sequence[ReleaseTable], earlier: Sequence[ReleaseTable], only: str = ""
) -> Trend:
    """The changes from an earlier window to the later one of the same length that `now` was estimated from.

    `only` is the one table that is compared, if not all are; `now` may then hold just that.

    Raises:
        NoReleasesError: a window is empty.
        SeriesBrokenError: the earlier window is not one series.
        WindowsDifferError: the windows are not of the same length, profile and register.
    """
    if len(later) != len(earlier):
        raise WindowsDifferError("only windows of the same length are compared")
    before = estimate(earlier, only)
    if len({(release.profile, release.register) for release in (*earlier, *later)}) > 1:
        raise WindowsDifferError("only windows of the same profile and register are compared")
    return Trend(
        before.weeks,
        [
            _measure_trend(one, before, same=_same(one, [*earlier, *later]))
            for one in (*now.measures, *now.summed)
            if only in {"", one.name}
        ],
    )


def year_before(week: Week) -> Week:
    """The week of the same number in the year before, or 52 weeks earlier if that year has none.

    >>> str(year_before(Week(2027, 10))), str(year_before(Week(2026, 53)))
    ('2026-W10', '2026-W01')
    """
    try:
        return Week.parse(f"{week.year - 1:04}-W{week.number:02}")
    except NotAWeekError:
        return week.plus(-52)


def _same(one: MeasureEstimate, releases: Sequence[ReleaseTable]) -> bool:
    """Whether a measure was taken in all these weeks, and in one and the same way."""
    name = one.summed_from or one.name
    taken = [measure for release in releases for measure in release.measures if measure.name == name]
    return len(taken) == len(releases) and all(shape(measure) == shape(taken[0]) for measure in taken)


def _measure_trend(one: MeasureEstimate, before: Estimates, *, same: bool) -> MeasureTrend:
    if not same:
        return MeasureTrend(one.name, "its series breaks", [])
    pairs = list(_pairs(one, before.measure(one.name)))
    panel = _changes([(now.panel, then.panel) for _, now, then in pairs])
    everyone = _changes([(now.all_boxes, then.all_boxes) for _, now, then in pairs])
    cells = [
        CellTrend(region, now.values, panel[index], everyone[index])
        for index, (region, now, _) in enumerate(pairs)
    ]
    return MeasureTrend(one.name, "", cells)


def _pairs(now: MeasureEstimate, then: MeasureEstimate) -> Iterator[tuple[str, CellEstimate, CellEstimate]]:
    """The cells that are shown in both windows, with their regions."""
    earlier = {(group.region, *cell.values): cell for group in then.groups for cell in group.cells}
    for group in now.groups:
        for cell in group.cells:
            before = earlier.get((group.region, *cell.values))
            if before is not None and not cell.withheld and not before.withheld:
                yield group.region, cell, before


def _changes(pairs: list[tuple[dict[str, Figure], dict[str, Figure]]]) -> list[dict[str, Change]]:
    """The changes of each pair by name of figure; the cells of a figure share the risk of a false arrow."""
    found: list[dict[str, Change]] = [{} for _ in pairs]
    for name in dict.fromkeys(name for now, _ in pairs for name in now):
        both = [(index, now[name], then[name]) for index, (now, then) in enumerate(pairs) if name in then]
        differences = [difference(now, then) for _, now, then in both]
        arrows = holm([surprise(*one) for one in differences])
        for (index, _, then), (low, value, high), told in zip(both, differences, arrows, strict=True):
            arrow = (Arrow.UP if value > 0 else Arrow.DOWN) if told else Arrow.UNCLEAR
            found[index][name] = Change(low, value, high, then.shown_value, arrow)
    return found


def surprise(low: float, value: float, high: float) -> float:
    """How likely so large a difference is if nothing has changed, by its interval on the side of zero."""
    half = value - low if value > 0 else high - value
    return 2 * _NORMAL.cdf(-abs(value) * Z / half) if half > 0 else float(value == 0)


def holm(chances: Sequence[float], risk: float = FALSE_ARROWS) -> list[bool]:
    """Which of several differences are told, so that the chance of any false one is at most `risk`.

    Holm, "A simple sequentially rejective multiple test procedure" (1979): the least likely is held against
    risk / n, the next against risk / (n - 1), and so on up to the first that does not pass.

    >>> holm([0.04, 0.01, 0.03])
    [False, True, False]
    """
    told = [False] * len(chances)
    for done, index in enumerate(sorted(range(len(chances)), key=lambda index: chances[index])):
        if chances[index] > risk / (len(chances) - done):
            break
        told[index] = True
    return told
