"""One account moves a release by at most its quota; spending is known, and what is not left is refused."""

import pytest

from headend.analytics.budget import BudgetExceededError, cap_micro, reserve, statement
from headend.analytics.noise import sensitivity
from headend.analytics.store import Spending
from shared.register import profile, profile_names
from shared.weeks import Week

pytestmark = pytest.mark.promise


@pytest.mark.journey
def test_the_town_has_paid_for_its_release_once(town):
    assert town.invariants["the budget has paid for each release, once"].holds
    assert town.invariants["no more fragments than tokens"].holds


@pytest.mark.parametrize("name", profile_names())
def test_a_year_is_covered_and_one_week_more_within_it_is_refused(name):
    taken = profile(name)
    spent, week = [], Week(2026, 41)
    for number in range(53):
        spent += reserve(spent, week.plus(number), taken, cap_micro(taken))
    with pytest.raises(BudgetExceededError):
        reserve(spent, week.plus(10), taken, cap_micro(taken))
    reserve(spent, week.plus(53), taken, cap_micro(taken))


def test_a_clock_moved_back_gives_no_budget_back():
    taken = profile("small")
    week = Week(2026, 41)
    cap = taken.rho_micro
    spent = [Spending(week, measure.name, measure.rho_micro) for measure in taken.measures]
    for other in (week.plus(-1), week.plus(1), week.plus(52), week.plus(-52)):
        with pytest.raises(BudgetExceededError):
            reserve(spent, other, taken, cap)


def test_the_guarantee_is_the_one_that_is_stated():
    spans = {span.weeks: span for span in statement(profile("small")).spans}
    assert [round(spans[weeks].epsilon, 2) for weeks in (1, 4, 53)] == [0.91, 1.88, 7.56]


@pytest.mark.parametrize("name", profile_names())
def test_the_declared_cost_covers_what_one_account_can_move(name):
    for measure in profile(name).measures:
        cost = sensitivity(measure) ** 2 / (2 * measure.noise_scale**2)
        assert cost <= measure.rho_micro / 1_000_000 * (1 + 1e-9)
