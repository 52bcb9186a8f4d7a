"""Everything that is told of popularity, computed from stored releases alone.

Two figures, always told apart. *Panel*: what reporting boxes did; the interval holds the noise and the
drawing of minutes. *All boxes*: what all boxes would have told, assuming that those who refuse watch like
those who consent (in their region, where a measure has regions); the interval holds the drawing of the
panel as well, but not the error of that assumption. See docs/privacy-guarantee.md for the estimands.

Sums of consecutive releases cost nothing more. A series breaks where a profile or the register changes, and
for a measure by itself where that is taken otherwise. One-minute measures of viewing are reconciled: tables
agree on what they share. What cannot be told from an empty cell is withheld, judging by the noisy value
only.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

from msgspec import Struct

from headend.analytics.figures import (
    CellEstimate,
    GroupEstimate,
    Window,
    is_ordered,
    nothing_of,
    one_minute,
)
from headend.analytics.marginals import SHARE_IN_BOXES, Marginal, marginals_of, tables_of
from headend.analytics.published import NoisyMeasure, ReleaseTable
from headend.analytics.reconciled import Table, reconcile
from headend.analytics.series import Break, Part, breaks_between, parts_of
from headend.analytics.volumes import timed, untimed
from headend.kit.language import N_
from shared.errors import StbError
from shared.register import REGION, Kind

SHARE_OF_ORDERS = N_("part of reporting boxes that ordered, by one order drawn for each")
SHARE_OF_MINUTES = N_("part of all viewing minutes")

PANEL_IS = N_(
    "Panel: what reporting boxes did (one box drawn for each account that takes part), as delivered. The "
    "interval holds the noise and the drawing of single minutes."
)
ALL_BOXES_IS = N_(
    "All boxes: an estimate that assumes that those who refuse watch like those who consent in their region "
    "(everywhere, where a measure has no regions). The interval does not contain the error of this "
    "assumption. One box for each account reports, so homes with several boxes weigh less than their boxes."
)


class NoReleasesError(StbError):
    """There is no release to estimate from."""


class SeriesBrokenError(StbError):
    """The weeks are not consecutive, or a grid, profile or the register changed between them."""


class MeasureEstimate(Struct, frozen=True):
    """One measure over the window.

    Attributes:
        name: The measure, or the table that follows from one.
        kind: one-minute, timed or untimed.
        grid: Its dimensions.
        share_of: What its shares are parts of.
        issued: Tokens issued, over its weeks.
        accepted: Tokens that came.
        delivered: Their ratio.
        groups: Its cells.
        weeks: The weeks that it was taken in one and the same way; less than the window's after a break.
        reconciled_with: The measures that it was made to agree with.
        summed_from: The measure that it follows from, or nothing.
    """

    name: str
    kind: str
    grid: list[str]
    share_of: str
    issued: int
    accepted: int
    delivered: float | None
    groups: list[GroupEstimate]
    weeks: list[str] = []
    reconciled_with: list[str] = []
    summed_from: str = ""

    def cell(self, *values: str) -> CellEstimate:
        """The cell with these values in the grid's order.

        Raises:
            NoReleasesError: there is none.
        """
        for group in self.groups:
            for cell in group.cells:
                if cell.values == list(values):
                    return cell
        raise NoReleasesError(f"measure {self.name} has no cell {values}")


class Estimates(Struct, frozen=True):
    """What one window of consecutive weeks tells.

    `boxes` are all boxes in an average week, rounded as billing told them; `reporting` the boxes that
    reported in an average week, by the measure that most delivered; `summed` are tables that follow from
    measures; `breaks` say which measures have fewer weeks than the window, and why.
    """

    weeks: list[str]
    profile: str
    simulated: bool
    boxes: int
    reporting: int
    panel_is: str
    all_boxes_is: str
    measures: list[MeasureEstimate]
    summed: list[MeasureEstimate] = []
    breaks: list[Break] = []

    def measure(self, name: str) -> MeasureEstimate:
        """The measure of that name, or the table that follows from one.

        Raises:
            NoReleasesError: the releases hold none.
        """
        for measure in chain(self.measures, self.summed):
            if measure.name == name:
                return measure
        raise NoReleasesError(f"the releases hold no measure {name}")


def estimate(releases: Sequence[ReleaseTable], only: str = "") -> Estimates:
    """The estimates of a window of consecutive weeks; of the table `only` alone, if that is said.

    Raises:
        NoReleasesError: the window is empty.
        SeriesBrokenError: the releases are not one series.
    """
    if not releases:
        raise NoReleasesError("there is no release yet")
    for earlier, later in pairwise(releases):
        if stopped := breaks_between(earlier, later):
            raise SeriesBrokenError(stopped.plain)
    parts = parts_of(releases)
    windows = [_window(releases, part) for part in parts]
    if any(_is_viewing_minute(one.measure) for one in windows if only in {"", *tables_of(one.measure)}):
        windows = _reconciled(windows, parts)
    told = list(zip(parts, windows, strict=True))
    return Estimates(
        weeks=[release.week for release in releases],
        profile=releases[0].profile,
        simulated=any(release.simulated for release in releases),
        boxes=round(sum(sum(release.boxes.values()) for release in releases) / len(releases)),
        reporting=round(max((window.box_weeks / window.weeks for window in windows), default=0)),
        panel_is=PANEL_IS,
        all_boxes_is=ALL_BOXES_IS,
        measures=[_measure(window, part.weeks) for part, window in told if only in {"", part.name}],
        summed=[
            _summed(window, part.weeks, one) for part, window in told for one in marginals_of(window, only)
        ],
        breaks=[one for part in parts for one in part.breaks],
    )


def _window(releases: Sequence[ReleaseTable], part: Part) -> Window:
    taken = [release for release in releases if release.week in part.weeks]
    regions = sorted({region for release in taken for region in release.boxes})
    return Window(
        measure=part.measures[0],
        weeks=len(taken),
        amounts=_add([measure.amounts for measure in part.measures]),
        rests=_add([measure.rests for measure in part.measures]),
        issued=sum(release.issued.get(part.name, 0) for release in taken),
        accepted=sum(release.accepted.get(part.name, 0) for release in taken),
        boxes={
            region: sum(release.boxes.get(region, 0) for release in taken) / len(taken) for region in regions
        },
    )


def _add(rows: list[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _reconciled(windows: list[Window], parts: list[Part]) -> list[Window]:
    """The windows, those of one-minute measures of viewing over the same weeks made to agree."""
    together: dict[tuple[object, ...], list[Table]] = {}
    for window, part in zip(windows, parts, strict=True):
        if _is_viewing_minute(window.measure) and window.accepted:
            whole = () if _tells_every_box(window) else (part.name,)
            together.setdefault((*part.weeks, whole), []).append(_table(window))
    found = {name: one for tables in together.values() for name, one in reconcile(tables).items()}
    return [replace(window, reconciled=found.get(window.measure.name)) for window in windows]


def _table(window: Window) -> Table:
    measure = window.measure
    return Table(measure.name, measure.grid, measure.cells, window.amounts, window.noise, window.accepted)


def _is_viewing_minute(measure: NoisyMeasure) -> bool:
    return measure.kind == Kind.ONE_MINUTE and not is_ordered(measure)


def _tells_every_box(window: Window) -> bool:
    """Whether the measure has a place for every box: one by region has none for boxes of unlisted areas."""
    if REGION not in window.measure.grid:
        return True
    place = window.measure.grid.index(REGION)
    listed = {values[place] for values in window.measure.cells}
    return all(region in listed for region, boxes in window.boxes.items() if boxes)


def _measure(window: Window, weeks: list[str]) -> MeasureEstimate:
    measure, agreed = window.measure, window.reconciled
    return MeasureEstimate(
        name=measure.name,
        kind=measure.kind,
        grid=measure.grid,
        share_of=_share_of(measure),
        issued=window.issued,
        accepted=window.accepted,
        delivered=window.accepted / window.issued if window.issued else None,
        groups=_groups(window),
        weeks=weeks,
        reconciled_with=[name for name in agreed.together if name != measure.name] if agreed else [],
    )


def _groups(window: Window) -> list[GroupEstimate]:
    if not window.accepted:
        return [nothing_of(window)]
    match Kind(window.measure.kind):
        case Kind.ONE_MINUTE:
            return one_minute(window)
        case Kind.TIMED:
            return [timed(window)]
        case Kind.UNTIMED:
            return [untimed(window)]


def _summed(window: Window, weeks: list[str], one: Marginal) -> MeasureEstimate:
    return MeasureEstimate(
        name=one.name,
        kind=window.measure.kind,
        grid=one.grid,
        share_of=one.share_of,
        issued=window.issued,
        accepted=window.accepted,
        delivered=window.accepted / window.issued if window.issued else None,
        groups=one.groups,
        weeks=weeks,
        summed_from=window.measure.name,
    )


def _share_of(measure: NoisyMeasure) -> str:
    if measure.kind != Kind.ONE_MINUTE:
        return SHARE_OF_MINUTES
    return SHARE_OF_ORDERS if is_ordered(measure) else SHARE_IN_BOXES
