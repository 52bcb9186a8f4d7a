"""A release on invented counts: what figures a panel of that size would give, at no cost.

The counts are invented (a cell of rank r weighs 1 / r) and without chance; noise, table and estimates are
those of a real release. Nothing is read from or written to any database, and no budget is spent: there is
nobody whose viewing could be told.
"""

from dataclasses import dataclass

from headend.analytics.estimates import Estimates, estimate
from headend.analytics.published import ReleaseTable
from headend.analytics.release import noisy_measure
from headend.analytics.store import Counter
from shared.errors import StbError
from shared.register import REGION, SIXTEENTHS, Grid, Kind, Measure, Profile, register_hash
from shared.weeks import Week

MOST_BOXES = 100_000_000
REACHED = 0.9
"""The part of boxes that reaches the largest cell of a timed or untimed measure."""
PART_VIEWED = 0.25
"""The part of the volume that those who reach a cell of a timed measure view of it."""


class RehearsalError(StbError):
    """A rehearsal of no boxes or weeks, of too many, or by regions where there are none."""


@dataclass(frozen=True)
class Invented:
    """An invented panel: so many reporting boxes of all, in each of some weeks."""

    taken: Profile
    regions: tuple[str, ...]
    reporting: int
    boxes: int
    weeks: int

    def check(self) -> None:
        """See that it can be played.

        Raises:
            RehearsalError: it cannot.
        """
        if not 1 <= self.reporting <= self.boxes <= MOST_BOXES:
            raise RehearsalError(f"between 1 and all boxes report, of at most {MOST_BOXES:,}")
        if not 1 <= self.weeks <= 53:  # noqa: PLR2004 (a year of weeks)
            raise RehearsalError("a rehearsal has 1 to 53 weeks")
        if not self.regions and any(REGION in measure.grid for measure in self.taken.measures):
            raise RehearsalError("a measure goes by region, and the installation has no regions")


def rehearse(panel: Invented, first_week: Week) -> Estimates:
    """Draw noise for each invented week and estimate from the tables, as after real releases.

    Raises:
        RehearsalError: see `Invented.check`.
        NoiseError: the noise would not cost what is declared.
    """
    panel.check()
    return estimate([_table(panel, first_week.plus(number)) for number in range(panel.weeks)])


def invented_shares(measure: Measure, regions: tuple[str, ...]) -> list[float]:
    """The parts of the whole that the cells of a one-minute measure were given, in the grid's order."""
    weights = _weights(Grid(measure, regions).size)
    return [weight / sum(weights) for weight in weights]


def _weights(size: int) -> list[float]:
    return [1 / rank for rank in range(1, size + 1)]


def _table(panel: Invented, week: Week) -> ReleaseTable:
    tokens = {measure.name: panel.reporting * measure.quota for measure in panel.taken.measures}
    places = panel.regions or ("none",)
    return ReleaseTable(
        week=str(week),
        profile=panel.taken.name,
        register=register_hash(),
        simulated=True,
        regions=list(panel.regions),
        boxes={place: round(panel.boxes / len(places)) for place in places},
        accounts_asked=panel.reporting,
        issued=tokens,
        accepted=tokens,
        measures=[
            noisy_measure(measure, Grid(measure, panel.regions), _counters(panel, measure))
            for measure in panel.taken.measures
        ],
    )


def _counters(panel: Invented, measure: Measure) -> list[Counter]:
    weights = _weights(Grid(measure, panel.regions).size)
    drawn = panel.reporting / sum(weights)
    found = []
    for cell, weight in enumerate(weights, 1):
        reached = panel.reporting * REACHED * weight
        amount, rest = _amounts(measure.kind, weight * drawn, reached)
        found.append(Counter(measure.name, cell, round(amount), round(rest)))
    return found


def _amounts(kind: Kind, drawn: float, reached: float) -> tuple[float, float]:
    """What a cell's two counters hold, of which only a timed measure has the second."""
    match kind:
        case Kind.ONE_MINUTE:
            return drawn, 0
        case Kind.UNTIMED:
            return reached, 0
        case Kind.TIMED:
            return reached * SIXTEENTHS * PART_VIEWED, reached * SIXTEENTHS * (1 - PART_VIEWED)
