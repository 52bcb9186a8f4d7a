"""What a window tells: its estimates, and what they are compared with. All pages and files begin here."""

from collections.abc import Iterator
from dataclasses import dataclass

from headend.analytics.estimates import Estimates, MeasureEstimate, estimate
from headend.analytics.trend import Trend, compare
from headend.analytics.windows import Chosen
from shared.register import Profile, profile


@dataclass(frozen=True)
class Told:
    """A window with its estimates and what they are compared with, ready to be put into words."""

    chosen: Chosen
    estimates: Estimates
    trends: list[Trend]

    @property
    def profile(self) -> Profile:
        """The profile that the window's measures were taken by."""
        return profile(self.estimates.profile)

    @property
    def tables(self) -> Iterator[MeasureEstimate]:
        """All measures, each followed by the tables that are summed from it."""
        for measure in self.estimates.measures:
            yield measure
            yield from (one for one in self.estimates.summed if one.summed_from == measure.name)


def tell(chosen: Chosen, only: str = "") -> Told:
    """A window with its estimates and comparisons; of the table `only` alone, if that is said.

    Raises:
        NoReleasesError: the window is empty.
    """
    found = estimate(chosen.tables, only)
    return Told(
        chosen,
        found,
        [compare(found, chosen.tables, window, only) for window in (chosen.before, chosen.year) if window],
    )
