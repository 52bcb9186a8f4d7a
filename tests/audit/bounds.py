"""How far chance may carry a figure, and what was found.

Every check is given a chance: how often a right implementation may fail it. A run shares its whole chance out
evenly over its checks (Bonferroni), so that checks need not be independent of each other.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple

LONG, SHORT = 1e-6, 1e-9
"""The chance that a right implementation fails anywhere in a long run, or in all the short ones."""
_PRECISE = 1e-15


class Verdict(NamedTuple):
    """One sentence, whether it holds, and the figures."""

    part: str
    sentence: str
    holds: bool
    found: str


class Bound(NamedTuple):
    """A figure must lie between these, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def deviations(chance: float) -> float:
    """The two-sided normal bound in standard deviations."""
    return -NormalDist().inv_cdf(chance / 2)


def chi_square_tails(value: float, freedom: float) -> tuple[float, float]:
    """The chances of a chi-square below and above a value: the incomplete gamma function.

    The series below the middle and Lentz's continued fraction above it (Numerical Recipes, 6.2).
    """
    a, x = freedom / 2, value / 2
    if x <= 0:
        return 0.0, 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        below = front * _series(a, x)
        return below, 1 - below
    above = front * _fraction(a, x)
    return 1 - above, above


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    place = a
    while term > total * _PRECISE:
        place += 1
        term *= x / place
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1e300, 1 / b
    found, step, factor = d, 0, 2.0
    while abs(factor - 1) > _PRECISE and step < 100_000:
        step += 1
        numerator = -step * (step - a)
        b += 2
        d, c = 1 / (numerator * d + b), b + numerator / c
        factor = d * c
        found *= factor
    return found


def binomial(trials: int, part: float, chance: float) -> Bound:
    """Where a binomial count lies but for a chance, half of it on each side; exact."""
    middle = int(trials * part)
    wide = int(40 + 15 * math.sqrt(trials * part))
    first = max(0, middle - wide)
    masses = [_mass(trials, part, count) for count in range(first, min(trials, middle + wide) + 1)]
    return Bound(
        first + _beyond(masses, chance / 2),
        first + len(masses) - 1 - _beyond(masses[::-1], chance / 2),
    )


def _mass(trials: int, part: float, count: int) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    return math.exp(ways + count * math.log(part) + (trials - count) * math.log1p(-part))


def _beyond(masses: Sequence[float], chance: float) -> int:
    """How many of the outermost values are together less likely than the chance."""
    total = 0.0
    for count, mass in enumerate(masses):
        total += mass
        if total > chance:
            return count
    return len(masses)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean of independent values, and its standard error as they show it."""
    mean = fmean(values)
    spread = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return mean, math.sqrt(spread / len(values))
