"""Half-widths of panel intervals as docs/privacy-guarantee.md tells them, beside those of played towns."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from tests.audit.bounds import Verdict
from tests.audit.coverage import Found
from tests.audit.studies import FOUR, NATIONAL, QUARTER, REGIONAL, SMALL, WEEK

TOLERANCE = 0.1
TOP, SIXTH, MEDIAN, PERCENT = "top", "sixth", "median", "% of the value"


class Row(NamedTuple):
    """One told half-width: of the top cell, the sixth or the median, in the figure's unit times `unit`."""

    profile: str
    measure: str
    figure: str
    weeks: int
    which: str
    told: float
    unit: float = 1.0


def _points(
    profile: str, measure: str, weeks: int, told: tuple[float, float], second: str = SIXTH
) -> list[Row]:
    return [
        Row(profile, measure, "share", weeks, which, points, 100)
        for which, points in zip((TOP, second), told, strict=True)
    ]


def _minutes(profile: str, weeks: int, told: float) -> Row:
    return Row(profile, "viewing", "minutes", weeks, PERCENT, told, 100)


def _orders(profile: str, weeks: int, told: float) -> Row:
    return Row(profile, "ordered-genre", "box-weeks", weeks, TOP, told)


TOLD = (
    *_points(SMALL, "genre", WEEK, (4.9, 3.4)),
    *_points(SMALL, "genre", FOUR, (2.4, 1.5)),
    _minutes(SMALL, WEEK, 16),
    _minutes(SMALL, FOUR, 8),
    _orders(SMALL, WEEK, 30),
    _orders(SMALL, QUARTER, 100),
    *_points(REGIONAL, "genre", WEEK, (1.4, 0.94)),
    *_points(REGIONAL, "genre", FOUR, (0.70, 0.47)),
    Row(REGIONAL, "genre-reach", "reach-share", WEEK, TOP, 3.0, 100),
    Row(REGIONAL, "genre-reach", "reach-share", FOUR, TOP, 1.5, 100),
    _minutes(REGIONAL, WEEK, 5.7),
    _minutes(REGIONAL, FOUR, 2.8),
    *_points(REGIONAL, "genre-shift", WEEK, (1.7, 1.0), MEDIAN),
    *_points(REGIONAL, "genre-shift", FOUR, (0.86, 0.5), MEDIAN),
    *_points(REGIONAL, "genre-daypart", WEEK, (1.5, 1.0), MEDIAN),
    *_points(REGIONAL, "genre-daypart", FOUR, (0.75, 0.5), MEDIAN),
    *_points(REGIONAL, "genre-region", FOUR, (3.1, 2.2)),
    _orders(REGIONAL, WEEK, 44),
    _orders(REGIONAL, FOUR, 88),
    *_points(NATIONAL, "genre-minutes", WEEK, (0.44, 0.35)),
    *_points(NATIONAL, "genre-minutes", FOUR, (0.22, 0.17)),
    Row(NATIONAL, "genre-minutes", "reach", WEEK, TOP, 206),
    *_points(NATIONAL, "genre-shift", WEEK, (0.28, 0.085), MEDIAN),
    *_points(NATIONAL, "genre-shift", FOUR, (0.14, 0.043), MEDIAN),
    *_points(NATIONAL, "genre-daypart", WEEK, (0.26, 0.095), MEDIAN),
    *_points(NATIONAL, "genre-daypart", FOUR, (0.13, 0.048), MEDIAN),
    *_points(NATIONAL, "genre-region", WEEK, (1.7, 1.1)),
    *_points(NATIONAL, "genre-region", FOUR, (0.8, 0.5)),
    _minutes(NATIONAL, WEEK, 0.56),
    _minutes(NATIONAL, FOUR, 0.28),
    _orders(NATIONAL, WEEK, 88),
    _orders(NATIONAL, FOUR, 175),
)


def measured(row: Row, found: Sequence[Found]) -> float | None:
    """The mean over towns and groups, in the row's unit; None if it was withheld everywhere.

    A part of the value is one of the true value: a noisy one would bring its own luck.
    """
    widths = [width for town in found for width in town.widths.get((row.measure, row.weeks, row.figure), [])]
    if not widths:
        return None
    if row.which == PERCENT:
        return row.unit * fmean(one.top for one in widths) / fmean(one.value for one in widths)
    return row.unit * fmean(getattr(one, row.which) for one in widths)


def audit(studies: dict[str, list[Found]], tolerance: float = TOLERANCE) -> Iterator[Verdict]:
    """Every told half-width of the profiles that were played."""
    for row in TOLD:
        if row.profile in studies:
            ours = measured(row, studies[row.profile]) or 0.0
            off = ours / row.told - 1
            yield Verdict(
                "half-width",
                f"{row.profile} {row.measure} {row.figure}, {row.weeks} w, {row.which}",
                abs(off) <= tolerance,
                f"{ours:.3g} beside {row.told:g} told ({off:+.0%})",
            )
