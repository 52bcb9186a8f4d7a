"""What a window tells, in figures and in words: what page, report and downloads have in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from headend.analytics.budget import statement
from headend.analytics.estimates import Estimates, MeasureEstimate, estimate
from headend.analytics.tables import HEADS, PARTS, TITLES, label, teller, with_interval
from headend.analytics.trend import FALSE_ARROWS, Arrow, Trend, compare
from headend.analytics.views import span
from headend.analytics.windows import Chosen
from shared.register import Profile, profile

FLOORED = "Negative noisy values are shown as zero; values and intervals are computed before that."
INTERVALS = "Intervals are of 95 %, each for itself."
WEEKS = "Weeks are weeks of viewing (not of broadcast) by boxes (not by persons)."
WITHHELD = (
    "Withheld is what its noise does not let tell from an empty cell, judging by the noisy value only, and "
    "every share of a whole that the noise may move by more than 15 %."
)
CHOSEN = (
    "A small value is shown only if its noise made it large enough: the lower end of its interval allows for "
    "that, and lies further down than its upper end lies up."
)
RECONCILED = (
    "One-minute measures of viewing are reconciled: what they share agrees, and their intervals are narrower"
    " for it. Minutes and reach, and shares of minutes, are other figures and are not."
)
TIES = (
    "A rank is a range: the best and the worst that the noise leaves possible. Where cells are said not to "
    "be told apart, no two of them are."
)
ARROWS = (
    "Up and down are said where a change is clear over all cells of a measure together (Holm's procedure): "
    "where nothing has changed, a measure shows any in at most 5 of 100 comparisons. The intervals of "
    "changes are of 95 %, each for itself, so about one in twenty leaves zero out by chance."
)
MAIN = frozenset({"genre", "genre-minutes", "viewing", "shift", "daypart", "not-live", "ordered-genre"})
"""The tables whose changes the summary names."""
_MOST_NAMED = 6


@dataclass(frozen=True)
class Told:
    """A window with its estimates and what they are compared with, ready to be written down."""

    chosen: Chosen
    estimates: Estimates
    trends: list[Trend]

    @property
    def profile(self) -> Profile:
        """The profile that the window's measures were taken by."""
        return profile(self.estimates.profile)

    @property
    def span(self) -> str:
        """The weeks in words."""
        return span(self.estimates.weeks)

    @property
    def measures(self) -> Iterator[MeasureEstimate]:
        """All measures, each followed by the tables that are summed from it."""
        for measure in self.estimates.measures:
            yield measure
            yield from (one for one in self.estimates.summed if one.summed_from == measure.name)

    @property
    def guarantee(self) -> str:
        """What is guaranteed, in one plain sentence."""
        return statement(self.profile).plain

    @property
    def readings(self) -> list[str]:
        """How the figures are to be read, and where they end."""
        found = self.estimates
        told = [
            found.panel_is,
            found.all_boxes_is,
            f"{INTERVALS} {FLOORED}",
            WITHHELD,
            CHOSEN,
            TIES,
            RECONCILED,
            WEEKS,
        ]
        return [*told, f"{ARROWS} {self._by_chance()}"] if self.trends else told

    def _by_chance(self) -> str:
        tables = sum(bool(one.cells) for trend in self.trends for one in trend.measures)
        return (
            f"Compared are {tables} tables: by chance at most {FALSE_ARROWS * tables:.1f} of them show any."
        )

    @property
    def remarks(self) -> list[str]:
        """Where series break, what was compared, and what could not be."""
        stopped = self.chosen.stopped
        told = [stopped.plain] if stopped else []
        told += [one.plain for one in self.estimates.breaks]
        for title, window in (("before", self.chosen.before), ("a year before", self.chosen.year)):
            if window:
                told.append(f"Compared with the window {title}: {span([one.week for one in window])}.")
        if not self.chosen.before:
            told.append("Not compared with the window before: the series does not go back so far.")
        if not self.chosen.year:
            told.append("Not compared with the window a year before: weeks are missing, or measures changed.")
        return told

    @property
    def summary(self) -> list[str]:
        """The window in a few sentences: ranking, volumes, what is not live, what changed."""
        return [sentence for sentence in chain(self._leading(), self._volumes(), self._changes()) if sentence]

    def _leading(self) -> Iterator[str]:
        for measure in self.estimates.measures:
            if measure.grid in (["genre"], ["ordered-genre"]) and measure.groups[0].ranking:
                yield f"{TITLES.get(measure.name, measure.name)}: {' '.join(measure.groups[0].ranking)}"

    def _volumes(self) -> Iterator[str]:
        for measure in chain(self.estimates.measures, self.estimates.summed):
            cell = measure.groups[0].cells[0]
            if measure.grid or cell.withheld:
                continue
            name = next((name for name in ("share", "audience") if name in cell.panel), "")
            if name:
                tell = teller(name)
                yield (
                    f"{TITLES.get(measure.name, measure.name)}, {HEADS[name].lower()}: panel "
                    f"{with_interval(cell.panel[name], tell)}, all boxes "
                    f"{with_interval(cell.all_boxes[name], tell)}."
                )

    def _changes(self) -> Iterator[str]:
        for trend in self.trends:
            up, down = (list(_moved(trend, arrow)) for arrow in (Arrow.UP, Arrow.DOWN))
            against = span(trend.against)
            if not up and not down:
                yield f"Against {against} nothing changed clearly."
            else:
                yield (
                    f"Against {against}: "
                    + "; ".join(
                        f"{arrow.value} {_some(names)}"
                        for arrow, names in ((Arrow.UP, up), (Arrow.DOWN, down))
                        if names
                    )
                    + "."
                )


def tell(chosen: Chosen) -> Told:
    """A window with its estimates and comparisons.

    Raises:
        NoReleasesError: the window is empty.
    """
    found = estimate(chosen.tables)
    return Told(
        chosen,
        found,
        [compare(found, chosen.tables, window) for window in (chosen.before, chosen.year) if window],
    )


def _moved(trend: Trend, arrow: Arrow) -> Iterator[str]:
    """The cells of the main tables that moved so: parts of the panel, volumes of all boxes."""
    for measure in trend.measures:
        for cell in measure.cells if measure.name in MAIN else ():
            changes = [cell.panel.get(name) for name in cell.panel if name in PARTS] or [
                cell.all_boxes.get(name) for name in cell.all_boxes
            ]
            if any(one is not None and one.arrow is arrow for one in changes):
                yield f"{label(cell)} ({TITLES.get(measure.name, measure.name).lower()})"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
