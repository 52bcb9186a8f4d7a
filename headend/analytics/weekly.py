"""One cell week by week, each week estimated by itself: for the chart of a series, its table and its file."""

from collections.abc import Sequence
from dataclasses import dataclass

from headend.analytics.estimates import Estimates, MeasureEstimate
from headend.analytics.figures import CellEstimate
from headend.analytics.intervals import Figure
from headend.analytics.marginals import tables_of
from headend.analytics.published import NoisyMeasure, ReleaseTable
from headend.analytics.series import Break, Why, breaks_between, shape
from headend.analytics.shelf import Shelf, Standing
from headend.analytics.trend import PANEL
from shared.register import REGION
from shared.weeks import Week

MOST_CELLS = 20
"""Of tables with more cells no series are offered."""
PREFERRED = ("share", "audience", "reach-share", "reach", "minutes")


@dataclass(frozen=True)
class Series:
    """Which cell of which table, of the panel or of all boxes."""

    table: str
    cell: tuple[str, ...]
    whose: str

    @property
    def key(self) -> str:
        """As a query names it."""
        return f"{self.table}:{'/'.join(self.cell)}"


@dataclass(frozen=True)
class Moment:
    """One week of a series: its figure, or why there is none, and where the series breaks before it."""

    week: str
    figure: Figure | None
    withheld: str = ""
    state: str = ""
    broken: Break | None = None


def offered(estimates: Estimates) -> list[Series]:
    """The series that a window's tables offer, for the panel."""
    return [
        Series(one.name, tuple(cell.values), PANEL)
        for one in (*estimates.measures, *estimates.summed)
        if len(one.groups) == 1 and len(one.groups[0].cells) <= MOST_CELLS and REGION not in one.grid
        for cell in one.groups[0].cells
    ]


def figure_of(cell: CellEstimate, whose: str) -> str:
    """The figure that a series of this cell is told in; nothing where it is withheld."""
    of = cell.panel if whose == PANEL else cell.all_boxes
    return next((name for name in PREFERRED if name in of), "")


def cell_of(estimates: Estimates, series: Series) -> CellEstimate | None:
    """The series' cell in some estimates, if it is there."""
    found: list[MeasureEstimate] = [*estimates.measures, *estimates.summed]
    cells = (
        cell for one in found if one.name == series.table for group in one.groups for cell in group.cells
    )
    return next((cell for cell in cells if tuple(cell.values) == series.cell), None)


def week_by_week(shelf: Shelf, standing: Standing, series: Series, until: str, count: int) -> list[Moment]:
    """At most `count` weeks up to `until`, oldest first, from the first release on, released or not."""
    last = Week.parse(until)
    first = max(standing.released[0], last.plus(1 - count))
    weeks = [first.plus(at) for at in range(last.weeks_since(first) + 1)]
    released = set(standing.released)
    found: list[Moment] = []
    before: ReleaseTable | None = None
    for week in weeks:
        if week not in released:
            found.append(Moment(str(week), None, state=standing.state_of(week) or "open"))
            continue
        table = shelf.table(week)
        found.append(_moment(shelf, table, before, series))
        before = table
    return found


def _moment(shelf: Shelf, table: ReleaseTable, before: ReleaseTable | None, series: Series) -> Moment:
    broken = _broken(before, table, series.table) if before else None
    cell = cell_of(shelf.estimates([table], series.table), series)
    if cell is None or cell.withheld:
        return Moment(table.week, None, cell.withheld if cell else "", broken=broken)
    of = cell.panel if series.whose == PANEL else cell.all_boxes
    return Moment(table.week, of[figure_of(cell, series.whose)], broken=broken)


def _broken(before: ReleaseTable, now: ReleaseTable, table: str) -> Break | None:
    """Whether profile, register or the measure itself changed; a missing week is seen as one."""
    broken = breaks_between(before, now)
    if broken is not None and broken.why is not Why.NO_RELEASE:
        return broken
    earlier, later = (_source(one.measures, table) for one in (before, now))
    if later is None or (earlier is not None and shape(earlier) == shape(later)):
        return None
    return Break(now.week, later.name, Why.ANEW if earlier is None else Why.OTHERWISE)


def _source(measures: Sequence[NoisyMeasure], table: str) -> NoisyMeasure | None:
    return next((one for one in measures if table in tables_of(one)), None)
