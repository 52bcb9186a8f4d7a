"""What a window tells, in sentences of one language: in short, how to read it, and where it ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from headend.analytics.budget import FALSE_ALARMS, GUARANTEE, statement
from headend.analytics.estimates import MeasureEstimate
from headend.analytics.figures import CellEstimate
from headend.analytics.told import Told
from headend.analytics.trend import FALSE_ARROWS, Arrow, Trend
from headend.analytics.wording import HEADS, PARTS, Wording
from headend.kit.language import N_
from shared.register import Profile

FLOORED = N_("Negative noisy values are shown as zero; values and intervals are computed before that.")
INTERVALS = N_("Intervals are of 95%, each for itself.")
WEEKS = N_("Weeks are weeks of viewing (not of broadcast) by boxes (not by persons).")
WITHHELD = N_(
    "Withheld is what its noise does not let tell from an empty cell, judging by the noisy value only, and "
    "every share of a whole that the noise may move by more than 15%."
)
CHOSEN = N_(
    "A small value is shown only if its noise made it large enough: the lower end of its interval allows for "
    "that, and lies further down than its upper end lies up."
)
RECONCILED = N_(
    "One-minute measures of viewing are reconciled: what they share agrees, and their intervals are narrower"
    " for it. Minutes and reach, and shares of minutes, are other figures and are not."
)
TIES = N_(
    "A rank is a range: the best and the worst that the noise leaves possible. Where cells are said not to "
    "be told apart, no two of them are."
)
ARROWS = N_(
    "Up and down are said where a change is clear over all cells of a measure together (Holm's procedure): "
    "where nothing has changed, a measure shows any in at most 5 of 100 comparisons. The intervals of "
    "changes are of 95%, each for itself, so about one in twenty leaves zero out by chance."
)
MAIN = frozenset({"genre", "genre-minutes", "viewing", "shift", "daypart", "not-live", "ordered-genre"})
"""The tables whose changes the summary names."""
_MOST_NAMED = 6


def guarantee(taken: Profile, words: Wording) -> str:
    """What a profile guarantees to one household, in one plain sentence."""
    spans = statement(taken).spans
    week, year = spans[0], spans[-1]
    return words.text(
        GUARANTEE,
        alarms=words.language.percent(FALSE_ALARMS, 0),
        week=words.percent(week.recognition),
        weeks=year.weeks,
        year=words.language.percent(year.recognition, 0),
    )


@dataclass(frozen=True)
class Sentences:
    """One window in one language."""

    told: Told
    words: Wording

    @property
    def guarantee(self) -> str:
        """What is guaranteed, in one plain sentence."""
        return guarantee(self.told.profile, self.words)

    @property
    def short(self) -> str:
        """What to say if there are fewer weeks than were asked for."""
        asked, found = self.told.chosen.asked, len(self.told.chosen.tables)
        if found >= asked:
            return ""
        return self.words.plural(
            "Of the {asked} weeks asked for, one follows the week before without a break.",
            "Of the {asked} weeks asked for, {n} follow each other without a break.",
            found,
            asked=asked,
        )

    @property
    def readings(self) -> list[str]:
        """How the figures are to be read, and where they end."""
        found, say = self.told.estimates, self.words.text
        told = [say(found.panel_is), say(found.all_boxes_is), f"{say(INTERVALS)} {say(FLOORED)}"]
        told += [say(one) for one in (WITHHELD, CHOSEN, TIES, RECONCILED, WEEKS)]
        return [*told, f"{say(ARROWS)} {self._by_chance()}"] if self.told.trends else told

    def _by_chance(self) -> str:
        tables = sum(bool(one.cells) for trend in self.told.trends for one in trend.measures)
        return self.words.plural(
            "Compared is {n} table: by chance it shows any in {most} of such cases.",
            "Compared are {n} tables: by chance at most {most} of them show any.",
            tables,
            most=self.words.language.number(FALSE_ARROWS * tables, 1),
        )

    @property
    def remarks(self) -> list[str]:
        """Where series break, what was compared, and what could not be."""
        chosen = self.told.chosen
        told = [self.words.broken(chosen.stopped)] if chosen.stopped else []
        told += [self.words.broken(one) for one in self.told.estimates.breaks]
        before, year = ([one.week for one in window] for window in (chosen.before, chosen.year))
        if before:
            weeks = self.words.span(before)
            told.append(self.words.text("Compared with the window before: {weeks}.", weeks=weeks))
        else:
            told.append(
                self.words.text("Not compared with the window before: the series does not go back so far.")
            )
        if year:
            weeks = self.words.span(year)
            told.append(self.words.text("Compared with the window a year before: {weeks}.", weeks=weeks))
        else:
            told.append(
                self.words.text(
                    "Not compared with the window a year before: weeks are missing, or measures changed."
                )
            )
        return told

    @property
    def summary(self) -> list[str]:
        """The window in a few sentences: ranking, volumes, what is not live, what changed."""
        return [*self._leading(), *self._volumes(), *map(self.changed, self.told.trends)]

    def _leading(self) -> Iterator[str]:
        for measure in self.told.estimates.measures:
            ranking = self.words.ranking(measure.groups[0])
            if measure.grid in (["genre"], ["ordered-genre"]) and ranking:
                yield self.words.text(
                    "{table}: {ranking}", table=self.words.title(measure.name), ranking=" ".join(ranking)
                )

    def _volumes(self) -> Iterator[str]:
        for measure in chain(self.told.estimates.measures, self.told.estimates.summed):
            cell = measure.groups[0].cells[0]
            name = next((name for name in ("share", "audience") if name in cell.panel), "")
            if not measure.grid and not cell.withheld and name:
                tell = self.words.teller(name)
                yield self.words.text(
                    "{table}, {figure}: panel {panel}, all boxes {all_boxes}.",
                    table=self.words.title(measure.name),
                    figure=self.words.text(HEADS[name]).lower(),
                    panel=self.words.interval(cell.panel[name], tell),
                    all_boxes=self.words.interval(cell.all_boxes[name], tell),
                )

    def changed(self, trend: Trend) -> str:
        """What went up and what went down against an earlier window, as far as that is clear."""
        up, down = (list(self._moved(trend, arrow)) for arrow in (Arrow.UP, Arrow.DOWN))
        places = {"weeks": self.words.span(trend.against), "up": self._some(up), "down": self._some(down)}
        if up and down:
            return self.words.text("Against {weeks}: up {up}; down {down}.", **places)
        if up:
            return self.words.text("Against {weeks}: up {up}.", **places)
        if down:
            return self.words.text("Against {weeks}: down {down}.", **places)
        return self.words.text("Against {weeks} nothing changed clearly.", **places)

    def _moved(self, trend: Trend, arrow: Arrow) -> Iterator[str]:
        """The cells of the main tables that moved so: parts of the panel, volumes of all boxes."""
        for measure in trend.measures:
            for cell in measure.cells if measure.name in MAIN else ():
                changes = [cell.panel.get(name) for name in cell.panel if name in PARTS] or [
                    cell.all_boxes.get(name) for name in cell.all_boxes
                ]
                if any(one is not None and one.arrow is arrow for one in changes):
                    yield f"{self.words.label(cell)} ({self.words.title(measure.name).lower()})"

    def _some(self, names: list[str]) -> str:
        more = len(names) - _MOST_NAMED
        if more <= 0:
            return ", ".join(names)
        return self.words.plural(
            "{names} and {n} more", "{names} and {n} more", more, names=", ".join(names[:_MOST_NAMED])
        )


# What a page says first.


@dataclass(frozen=True)
class _Verdict:
    """How the first place of a table is told: alone, shared, or not at all."""

    alone: str
    shared: str
    withheld: str


_VERDICTS = {
    "genre": _Verdict(
        N_(
            "The most popular genre is {first}: {share} of what reporting boxes viewed (95% interval {low} "
            "to {high}), clearly ahead of every other genre."
        ),
        N_(
            "Which genre is most popular cannot be told for certain: {names} cannot be told from the first "
            "place. Highest is {first} with {share} of what reporting boxes viewed (95% interval {low} to "
            "{high})."
        ),
        N_("Which genre is most popular is withheld: {reason}."),
    ),
    "ordered-genre": _Verdict(
        N_(
            "The most ordered genre is {first}: {share} of reporting boxes that ordered (95% interval {low} "
            "to {high}), clearly ahead of every other genre."
        ),
        N_(
            "Which genre is most ordered cannot be told for certain: {names} cannot be told from the first "
            "place. Highest is {first} with {share} of reporting boxes that ordered (95% interval {low} to "
            "{high})."
        ),
        N_("Which genre is most ordered is withheld: {reason}."),
    ),
}


def verdict(table: MeasureEstimate, words: Wording) -> str:
    """Which genre leads a table and how sure that is, in a sentence; nothing of tables without such a one."""
    said = _VERDICTS.get("genre" if table.name == "genre-minutes" else table.name)
    if said is None:
        return ""
    group = table.groups[0]
    shown = [cell for cell in group.cells if not cell.withheld and "share" in cell.panel]
    if not shown:
        reason = group.withheld or group.cells[0].withheld
        return words.text(said.withheld, reason=words.text(reason))
    first = max(shown, key=lambda cell: cell.panel["share"].value)
    share = first.panel["share"]
    rivals = possible_firsts(shown)
    return words.text(
        said.alone if len(rivals) == 1 else said.shared,
        first=words.label(first),
        names=words.list_of([words.label(cell) for cell in rivals]),
        share=words.percent(share.shown_value),
        low=words.percent(share.shown_low),
        high=words.percent(share.shown_high),
    )


def possible_firsts(shown: Sequence[CellEstimate]) -> list[CellEstimate]:
    """The cells that the noise leaves on the first place, highest first."""
    firsts = [cell for cell in shown if cell.rank_low == 1]
    return sorted(firsts, key=lambda cell: -cell.panel["share"].value)
