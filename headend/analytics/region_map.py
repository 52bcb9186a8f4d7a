"""One genre over all regions: the tile map and the table beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from headend.analytics.estimates import MeasureEstimate
from headend.analytics.figures import EVERYWHERE, CellEstimate
from headend.analytics.intervals import Figure
from headend.analytics.provinces import provinces, provinces_of
from headend.analytics.tables import Tables
from headend.analytics.trend import ALL_BOXES, PANEL
from headend.analytics.wording import Wording
from headend.kit.charts import Caption
from headend.kit.squares import SHADES, Legend, Square, tile_map

_ASIDE = 5
"""How many regions that are on no map stand in one row."""


@dataclass(frozen=True)
class RegionMap:
    """One genre's shares by region, for the panel or for all boxes.

    `regions` are the cells of the genre, by region, in the order of the release.
    """

    measure: MeasureEstimate
    genre: str
    whose: str
    words: Wording

    @property
    def regions(self) -> dict[str, CellEstimate]:
        """The genre's cell in each region."""
        return {
            group.region: cell
            for group in self.measure.groups
            for cell in group.cells
            if group.region != EVERYWHERE and self.genre in cell.values
        }

    def figure(self, cell: CellEstimate) -> Figure | None:
        """The share of the panel or of all boxes; nothing where it is withheld."""
        of = cell.panel if self.whose == PANEL else cell.all_boxes
        return None if cell.withheld else of.get("share")

    def svg(self) -> Markup:
        """The map; regions that are no provinces stand in rows of their own."""
        shades = self._shades()
        on_map = {region: provinces_of(region) for region in self.regions}
        countries = {one.country for found in on_map.values() for one in found}
        taken = {one.code: region for region, found in on_map.items() for one in found}
        squares = [
            self._square((one.column, one.row, one.short), taken.get(one.code, ""), one.names[0], shades)
            for one in provinces()
            if one.country in countries
        ]
        squares = _moved(squares)
        others = [region for region, found in on_map.items() if not found]
        aside = [
            self._square((at % _ASIDE, at // _ASIDE, region), region, region, shades)
            for at, region in enumerate(others)
        ]
        return tile_map(self._caption(), squares, aside, self._legend(shades))

    def _caption(self) -> Caption:
        words = self.words
        whose = words.text("reporting boxes") if self.whose == PANEL else words.text("all boxes, estimated")
        told = "; ".join(f"{region} {said}" for region, said in self._said())
        title = words.text("{genre} by region, {whose}", genre=words.value(self.genre), whose=whose)
        return Caption("map", title, told)

    def _said(self) -> Iterator[tuple[str, str]]:
        for region, cell in self.regions.items():
            one = self.figure(cell)
            yield region, self.words.percent(one.shown_value) if one else self.words.text("withheld")

    def _shades(self) -> list[float]:
        """The highest share of each shade, lightest first; nothing where nothing is shown."""
        values = [one.shown_value for one in map(self.figure, self.regions.values()) if one]
        if not values:
            return []
        low, high = min(values), max(values)
        return [low + (high - low) * at / SHADES for at in range(1, SHADES + 1)]

    def _legend(self, shades: list[float]) -> Legend:
        words = self.words
        return Legend(
            [words.text("to {share}", share=words.percent(top)) for top in shades],
            words.text("withheld"),
            words.text("Regions that are no single province"),
        )

    def _square(self, place: tuple[int, int, str], region: str, title: str, shades: list[float]) -> Square:
        column, row, label = place
        cell = self.regions.get(region)
        if cell is None:
            return Square(column, row, label, title)
        one = self.figure(cell)
        if one is None:
            withheld = self.words.text("withheld: {reason}", reason=self.words.text(cell.withheld))
            return Square(column, row, label, region, self.words.text("withheld"), withheld=withheld)
        shade = next((at for at, top in enumerate(shades, 1) if one.shown_value <= top), SHADES)
        low, high = (self.words.points(part) for part in (one.shown_low, one.shown_high))
        note = self.words.text("{low} to {high}", low=low, high=high)
        told = self.words.percent(one.shown_value)
        return Square(column, row, label, region, told, note, shade)

    def table(self, tables: Tables) -> dict[str, Any]:
        """The same with intervals, panel and all boxes side by side, and all regions together."""
        rows = [
            tables.row(self.words.value(group.region), self.measure, group.region, cell)
            for group in self.measure.groups
            for cell in group.cells
            if self.genre in cell.values
        ]
        caption = self.words.text(
            "{genre}: share in each region, {weeks}",
            genre=self.words.value(self.genre),
            weeks=self.words.span(self.measure.weeks),
        )
        return tables.table(caption, self.words.text("Region"), rows, ["share"])


def whose_of(args: Mapping[str, str]) -> str:
    """Whose figures a query asks for: the panel's, if it does not say all boxes'."""
    return ALL_BOXES if args.get("of") == "all" else PANEL


def genres_of(measure: MeasureEstimate) -> list[str]:
    """The genres that a measure by region tells of."""
    place = measure.grid.index("genre")
    return list(dict.fromkeys(cell.values[place] for group in measure.groups[:1] for cell in group.cells))


def _moved(squares: Sequence[Square]) -> list[Square]:
    """The squares moved up and left as far as there is room: of one country, the other's is left out."""
    left = min((square.column for square in squares), default=0)
    up = min((square.row for square in squares), default=0)
    return [replace(square, column=square.column - left, row=square.row - up) for square in squares]


def all_cells(measure: MeasureEstimate) -> Sequence[CellEstimate]:
    """The cells of all regions, for one table across."""
    return [cell for group in measure.groups if group.region != EVERYWHERE for cell in group.cells]
