"""The arrival curve: a town's boxes through one week, counted in bins of five minutes, by kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from math import exp
from random import Random
from zoneinfo import ZoneInfo

from benchmarks.capacity.boxes import KINDS, Draws, Life, Scene, Span, paid_titles
from shared.clock import to_ms
from shared.register import profile
from shared.weeks import Week
from simulator.evenings import Evenings
from simulator.guide import Guide, Taste
from simulator.offers import make_titles, open_shop
from simulator.town import DAYS_A_MONTH, Town

SEED = 2006
ZONE = ZoneInfo("Europe/Amsterdam")
WEEK = Week(2026, 46)
BIN_S = 300
BIN_MS = 1000 * BIN_S
HOUR_BINS = 12
FILMS, GAMES = 200, 30
PUBLISHED_AT = timedelta(hours=8)
"""After a viewing day's start: a new catalogue each day at ten in the morning."""
BOXES_A_HOME = 1.7


@dataclass(frozen=True)
class Curve:
    """What a town of `boxes` boxes asked for in a week, in bins; `unanswered` are attempts in an outage.

    `billed` is the part of its accounts that have something to pay for in a month.
    """

    boxes: int
    accounts: int
    billed: float
    answered: dict[str, list[int]]
    unanswered: dict[str, list[int]]

    def a_week(self, kind: str) -> float:
        """Answered requests of a kind for each box and week."""
        return sum(self.answered[kind]) / self.boxes

    def rates(self, weights: Mapping[str, float]) -> list[float]:
        """In each bin, for each box and second: requests, answered or not, each by its kind's weight."""
        return [
            sum(
                weight * (self.answered[kind][at] + self.unanswered[kind][at])
                for kind, weight in weights.items()
            )
            / self.boxes
            / BIN_S
            for at in range(len(self.answered["heartbeat"]))
        ]

    def hourly(self, weights: Mapping[str, float]) -> list[float]:
        """The same as the mean of an hour, from each bin on: a small town's chance is smoothed."""
        until = [0.0, *accumulate(self.rates(weights))]
        starts = range(len(until) - HOUR_BINS)
        return [(until[start + HOUR_BINS] - until[start]) / HOUR_BINS for start in starts]

    def peak(self, weights: Mapping[str, float]) -> float:
        """The busiest hour, for each box and second."""
        return max(self.hourly(weights))

    def mean(self, weights: Mapping[str, float]) -> float:
        """The week's mean, for each box and second."""
        rates = self.rates(weights)
        return sum(rates) / len(rates)


def scene_of(name: str, seed: int = SEED, down: Span | None = None) -> Scene:
    """The week as it is played, in a profile."""
    titles = make_titles(Random(seed), FILMS, GAMES, to_ms(WEEK.plus(-2).start(ZONE)))
    start = WEEK.start(ZONE)
    return Scene(
        week=WEEK,
        zone=ZONE,
        evenings=Evenings(Guide(seed, ZONE), open_shop(titles), Taste.parse("")),
        paid=paid_titles(titles),
        quota=sum(one.quota for one in profile(name).measures),
        published_ms=tuple(to_ms(start + PUBLISHED_AT + timedelta(days=day)) for day in range(-1, 7)),
        down=down,
    )


def play(boxes: int, scene: Scene, seed: int = SEED) -> Curve:
    """Play a town of about so many boxes through the week."""
    start, end = scene.span
    pay = 0.0
    bins = (end - start) // BIN_MS
    answered = {kind: [0] * bins for kind in KINDS}
    unanswered = {kind: [0] * bins for kind in KINDS}
    town, count = Town(seed, max(1, round(boxes / BOXES_A_HOME))), 0
    for number in range(town.size):
        home = town.household(number)
        pay += 1 - exp(-DAYS_A_MONTH * (home.orders.paid_films + home.orders.games))
        draws = Draws(Random(f"{seed}/{number}"), scene.zone)
        reporting = draws.random_below(len(home.boxes))
        for box in home.boxes:
            count += 1
            for kind, at_ms, heard in Life(scene, draws, home, box).arrivals(drawn=box.index == reporting):
                if start <= at_ms < end:
                    (answered if heard else unanswered)[kind][(at_ms - start) // BIN_MS] += 1
    return Curve(count, town.size, round(pay / town.size, 4), answered, unanswered)
