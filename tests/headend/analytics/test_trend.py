import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headend.analytics.estimates import NoReleasesError, SeriesBrokenError, estimate
from headend.analytics.intervals import around, difference, figure
from headend.analytics.published import ReleaseTable
from headend.analytics.trend import (
    ALL_BOXES,
    PANEL,
    Arrow,
    Change,
    Trend,
    WindowsDifferError,
    compare,
    holm,
    surprise,
    year_before,
)
from shared.register import profile
from shared.weeks import Week
from tests.headend.analytics.releases import WEEK, genre, noisy, table

COUNTS = [200, 160, 100, 60, 40, 30, 20, 12, 8, 6, 4]
SMALL_PROFILE = profile("small")
BASE = [0.30, 0.22, 0.15, 0.08, 0.07, 0.055, 0.045, 0.03, 0.025, 0.015, 0.01]


def weeks(counts: list[int], first: Week, number: int = 4) -> list[ReleaseTable]:
    return [table([genre(counts)], 640, week=first.plus(at)) for at in range(number)]


def trend(later: list[ReleaseTable], earlier: list[ReleaseTable]) -> Trend:
    return compare(estimate(later), later, earlier)


def change(found: Trend, name: str, value: str, whose: str = PANEL, told: str = "share") -> Change:
    return found.change(name, "", [value], whose)[told]


MOVED = [120, 160, 100, 140, *COUNTS[4:]]


def test_a_clear_change_is_told_with_its_interval() -> None:
    found = trend(weeks(MOVED, WEEK.plus(4)), weeks(COUNTS, WEEK))
    drama, sports = change(found, "genre", "film-drama"), change(found, "genre", "sports")
    assert (drama.arrow, sports.arrow) == (Arrow.DOWN, Arrow.UP)
    assert sports.value == pytest.approx(80 / 640)
    assert sports.earlier == pytest.approx(60 / 640)
    assert sports.low < sports.value < sports.high
    assert sports.low > 0
    assert change(found, "genre", "news").arrow is Arrow.UNCLEAR
    assert found.against == [str(WEEK.plus(at)) for at in range(4)]


def test_nothing_is_told_where_nothing_changed() -> None:
    found = trend(weeks(COUNTS, WEEK.plus(4)), weeks(COUNTS, WEEK))
    arrows = {one.arrow for cell in found.measures[0].cells for one in cell.panel.values()}
    assert arrows == {Arrow.UNCLEAR}
    assert change(found, "genre", "news").value == 0


def test_all_boxes_are_told_apart_with_the_wider_interval() -> None:
    found = trend(weeks(MOVED, WEEK.plus(4)), weeks(COUNTS, WEEK))
    panel, everyone = (change(found, "genre", "sports", whose) for whose in (PANEL, ALL_BOXES))
    assert everyone.high - everyone.low > panel.high - panel.low


def test_a_cell_that_is_withheld_in_either_window_has_no_trend() -> None:
    found = trend(weeks(COUNTS, WEEK.plus(4)), weeks([*COUNTS[:4], 0, *COUNTS[5:]], WEEK))
    assert found.change("genre", "", ["children"], PANEL) == {}
    assert found.change("genre", "", ["other"], PANEL) == {}
    assert found.change("genre", "", ["news"], PANEL)


def test_minutes_and_reach_have_trends_too() -> None:
    def window(first: Week, ks: int) -> list[ReleaseTable]:
        viewing = noisy(SMALL_PROFILE.measure("viewing"), [ks], [640 * 16 - ks])
        return [table([viewing], 640, week=first.plus(at)) for at in range(4)]

    found = trend(window(WEEK.plus(4), 3900), window(WEEK, 2700))
    cell = found.measures[0].cells[0]
    assert set(cell.panel) == {"minutes", "audience", "reach", "reach-share"}
    assert cell.panel["minutes"].value == 4 * 1200 * 300
    assert cell.panel["minutes"].arrow is Arrow.UP
    assert cell.all_boxes["audience"].arrow is Arrow.UP
    assert cell.panel["reach"].arrow is Arrow.UNCLEAR


def test_windows_that_do_not_compare_are_refused() -> None:
    later = weeks(COUNTS, WEEK.plus(4))
    with pytest.raises(WindowsDifferError):
        trend(later, weeks(COUNTS, WEEK, 3))
    with pytest.raises(NoReleasesError):
        compare(estimate(later), [], [])
    other = [msgspec.structs.replace(one, register="other") for one in weeks(COUNTS, WEEK)]
    with pytest.raises(WindowsDifferError):
        trend(later, other)
    with pytest.raises(SeriesBrokenError):
        trend(later[:2], [weeks(COUNTS, WEEK)[at] for at in (0, 2)])


def test_a_measure_whose_series_breaks_has_no_trend_and_the_others_have() -> None:
    viewing = noisy(SMALL_PROFILE.measure("viewing"), [2700], [7540])
    both = [msgspec.structs.replace(one, measures=[*one.measures, viewing]) for one in weeks(COUNTS, WEEK)]
    later = weeks(MOVED, WEEK.plus(4))
    with_viewing = [
        msgspec.structs.replace(
            one,
            measures=[*one.measures, msgspec.structs.replace(viewing, noise_scale=1.0)],
            accepted={**one.accepted, "viewing": 640},
        )
        for one in later
    ]
    found = trend(with_viewing, both)
    assert [(one.name, one.refused) for one in found.measures] == [
        ("genre", ""),
        ("viewing", "its series breaks"),
    ]
    assert change(found, "genre", "sports").arrow is Arrow.UP


def test_summed_tables_have_trends() -> None:
    taken = profile("regional")

    def window(first: Week, live: int) -> list[ReleaseTable]:
        amounts = [live, *[(400 - live) // 5] * 5] * 11
        measure = noisy(taken.measure("genre-shift"), amounts)
        return [table([measure], 4400, week=first.plus(at), taken="regional", everyone=9000) for at in (0, 1)]

    found = trend(window(WEEK.plus(2), 200), window(WEEK, 300))
    assert change(found, "shift", "live").arrow is Arrow.DOWN
    assert found.change("not-live", "", [], PANEL)["share"].arrow is Arrow.UP
    assert change(found, "not-live-by-genre", "news").arrow is Arrow.UP


# --- the arithmetic


def test_a_difference_has_the_half_intervals_that_lie_in_its_way() -> None:
    low, value, high = difference(figure(0.30, 0.34, 0.40), figure(0.07, 0.10, 0.12))
    assert value == pytest.approx(0.24)
    assert low == pytest.approx(0.24 - (0.04**2 + 0.02**2) ** 0.5)
    assert high == pytest.approx(0.24 + (0.06**2 + 0.03**2) ** 0.5)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 4), st.floats(0.01, 4))
def test_a_difference_of_symmetric_figures_is_that_of_normal_ones(
    one: float, other: float, first: float, second: float
) -> None:
    low, value, high = difference(around(one, first), around(other, second))
    expected = around(one - other, first + second)
    assert (low, value, high) == pytest.approx((expected.low, expected.value, expected.high))


def test_the_surprise_of_a_difference_is_five_percent_where_its_interval_touches_zero() -> None:
    assert surprise(0.0, 1.0, 2.0) == pytest.approx(0.05)
    assert surprise(-3.0, -1.0, 0.0) == pytest.approx(0.05)
    assert surprise(-1.0, 0.0, 1.0) == 1
    assert surprise(0.0, 0.0, 0.0) == 1


def test_holm_stops_at_the_first_that_does_not_pass() -> None:
    assert holm([]) == []
    assert holm([0.001, 0.02, 0.03, 0.9]) == [True, False, False, False]
    assert holm([0.04, 0.001]) == [True, True]


def test_where_nothing_changed_a_table_shows_an_arrow_in_at_most_five_of_a_hundred_comparisons() -> None:
    rnd = random.Random(1979)  # noqa: S311 (an invented panel)
    rounds, false, beside = 300, 0, 0
    for _ in range(rounds):
        windows = []
        for at in range(2):
            drawn = rnd.choices(range(11), BASE, k=640)
            counts = [drawn.count(cell) for cell in range(11)]
            windows.append([table([genre(counts, rnd)], 640, week=WEEK.plus(at))])
        changes = [one.panel["share"] for one in trend(windows[1], windows[0]).measures[0].cells]
        false += any(one.arrow is not Arrow.UNCLEAR for one in changes)
        beside += any(one.low > 0 or one.high < 0 for one in changes)
    # Three standard errors above 5 %; intervals by themselves would tell far more.
    assert false / rounds < 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5
    assert beside > 2 * false


def test_intervals_of_changes_cover() -> None:
    rnd = random.Random(2008)  # noqa: S311 (an invented panel)
    later = [0.25, 0.22, 0.15, 0.13, *BASE[4:]]
    covered = told = 0
    for _ in range(200):
        windows = []
        for at, parts in enumerate((BASE, later)):
            drawn = rnd.choices(range(11), parts, k=1500)
            counts = [drawn.count(cell) for cell in range(11)]
            windows.append([table([genre(counts, rnd)], 1500, week=WEEK.plus(at))])
        found = trend(windows[1], windows[0])
        for at, name in enumerate(("film-drama", "news", "show", "sports")):
            one = change(found, "genre", name)
            covered += one.low <= later[at] - BASE[at] <= one.high
            told += 1
    assert 0.93 <= covered / told <= 0.98


@pytest.mark.parametrize(
    ("week", "before"), [("2027-W10", "2026-W10"), ("2026-W52", "2025-W52"), ("2026-W53", "2026-W01")]
)
def test_a_year_before_is_the_week_of_the_same_number_or_52_weeks_earlier(week: str, before: str) -> None:
    assert str(year_before(Week.parse(week))) == before
