"""What analytics tells Prometheus: how many took part and what was spent, never what anybody watched.

Accepted tokens are told by measure and week, as the manifest of each release tells them afterwards. Every box
that takes part sends the full quota of every measure, so they say how many take part, and nothing of a cell.
"""

from collections import Counter
from collections.abc import Iterator

from headend.analytics.budget import MICRO, left_micro
from headend.analytics.store import AnalyticsStore
from shared.register import Profile
from shared.weeks import Week

NEWEST_WEEKS = 8
"""Weeks whose accepted tokens are told: those open, closing, and those to compare with."""
Sample = tuple[str, dict[str, str], float]


def samples(store: AnalyticsStore, next_week: Week, profile: Profile) -> Iterator[Sample]:
    """How taking part, weeks and the budget stand before the release of `next_week`."""
    accepted = store.accepted()
    newest = sorted({str(one.week) for one in accepted})[-NEWEST_WEEKS:]
    for one in accepted:
        if str(one.week) in newest:
            yield "headend_accepted_total", {"measure": one.measure, "week": str(one.week)}, one.count
    states = Counter(state.value for state in store.states().values())
    for state, n in sorted(states.items()):
        yield "headend_weeks", {"state": state}, n
    yield "headend_releases", {}, states["released"]
    spendings = store.spendings()
    left = left_micro(spendings, next_week, store.installation().cap_micro)
    yield "headend_budget_spent_rho", {}, sum(one.rho_micro for one in spendings) / MICRO
    yield "headend_budget_left_rho", {}, left / MICRO
    yield "headend_budget_next_rho", {}, profile.rho_micro / MICRO
