"""The page of trends: one cell week by week, and its windows against earlier ones."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from headend.analytics.figures import CellEstimate
from headend.analytics.popularity_pages import PACKAGE
from headend.analytics.shelf import Shelf, Standing
from headend.analytics.tables import Tables
from headend.analytics.trend import ALL_BOXES, PANEL, Trend
from headend.analytics.weekly import Moment, Series, cell_of, figure_of, offered, week_by_week
from headend.analytics.windows import WINDOW_LABELS, WINDOWS
from headend.analytics.wording import HEADS, Wording
from headend.kit.charts import Caption
from headend.kit.language import N_, Language
from headend.kit.lines import Point, line_chart
from headend.kit.pages import render
from headend.kit.side import Page, Visit
from shared.errors import StbError

SPANS = (26, 53, 104)
_USUAL = 53
_FIRST = ("genre", "genre-minutes")
_COLUMNS = ("week", "measure", "cell", "of", "figure", "low", "value", "high", "withheld")
_STATES = {
    "open": N_("not released yet"),
    "below-floor": N_("not released: too few accounts took part"),
    "over-budget": N_("not released: the budget does not cover it"),
    "drawn-before": N_("drawn before the database was restored; never drawn again"),
    "no-directory": N_("no directory was published, so nothing was counted"),
}


class NoSuchSeriesError(StbError):
    """There is no such series."""


@dataclass(frozen=True)
class Asked:
    """The series that a query asks for, up to which week, and over how many."""

    series: Series
    choices: list[Series]
    until: str
    count: int
    standing: Standing


class TrendPages:
    """The page of trends over one shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def trends(self, visit: Visit) -> Page | str:
        """One cell over time; before the first release it says that there is nothing to show."""
        asked = self._asked(visit)
        if asked is None:
            return render(PACKAGE, "nothing.html", visit, tabs=[], guarantee="")
        words = Wording(visit.language)
        moments = week_by_week(self._shelf, asked.standing, asked.series, asked.until, asked.count)
        rows = [self._compared(window, asked, words) for window in WINDOWS]
        figure = next((row["figure"] for row in rows if row["figure"]), "share")
        return render(
            PACKAGE,
            "trends.html",
            visit,
            asked=asked,
            of="all" if asked.series.whose == ALL_BOXES else "panel",
            groups=_groups(asked.choices, words),
            spans=SPANS,
            title=_title(asked.series, words),
            figure=words.text(HEADS[figure]),
            chart=_chart(asked, moments, figure, words),
            rows=[_row(one, figure, words) for one in reversed(moments)],
            breaks=[words.broken(one.broken) for one in moments if one.broken],
            compared=rows,
            weeks=[str(week) for week in reversed(asked.standing.released)],
        )

    def file(self, visit: Visit) -> tuple[bytes, str]:
        """The series as CSV, and the name of its file.

        Raises:
            NoSuchSeriesError: there is no release.
        """
        asked = self._asked(visit)
        if asked is None:
            raise NoSuchSeriesError("there is no release yet")
        series = asked.series
        moments = week_by_week(self._shelf, asked.standing, series, asked.until, asked.count)
        figure = self._figure(asked)
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for one in moments:
            head = [one.week, series.table, " / ".join(series.cell) or "all", series.whose, figure]
            bounds = (one.figure.low, one.figure.value, one.figure.high) if one.figure else ()
            told = [f"{bound:.6g}" for bound in bounds] or ["", "", ""]
            writer.writerow([*head, *told, _why(one, Wording(visit.language))])
        return out.getvalue().encode(), f"trend-{series.table}-{moments[0].week}-{moments[-1].week}"

    def _figure(self, asked: Asked) -> str:
        for window in WINDOWS:
            cell, figure, _ = self._told(window, asked)
            if cell is not None and figure:
                return figure
        return ""

    def _asked(self, visit: Visit) -> Asked | None:
        standing = self._shelf.standing()
        newest = self._shelf.choose({"window": "week", "until": visit.arg("until")}, standing)
        if not newest.tables:
            return None
        choices = offered(self._shelf.estimates(newest.tables))
        asked = next((one for one in choices if one.key == visit.arg("series")), None)
        series = replace(
            asked or self._usual(choices, newest.until, standing),
            whose=ALL_BOXES if visit.arg("of") == "all" else PANEL,
        )
        weeks = visit.arg("weeks")
        count = int(weeks) if weeks in {str(span) for span in SPANS} else _USUAL
        return Asked(series, choices, newest.until, count, standing)

    def _usual(self, choices: Sequence[Series], until: str, standing: Standing) -> Series:
        """The series to begin with: the genre that leads in four weeks."""
        table = next((name for name in _FIRST if any(one.table == name for one in choices)), choices[0].table)
        found = self._shelf.estimates(
            self._shelf.choose({"window": "four", "until": until}, standing).tables, table
        )
        group = next(iter(found.measures)).groups[0]
        first = group.tiers[0].cells[0] if group.tiers else 0
        return Series(table, tuple(group.cells[first].values), PANEL)

    # --- a window against earlier ones
    def _told(self, window: str, asked: Asked) -> tuple[CellEstimate | None, str, list[Trend | None]]:
        """The series' cell in a window, its figure, and the changes from before and from a year before."""
        args = {"window": window, "until": asked.until}
        told = self._shelf.tell(args, asked.standing, asked.series.table)
        cell = cell_of(told.estimates, asked.series)
        figure = figure_of(cell, asked.series.whose) if cell is not None and not cell.withheld else ""
        trends = iter(told.trends)
        before = next(trends) if told.chosen.before else None
        year = next(trends) if told.chosen.year else None
        return cell, figure, [before, year]

    def _compared(self, window: str, asked: Asked, words: Wording) -> dict[str, Any]:
        cell, figure, trends = self._told(window, asked)
        series = asked.series
        args = {"window": window, "until": asked.until}
        chosen = self._shelf.choose(args, asked.standing)
        tables = Tables(words, self._shelf.estimates(chosen.tables, series.table), [])
        of = {} if cell is None else cell.panel if series.whose == PANEL else cell.all_boxes
        return {
            "window": words.text(WINDOW_LABELS[window]),
            "weeks": words.span([table.week for table in chosen.tables]),
            "figure": figure,
            "told": words.interval(of.get(figure), words.teller(figure)),
            "withheld": words.text(cell.withheld) if cell is not None else "",
            "changes": [_changed(trend, series, figure, tables) for trend in trends],
        }


def _changed(trend: Trend | None, series: Series, figure: str, tables: Tables) -> dict[str, Any]:
    """A change as a table shows it, with the weeks that it is against."""
    if trend is None:
        told = tables.words.text("not comparable")
        return {"against": "", "arrow": "", "unclear": True, "value": told, "interval": ""}
    changes = trend.change(series.table, "", series.cell, series.whose)
    found = tables.change(changes.get(figure), figure)
    return found | {"against": tables.words.text("against {weeks}", weeks=tables.words.span(trend.against))}


def _groups(choices: Sequence[Series], words: Wording) -> dict[str, list[tuple[str, str]]]:
    """The choices under the titles of their tables."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in choices:
        found.setdefault(words.title(one.table), []).append((one.key, _cell_name(one, words)))
    return found


def _cell_name(series: Series, words: Wording) -> str:
    return " / ".join(words.value(value) for value in series.cell) or words.text("all viewing")


def _title(series: Series, words: Wording) -> str:
    return words.text("{table}: {cell}", table=words.title(series.table), cell=_cell_name(series, words))


def _chart(asked: Asked, moments: Sequence[Moment], figure: str, words: Wording) -> dict[str, Any]:
    whose = asked.series.whose
    told = words.text("reporting boxes") if whose == PANEL else words.text("all boxes, estimated")
    tell = words.teller(figure)
    caption = Caption(
        "trend",
        words.text("{series}, {whose}", series=_title(asked.series, words), whose=told),
        "; ".join(f"{one.week} {tell(one.figure.shown_value)}" for one in moments[-8:] if one.figure),
    )
    points = [_point(one, words) for one in moments]
    return {"svg": line_chart(caption, points, tell), "whose": told}


def _point(one: Moment, words: Wording) -> Point:
    broken = words.broken(one.broken) if one.broken else ""
    if one.figure is None:
        return Point(one.week, withheld=_why(one, words), broken=broken)
    found = one.figure
    return Point(one.week, found.shown_value, found.shown_low, found.shown_high, broken=broken)


def _row(one: Moment, figure: str, words: Wording) -> dict[str, str]:
    return {
        "week": one.week,
        "told": words.interval(one.figure, words.teller(figure)),
        "withheld": _why(one, words),
        "broken": words.broken(one.broken) if one.broken else "",
    }


def _why(one: Moment, words: Wording) -> str:
    """Why a week has no figure; nothing if it has one."""
    if one.figure is not None:
        return ""
    if one.state:
        return words.text(_STATES[one.state])
    return words.text(one.withheld) if one.withheld else words.text("not taken in this week")


def language_part(language: Language) -> str:
    """What a file's name ends with, by its language; nothing in English."""
    return "" if language.code == "en" else f"-{language.code}"
