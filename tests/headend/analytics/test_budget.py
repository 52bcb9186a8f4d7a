from random import Random

import pytest

from headend.analytics.budget import (
    BudgetExceededError,
    cap_micro,
    epsilon,
    explain,
    left_micro,
    recognition,
    reserve,
    statement,
    weeks_around,
)
from headend.analytics.store import Spending
from shared.register import profile
from tests.headend.analytics.builders import WEEK

SMALL = profile("small")
CAP = cap_micro(SMALL)


@pytest.mark.parametrize(
    ("name", "epsilons"),
    [("small", [0.91, 1.88, 7.56]), ("regional", [0.91, 1.88, 7.56]), ("national", [0.56, 1.16, 4.58])],
)
def test_the_statement_tells_epsilon_for_a_week_a_month_and_a_year(name: str, epsilons: list[float]) -> None:
    said = statement(profile(name))
    assert [span.weeks for span in said.spans] == [1, 4, 53]
    assert [round(span.epsilon, 2) for span in said.spans] == epsilons


def test_the_plain_words_tell_how_well_a_household_is_recognised() -> None:
    said = statement(SMALL)
    assert "6.9 %" in said.plain
    assert "31 %" in said.plain


def test_the_conversion_is_no_worse_than_the_simple_one() -> None:
    for rho in (0.0005, 0.0125, 0.6625, 5.0):
        simple = rho + 2 * (rho * 20.723265836946414) ** 0.5
        assert 0 < epsilon(rho) < simple


def test_without_any_cost_recognition_is_guessing() -> None:
    assert recognition(0.0) == pytest.approx(0.05)


def spent(weeks: range, rho: int = SMALL.rho_micro) -> list[Spending]:
    return [Spending(WEEK.plus(week), "genre", rho) for week in weeks]


def test_a_full_year_of_releases_is_covered_for_ever() -> None:
    for week in range(120):
        assert len(reserve(spent(range(week)), WEEK.plus(week), SMALL, CAP)) == 3


def test_a_release_that_overdraws_53_weeks_is_refused() -> None:
    lines = [*spent(range(52)), Spending(WEEK, "other", 1)]
    with pytest.raises(BudgetExceededError):
        reserve(lines, WEEK.plus(52), SMALL, CAP)
    reserve(lines, WEEK.plus(53), SMALL, CAP)


def test_weeks_that_come_later_count_too() -> None:
    lines = [*spent(range(1, 53)), Spending(WEEK.plus(52), "other", 1)]
    assert left_micro(lines, WEEK, CAP) == SMALL.rho_micro - 1
    with pytest.raises(BudgetExceededError):
        reserve(lines, WEEK, SMALL, CAP)


def test_what_is_left_is_what_the_dearest_53_weeks_around_leave() -> None:
    chance = Random(53)  # noqa: S311 (seeded, to be the same each time)
    for _ in range(20):
        weeks = chance.choices(range(-70, 70), k=150)  # several lines a week, and weeks too far away to count
        costs = dict.fromkeys(range(-200, 200), 0)
        lines = []
        for week in weeks:
            rho = chance.randrange(1, 40)
            costs[week] += rho
            lines.append(Spending(WEEK.plus(week), "genre", rho))
        windows = [range(first, first + 53) for first in range(-52, 1)]
        dearest = max(sum(costs[week] for week in window) for window in windows)
        assert left_micro(lines, WEEK, 10_000) == 10_000 - dearest


def test_only_the_weeks_around_bear_on_what_is_left() -> None:
    for number in range(0, 700, 13):  # over years of 52 and of 53 weeks
        week = WEEK.plus(number - 350)
        first, last = weeks_around(week)
        assert (week.weeks_since(first), last.weeks_since(week)) == (52, 52)
        for beyond in (first.plus(-1), last.plus(1)):
            assert left_micro([Spending(beyond, "genre", 1)], week, CAP) == CAP
        for within in (first, last):
            assert left_micro([Spending(within, "genre", 1)], week, CAP) == CAP - 1


def test_what_is_left_is_never_negative() -> None:
    assert left_micro(spent(range(1), 10 * CAP), WEEK, CAP) == 0


def test_the_explanation_says_what_would_be_refused() -> None:
    lines = [*spent(range(52)), Spending(WEEK, "other", 1)]
    refused = explain(lines, WEEK.plus(52), SMALL, CAP)
    covered = explain(lines, WEEK.plus(53), SMALL, CAP)
    assert (refused.refused, covered.refused) == (True, False)
    assert refused.left_micro == SMALL.rho_micro - 1
    assert refused.weeks[0].rho_micro == SMALL.rho_micro + 1
    assert "would be refused" in refused.plain
