"""What becomes of the figures of all boxes when consent leans on viewing: they fail, and the more the larger.

The intervals of all boxes assume that those who refuse watch like those who consent. Here who watches more
is a little more willing. The error does not shrink with the panel, the interval does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import NamedTuple

from box_agent.chance import below
from box_agent.rollup import Contribution, contribution
from headend.analytics.estimates import estimate
from shared.register import Grid, profile
from tests.audit.panels import Box, Panel, chance_of
from tests.audit.towns import FIRST_WEEK, Played, Town, Truth, draw_into

CONSENT, MEAN_AMOUNT = 0.62, 1_290.0
LEAN = 0.075
"""A box that views twice the mean is so much more willing than one that views the mean."""
MEASURE = "viewing"
REGIONS = ("north", "south")


class Leaning(NamedTuple):
    """Of one size: how many intervals of all boxes' minutes held, of how many, and how far consent leaned."""

    size: int
    held: int
    trials: int
    bias: float

    @property
    def coverage(self) -> float:
        return self.held / self.trials


@dataclass(frozen=True)
class Willing:
    """The chance that a box consents."""

    lean: float

    def __call__(self, box: Box) -> float:
        more = min(3.0, box.amount / MEAN_AMOUNT) - 1
        return CONSENT * (1 + self.lean * more)


def play(asked: tuple[int, int, int, float]) -> Leaning:
    """One population of a size, asked for its consent again and again: (seed, size, trials, lean)."""
    seed, size, trials, lean = asked
    panel = Panel(seed, size, REGIONS)
    measure = profile("regional").measure(MEASURE)
    grid = Grid(measure, REGIONS)
    weeks = [contribution(measure, grid, panel.week(box, 0)) for box in panel.boxes]
    everyone = sum(found.total() for found in weeks)
    held, biases = 0, []
    for trial in range(trials):
        town = Town(panel, profile("regional"), size, Willing(lean), only=(MEASURE,), consent=trial)
        inside, mean = _one_release(town, weeks, everyone, chance_of(f"lean/{seed}/{trial}"))
        held += inside
        biases.append(mean / (everyone / size) - 1)
    return Leaning(size, held, trials, fmean(biases))


def _one_release(town: Town, weeks: list[Contribution], everyone: int, chance: Random) -> tuple[bool, float]:
    played = Played(Truth(), Truth())
    random_below = below(chance.randbytes)
    for number in town.reporters:
        draw_into(played, weeks[number], random_below)
    table = town.release({MEASURE: played}, FIRST_WEEK)
    figure = estimate([table]).measure(MEASURE).groups[0].cells[0].all_boxes["minutes"]
    mean = sum(weeks[number].total() for number in town.reporters) / town.reporting
    return figure.low <= everyone <= figure.high, mean


def asked(size: int, towns: int, trials: int, lean: float = LEAN) -> Iterator[tuple[int, int, int, float]]:
    """What to play."""
    for number in range(towns):
        yield 20_000 + number, size, trials, lean


def together(found: list[Leaning]) -> Leaning:
    """Several populations of one size."""
    held, trials = sum(one.held for one in found), sum(one.trials for one in found)
    return Leaning(found[0].size, held, trials, fmean(one.bias for one in found))
