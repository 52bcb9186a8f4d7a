"""Intervals and ranks from noisy sums, pure arithmetic.

Everything is computed on noisy values as they were drawn, negative ones too; only what is shown is floored.
Intervals are of 95 %, each for itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

Z = 1.959963984540054
"""The normal quantile of a two-sided interval of 95 %."""


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
class Sums:
    """Noisy sums over cells that share a whole.

    `noise` is the variance of the noise on each sum; `draws` scales the variance of having drawn single
    minutes, which for a share s of a whole T is at most draws T s (1 - s): 1 for what the panel did, 0 where
    nothing is drawn.
    """

    values: Sequence[float]
    noise: float
    draws: float

    @property
    def whole(self) -> float:
        """The noisy whole."""
        return sum(self.values)

    def whole_noise(self) -> float:
        """Half the interval of the noise on the whole."""
        return Z * math.sqrt(self.noise * len(self.values))

    def is_noise(self, value: float) -> bool:
        """Whether a noisy value cannot be told from an empty cell."""
        return value < Z * math.sqrt(self.noise)


def share(sums: Sums, index: int) -> Figure:
    """The share of one cell in the whole.

    All s for which (N - s T)² <= z² (v (1 - 2 s + C s²) + d T s (1 - s)): Fieller's interval for the ratio of
    two noisy sums with Wilson's for the drawing. N is the cell's sum, T the whole of C cells, v the
    variance of the noise on each and d `draws`. The whole must be positive and clear of its noise.
    """
    count, whole, noise = sums.values[index], sums.whole, sums.noise
    drawn = sums.draws * whole
    square = whole**2 - Z**2 * (noise * len(sums.values) - drawn)
    linear = 2 * count * whole - Z**2 * (2 * noise - drawn)
    rest = count**2 - Z**2 * noise
    root = math.sqrt(max(0.0, linear**2 - 4 * square * rest))
    low, high = (linear - root) / (2 * square), (linear + root) / (2 * square)
    value = count / whole
    return figure(min(low, value), value, max(high, value), 1.0)


def ranks(sums: Sums) -> list[tuple[int, int]]:
    """For each cell the best and the worst rank that the noise leaves possible; equal pairs are ties.

    Two cells are told apart if their difference is clear of its own interval.
    """
    values = sums.values
    return [
        (
            1 + sum(_above(sums, other, value) for other in values),
            len(values) - sum(_above(sums, value, other) for other in values),
        )
        for value in values
    ]


def _above(sums: Sums, one: float, other: float) -> bool:
    drawn = sums.draws * (max(0.0, one) + max(0.0, other))
    return one - other > Z * math.sqrt(2 * sums.noise + drawn)


def weighted(figures: Sequence[Figure], weights: Sequence[float]) -> Figure:
    """The weighted mean of independent shares; weights are not negative and not all zero."""
    whole = sum(weights)
    parts = [weight / whole for weight in weights]
    value = sum(part * one.value for part, one in zip(parts, figures, strict=True))
    variance = sum((part * one.half_width / Z) ** 2 for part, one in zip(parts, figures, strict=True))
    return around(value, variance, 1.0)
