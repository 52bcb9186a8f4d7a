"""Invented boxes whose viewing is clustered the way that homes are: the one generator of the audit.

A box has an amount of viewing (lognormal) and a home's tastes: two to five genres, weighted at random, the
same in every week; boxes of a region are alike. Its week is eighteen sittings, each of one genre, part of
the day and way of viewing. So boxes differ a great deal between them, which is what intervals have to bear.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from random import Random
from typing import NamedTuple

from box_agent.rollup import Viewed
from box_agent.sessions import Minute
from shared.dayparts import DAYPARTS
from shared.genres import DETAILS, GENRES, ORDERED_GENRES, SHIFT_CLASSES, general_detail, genre_of_detail

FIRST_MINUTE = 29_000_000  # since 1970; any will do
_GAP = 7  # minutes between two sittings
_POPULAR = (0.24, 0.18, 0.13, 0.09, 0.085, 0.075, 0.065, 0.05, 0.04, 0.03, 0.02)  # in the order of GENRES
_GENRES_A_HOME = ((2, 3, 4, 5), (0.2, 0.55, 0.85, 1.0))
_TASTE = 4.0  # the Dirichlet's concentration: the larger, the closer to what is popular
_REGION_SPREAD = 0.15
_MINUTES_A_WEEK = 1_290.0  # on one box: 160 minutes a person and day, shared by the home's boxes
_AMOUNT_SPREAD, _WEEK_SPREAD = 0.65, 0.2
_AWAY = 0.03  # of box-weeks have no viewing at all
_SITTINGS = 18
_SHIFT = (0.72, 0.08, 0.09, 0.03, 0.02, 0.06)  # in the order of SHIFT_CLASSES
_DAYPART = (0.03, 0.13, 0.17, 0.14, 0.42, 0.11)  # in the order of DAYPARTS
_ORDERS = 0.14  # of boxes order something in a week
_ORDERED = tuple(1 / (place + 1.5) for place in range(len(ORDERED_GENRES)))


def chance_of(seed: str | int) -> Random:
    """What invented panels are drawn with; the noise has no seed."""
    return Random(seed)  # noqa: S311 (an invented panel keeps no secret)


class Run(NamedTuple):
    """A stretch of consecutive minutes of one sort."""

    start: int
    minutes: int
    sort: Minute


class Runs(Sequence[Minute]):
    """The minutes of some runs, made only when somebody looks at them: a panel has a hundred million."""

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs

    def __len__(self) -> int:
        return sum(run.minutes for run in self.runs)

    def __iter__(self) -> Iterator[Minute]:
        for run in self.runs:
            for number in range(run.start, run.start + run.minutes):
                yield run.sort._replace(number=number)

    def __getitem__(self, index):
        return list(self)[index]

    def sorts(self) -> dict[Minute, list[int]]:
        """What `Viewed.sorts` would find, without making each minute."""
        found: dict[Minute, list[int]] = {}
        for run in self.runs:
            found.setdefault(run.sort, []).extend(range(run.start, run.start + run.minutes))
        return found


def minute(number: int, genre: str, shift: str, daypart: str, detail: str = "") -> Minute:
    """A minute, of the genre in general unless a detail is told."""
    detail = detail or general_detail(genre)
    return Minute(number=number, genre=genre, shift=shift, daypart=daypart, detail=detail)


def viewed(runs: list[Run], region: str, ordered: Sequence[str] = ()) -> Viewed:
    """A week of these runs, with its sorts found beforehand."""
    minutes = Runs(runs)
    week = Viewed(minutes=minutes, ordered=ordered, region=region)
    vars(week)["sorts"] = minutes.sorts()
    return week


@dataclass(frozen=True)
class Box:
    """What stays of a box from week to week; `genres` are cumulated weights."""

    number: int
    region: str
    amount: float
    genres: tuple[str, ...]
    weights: tuple[float, ...]
    orders: float


@dataclass(frozen=True)
class Panel:
    """So many boxes in these regions, all drawn from the seed."""

    seed: int
    size: int
    regions: tuple[str, ...] = ("north", "south")

    @cached_property
    def popular(self) -> dict[str, list[float]]:
        """What is popular in each region."""
        chance = chance_of(f"regions/{self.seed}")
        return {
            region: [part * math.exp(chance.gauss(0, _REGION_SPREAD)) for part in _POPULAR]
            for region in self.regions
        }

    @cached_property
    def boxes(self) -> list[Box]:
        """All boxes; regions take turns, so that they are of equal size."""
        chance = chance_of(f"boxes/{self.seed}")
        return [self._box(number, chance) for number in range(self.size)]

    def _box(self, number: int, chance: Random) -> Box:
        region = self.regions[number % len(self.regions)]
        genres, weights = _tastes(self.popular[region], chance)
        amount = _MINUTES_A_WEEK * math.exp(chance.gauss(-(_AMOUNT_SPREAD**2) / 2, _AMOUNT_SPREAD))
        orders = _ORDERS * 2 * chance.random()
        return Box(number, region, amount, genres, tuple(accumulate(weights)), orders)

    def week(self, box: Box, number: int) -> Viewed:
        """What was viewed on a box in a week."""
        chance = chance_of(self.seed << 40 | box.number << 8 | number)
        ordered = []
        if chance.random() < box.orders:
            ordered = chance.choices(ORDERED_GENRES, _ORDERED, k=chance.choice((1, 1, 1, 2)))
        if chance.random() < _AWAY:
            return viewed([], box.region, ordered)
        minutes = box.amount * math.exp(chance.gauss(-(_WEEK_SPREAD**2) / 2, _WEEK_SPREAD))
        return viewed(_runs(box, minutes, chance), box.region, ordered)


def _tastes(popular: list[float], chance: Random) -> tuple[tuple[str, ...], list[float]]:
    """A home's genres, and a Dirichlet draw around how popular they are."""
    counts, cumulated = _GENRES_A_HOME
    wanted = chance.choices(counts, cum_weights=cumulated)[0]
    # The largest of u^(1/w) are a weighted draw without replacement (Efraimidis and Spirakis 2006).
    keys = sorted(range(len(popular)), key=lambda at: -(chance.random() ** (1 / popular[at])))[:wanted]
    whole = sum(popular[at] for at in keys)
    weights = [chance.gammavariate(_TASTE * popular[at] / whole, 1.0) + 1e-9 for at in keys]
    return tuple(GENRES[at] for at in keys), weights


_DAYPART_CUM, _SHIFT_CUM = tuple(accumulate(_DAYPART)), tuple(accumulate(_SHIFT))
_DETAILS = {genre: [one for one in DETAILS if genre_of_detail(one) == genre] for genre in GENRES}


def _runs(box: Box, minutes: float, chance: Random) -> list[Run]:
    sittings = zip(
        chance.choices(box.genres, cum_weights=box.weights, k=_SITTINGS),
        chance.choices(SHIFT_CLASSES, cum_weights=_SHIFT_CUM, k=_SITTINGS),
        chance.choices(DAYPARTS, cum_weights=_DAYPART_CUM, k=_SITTINGS),
        strict=True,
    )
    start, runs = FIRST_MINUTE, []
    for genre, shift, daypart in sittings:
        length = round(minutes / _SITTINGS * (0.3 + 1.4 * chance.random()))
        if length:
            runs.append(Run(start, length, _sort(genre, shift, daypart, _detail(box, genre))))
        start += length + _GAP
    return runs


def _detail(box: Box, genre: str) -> str:
    """What a home likes of a genre; the genre in general is liked the most."""
    details = _DETAILS[genre]
    return details[int(len(details) * (box.number % 97 / 97) ** 2)]


@cache
def _sort(genre: str, shift: str, daypart: str, detail: str) -> Minute:
    return minute(0, genre, shift, daypart, detail)
