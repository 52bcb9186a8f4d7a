"""The games: each fragment laid beside its own box and others, beside fragments of its box and of others."""

from random import Random

from tests.linkage.attacks import MATCHES, PAIRS, Match, Pair, Seen
from tests.linkage.boxes import Trace
from tests.linkage.judge import Sample, learn
from tests.linkage.reading import Opened
from tests.linkage.world import Held

_FALSE_A_TRUE = 3
"""False pairs for each true one."""


def matches(
    held: Held, random: Random, scores: dict[str, Match] | None = None, of: str | None = None
) -> list[Sample]:
    """Every fragment (`of` one measure, if said) beside its own box, and beside others drawn at random."""
    seen, asked = Seen(held), [trace for trace in held.traces if trace.blinded]
    half = {trace.number: random.randrange(2) for trace in asked}
    chosen = list((scores or MATCHES).values())
    found = []
    for one in held.opened:
        if of is not None and one.measure != of:
            continue
        own = seen.boxes[one.owner]
        found += [
            Sample(half[own.number], box is own, tuple(score(seen, one, box) for score in chosen))
            for box in [own, *_others(asked, own, half, random)]
        ]
    return found


def naming(held: Held, random: Random, scores: dict[str, Match], fragments: int) -> tuple[int, int]:
    """Name the box of so many fragments, out of all boxes: how many names are right, and of how many boxes.

    What the scores mean is learnt from pairs of the same week, so the count errs on the adversary's side.
    """
    weight = learn(matches(held, random, scores), range(len(scores)))
    seen, asked = Seen(held), [trace for trace in held.traces if trace.blinded]
    right = 0
    for one in random.sample(held.opened, min(fragments, len(held.opened))):
        best = max(asked, key=lambda box: weight(tuple(score(seen, one, box) for score in scores.values())))
        right += best.number == one.owner
    return right, len(asked)


def _others(boxes: list[Trace], own: Trace, half: dict[int, int], random: Random) -> list[Trace]:
    found: list[Trace] = []
    while len(found) < _FALSE_A_TRUE:
        other = random.choice(boxes)
        if other is not own and half[other.number] == half[own.number]:
            found.append(other)
    return found


def pairs(held: Held, random: Random, scores: dict[str, Pair] | None = None) -> list[Sample]:
    """Every two fragments of a box, and as many of different boxes."""
    seen = Seen(held)
    half = {trace.number: random.randrange(2) for trace in held.traces}
    of_box: dict[int, list[Opened]] = {}
    by_measure: dict[tuple[str, int], list[Opened]] = {}
    for one in held.opened:
        of_box.setdefault(one.owner, []).append(one)
        by_measure.setdefault((one.measure, half[one.owner]), []).append(one)
    chosen = list((scores or PAIRS).values())
    found = []
    for own in of_box.values():
        random.shuffle(own)  # else the one that others are laid beside would mostly be the earlier one
        for place, one in enumerate(own):
            for other in own[place + 1 :]:
                side = half[one.owner]
                false = [
                    stranger
                    for stranger in random.choices(by_measure[other.measure, side], k=_FALSE_A_TRUE + 1)
                    if stranger.owner != one.owner
                ]
                found += [
                    Sample(side, beside is other, tuple(score(seen, one, beside) for score in chosen))
                    for beside in (other, *false[:_FALSE_A_TRUE])
                ]
    return found
