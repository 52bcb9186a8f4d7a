"""The pages of weeks and of the budget: what was released, what it cost, and what is left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headend.analytics.budget import (
    COVERED,
    DELTA,
    FALSE_ALARMS,
    MICRO,
    REFUSED,
    WINDOW_WEEKS,
    Explanation,
    explain,
    statement,
)
from headend.analytics.popularity_pages import PACKAGE
from headend.analytics.sentences import guarantee
from headend.analytics.shelf import Shelf
from headend.analytics.store import AnalyticsStore, Spending, WeekState
from headend.analytics.windows import week_of
from headend.analytics.wording import Wording
from headend.kit.charts import Caption
from headend.kit.lines import Limit, column_chart, exact, line_chart
from headend.kit.pages import render
from headend.kit.side import Visit
from shared.register import Profile
from shared.weeks import Week

ROWS = 53
"""How many weeks a page shows."""
_DIGITS = 4


@dataclass(frozen=True)
class Spent:
    """What a week cost, and what it and the 52 weeks before it cost together, in millionths."""

    week: str
    rho_micro: int
    together_micro: int


class ReleasePages:
    """The pages over one store; `next_week` is the week to be released next, `in_force` its profile."""

    def __init__(
        self,
        store: AnalyticsStore,
        shelf: Shelf,
        next_week: Callable[[], Week],
        in_force: Callable[[], Profile],
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._next_week = next_week
        self._in_force = in_force

    def releases(self, visit: Visit) -> str:
        """The weeks with what came of them, newest first."""
        words, before = Wording(visit.language), week_of(visit.arg("before"))
        states = [
            (week, state) for week, state in self._store.states().items() if before is None or week < before
        ]
        shown = states[-ROWS:]
        return render(
            PACKAGE,
            "releases.html",
            visit,
            rows=[self._row(week, state, words) for week, state in reversed(shown)],
            older=str(shown[0][0]) if len(states) > len(shown) else "",
            paged=before is not None,
            next_week=str(self._next_week()),
        )

    def _row(self, week: Week, state: WeekState, words: Wording) -> dict[str, Any]:
        released = state is WeekState.RELEASED
        row = {
            "week": str(week),
            "monday": words.language.date(week.monday()),
            "state": state.value,
            "told": words.state(state),
            "released": released,
        }
        if not released:
            return row | {"boxes": "", "delivered": "", "part": ""}
        table = self._shelf.table(week)
        accepted, issued = sum(table.accepted.values()), sum(table.issued.values())
        number = words.language.number
        return row | {
            "boxes": number(table.accounts_asked),
            "delivered": words.text(
                "{accepted} of {issued}", accepted=number(accepted), issued=number(issued)
            ),
            "part": words.percent(accepted / issued) if issued else "",
        }

    def budget(self, visit: Visit) -> str:
        """The ledger as charts over a year, what is left, and what it means."""
        words, taken = Wording(visit.language), self._in_force()
        spendings = self._store.spendings()
        cap = self._store.installation().cap_micro
        found = explain(spendings, self._next_week(), taken, cap)
        spent = ledger(spendings, ROWS)
        return render(
            PACKAGE,
            "budget.html",
            visit,
            guarantee=guarantee(taken, words),
            statement=statement(taken),
            delta=f"{DELTA:.0e}".replace("e-0", "e-"),
            alarms=words.language.percent(FALSE_ALARMS, 0),
            found=found,
            plain=plain_budget(found, words),
            spent_part=words.percent((cap - found.left_micro) / cap),
            together=_together(spent, cap, words),
            by_week=_by_week(spent, words),
            rows=[_budget_row(one, cap, words) for one in reversed(spent)],
            rho=lambda micro: rho(micro, words),
            window_weeks=WINDOW_WEEKS,
        )


def ledger(spendings: Sequence[Spending], most: int) -> list[Spent]:
    """The last weeks that cost anything and all between them, oldest first."""
    if not spendings:
        return []
    by_week: dict[Week, int] = {}
    for one in spendings:
        by_week[one.week] = by_week.get(one.week, 0) + one.rho_micro
    last, first = max(by_week), min(by_week)
    count = min(most, last.weeks_since(first) + 1)
    weeks = [last.plus(at - count + 1) for at in range(count)]
    return [
        Spent(
            str(week),
            by_week.get(week, 0),
            sum(cost for other, cost in by_week.items() if 0 <= week.weeks_since(other) < WINDOW_WEEKS),
        )
        for week in weeks
    ]


def plain_budget(found: Explanation, words: Wording) -> str:
    """What is left for the next release, and whether it is covered, in a sentence."""
    return words.text(
        REFUSED if found.refused else COVERED,
        weeks=WINDOW_WEEKS,
        cap=rho(found.cap_micro, words),
        week=found.next_week,
        cost=rho(found.asked_micro, words),
        left=rho(found.left_micro, words),
    )


def rho(micro: int, words: Wording) -> str:
    """Millionths of rho as a number."""
    return words.language.number(micro / MICRO, _DIGITS)


def _together(spent: Sequence[Spent], cap: int, words: Wording) -> str:
    points = [exact(one.week, one.together_micro / MICRO) for one in spent]
    last = spent[-1] if spent else None
    told = words.text(
        "In the {weeks} weeks up to {week} rho {spent} was spent, of {cap}.",
        weeks=WINDOW_WEEKS,
        week=last.week if last else "",
        spent=rho(last.together_micro if last else 0, words),
        cap=rho(cap, words),
    )
    caption = Caption("together", words.text("Spent in any {weeks} weeks", weeks=WINDOW_WEEKS), told)
    limit = Limit(cap / MICRO, words.text("the most that may be spent: {cap}", cap=rho(cap, words)))
    return line_chart(caption, points, lambda value: words.language.number(value, 3), limit)


def _by_week(spent: Sequence[Spent], words: Wording) -> str:
    points = [exact(one.week, one.rho_micro / MICRO) for one in spent]
    told = "; ".join(f"{one.week} {rho(one.rho_micro, words)}" for one in spent[-8:])
    caption = Caption("by-week", words.text("Spent in each week"), told)
    return column_chart(caption, points, lambda value: words.language.number(value, _DIGITS))


def _budget_row(one: Spent, cap: int, words: Wording) -> dict[str, str]:
    return {
        "week": one.week,
        "spent": rho(one.rho_micro, words),
        "together": rho(one.together_micro, words),
        "part": words.percent(one.together_micro / cap),
    }
