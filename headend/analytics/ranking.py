"""Ranks that noise leaves possible, and a ranking in words in which ties are said to be ties."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

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


def in_words(names: Mapping[int, str], places: Mapping[int, tuple[int, int]], above: Above) -> list[str]:
    """One sentence for each place and each tie, from the first rank on.

    `names` and `places` (the best and the worst rank) are of the cells that are shown, highest first. Where
    ties form a chain, each link is a tie of its own, so that nothing is called a tie that is told apart.

    >>> places = {0: (1, 1), 1: (2, 3), 2: (2, 3)}
    >>> in_words({0: "news", 1: "show", 2: "sports"}, places, {(0, 1), (0, 2)})
    ['Rank 1: news.', 'Ranks 2 to 3: show and sports cannot be told apart.']
    """
    told, named = [], set()
    for tie in ties(list(names), above):
        if len(names) <= LONGEST or places[tie[0]][0] <= FIRST_PLACES:
            told.append(_sentence([names[one] for one in tie], [places[one] for one in tie]))
            named.update(tie)
    left = len(names) - len(named)
    return [*told, f"The other {left} follow."] if left else told


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


def _sentence(names: list[str], places: list[tuple[int, int]]) -> str:
    low, high = min(low for low, _ in places), max(high for _, high in places)
    ranks_told = f"Rank {low}" if low == high else f"Ranks {low} to {high}"
    if len(names) == 1:
        return f"{ranks_told}: {names[0]}."
    return f"{ranks_told}: {', '.join(names[:-1])} and {names[-1]} cannot be told apart."
