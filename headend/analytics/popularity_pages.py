"""The pages of popularity: one question each, with its chart, its table and its download."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headend.analytics.estimates import MeasureEstimate
from headend.analytics.first_window import First, first_window
from headend.analytics.region_map import RegionMap, all_cells, genres_of, whose_of
from headend.analytics.sentences import Sentences, guarantee, possible_firsts, verdict
from headend.analytics.shelf import Shelf, Standing
from headend.analytics.tables import Tables, plain
from headend.analytics.told import Told
from headend.analytics.trend import ALL_BOXES
from headend.analytics.views import REGION, VIEWS, View, fillable, in_profile, in_release, leading
from headend.analytics.windows import WINDOW_LABELS, WINDOWS
from headend.analytics.wording import Wording
from headend.kit.pages import render
from headend.kit.side import Page, Visit
from shared.register import Profile

PACKAGE = "headend.analytics"


@dataclass(frozen=True)
class Ask:
    """One visit of one page: what there is, what is asked for, and the words to answer with."""

    view: View
    visit: Visit
    standing: Standing
    words: Wording
    first: First

    @property
    def window(self) -> str:
        """The window that is shown: the one asked for, else the one to begin with."""
        asked = self.visit.arg("window")
        return asked if asked in WINDOWS else self.first.window

    @property
    def why(self) -> str:
        """Why this window comes first; nothing if it was asked for."""
        return "" if self.visit.arg("window") in WINDOWS else self.first.why(self.words)


class PopularityPages:
    """The pages over one shelf; `in_force` gives the profile that is taken now."""

    def __init__(self, shelf: Shelf, in_force: Callable[[], Profile]) -> None:
        self._shelf = shelf
        self._in_force = in_force

    def page(self, view: View, visit: Visit) -> Page:
        """One page of popularity; before the first release it says that there is nothing to show."""
        standing, words = self._shelf.standing(), Wording(visit.language)
        if not standing.released:
            return self._nothing(view, visit, words)
        newest = self._shelf.choose({"window": "week", "until": visit.arg("until")}, standing)
        if not newest.tables:
            return self._nothing(view, visit, words)
        lead = leading(view, in_release(newest.tables[-1]))
        first = self.first(lead, newest.until, standing)
        return self._filled(Ask(view, visit, standing, words, first), newest.until, lead)

    def first(self, lead: str, until: str, standing: Standing) -> First:
        """The window to begin with for a table, up to a week."""
        if not lead:
            return First("four")
        return first_window(
            lambda window: self._shelf.estimates(
                self._shelf.choose({"window": window, "until": until}, standing).tables, lead
            )
        )

    def _nothing(self, view: View, visit: Visit, words: Wording) -> Page:
        taken = self._in_force()
        inside = render(
            PACKAGE,
            "nothing.html",
            visit,
            tabs=tabs(view, in_profile(taken), ""),
            guarantee=guarantee(taken, words),
        )
        return Page(inside)

    def _filled(self, ask: Ask, until: str, lead: str) -> Page:
        told = self._shelf.tell({"window": ask.window, "until": until}, ask.standing)
        order = ask.view.tables.index
        shown = sorted(
            (one for one in told.tables if one.name in ask.view.tables), key=lambda one: order(one.name)
        )
        explicit = ask.window if ask.visit.arg("window") else ""
        values = self._frame(ask, told) | {
            "tabs": tabs(ask.view, in_release(told.chosen.tables[-1]), explicit, ask.visit.arg("until")),
            "verdict": next((verdict(one, ask.words) for one in shown if one.name == lead), ""),
            "all_boxes": next((_all_boxes(one, ask.words) for one in shown if one.name == lead), ""),
            "tables": [{"name": one.name, "title": ask.words.title(one.name)} for one in shown],
        }
        if ask.view is REGION and shown:
            return Page(self._region(ask, told, shown[0], values), title=_title(ask.view))
        tables = Tables(ask.words, told.estimates, told.trends, ask.view.figures)
        measures = [tables.view(one) | {"plain": plain(one, told.profile, ask.words)} for one in shown]
        inside = render(PACKAGE, "popularity.html", ask.visit, measures=measures, **values)
        return Page(inside, title=_title(ask.view))

    def _frame(self, ask: Ask, told: Told) -> dict[str, Any]:
        said, chosen = Sentences(told, ask.words), told.chosen
        return {
            "here": ask.view.path,
            "said": said,
            "estimates": told.estimates,
            "span": ask.words.span(told.estimates.weeks),
            "why": ask.why,
            "windows": WINDOW_LABELS,
            "window": chosen.window,
            "until": chosen.until,
            "choices": chosen.choices,
            "weeks": told.estimates.weeks,
        }

    def _region(self, ask: Ask, told: Told, measure: MeasureEstimate, values: dict[str, Any]) -> str:
        genres = genres_of(measure)
        genre = ask.visit.arg("genre")
        genre = genre if genre in genres else _first_genre(told, genres)
        chart = RegionMap(measure, genre, whose_of(ask.visit.args), ask.words)
        tables = Tables(ask.words, told.estimates, told.trends, ("share",))
        return render(
            PACKAGE,
            "region.html",
            ask.visit,
            chart=chart,
            of="all" if chart.whose == ALL_BOXES else "panel",
            genres={one: ask.words.value(one) for one in genres},
            measure=tables.head(measure) | {"plain": plain(measure, told.profile, ask.words)},
            share_of=ask.words.text(measure.share_of),
            table=chart.table(tables),
            crosses=tables.crosses(measure, all_cells(measure), (chart.whose,)),
            **values,
        )


def tabs(view: View, tables: set[str], window: str, until: str = "") -> list[dict[str, Any]]:
    """The pages that these tables fill; what was asked for is carried along."""
    return [
        {"path": one.path, "title": one.title, "here": one == view, "window": window, "until": until}
        for one in VIEWS
        if one in fillable(tables) or one == view
    ]


def _title(view: View) -> str:
    return "Popularity" if view is VIEWS[0] else view.title


def _all_boxes(table: MeasureEstimate, words: Wording) -> str:
    """The same figure for all boxes, told apart from the panel's."""
    shown = [cell for cell in table.groups[0].cells if not cell.withheld and "share" in cell.panel]
    firsts = possible_firsts(shown)
    if not firsts or not table.grid or len(shown) < 2:  # noqa: PLR2004 (one cell has no rivals)
        return ""
    one = firsts[0]
    return words.text(
        "Estimated for all boxes: {genre} {share}.",
        genre=words.label(one),
        share=words.interval(one.all_boxes["share"], words.percent),
    )


def _first_genre(told: Told, genres: list[str]) -> str:
    """The genre to begin with: the one that leads in all, as far as the window tells."""
    for table in told.tables:
        if table.grid == ["genre"] and table.groups[0].tiers:
            return table.groups[0].cells[table.groups[0].tiers[0].cells[0]].values[0]
    return genres[0]
