import dataclasses

import pytest
from msgspec import structs

from headend.analytics.release import noisy_measure
from shared.register import profile
from tests.audit import lean, sentences, widths
from tests.audit.bounds import SHORT, Bound
from tests.audit.coverage import ALL_BOXES, PANEL, Asked, Coverage, Found, cases, coverage, judge, ranks_held
from tests.audit.panels import Panel
from tests.audit.towns import FIRST_WEEK, Town

TOWNS, EACH = 8, SHORT / 20
SMALL = profile("small")


def town(seed: int) -> Town:
    return Town(Panel(seed, 1_032), SMALL, 640, whole=True)


@pytest.fixture(scope="module")
def played():
    found = []
    for seed in range(TOWNS):
        weeks = town(seed).play(4)
        found.append((town(seed), weeks))
    return found


@pytest.fixture(scope="module")
def small(played) -> list[Found]:
    found = []
    for one, weeks in played:
        tables, told = one.releases(weeks), Found(one.panel.seed)
        for window in (1, 4):
            judge(one, weeks[:window], tables[:window], told)
        found.append(told)
    return found


def test_panel_intervals_hold_the_truth_before_drawing(small: list[Found]) -> None:
    verdicts = list(sentences.coverages("small", small, PANEL, sentences.BAND, EACH))
    assert [one for one in verdicts if not one.holds] == []
    assert len(verdicts) == 2 + 6


def test_intervals_of_all_boxes_hold_where_consent_leans_on_nothing(small: list[Found]) -> None:
    verdicts = list(sentences.coverages("small", small, ALL_BOXES, sentences.AT_LEAST, EACH))
    assert [one for one in verdicts if not one.holds] == []


def test_rank_ranges_hold_the_true_rank(small: list[Found]) -> None:
    assert all(one.holds for one in sentences.ranks("small", small, EACH))
    assert ranks_held(small, "genre", 4)[1] > 0


FEW_TOWNS = 0.25
"""Noise decides which cell is the sixth, so few towns tell half-widths less well than many."""


def test_half_widths_are_those_that_are_told(small: list[Found]) -> None:
    verdicts = [one for one in widths.audit({"small": small}, FEW_TOWNS) if "13 w" not in one.sentence]
    assert [one for one in verdicts if not one.holds] == []
    assert len(verdicts) == 7


def test_noise_of_ten_times_the_declared_scale_is_caught_by_the_coverage(played) -> None:
    def noisier(measure, grid, counters):
        said = noisy_measure(dataclasses.replace(measure, rho_micro=measure.rho_micro // 100), grid, counters)
        declared = {"rho_micro": measure.rho_micro, "sigma": measure.sigma}
        return structs.replace(said, noise_scale=measure.noise_scale, **declared)

    found = []
    for one, weeks in played:
        told = Found(one.panel.seed)
        for number, week in enumerate(weeks):  # one week alone lets one run in sixty pass by chance
            judge(one, [week], [one.release(week, FIRST_WEEK.plus(number), noisier)], told)
        found.append(told)
    verdicts = list(sentences.coverages("small", found, PANEL, sentences.BAND, EACH))
    assert not all(one.holds for one in verdicts)


def test_a_towns_cells_hang_together_so_towns_are_what_counts() -> None:
    asked = Asked("genre", 1, PANEL, "share", rare=False)
    towns = [Found(number, {asked: [10 * (number % 2), 10]}) for number in range(10)]
    found = coverage(towns, lambda _asked: True)
    assert (found.part, found.shown) == (0.5, 100)
    assert found.error == pytest.approx(0.5 / 3)
    assert not found.within(Bound(0.93, 0.97), 0.05)


def test_the_truth_of_a_town_is_what_boxes_did_before_anything_was_drawn() -> None:
    one = Town(Panel(1, 60), SMALL, 60, whole=True)
    truths = {case.measure.name: case for case in cases(one, one.play(1))}
    weeks = [one.panel.week(box, 0) for box in one.panel.boxes]
    assert truths["viewing"].panel.minutes[1] == sum(min(4_800, len(week.minutes)) for week in weeks)
    cells = range(1, 12)
    assert sum(truths["genre"].truth(PANEL, "share", cell, cells) for cell in cells) == pytest.approx(1)
    assert truths["genre"].panel.viewers == sum(len(week.minutes) > 0 for week in weeks)
    assert truths["genre"].panel.shares == truths["genre"].everyone.shares


def test_few_intervals_are_bounded_as_a_binomial_is() -> None:
    band = Bound(0.93, 0.97)
    assert Coverage(4 / 8, 0.06, 8).within(band, EACH)
    assert not Coverage(400 / 800, 0.06, 800).within(Bound(0.93, 0.97), 0.05)


def test_consent_that_leans_on_viewing_breaks_the_figures_of_all_boxes() -> None:
    level, leaning = (lean.play((1, 3_000, 25, slope)) for slope in (0.0, 0.8))
    assert level.coverage >= 0.5  # of 25 with 95 % each, 12 or fewer come about once in 10^10
    assert leaning.coverage <= 0.4
    assert leaning.bias > 0.1 > abs(level.bias)
