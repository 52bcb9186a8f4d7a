"""Intervals and ranks from noisy sums, pure arithmetic.

Everything is computed on noisy values as they were drawn, negative ones too; only what is shown is floored.
Intervals are of 95 %, each for itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Protocol

from msgspec import Struct

Z = 1.959963984540054
"""The normal quantile of a two-sided interval of 95 %."""
_TAIL = 0.025
_CLEAR = 8.0
"""A sum of so many standard deviations of its noise is shown whatever is drawn."""
_STEPS = 60
_NORMAL = NormalDist()


class Figure(Struct, frozen=True):
    """A value with its interval of 95 %; `shown_*` are kept within what is possible, for showing."""

    low: float
    value: float
    high: float
    shown_low: float
    shown_value: float
    shown_high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    def reaching(self, least: float, ceiling: float = math.inf) -> "Figure":
        """The figure with an interval that goes down to `least` at any rate."""
        return figure(min(self.low, least), self.value, self.high, ceiling)

    def for_all(self, boxes: float, variance: float) -> "Figure":
        """A figure of one box for that many, whose number itself is known with some variance only."""
        more = Z * abs(self.value) * math.sqrt(variance)
        down = math.hypot((self.value - self.low) * boxes, more)
        up = math.hypot((self.high - self.value) * boxes, more)
        value = self.value * boxes
        return figure(value - down, value, value + up)

    def times(self, factor: float) -> "Figure":
        """The figure in another unit; `factor` is positive."""
        shown = (self.shown_low * factor, self.shown_value * factor, self.shown_high * factor)
        return Figure(self.low * factor, self.value * factor, self.high * factor, *shown)


def figure(low: float, value: float, high: float, ceiling: float = math.inf) -> Figure:
    """A figure whose shown values lie between 0 and `ceiling`."""
    shown = [min(max(0.0, bound), ceiling) for bound in (low, value, high)]
    return Figure(low, value, high, *shown)


def around(value: float, variance: float, ceiling: float = math.inf) -> Figure:
    """The symmetric interval of a value with that variance."""
    half = Z * math.sqrt(variance)
    return figure(value - half, value, value + half, ceiling)


@dataclass(frozen=True)
class Spread:
    """How far a cell and its whole may move: (co)variances of the noise, and what the drawing adds.

    The variance of having drawn single minutes is at most `draws` T s (1 - s) + `excess` for a share s of a
    whole T; `draws` is 1 for a table by itself, less after reconciliation, 0 where nothing is drawn.
    """

    cell: float
    both: float
    whole: float
    draws: float
    excess: float = 0.0


class Sums(Protocol):
    """Noisy sums over cells that share a whole."""

    @property
    def values(self) -> Sequence[float]:
        """The noisy sums."""
        ...

    def spread(self, index: int) -> Spread:
        """How far a cell and its whole may move."""
        ...

    def apart(self, one: int, other: int) -> float:
        """The variance of the difference of two cells."""
        ...


@dataclass(frozen=True)
class PlainSums:
    """Sums as they were released: `noise` is the variance on each; `draws` as in `Spread`."""

    values: Sequence[float]
    noise: float
    draws: float

    def spread(self, index: int) -> Spread:  # noqa: ARG002 (every cell has the same noise)
        """How far a cell and its whole may move."""
        return Spread(self.noise, self.noise, self.noise * len(self.values), self.draws)

    def apart(self, one: int, other: int) -> float:
        """The variance of the difference of two cells."""
        drawn = max(0.0, self.values[one]) + max(0.0, self.values[other])
        return 2 * self.noise + self.draws * drawn


def whole_noise(sums: Sums) -> float:
    """Half the interval of the noise on the whole."""
    return Z * math.sqrt(sums.spread(0).whole)


def is_noise(sums: Sums, index: int) -> bool:
    """Whether a noisy value cannot be told from that of an empty cell."""
    spread = sums.spread(index)
    return sums.values[index] < Z * math.sqrt(spread.cell + spread.excess)


def least_shown(sums: Sums, index: int) -> float:
    """The least sum that a cell which is shown may stand for, given that it is shown.

    What is noise is withheld, so of small cells only those are seen that the noise has made larger: their
    plain interval would lie above the truth too often. This is the lower end that allows for the choice: the
    m for which P(sum >= N | m) / P(sum is shown | m) is 0.025, and 0 if there is none above it. From about
    six standard deviations on it is the plain one. The sum itself for a cell that is withheld.
    """
    spread, value = sums.spread(index), sums.values[index]
    scale = math.sqrt(spread.cell + spread.excess)
    if is_noise(sums, index) or value > _CLEAR * scale:
        return value
    return scale * _least(value / scale)


@lru_cache(maxsize=4096)
def _least(shown: float) -> float:
    """`least_shown` in standard deviations; `shown` is at least `Z`."""

    def chance(mean: float) -> float:
        return (1 - _NORMAL.cdf(shown - mean)) / (1 - _NORMAL.cdf(Z - mean))

    low, high = 0.0, shown
    if chance(low) >= _TAIL:
        return 0.0
    for _ in range(_STEPS):  # it rises with the mean
        middle = (low + high) / 2
        low, high = (low, middle) if chance(middle) > _TAIL else (middle, high)
    return low


def share(sums: Sums, index: int, between: float = 0.0) -> Figure:
    """The share of one cell in the whole.

    All s for which (N - s T)² <= z² (v - 2 s c + s² w + d T s (1 - s) + e): Fieller's interval for the ratio
    of two noisy sums with Wilson's for the drawing. N is the cell's sum, T the whole, v, c and w the variance
    of the noise on N, its covariance with T and the variance on T; d and e are the spread's `draws` and
    `excess`. `between` is the least d for a figure that holds what differs between boxes too: that part is
    the same in every table, so reconciliation cannot lessen it. The whole must be positive and clear of its
    noise.
    """
    count, whole, spread = sums.values[index], sum(sums.values), sums.spread(index)
    drawn = max(spread.draws, between) * whole
    square = whole**2 - Z**2 * (spread.whole - drawn)
    linear = 2 * count * whole - Z**2 * (2 * spread.both - drawn)
    rest = count**2 - Z**2 * (spread.cell + spread.excess)
    root = math.sqrt(max(0.0, linear**2 - 4 * square * rest))
    low, high = (linear - root) / (2 * square), (linear + root) / (2 * square)
    value = count / whole
    found = figure(min(low, value), value, max(high, value), 1.0)
    return found.reaching(least_shown(sums, index) / whole, 1.0)


def told_apart(sums: Sums) -> set[tuple[int, int]]:
    """All pairs of which the first cell is above the second: the difference is clear of its interval."""
    values, every = sums.values, range(len(sums.values))
    return {
        (one, other)
        for one in every
        for other in every
        if values[one] > values[other] and values[one] - values[other] > Z * math.sqrt(sums.apart(one, other))
    }


def difference(later: Figure, earlier: Figure) -> tuple[float, float, float]:
    """Low, value and high of the difference of two independent figures, from their own intervals.

    Zou and Donner, "Construction of confidence limits about effect measures" (2008): each side takes the
    half-intervals that lie in its way, so that lopsided intervals stay lopsided.
    """
    value = later.value - earlier.value
    down = math.hypot(later.value - later.low, earlier.high - earlier.value)
    up = math.hypot(later.high - later.value, earlier.value - earlier.low)
    return value - down, value, value + up


def weighted(figures: Sequence[Figure], weights: Sequence[float]) -> Figure:
    """The weighted mean of independent shares; weights are not negative and not all zero."""
    whole = sum(weights)
    parts = [weight / whole for weight in weights]
    value = sum(part * one.value for part, one in zip(parts, figures, strict=True))
    variance = sum((part * one.half_width / Z) ** 2 for part, one in zip(parts, figures, strict=True))
    return around(value, variance, 1.0)
