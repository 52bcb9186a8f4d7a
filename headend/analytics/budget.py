"""What releases cost in privacy, pure: conversions from zCDP, the statement of a profile, and what is left.

rho is zero-concentrated differential privacy (Bun and Steinke 2016), kept in whole millionths so that sums
are exact. It adds up over measures and weeks.
"""

import math
from collections.abc import Iterable
from itertools import accumulate
from statistics import NormalDist

from msgspec import Struct

from headend.analytics.store import Spending
from headend.kit.language import N_
from shared.errors import StbError
from shared.register import Profile
from shared.weeks import Week

MICRO = 1_000_000
WINDOW_WEEKS = 53
"""The budget covers any 53 consecutive weeks: a year, however it is cut."""
DELTA = 1e-9
FALSE_ALARMS = 0.05
SPANS = (1, 4, WINDOW_WEEKS)
_SEARCH_STEPS = 200
_NORMAL = NormalDist()


class BudgetExceededError(StbError):
    """The release would cost more than is left in some 53 consecutive weeks; nothing was drawn."""


class SpanStatement(Struct, frozen=True):
    """What is guaranteed to one account over some weeks.

    Attributes:
        weeks: Consecutive weeks.
        rho: zCDP over all measures and these weeks.
        epsilon: The approximate-DP epsilon at `DELTA`.
        recognition: The chance of recognising one household's viewing for somebody who accepts 5 % false
            alarms; 0.05 would be guessing.
    """

    weeks: int
    rho: float
    epsilon: float
    recognition: float


class Statement(Struct, frozen=True):
    """The guarantee of a profile, in figures and in words."""

    profile: str
    delta: float
    spans: list[SpanStatement]
    plain: str


class WeekSpending(Struct, frozen=True):
    """What one week has cost, in millionths."""

    week: str
    rho_micro: int


class Explanation(Struct, frozen=True):
    """The budget as it stands: what is spent and left, and what would be refused.

    Attributes:
        cap_micro: The most that any 53 consecutive weeks may cost.
        weeks: What each week has cost.
        next_week: The week that was asked about.
        left_micro: What may still be spent on it.
        asked_micro: What its release would cost.
        refused: Whether it would be refused.
        plain: The same in a sentence.
    """

    cap_micro: int
    weeks: list[WeekSpending]
    next_week: str
    left_micro: int
    asked_micro: int
    refused: bool
    plain: str


def epsilon(rho: float, delta: float = DELTA) -> float:
    """The smallest epsilon for which rho-zCDP gives (epsilon, delta)-DP, rounded by no more than the search.

    Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), proposition 12:
    for every alpha > 1, delta = exp((alpha - 1)(alpha rho - epsilon)) / (alpha - 1) (1 - 1/alpha)^alpha.
    Solved for epsilon, and minimised over alpha.

    >>> round(epsilon(0.0125), 2), round(epsilon(4 * 0.0125), 2), round(epsilon(53 * 0.0125), 2)
    (0.91, 1.88, 7.56)
    """

    def at(exponent: float) -> float:
        above = math.exp(exponent)  # alpha - 1, searched on a logarithmic scale
        alpha = 1 + above
        return alpha * rho + (alpha * math.log1p(-1 / alpha) - math.log(delta * above)) / above

    low, high = -5.0, 20.0
    for _ in range(_SEARCH_STEPS):  # a ternary search: the function has one valley
        third = (high - low) / 3
        if at(low + third) < at(high - third):
            high -= third
        else:
            low += third
    return at((low + high) / 2)


def recognition(rho: float, false_alarms: float = FALSE_ALARMS) -> float:
    """The power of the best test for one account's data, where `false_alarms` are accepted.

    That of Gaussian noise of the same rho (Dong, Roth and Su 2019): Phi(Phi^-1(a) + sqrt(2 rho)).

    >>> round(recognition(0.0125), 3), round(recognition(53 * 0.0125), 2)
    (0.069, 0.31)
    """
    return _NORMAL.cdf(_NORMAL.inv_cdf(false_alarms) + math.sqrt(2 * rho))


def statement(profile: Profile) -> Statement:
    """The guarantee of a profile over all its measures, for 1, 4 and 53 weeks; never for a lifetime."""
    spans = []
    for weeks in SPANS:
        rho = weeks * profile.rho_micro / MICRO
        spans.append(SpanStatement(weeks, rho, epsilon(rho), recognition(rho)))
    return Statement(profile.name, DELTA, spans, _plain(spans))


GUARANTEE = N_(
    "Somebody who reads every release and accepts {alarms} false alarms recognises one household's week with "
    "{week} success, and its whole year ({weeks} weeks) with {year}; guessing succeeds in {alarms}."
)


def _plain(spans: list[SpanStatement]) -> str:
    week, year = spans[0], spans[-1]
    return GUARANTEE.format(
        alarms=_percent(FALSE_ALARMS, 0),
        week=_percent(week.recognition, 1),
        year=_percent(year.recognition, 0),
        weeks=year.weeks,
    )


def _percent(part: float, digits: int) -> str:
    return f"{100 * part:.{digits}f} %"


def cap_micro(profile: Profile) -> int:
    """The most that 53 consecutive weeks of a profile cost, in millionths."""
    return WINDOW_WEEKS * profile.rho_micro


def weeks_around(week: Week) -> tuple[Week, Week]:
    """The first and the last week that share 53 consecutive weeks with `week`: no other bears on its cost.

    >>> weeks_around(Week(2026, 41))
    (Week(year=2025, number=41), Week(year=2027, number=40))
    """
    return week.plus(1 - WINDOW_WEEKS), week.plus(WINDOW_WEEKS - 1)


def left_micro(spendings: Iterable[Spending], week: Week, cap: int) -> int:
    """What may be spent on `week` so that no 53 consecutive weeks cost more than `cap`, in millionths.

    Weeks after it count too: a release out of order cannot slip in between. Never negative.
    """
    weeks: dict[Week, int] = {}
    for spending in spendings:
        weeks[spending.week] = weeks.get(spending.week, 0) + spending.rho_micro
    # What each week around it has cost: WINDOW_WEEKS - 1 before, itself, and as many after.
    around = [0] * (2 * WINDOW_WEEKS - 1)
    for other, rho in weeks.items():
        distance = other.weeks_since(week)
        if abs(distance) < WINDOW_WEEKS:
            around[distance + WINDOW_WEEKS - 1] = rho
    until = [0, *accumulate(around)]
    dearest = max(until[first + WINDOW_WEEKS] - until[first] for first in range(WINDOW_WEEKS))
    return max(0, cap - dearest)


def reserve(spendings: Iterable[Spending], week: Week, profile: Profile, cap: int) -> list[Spending]:
    """The lines that a release of `week` enters into the ledger.

    Raises:
        BudgetExceededError: not enough is left.
    """
    left = left_micro(spendings, week, cap)
    if profile.rho_micro > left:
        raise BudgetExceededError(f"week {week} would cost {profile.rho_micro} millionths, left are {left}")
    return [Spending(week, measure.name, measure.rho_micro) for measure in profile.measures]


COVERED = N_(
    "Any {weeks} consecutive weeks may cost rho {cap}. The release of {week} costs {cost}, and {left} is "
    "left: it is covered."
)
REFUSED = N_(
    "Any {weeks} consecutive weeks may cost rho {cap}. The release of {week} costs {cost}, and {left} is "
    "left: it would be refused."
)


def explain(spendings: list[Spending], week: Week, profile: Profile, cap: int) -> Explanation:
    """The budget as it stands before the release of `week`."""
    by_week: dict[str, int] = {}
    for spending in spendings:
        by_week[str(spending.week)] = by_week.get(str(spending.week), 0) + spending.rho_micro
    left = left_micro(spendings, week, cap)
    refused = profile.rho_micro > left
    return Explanation(
        cap_micro=cap,
        weeks=[WeekSpending(name, rho) for name, rho in by_week.items()],
        next_week=str(week),
        left_micro=left,
        asked_micro=profile.rho_micro,
        refused=refused,
        plain=(REFUSED if refused else COVERED).format(
            weeks=WINDOW_WEEKS,
            cap=f"{cap / MICRO:g}",
            week=week,
            cost=f"{profile.rho_micro / MICRO:g}",
            left=f"{left / MICRO:g}",
        ),
    )
