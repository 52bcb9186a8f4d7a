"""Everything that is told of popularity, computed from stored releases alone.

Two figures, always told apart. *Panel*: what reporting boxes did; the interval holds the noise and the
drawing of minutes. *All boxes*: what all boxes would have told, assuming that those who refuse watch like
those who consent (in their region, where a measure has regions); the interval holds the drawing of the
panel as well, but not the error of that assumption. See docs/privacy-guarantee.md for the estimands.

Sums of consecutive releases cost nothing more. A series breaks where a grid, a profile or the register
changes. What cannot be told from an empty cell is withheld, judging by the noisy value only.
"""

import itertools
from collections.abc import Sequence

from msgspec import Struct

from headend.analytics.figures import CellEstimate, GroupEstimate, Window, groups_of, is_ordered
from headend.analytics.published import NoisyMeasure, ReleaseTable
from shared.errors import StbError
from shared.register import Kind
from shared.weeks import Week

SHARE_OF_BOXES = "mean of reporting boxes' own shares of viewing minutes"
SHARE_OF_ORDERS = "part of reporting boxes that ordered, by one order drawn for each"
SHARE_OF_MINUTES = "part of all viewing minutes"

_PANEL = (
    "Panel: what reporting boxes did (one box drawn for each account that takes part), as delivered. The "
    "interval holds the noise and the drawing of single minutes."
)
_ALL_BOXES = (
    "All boxes: an estimate that assumes that those who refuse watch like those who consent in their region "
    "(everywhere, where a measure has no regions). The interval does not contain the error of this "
    "assumption. One box for each account reports, so homes with several boxes weigh less than their boxes."
)


class NoReleasesError(StbError):
    """There is no release to estimate from."""


class SeriesBrokenError(StbError):
    """The weeks are not consecutive, or a grid, profile or the register changed between them."""


class MeasureEstimate(Struct, frozen=True):
    """One measure over the window; `issued` and `accepted` are tokens, `delivered` their ratio."""

    name: str
    kind: str
    grid: list[str]
    share_of: str
    issued: int
    accepted: int
    delivered: float | None
    groups: list[GroupEstimate]

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
    reported in an average week, by the measure that most delivered.
    """

    weeks: list[str]
    profile: str
    simulated: bool
    boxes: int
    reporting: int
    panel_is: str
    all_boxes_is: str
    measures: list[MeasureEstimate]

    def measure(self, name: str) -> MeasureEstimate:
        """The measure of that name.

        Raises:
            NoReleasesError: the releases hold none.
        """
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise NoReleasesError(f"the releases hold no measure {name}")


def estimate(releases: Sequence[ReleaseTable]) -> Estimates:
    """The estimates of a window of consecutive weeks.

    Raises:
        NoReleasesError: the window is empty.
        SeriesBrokenError: the releases are not one series.
    """
    if not releases:
        raise NoReleasesError("there is no release yet")
    for earlier, later in itertools.pairwise(releases):
        _check_series(earlier, later)
    windows = [_window(releases, index) for index in range(len(releases[0].measures))]
    return Estimates(
        weeks=[release.week for release in releases],
        profile=releases[0].profile,
        simulated=any(release.simulated for release in releases),
        boxes=round(sum(sum(release.boxes.values()) for release in releases) / len(releases)),
        reporting=round(max(window.box_weeks for window in windows) / len(releases)),
        panel_is=_PANEL,
        all_boxes_is=_ALL_BOXES,
        measures=[_measure(window) for window in windows],
    )


def _check_series(earlier: ReleaseTable, later: ReleaseTable) -> None:
    if Week.parse(later.week).weeks_since(Week.parse(earlier.week)) != 1:
        raise SeriesBrokenError(f"{later.week} does not follow {earlier.week}")
    if (earlier.profile, earlier.register) != (later.profile, later.register):
        raise SeriesBrokenError(f"profile or register changed with {later.week}")
    if [_shape(measure) for measure in earlier.measures] != [_shape(measure) for measure in later.measures]:
        raise SeriesBrokenError(f"a grid or a measure changed with {later.week}")


def _shape(measure: NoisyMeasure) -> tuple[object, ...]:
    return (
        measure.name,
        measure.kind,
        measure.cells,
        measure.quota,
        measure.volume_minutes,
        measure.noise_scale,
    )


def _window(releases: Sequence[ReleaseTable], index: int) -> Window:
    measures = [release.measures[index] for release in releases]
    name = measures[0].name
    regions = sorted({region for release in releases for region in release.boxes})
    return Window(
        measure=measures[0],
        weeks=len(releases),
        amounts=_add([measure.amounts for measure in measures]),
        rests=_add([measure.rests for measure in measures]),
        issued=sum(release.issued.get(name, 0) for release in releases),
        accepted=sum(release.accepted.get(name, 0) for release in releases),
        boxes={
            region: sum(release.boxes.get(region, 0) for release in releases) / len(releases)
            for region in regions
        },
    )


def _add(rows: list[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _measure(window: Window) -> MeasureEstimate:
    measure = window.measure
    return MeasureEstimate(
        name=measure.name,
        kind=measure.kind,
        grid=measure.grid,
        share_of=_share_of(measure),
        issued=window.issued,
        accepted=window.accepted,
        delivered=window.accepted / window.issued if window.issued else None,
        groups=groups_of(window),
    )


def _share_of(measure: NoisyMeasure) -> str:
    if measure.kind != Kind.ONE_MINUTE:
        return SHARE_OF_MINUTES
    return SHARE_OF_ORDERS if is_ordered(measure) else SHARE_OF_BOXES
