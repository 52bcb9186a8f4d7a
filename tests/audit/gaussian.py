"""Is the noise the declared one? Draws of `add_noise` against the exact discrete Gaussian.

What is checked of each measure's noise, on empty and on full counters together: mean, variance, the whole
shape, the tails, and that neighbours and repetitions have nothing in common; of empty and of full counters
each, the variance again. The law is computed here, from its definition: a mass of exp(-x² / 2 s²) on each
whole number (Canonne, Kamath and Steinke 2020).

A continuous Gaussian rounded to whole numbers is not caught, and cannot be: its variance is greater by a
twelfth, 0.12 % at the smallest scale here; `draws_to_tell_rounded` says how many draws that would take.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist
from typing import NamedTuple

from headend.analytics.noise import add_noise
from shared.register import Measure, profile, profile_names
from tests.audit.bounds import LONG, Verdict, binomial, chi_square_tails, deviations

Draw = Callable[[Measure, list[int]], list[int]]
"""Counters with noise on them."""
CHECKS = 9
"""Checks of each measure, which share the run's chance."""
_VECTOR = 2_000
_FULL = 1_234
_BINS = 40


def measures() -> list[tuple[str, Measure]]:
    """Every measure of every profile."""
    return [(name, measure) for name in profile_names() for measure in profile(name).measures]


@dataclass(frozen=True)
class DiscreteGaussian:
    """The law of the noise."""

    scale: float

    @cached_property
    def masses(self) -> list[float]:
        """The chance of each whole number from `-reach` to `reach`; beyond lies less than 1e-30."""
        raw = [math.exp(-(x**2) / (2 * self.scale**2)) for x in range(-self.reach, self.reach + 1)]
        whole = math.fsum(raw)
        return [one / whole for one in raw]

    @property
    def reach(self) -> int:
        """Twelve scales."""
        return math.ceil(12 * self.scale)

    @cached_property
    def variance(self) -> float:
        """A little below the scale squared, in theory; equal to it here in all digits."""
        return math.fsum(mass * (place - self.reach) ** 2 for place, mass in enumerate(self.masses))

    def beyond(self, distance: float) -> float:
        """The chance of a value further from zero than this."""
        return 2 * math.fsum(self.masses[self.reach + math.floor(distance) + 1 :])

    @cached_property
    def edges(self) -> list[int]:
        """The last value of each of about forty bins of equal chance; the last bin has the rest."""
        found: list[int] = []
        for place, below in enumerate(accumulate(self.masses)):
            if below >= (len(found) + 1) / _BINS and len(found) < _BINS - 1:
                found.append(place - self.reach)
        return found


class Check(NamedTuple):
    """One check of one measure's noise."""

    name: str
    holds: bool
    found: str


def sample(measure: Measure, draw: Draw, size: int) -> list[int]:
    """So many values of noise, by turns of an empty and of a full counter, in vectors as a release has."""
    counters = [0, _FULL] * (_VECTOR // 2)
    found: list[int] = []
    while len(found) < size:
        noisy = draw(measure, counters)
        found += [value - counter for value, counter in zip(noisy, counters, strict=True)]
    return found


def inspect(measure: Measure, noise: list[int], chance: float) -> Iterator[Check]:
    """All checks of one measure's noise; a right one fails any of them with at most `chance`."""
    law, each = DiscreteGaussian(measure.noise_scale), chance / CHECKS
    yield _mean(law, noise, each)
    for name, some in (("variance", noise), ("empty cells", noise[::2]), ("full cells", noise[1::2])):
        yield _variance(name, law, some, each)
    yield _shape(law, noise, each)
    for sigmas in (3, 4):
        limit = sigmas * law.scale
        count = sum(abs(value) > limit for value in noise)
        bound = binomial(len(noise), law.beyond(limit), each)
        yield Check(f"beyond {sigmas} sigma", bound.holds(count), f"{count} in {bound.low}..{bound.high}")
    yield _apart("neighbours", law, noise[:-1], noise[1:], each)
    yield _apart("repetitions", law, noise[:-_VECTOR], noise[_VECTOR:], each)


def _mean(law: DiscreteGaussian, noise: list[int], chance: float) -> Check:
    off = sum(noise) / math.sqrt(len(noise) * law.variance)
    return Check("mean", abs(off) <= deviations(chance), f"{off:+.2f} standard errors")


def _variance(name: str, law: DiscreteGaussian, noise: list[int], chance: float) -> Check:
    """Against a chi-square: the squares' own kurtosis is a Gaussian's to six digits at these scales."""
    square = sum(value**2 for value in noise) / law.variance
    tails = chi_square_tails(square, len(noise))
    return Check(name, min(tails) >= chance / 2, f"{square / len(noise):.4f} of the declared")


def _shape(law: DiscreteGaussian, noise: list[int], chance: float) -> Check:
    """Pearson's chi-square; each bin expects hundreds, so that its tail is the chi-square's own."""
    edges = law.edges
    expected, counted = [0.0] * (len(edges) + 1), [0] * (len(edges) + 1)
    bins, at = {}, 0
    for place, mass in enumerate(law.masses):
        value = place - law.reach
        at += at < len(edges) and value > edges[at]
        bins[value] = at
        expected[at] += mass * len(noise)
    for value in noise:
        counted[bins.get(value, 0 if value < 0 else len(edges))] += 1
    statistic = sum((n - e) ** 2 / e for n, e in zip(counted, expected, strict=True))
    above = chi_square_tails(statistic, len(edges))[1]
    return Check("shape", above >= chance, f"chi-square {statistic:.1f} of {len(edges)}")


def _apart(name: str, law: DiscreteGaussian, one: list[int], other: list[int], chance: float) -> Check:
    products = sum(a * b for a, b in zip(one, other, strict=True))
    off = products / (law.variance * math.sqrt(len(one)))
    return Check(name, abs(off) <= deviations(chance), f"correlation {off:+.2f} standard errors")


def draws_to_tell_rounded(scale: float) -> float:
    """Draws after which the variance of a rounded continuous Gaussian is off by six standard errors."""
    law, normal = DiscreteGaussian(scale), NormalDist(0, scale)
    rounded = math.fsum(
        (value - law.reach) ** 2 * (normal.cdf(value - law.reach + 0.5) - normal.cdf(value - law.reach - 0.5))
        for value in range(len(law.masses))
    )
    return 2 * (6 / (rounded / law.variance - 1)) ** 2


def audit(size: int = 200_000, chance: float = LONG) -> Iterator[Verdict]:
    """Every measure of every profile."""
    every = measures()
    for taken, measure in every:
        checks = list(inspect(measure, sample(measure, add_noise, size), chance / len(every)))
        failed = [f"{one.name} ({one.found})" for one in checks if not one.holds]
        found = "; ".join(failed) or ", ".join(f"{one.name} {one.found}" for one in checks[1:2])
        yield Verdict("noise", f"{taken} {measure.name}: scale {measure.noise_scale:.1f}", not failed, found)
