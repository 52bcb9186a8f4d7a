"""A town's weeks through the project's own roll-up, noise and estimates, beside what was true.

Boxes are rolled up and drawn by `box_agent.rollup`, counters get their noise by `noisy_measure`, figures are
`estimate`'s. The truth is what boxes contributed before anything was drawn. Towns come from a seed; the noise
has none.
"""

from collections import Counter as Count
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from box_agent.chance import RandomBelow, below
from box_agent.rollup import Contribution, contribution, draw
from headend.analytics.published import NoisyMeasure, ReleaseTable
from headend.analytics.release import noisy_measure
from headend.analytics.store import Counter
from shared.register import SIXTEENTHS, Grid, Kind, Measure, Profile, register_hash
from shared.weeks import Week
from tests.audit.panels import Box, Panel, chance_of

FIRST_WEEK = Week(2026, 41)
ORDERED = "ordered-genre"
WEEK_MINUTES = 7 * 24 * 60
Consents = Callable[[Box], float]
Release = Callable[[Measure, Grid, list[Counter]], NoisyMeasure]


@dataclass
class Truth:
    """What some boxes did in a week, of one measure: sums over boxes, by cell, before any drawing.

    `shares` are of each box's own counts; `minutes` (capped) and `reached` are there for volumes.
    """

    viewers: int = 0
    shares: Count[int] = field(default_factory=Count)
    squares: Count[int] = field(default_factory=Count)
    minutes: Count[int] = field(default_factory=Count)
    reached: Count[int] = field(default_factory=Count)

    def take(self, found: Contribution) -> None:
        """Add a box."""
        total = found.total()
        self.viewers += total > 0
        one_minute = found.measure.kind is Kind.ONE_MINUTE
        for cell, count in found.counts.items():
            if one_minute:
                share = float(found.share(cell))
                self.shares[cell] += share
                self.squares[cell] += share**2
            else:
                self.minutes[cell] += count
        self.reached.update(found.reached)

    def add(self, other: "Truth") -> None:
        """Add another week."""
        self.viewers += other.viewers
        for mine, theirs in (
            (self.shares, other.shares),
            (self.squares, other.squares),
            (self.minutes, other.minutes),
            (self.reached, other.reached),
        ):
            mine.update(theirs)

    def value(self, figure: str, cell: int, group: Sequence[int], box_weeks: int, weeks: int) -> float:
        """The true value of a figure of `estimate`, of a cell among those that share its whole."""
        match figure:
            case "share":
                sums = self.shares or self.minutes
                return sums[cell] / sum(sums[one] for one in group)
            case "minutes":
                return float(self.minutes[cell])
            case "audience":
                return self.minutes[cell] / (WEEK_MINUTES * weeks)
            case "reach":
                return self.reached[cell] / weeks
            case "reach-share":
                return self.reached[cell] / box_weeks
        raise ValueError(figure)


@dataclass
class Played:
    """One measure's week in one town; weeks of the same viewing share their truths."""

    panel: Truth
    everyone: Truth
    counted: dict[int, list[int]] = field(default_factory=dict)

    def count(self, cell: int, amount: int, rest: int) -> None:
        """Count a fragment as the intake does."""
        sums = self.counted.setdefault(cell, [0, 0])
        sums[0] += amount
        sums[1] += rest


@dataclass(frozen=True)
class Town:
    """A population, of which the same boxes report every week.

    Attributes:
        panel: All boxes.
        taken: The profile.
        wanted: How many report, drawn without regard to anything; all if it is the size.
        consents: If given, the chance that a box consents; then as many report as do.
        only: The measures to play, or all.
        whole: Whether boxes that do not report are played too, for the truth of all boxes.
        fresh: How many different weeks there are; later ones repeat their viewing, not their draws.
        consent: Another number, other boxes that report.
    """

    panel: Panel
    taken: Profile
    wanted: int
    consents: Consents | None = None
    only: tuple[str, ...] = ()
    whole: bool = False
    fresh: int = 1
    consent: int = 0

    def measures(self) -> list[tuple[Measure, Grid]]:
        """What is taken, with its grid."""
        chosen = [one for one in self.taken.measures if not self.only or one.name in self.only]
        return [(measure, Grid(measure, self.panel.regions)) for measure in chosen]

    @cached_property
    def reporters(self) -> frozenset[int]:
        """The numbers of the boxes that report."""
        chance = chance_of(f"consent/{self.panel.seed}/{self.consent}")
        if self.consents is None:
            return frozenset(chance.sample(range(self.panel.size), self.wanted))
        return frozenset(box.number for box in self.panel.boxes if chance.random() < self.consents(box))

    @property
    def reporting(self) -> int:
        """How many report."""
        return len(self.reporters)

    def play(self, weeks: int) -> list[dict[str, Played]]:
        """Roll all boxes up, and draw every week of those that report."""
        names = [measure.name for measure, _ in self.measures()]
        truths = [{name: (Truth(), Truth()) for name in names} for _ in range(min(self.fresh, weeks))]
        played = [{name: Played(*truths[week % self.fresh][name]) for name in names} for week in range(weeks)]
        reporters, random_below = self.reporters, below(chance_of(f"draw/{self.panel.seed}").randbytes)
        for box in self.panel.boxes:
            if self.whole or box.number in reporters:
                self._play_box(box, played, random_below if box.number in reporters else None)
        return played

    def _play_box(self, box: Box, played: list[dict[str, Played]], random_below: RandomBelow | None) -> None:
        for fresh in range(min(self.fresh, len(played))):
            viewed = self.panel.week(box, fresh)
            for measure, grid in self.measures():
                found = contribution(measure, grid, viewed)
                one = played[fresh][measure.name]
                if self.whole:
                    one.everyone.take(found)
                if random_below is None:
                    continue
                one.panel.take(found)
                for week in range(fresh, len(played), self.fresh):
                    draw_into(played[week][measure.name], found, random_below)

    def boxes(self) -> dict[str, int]:
        """All boxes by region, rounded as billing rounds them."""
        counted = Count(box.region for box in self.panel.boxes)
        return {region: 10 * round(count / 10) for region, count in counted.items()}

    def release(
        self, played: dict[str, Played], week: Week, release: Release = noisy_measure
    ) -> ReleaseTable:
        """Noise onto a week, fresh each time."""
        tokens = {measure.name: self.reporting * measure.quota for measure, _ in self.measures()}
        return ReleaseTable(
            week=str(week),
            profile=self.taken.name,
            register=register_hash(),
            simulated=True,
            regions=list(self.panel.regions),
            boxes=self.boxes(),
            accounts_asked=self.reporting,
            issued=tokens,
            accepted=tokens,
            measures=[
                release(measure, grid, counters(measure, played[measure.name]))
                for measure, grid in self.measures()
            ],
        )

    def releases(self, played: Sequence[dict[str, Played]]) -> list[ReleaseTable]:
        """Consecutive weeks."""
        return [self.release(one, FIRST_WEEK.plus(number)) for number, one in enumerate(played)]


def counters(measure: Measure, played: Played) -> list[Counter]:
    """The exact counters as the store has them."""
    return [Counter(measure.name, cell, *sums) for cell, sums in sorted(played.counted.items())]


def draw_into(played: Played, found: Contribution, random_below: RandomBelow) -> None:
    """Draw a box's fragments and count them as the intake does."""
    timed = found.measure.kind is Kind.TIMED
    for fragment in draw(found, FIRST_WEEK, random_below):
        if fragment.cell:
            played.count(fragment.cell, fragment.value, SIXTEENTHS - fragment.value if timed else 0)
