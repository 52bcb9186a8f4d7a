"""How figures, cells, weeks and reasons are said in one language."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from headend.analytics.figures import EVERYWHERE, CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.ranking import in_words
from headend.analytics.series import Break
from headend.analytics.store import WeekState
from headend.analytics.trend import CellTrend, Change
from headend.kit.language import N_, Language
from shared.words import words_of

TITLES = {
    "genre": N_("Genres"),
    "genre-detail": N_("Genres in detail"),
    "viewing": N_("Viewing time"),
    "ordered-genre": N_("Ordered genres"),
    "genre-reach": N_("Reach of genres"),
    "genre-shift": N_("Genres by time shift"),
    "genre-daypart": N_("Genres by daypart"),
    "genre-region": N_("Genres by region"),
    "genre-minutes": N_("Minutes by genre"),
    "shift": N_("Time shift"),
    "daypart": N_("Dayparts"),
    "not-live": N_("Viewing that is not live"),
    "not-live-by-genre": N_("Viewing that is not live, by genre"),
}
HEADS = {
    "share": N_("Share"),
    "minutes": N_("Minutes"),
    "audience": N_("Average audience, in boxes"),
    "reach": N_("Reach, in boxes a week"),
    "reach-share": N_("Reach, as a part of boxes"),
    "box-weeks": N_("Boxes that ordered, one draw each"),
}
"""The figures, in the order in which they are shown."""
DIMENSIONS = {
    "genre": N_("Genre"),
    "shift": N_("Live or later"),
    "daypart": N_("Daypart"),
    "region": N_("Region"),
    "ordered-genre": N_("Ordered genre"),
    "detail": N_("Kind of programme"),
}
STATES = {
    WeekState.OPEN: N_("open"),
    WeekState.RELEASED: N_("released"),
    WeekState.BELOW_FLOOR: N_("not released: too few accounts took part"),
    WeekState.OVER_BUDGET: N_("not released: the budget does not cover it"),
    WeekState.DRAWN_BEFORE: N_("drawn before the database was restored; never drawn again"),
    WeekState.NO_DIRECTORY: N_("no directory was published, so nothing was counted"),
}
PARTS = frozenset({"share", "reach-share"})
"""The figures that are parts of one; the others are volumes."""
_FRACTIONS_BELOW = 10
_POINTS = 100

Tell = Callable[[float], str]


@lru_cache(maxsize=20_000)
def _number(language: Language, value: float, digits: int) -> str:
    """Many figures of a page are written alike; writing one takes Babel a while."""
    return language.number(value, digits)


@lru_cache(maxsize=20_000)
def _percent(language: Language, value: float) -> str:
    return language.percent(value)


class Wording:
    """The words of one language for whatever releases tell."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.text = language.text
        self.plural = language.plural
        self._values: Mapping[str, str] = words_of(language.code).values

    # --- names
    def title(self, table: str) -> str:
        """What a table is called; a table of another register by its name."""
        return self.text(TITLES[table]) if table in TITLES else table

    def dimensions(self, grid: Sequence[str], region: str = "") -> str:
        """The dimensions of a grid, without the region where that stands above the table."""
        names = [self.text(DIMENSIONS.get(name, name)) for name in grid if not region or name != "region"]
        return " / ".join(names)

    def value(self, value: str) -> str:
        """A value of a dimension; regions are called as the operator calls them."""
        return self.text(EVERYWHERE) if value == EVERYWHERE else self._values.get(value, value)

    def label(self, cell: CellEstimate | CellTrend, region: str = "") -> str:
        """A cell's values as one name, without the region where that stands above the table."""
        values = [self.value(value) for value in cell.values if value != region]
        return " / ".join(values) or self.text("all viewing")

    def span(self, weeks: Sequence[str]) -> str:
        """The weeks of a window."""
        if len(weeks) == 1:
            return weeks[0]
        return self.text("{first} to {last}", first=weeks[0], last=weeks[-1])

    def state(self, state: WeekState) -> str:
        """What has come of a week."""
        return self.text(STATES[state])

    def list_of(self, names: Sequence[str]) -> str:
        """Several names in a row, the last after an and."""
        if len(names) == 1:
            return names[0]
        return self.text("{names} and {last}", names=", ".join(names[:-1]), last=names[-1])

    # --- figures
    def number(self, value: float) -> str:
        """A number for a person: whole with thousands, small ones with a decimal."""
        digits = 1 if 0 < value < _FRACTIONS_BELOW else 0
        return _number(self.language, round(value, digits), digits)

    def percent(self, value: float) -> str:
        """A part of one in percent."""
        return _percent(self.language, round(value, 3))

    def points(self, value: float) -> str:
        """A part of one in percent, without the sign."""
        return _number(self.language, round(_POINTS * value, 1), 1)

    def teller(self, figure: str) -> Tell:
        """How the values of a figure are written."""
        return self.percent if figure in PARTS else self.number

    def interval(self, one: Figure | None, tell: Tell) -> str:
        """A value as shown with its interval; nothing where there is none."""
        if one is None:
            return ""
        low, value, high = (tell(part) for part in (one.shown_low, one.shown_value, one.shown_high))
        return self.text("{value} ({low} to {high})", low=low, value=value, high=high)

    def figure(self, one: Figure | None, tell: Tell) -> tuple[str, str]:
        """A value as shown, and its interval apart from it; both empty where there is none."""
        if one is None:
            return "", ""
        interval = self.text("{low} to {high}", low=tell(one.shown_low), high=tell(one.shown_high))
        return tell(one.shown_value), interval

    def rank(self, cell: CellEstimate) -> str:
        """A rank, or the ranks between which a tie leaves it open."""
        if cell.rank_low == cell.rank_high:
            return str(cell.rank_low)
        return self.text("{low} to {high} (tie)", low=cell.rank_low, high=cell.rank_high)

    def reach(self, one: Change, figure: str) -> str:
        """The interval of a change, without its unit."""
        low, high = (self._difference(part, figure) for part in (one.low, one.high))
        return self.text("{low} to {high}", low=low, high=high)

    def signed(self, value: float, figure: str) -> str:
        """A difference with its sign: points of parts, else whole numbers."""
        told = self._difference(value, figure)
        return self.text("{points} pt", points=told) if figure in PARTS else told

    def _difference(self, value: float, figure: str) -> str:
        digits = 1 if figure in PARTS else 0
        rounded = round(_POINTS * value if digits else value, digits)
        return ("-" if rounded < 0 else "+") + _number(self.language, abs(rounded), digits)

    # --- sentences
    def ranking(self, group: GroupEstimate) -> list[str]:
        """A group's places and ties, a sentence for each."""
        names = {
            index: self.label(cell, group.region)
            for index, cell in enumerate(group.cells)
            if not cell.withheld
        }
        return in_words(group.tiers, names, self) if group.tiers else []

    def broken(self, one: Break) -> str:
        """Where a series breaks, and why."""
        places = msgspec.structs.asdict(one) | {"measure": self.title(one.measure)}
        return self.text(one.message, **places)
