"""Tables that follow from a measure by summing its cells: time shift, daypart, and what is not viewed live.

They cost nothing, and they agree with the measure that they are summed from.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from headend.analytics.figures import (
    NOBODY,
    UNCERTAIN,
    CellEstimate,
    GroupEstimate,
    Merged,
    Window,
    between_boxes,
    is_ordered,
    is_uncertain,
    share_group,
    tiers_of,
    withheld_why,
)
from headend.analytics.intervals import difference, share
from headend.analytics.published import NoisyMeasure
from headend.analytics.ranking import ranks
from headend.kit.language import N_
from shared.genres import SHIFT_LIVE
from shared.register import Kind

GENRE, SHIFT = "genre", "shift"
MARGINS = (SHIFT, "daypart")
NOT_LIVE, NOT_LIVE_BY_GENRE = "not-live", "not-live-by-genre"
SHARE_IN_BOXES = N_("mean of reporting boxes' own shares of viewing minutes")
SHARE_NOT_LIVE = N_("part of viewing that is not live, as a mean over reporting boxes' own minutes")
SHARE_NOT_LIVE_BY_GENRE = N_("part of each genre's viewing that is not live")


def tables_of(measure: NoisyMeasure) -> list[str]:
    """The names of the tables that a measure gives: its own, and those that follow from it."""
    if measure.kind != Kind.ONE_MINUTE or is_ordered(measure) or len(measure.grid) == 1:
        return [measure.name]
    found = [measure.name, *(name for name in MARGINS if name in measure.grid)]
    if SHIFT in measure.grid:
        found.append(NOT_LIVE)
    if {SHIFT, GENRE} <= set(measure.grid):
        found.append(NOT_LIVE_BY_GENRE)
    return found


class Marginal(NamedTuple):
    """One table that follows from a measure."""

    name: str
    grid: list[str]
    share_of: str
    groups: list[GroupEstimate]


def marginals_of(window: Window, only: str = "") -> Iterator[Marginal]:
    """The tables that follow from one measure over a window, if it has any; just `only`, if that is said."""
    for name in tables_of(window.measure)[1:]:
        if only in {"", name}:
            yield _marginal(window, name)


def _marginal(window: Window, name: str) -> Marginal:
    match name:
        case "not-live":
            return Marginal(name, [], SHARE_NOT_LIVE, [_not_live(window, {"": []})])
        case "not-live-by-genre":
            by_genre = {value: [value] for value in _by_value(window, GENRE)}
            return Marginal(name, [GENRE], SHARE_NOT_LIVE_BY_GENRE, [_not_live(window, by_genre)])
        case _:
            return Marginal(name, [name], SHARE_IN_BOXES, [_margin(window, name)])


def _by_value(window: Window, name: str) -> dict[str, list[int]]:
    place = window.measure.grid.index(name)
    found: dict[str, list[int]] = {}
    for index, values in enumerate(window.measure.cells):
        found.setdefault(values[place], []).append(index)
    return found


def _margin(window: Window, name: str) -> GroupEstimate:
    merged: list[Merged] = [([value], indexes) for value, indexes in _by_value(window, name).items()]
    if not window.accepted:
        return _nothing([values for values, _ in merged])
    return share_group(window, "", merged)


def _not_live(window: Window, parts: dict[str, list[str]]) -> GroupEstimate:
    """What is not live in all of viewing, or within each genre; each part is a whole of its own."""
    if not window.accepted:
        return _nothing(list(parts.values()))
    cells = [_part(window, name, values) for name, values in parts.items()]
    # Parts of different wholes: their figures are compared, not their sums.
    figures = [cell.panel.get("share") for cell in cells]
    above = {
        (one, other)
        for one, first in enumerate(figures)
        for other, second in enumerate(figures)
        if first and second and difference(first, second)[0] > 0
    }
    ranked = [
        msgspec.structs.replace(cell, rank_low=low, rank_high=high)
        for cell, (low, high) in zip(cells, ranks(above, len(cells)), strict=True)
    ]
    values = [one.value if one else 0.0 for one in figures]
    return GroupEstimate("", "", ranked, tiers_of(ranked, values, above))


def _part(window: Window, genre: str, values: list[str]) -> CellEstimate:
    inside = set(_by_value(window, GENRE)[genre]) if genre else set(range(len(window.measure.cells)))
    live = set(_by_value(window, SHIFT).get(SHIFT_LIVE, []))
    sums = window.sums([sorted(inside - live), sorted(inside & live)])
    if uncertain := is_uncertain(sums):
        return CellEstimate(values, UNCERTAIN, 1, 1, {}, {})
    panel = {"share": share(sums, 0)}
    everyone = {"share": share(sums, 0, between_boxes(window, "", sum(sums.values)))}
    return CellEstimate(values, withheld_why(sums, 0, uncertain=uncertain), 1, 1, panel, everyone)


def _nothing(cells: list[list[str]]) -> GroupEstimate:
    return GroupEstimate("", NOBODY, [CellEstimate(values, NOBODY, 1, 1, {}, {}) for values in cells])
