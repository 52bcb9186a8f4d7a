"""How much better than guessing a score tells pairs that belong together from pairs that do not.

The game: the adversary is shown a true pair and a false one, and says which is which. Guessing is right half
of the time; the advantage is how much more often it is right. What a score's values mean it learns from one
half of the boxes, whose truth it is told, and is judged on the other half, both ways round: so nothing that
it learnt by accident counts, and an advantage may come out a little below nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt

SHARED = 1.2
"""A box's fragments share its times: with the times of boxes permuted, advantages spread by so much more than
those of independent pairs would."""
Bins = tuple[int, ...]
"""One whole number for each score."""


@dataclass(frozen=True)
class Sample:
    """A pair: which half of the boxes it is from, whether it is true, and what the scores say."""

    half: int
    true: bool
    bins: Bins


@dataclass(frozen=True)
class Judged:
    """An advantage (0 to 0.5) and its standard error; `pairs` is the number of true pairs."""

    advantage: float
    error: float
    pairs: int

    def shown_above(self, bound: float) -> bool:
        """Whether the advantage is above a bound by more than two standard errors, so hardly by accident."""
        return self.advantage - 2 * self.error > bound

    def __str__(self) -> str:
        return f"{self.advantage:+.4f} ± {self.error:.4f}"


Weight = Callable[[Bins], float]


def learn(samples: Sequence[Sample], which: Sequence[int]) -> Weight:
    """Logarithms of likelihood ratios, added up over scores; rare values weigh little (add-one)."""
    tables = []
    for place in which:
        seen: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
        for one in samples:
            seen[one.true][one.bins[place]] += 1
        totals = {true: sum(counts.values()) for true, counts in seen.items()}
        values = set(seen[True]) | set(seen[False])
        tables.append(
            (
                place,
                {
                    value: log((seen[True][value] + 0.5) / (totals[True] + 1))
                    - log((seen[False][value] + 0.5) / (totals[False] + 1))
                    for value in values
                },
            )
        )
    return lambda bins: sum(table.get(bins[place], 0.0) for place, table in tables)


def judge(samples: Sequence[Sample], which: Sequence[int]) -> Judged:
    """The advantage that these scores give together."""
    found = []
    for half in (0, 1):
        weight = learn([one for one in samples if one.half != half], which)
        judged = [one for one in samples if one.half == half]
        found.append(_right(judged, weight) - 0.5)
    pairs = sum(one.true for one in samples)
    false = len(samples) - pairs
    return Judged(sum(found) / 2, SHARED * sqrt((1 / pairs + 1 / false) / 12), pairs)


def _right(samples: Sequence[Sample], weight: Weight) -> float:
    """How often a true pair weighs more than a false one; ties count half (Mann and Whitney)."""
    weighed = sorted((weight(one.bins), one.true) for one in samples)
    below = right = place = 0
    while place < len(weighed):
        alike = [0, 0]
        value = weighed[place][0]
        while place < len(weighed) and weighed[place][0] == value:
            alike[weighed[place][1]] += 1
            place += 1
        right += alike[1] * (2 * below + alike[0])
        below += alike[0]
    true = sum(one.true for one in samples)
    return right / (2 * true * max(1, len(samples) - true))
