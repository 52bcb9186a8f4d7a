"""What analytics tells Prometheus: how many took part and what was spent, never what anybody watched.

Accepted tokens are told by measure and week, as the manifest of each release tells them afterwards. Every box
that takes part sends the full quota of every measure, so they say how many take part, and nothing of a cell.
A week whose fragments are taken now is told with 0 of every measure before the first has come.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from headend.analytics.budget import MICRO, left_micro
from headend.analytics.store import AnalyticsStore, WeekState
from shared.register import Profile
from shared.weeks import Week

NEWEST_WEEKS = 8
"""Weeks whose accepted tokens are told: those open, closing, and those to compare with."""
Sample = tuple[str, dict[str, str], float]


def samples(store: AnalyticsStore, next_week: Week, profile: Profile, now: datetime) -> Iterator[Sample]:
    """How taking part, weeks and the budget stand before the release of `next_week`."""
    states = store.states()
    taken = _taken(states, ZoneInfo(store.installation().zone), now)
    accepted = {(str(week), measure.name): 0 for week in taken for measure in profile.measures}
    accepted |= {(str(one.week), one.measure): one.count for one in store.accepted()}
    newest = sorted({week for week, _ in accepted})[-NEWEST_WEEKS:]
    for (week, measure), n in sorted(accepted.items()):
        if week in newest:
            yield "headend_accepted_total", {"measure": measure, "week": week}, n
    so_far = Counter(states.values())
    for state in WeekState:
        yield "headend_weeks", {"state": state.value}, so_far[state]
    yield "headend_releases", {}, so_far[WeekState.RELEASED]
    spendings = store.spendings()
    left = left_micro(spendings, next_week, store.installation().cap_micro)
    yield "headend_budget_spent_rho", {}, sum(one.rho_micro for one in spendings) / MICRO
    yield "headend_budget_left_rho", {}, left / MICRO
    yield "headend_budget_next_rho", {}, profile.rho_micro / MICRO


def _taken(states: dict[Week, WeekState], zone: ZoneInfo, now: datetime) -> list[Week]:
    """The weeks whose fragments are taken now: over, and not closed."""
    return [
        week
        for week, state in states.items()
        if state is WeekState.OPEN and week.end(zone) <= now < week.closes(zone)
    ]
