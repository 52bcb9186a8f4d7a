"""A table's figures as rows, for the pages and for the report alike; its chart stands in `bars`.

One cell makes a table of its figures; a list of cells one table for each figure; two dimensions one cross
table for the panel and one for all boxes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headend.analytics.bars import BarsOf
from headend.analytics.estimates import Estimates, MeasureEstimate
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.trend import ALL_BOXES, PANEL, Arrow, Change, Trend
from headend.analytics.wording import HEADS, PARTS, Wording
from headend.kit.language import N_
from shared.register import Kind, Profile, UndeclaredError

_LISTED = 12
"""A group of more cells than this tells its withheld ones in a sentence rather than row by row."""
_CROSSED = 2
_IN_ORDER = (["shift"], ["daypart"])
"""Grids whose order says more than the size of their cells."""
_ALL_FIGURES = tuple(HEADS)
_COMPARED = {
    PANEL: N_("Change against {weeks}, panel"),
    ALL_BOXES: N_("Change against {weeks}, all boxes"),
    "": N_("Change against {weeks}, of parts the panel's, of volumes all boxes'"),
}
_CAPTIONS = {
    PANEL: N_(
        "{table}: {share_of}, panel, {weeks}. Under each share its 95% interval; a dash is withheld: too "
        "small, it cannot be told from an empty cell."
    ),
    ALL_BOXES: N_(
        "{table}: {share_of}, all boxes, {weeks}. Under each share its 95% interval; a dash is withheld: "
        "too small, it cannot be told from an empty cell."
    ),
}


@dataclass(frozen=True)
class Tables:
    """The tables of one window in one language; `figures` are those that are shown, `trends` go beside."""

    words: Wording
    found: Estimates
    trends: Sequence[Trend]
    figures: Sequence[str] = field(default=_ALL_FIGURES)

    def view(self, measure: MeasureEstimate) -> dict[str, Any]:
        """A table as page and report show it."""
        groups = [self._group(measure, group, index) for index, group in enumerate(measure.groups)]
        return self.head(measure) | {"groups": groups}

    def head(self, measure: MeasureEstimate) -> dict[str, Any]:
        """What is said of a table beside its figures."""
        words = self.words
        return {
            "name": measure.name,
            "title": words.title(measure.name),
            "summed": bool(measure.summed_from),
            "delivered": delivered(measure, words),
            "weeks": words.span(measure.weeks),
            "fewer": ""
            if measure.weeks == self.found.weeks
            else words.text("These figures are of {weeks} only.", weeks=words.span(measure.weeks)),
            "agrees": self._agrees(measure),
        }

    def _agrees(self, measure: MeasureEstimate) -> str:
        if not measure.reconciled_with:
            return ""
        names = self.words.list_of([self.words.title(name) for name in measure.reconciled_with])
        return self.words.text("Reconciled with {tables}: they agree on all that they share.", tables=names)

    def _group(self, measure: MeasureEstimate, group: GroupEstimate, index: int) -> dict[str, Any]:
        words = self.words
        by_size = measure.grid not in _IN_ORDER
        ordered = sorted(group.cells, key=self._weight, reverse=True) if by_size else group.cells
        crossed = len(measure.grid) == _CROSSED and not group.region
        return {
            "region": self.words.value(group.region) if group.region else "",
            "withheld": self.words.text(group.withheld),
            "ranking": self.words.ranking(group),
            "chart": None
            if crossed
            else BarsOf(words, measure, group.region, self._names(ordered)).chart(ordered, index),
            "small": "" if crossed else self._small(group.region, ordered),
            "tables": [] if crossed else self._tables(measure, group.region, ordered),
            "crosses": self.crosses(measure, group.cells) if crossed else [],
        }

    def _small(self, region: str, cells: list[CellEstimate]) -> str:
        """The withheld cells in a sentence, where they are too many for rows of their own."""
        withheld = [cell for cell in cells if cell.withheld]
        if len(cells) <= _LISTED or not withheld or len(withheld) == len(cells):
            return ""
        return self.words.text(
            "Withheld ({reason}): {cells}.",
            reason=self.words.text(withheld[0].withheld),
            cells=", ".join(self.words.label(cell, region) for cell in withheld),
        )

    # Tables with a row for each cell, or for each figure of the only cell.

    def _tables(
        self, measure: MeasureEstimate, region: str, cells: list[CellEstimate]
    ) -> list[dict[str, Any]]:
        names = self._names(cells)
        if len(cells) == 1 and names:
            rows = [
                self._row(self.words.text(HEADS[name]), cells[0], name, self._told(measure, region, cells[0]))
                for name in names
            ]
            return [self.table(self._caption(measure, region, ""), self.words.text("Figure"), rows, names)]
        listed = cells if len(cells) <= _LISTED else shown_of(cells)
        return [
            self.table(
                self._caption(measure, region, name),
                self.words.dimensions(measure.grid, region),
                [
                    self._row(self.words.label(cell, region), cell, name, self._told(measure, region, cell))
                    for cell in listed
                ],
                [name],
                ranked=_is_ranked_by(measure, name) and any(cell.panel for cell in shown_of(cells)),
            )
            for name in names or ["share"]
        ]

    def _names(self, cells: Sequence[CellEstimate]) -> list[str]:
        has = {name for cell in shown_of(cells) for name in (*cell.panel, *cell.all_boxes)}
        return [name for name in self.figures if name in has]

    def _caption(self, measure: MeasureEstimate, region: str, name: str) -> str:
        parts = [self.words.title(measure.name), self.words.value(region) if region else ""]
        table = ", ".join(part for part in parts if part)
        weeks = self.words.span(measure.weeks)
        if not name:
            return self.words.text("{table}, {weeks}", table=table, weeks=weeks)
        figure = self.words.text(HEADS[name]).lower()
        return self.words.text("{table}: {figure}, {weeks}", table=table, figure=figure, weeks=weeks)

    def table(
        self, caption: str, head: str, rows: list[dict[str, Any]], names: list[str], *, ranked: bool = False
    ) -> dict[str, Any]:
        """Rows of these figures as one table."""
        whose = {_compared(name) for name in names}
        message = _COMPARED[whose.pop() if len(whose) == 1 else ""]
        return {
            "caption": caption,
            "head": head,
            "ranked": ranked,
            "changes": [self.words.text(message, weeks=self.words.span(one.against)) for one in self.trends],
            "rows": rows,
        }

    def row(self, title: str, measure: MeasureEstimate, region: str, cell: CellEstimate) -> dict[str, Any]:
        """One row of shares, under a title."""
        return self._row(title, cell, "share", self._told(measure, region, cell))

    def _told(
        self, measure: MeasureEstimate, region: str, cell: CellEstimate
    ) -> Callable[[str], list[Change | None]]:
        return lambda name: [
            one.change(measure.name, region, cell.values, _compared(name)).get(name) for one in self.trends
        ]

    def _row(
        self, title: str, cell: CellEstimate, name: str, changes: Callable[[str], list[Change | None]]
    ) -> dict[str, Any]:
        tell = self.words.teller(name)
        return {
            "label": title,
            "withheld": self.words.text(cell.withheld),
            "rank": self.words.rank(cell),
            "panel": self.words.figure(cell.panel.get(name), tell),
            "all_boxes": self.words.figure(cell.all_boxes.get(name), tell),
            "changes": [self.change(one, name) for one in changes(name)],
        }

    def change(self, one: Change | None, name: str) -> dict[str, Any]:
        """A change as a cell of a table shows it."""
        if one is None:
            return {"arrow": "", "unclear": True, "value": self.words.text("not told"), "interval": ""}
        return {
            "arrow": self.words.text(one.arrow.value),
            "unclear": one.arrow is Arrow.UNCLEAR,
            "value": self.words.signed(one.value, name),
            "interval": self.words.reach(one, name),
        }

    # Two dimensions: what one tells across the other.

    def crosses(
        self,
        measure: MeasureEstimate,
        cells: Sequence[CellEstimate],
        whose: Sequence[str] = (PANEL, ALL_BOXES),
    ) -> list[dict[str, Any]]:
        """One table for the panel and one for all boxes, the first dimension down and the second across."""
        if not shown_of(cells):
            return []
        columns = list(dict.fromkeys(cell.values[1] for cell in cells))
        return [
            {
                "caption": self._cross_caption(measure, one),
                "head": self.words.dimensions(measure.grid),
                "columns": [self.words.value(column) for column in columns],
                "rows": [
                    {
                        "label": self.words.value(name),
                        "cells": [
                            self._crossed(measure, cell, one) for cell in cells if cell.values[0] == name
                        ],
                    }
                    for name in dict.fromkeys(cell.values[0] for cell in cells)
                ],
            }
            for one in whose
        ]

    def _cross_caption(self, measure: MeasureEstimate, whose: str) -> str:
        words = self.words
        caption = words.text(
            _CAPTIONS[whose],
            table=words.title(measure.name),
            share_of=words.text(measure.share_of),
            weeks=words.span(measure.weeks),
        )
        if not self.trends:
            return caption
        against = words.span(self.trends[0].against)
        arrows = words.text("Up and down against {weeks}, where that is clear.", weeks=against)
        return f"{caption} {arrows}"

    def _crossed(self, measure: MeasureEstimate, cell: CellEstimate, whose: str) -> dict[str, str]:
        one = (cell.panel if whose == PANEL else cell.all_boxes).get("share")
        if cell.withheld or one is None:
            return {"value": "", "interval": "", "change": ""}
        low, high = (self.words.points(part) for part in (one.shown_low, one.shown_high))
        return {
            "value": self.words.percent(one.shown_value),
            "interval": self.words.text("{low} to {high}", low=low, high=high),
            "change": self._moved(measure, cell, whose),
        }

    def _moved(self, measure: MeasureEstimate, cell: CellEstimate, whose: str) -> str:
        found = self.trends[0].change(measure.name, "", cell.values, whose) if self.trends else {}
        change = found.get("share")
        if change is None or change.arrow is Arrow.UNCLEAR:
            return ""
        return f"{self.words.text(change.arrow.value)} {self.words.signed(change.value, 'share')}"

    def _weight(self, cell: CellEstimate) -> float:
        """What rows are sorted by; withheld ones come last, in the grid's order."""
        if cell.withheld:
            return float("-inf")
        figures = cell.panel or cell.all_boxes
        return next((figures[name].value for name in HEADS if name in figures), float("-inf"))


def delivered(measure: MeasureEstimate, words: Wording) -> str:
    """How many of a measure's tokens came, of how many issued."""
    places = {
        "accepted": words.language.number(measure.accepted),
        "issued": words.language.number(measure.issued),
    }
    if measure.delivered is None:
        return words.text("{accepted} of {issued}", **places)
    return words.text("{accepted} of {issued} ({part})", **places, part=words.percent(measure.delivered))


def plain(measure: MeasureEstimate, taken: Profile, words: Wording) -> str:
    """What a box sends for a measure; a measure that is no longer taken has its name only."""
    source = measure.summed_from or measure.name
    try:
        said = taken.measure(source).words(words.language.code)
    except UndeclaredError:
        return ""
    if measure.summed_from:
        return words.text("Summed from {table}: {said}", table=words.title(source), said=said)
    return said[:1].upper() + said[1:]


def shown_of(cells: Sequence[CellEstimate]) -> list[CellEstimate]:
    """The cells that are not withheld."""
    return [cell for cell in cells if not cell.withheld]


def _is_ranked_by(measure: MeasureEstimate, name: str) -> bool:
    """Whether ranks are of this figure: those of a timed measure are of its minutes, not of its reach."""
    return measure.kind != Kind.TIMED or name not in {"reach", "reach-share"}


def _compared(name: str) -> str:
    """Whose changes are shown: volumes of the panel change with how many boxes report, parts do not."""
    return PANEL if name in PARTS else ALL_BOXES
