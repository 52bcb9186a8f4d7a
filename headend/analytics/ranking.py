"""Ranks that noise leaves possible, and a ranking in words in which ties are said to be ties."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from msgspec import Struct

LONGEST = 20
"""Of more cells than this only the places up to `FIRST_PLACES` are told."""
FIRST_PLACES = 5

Above = AbstractSet[tuple[int, int]]
"""The pairs of cells that are told apart: the first is above the second."""


def ranks(above: Above, count: int) -> list[tuple[int, int]]:
    """For each of `count` cells the best and the worst rank that is possible; equal pairs are ties.

    >>> ranks({(0, 1), (0, 2)}, 3)
    [(1, 1), (2, 3), (2, 3)]
    """
    every = range(count)
    return [
        (
            1 + sum((other, one) in above for other in every),
            count - sum((one, other) in above for other in every),
        )
        for one in every
    ]


class Tier(Struct, frozen=True):
    """A place in a ranking, or a tie: the ranks that its cells may have, and their numbers in the group."""

    low: int
    high: int
    cells: list[int]


def tiers(shown: Sequence[int], places: Mapping[int, tuple[int, int]], above: Above) -> list[Tier]:
    """Each place and each tie of the cells that are shown (highest first), from the first rank on.

    Where ties form a chain, each link is a tie of its own, so that nothing is called a tie that is told
    apart. Of many cells only the first places are told.

    >>> [tier.cells for tier in tiers([0, 1, 2], {0: (1, 1), 1: (2, 3), 2: (2, 3)}, {(0, 1), (0, 2)})]
    [[0], [1, 2]]
    """
    return [
        Tier(min(places[one][0] for one in tie), max(places[one][1] for one in tie), tie)
        for tie in ties(list(shown), above)
        if len(shown) <= LONGEST or places[tie[0]][0] <= FIRST_PLACES
    ]


class Say(Protocol):
    """Words in one language."""

    def text(self, message: str, **values: object) -> str:
        """A message with values in its places."""
        ...

    def plural(self, one: str, many: str, n: int, **values: object) -> str:
        """A message for so many things; its place {n} is the number."""
        ...


def in_words(told: Sequence[Tier], names: Mapping[int, str], say: Say) -> list[str]:
    """One sentence for each place and each tie; `names` are of the cells that are shown."""
    sentences = [_sentence(tier, [names[one] for one in tier.cells], say) for tier in told]
    left = len(names) - len({one for tier in told for one in tier.cells})
    return (
        [*sentences, say.plural("The other {n} follows.", "The other {n} follow.", left)]
        if left
        else sentences
    )


def ties(ordered: list[int], above: Above) -> Iterator[list[int]]:
    """The longest stretches of a ranking in which no two are told apart; one alone is a stretch too."""
    told_up_to = 0
    for first in range(len(ordered)):
        last = first + 1
        while last < len(ordered) and not any((one, ordered[last]) in above for one in ordered[first:last]):
            last += 1
        if last > told_up_to:
            yield ordered[first:last]
            told_up_to = last


def _sentence(tier: Tier, names: list[str], say: Say) -> str:
    if len(names) > 1:
        return say.text(
            "Ranks {low} to {high}: {names} and {last} cannot be told apart.",
            low=tier.low,
            high=tier.high,
            names=", ".join(names[:-1]),
            last=names[-1],
        )
    if tier.low == tier.high:
        return say.text("Rank {rank}: {name}.", rank=tier.low, name=names[0])
    return say.text("Ranks {low} to {high}: {name}.", low=tier.low, high=tier.high, name=names[0])
