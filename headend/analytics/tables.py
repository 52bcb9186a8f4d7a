"""A measure's figures as tables and a chart, for the page and for the report alike.

One cell makes a table of its figures; a list of cells one table for each figure; two dimensions one cross
table for the panel and one for all boxes.
"""

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from headend.analytics.estimates import Estimates, MeasureEstimate
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.trend import ALL_BOXES, PANEL, Arrow, CellTrend, Change, Trend
from headend.analytics.views import number, percent, span
from headend.kit.charts import Bar, bar_chart
from shared.register import REGION, Kind, Profile, UndeclaredError

TITLES = {
    "genre": "Genres",
    "genre-detail": "Genres in detail",
    "viewing": "Viewing time",
    "ordered-genre": "Ordered genres",
    "genre-reach": "Reach of genres",
    "genre-shift": "Genres by time shift",
    "genre-daypart": "Genres by daypart",
    "genre-region": "Genres by region",
    "genre-minutes": "Minutes by genre",
    "shift": "Time shift",
    "daypart": "Dayparts",
    "not-live": "Viewing that is not live",
    "not-live-by-genre": "Viewing that is not live, by genre",
}
HEADS = {
    "share": "Share",
    "minutes": "Minutes",
    "audience": "Average audience, in boxes",
    "reach": "Reach, in boxes a week",
    "reach-share": "Reach, as a part of boxes",
    "box-weeks": "Boxes that ordered, one draw each",
}
PARTS = frozenset({"share", "reach-share"})
_CHARTED = ("share", "reach-share")
_FEWEST_BARS, _MOST_BARS = 2, 18
_LISTED = 12
"""A group of more cells than this tells its withheld ones in a sentence rather than row by row."""
_CROSSED = 2
_IN_ORDER = (["shift"], ["daypart"])
"""Grids whose order says more than the size of their cells."""
_POINTS = 100

Tell = Callable[[float], str]


def measure_view(measure: MeasureEstimate, found: Estimates, trends: Sequence[Trend]) -> dict[str, Any]:
    """A measure as page and report show it."""
    delivered = f"{measure.accepted:,} of {measure.issued:,}"
    if measure.delivered is not None:
        delivered += f" ({percent(measure.delivered)})"
    return {
        "name": measure.name,
        "title": TITLES.get(measure.name, measure.name),
        "summed": bool(measure.summed_from),
        "delivered": delivered,
        "share_of": measure.share_of,
        "weeks": span(measure.weeks),
        "fewer": "" if measure.weeks == found.weeks else f"These figures are of {span(measure.weeks)} only.",
        "agrees": _agrees(measure),
        "groups": [_group_view(measure, group, index, trends) for index, group in enumerate(measure.groups)],
    }


def plain(measure: MeasureEstimate, taken: Profile) -> str:
    """What a box sends for a measure; a measure that is no longer taken has its name only."""
    try:
        said = taken.measure(measure.summed_from or measure.name).plain
    except UndeclaredError:
        return ""
    return f"Summed from {measure.summed_from}: {said}" if measure.summed_from else said.capitalize()


def _agrees(measure: MeasureEstimate) -> str:
    if not measure.reconciled_with:
        return ""
    return f"Reconciled with {', '.join(measure.reconciled_with)}: they agree on all that they share."


def _group_view(
    measure: MeasureEstimate, group: GroupEstimate, index: int, trends: Sequence[Trend]
) -> dict[str, Any]:
    by_size = measure.grid not in _IN_ORDER
    ordered = sorted(group.cells, key=_weight, reverse=True) if by_size else group.cells
    crossed = len(measure.grid) == _CROSSED and not group.region
    return {
        "region": group.region,
        "withheld": group.withheld,
        "ranking": group.ranking,
        "chart": None if crossed else _chart(measure, group.region, ordered, f"{measure.name}-{index}"),
        "small": "" if crossed else _small(group.region, ordered),
        "tables": [] if crossed else _tables(measure, group.region, ordered, trends),
        "crosses": _crosses(measure, group, trends) if crossed else [],
    }


def _small(region: str, cells: list[CellEstimate]) -> str:
    """The withheld cells in a sentence, where they are too many for rows of their own."""
    withheld = [cell for cell in cells if cell.withheld]
    if len(cells) <= _LISTED or not withheld or len(withheld) == len(cells):
        return ""
    return f"Withheld ({withheld[0].withheld}): {', '.join(label(cell, region) for cell in withheld)}."


# Tables with a row for each cell, or for each figure of the only cell.


def _tables(
    measure: MeasureEstimate, region: str, cells: list[CellEstimate], trends: Sequence[Trend]
) -> list[dict[str, Any]]:
    names = [name for name in HEADS if any(name in cell.panel | cell.all_boxes for cell in _shown(cells))]
    if len(cells) == 1 and names:
        rows = [_row(HEADS[name], cells[0], name, _told(measure, region, cells[0], trends)) for name in names]
        return [_table("", "figure", rows, names, trends)]
    listed = cells if len(cells) <= _LISTED else _shown(cells)
    return [
        _table(
            HEADS[name],
            _head(measure, region),
            [_row(label(cell, region), cell, name, _told(measure, region, cell, trends)) for cell in listed],
            [name],
            trends,
            ranked=_is_ranked_by(measure, name) and any(cell.panel for cell in _shown(cells)),
        )
        for name in names or ["share"]
    ]


def _is_ranked_by(measure: MeasureEstimate, name: str) -> bool:
    """Whether ranks are of this figure: those of a timed measure are of its minutes, not of its reach."""
    return measure.kind != Kind.TIMED or name not in {"reach", "reach-share"}


def _head(measure: MeasureEstimate, region: str) -> str:
    return " / ".join(name for name in measure.grid if not region or name != REGION)


def _table(
    figure: str,
    head: str,
    rows: list[dict[str, Any]],
    names: list[str],
    trends: Sequence[Trend],
    *,
    ranked: bool = False,
) -> dict[str, Any]:
    whose = {_compared(name) for name in names}
    return {
        "figure": figure,
        "head": head,
        "ranked": ranked,
        "changes": [f"Change against {span(one.against)}, {' and '.join(sorted(whose))}" for one in trends],
        "rows": rows,
    }


def _told(
    measure: MeasureEstimate, region: str, cell: CellEstimate, trends: Sequence[Trend]
) -> Callable[[str], list[Change | None]]:
    return lambda name: [
        one.change(measure.name, region, cell.values, _compared(name)).get(name) for one in trends
    ]


def _compared(name: str) -> str:
    """Whose changes are shown: volumes of the panel change with how many boxes report, parts do not."""
    return PANEL if name in PARTS else ALL_BOXES


def _row(
    title: str, cell: CellEstimate, name: str, changes: Callable[[str], list[Change | None]]
) -> dict[str, Any]:
    tell = teller(name)
    return {
        "label": title,
        "withheld": cell.withheld,
        "rank": rank(cell),
        "panel": with_interval(cell.panel.get(name), tell),
        "all_boxes": with_interval(cell.all_boxes.get(name), tell),
        "changes": [_change(one, name) for one in changes(name)],
    }


def _change(one: Change | None, name: str) -> dict[str, Any]:
    if one is None:
        return {"arrow": "", "unclear": False, "text": "not told"}
    interval = f"{_signed(one.value, name)} ({_signed(one.low, name)} to {_signed(one.high, name)})"
    return {"arrow": one.arrow.value, "unclear": one.arrow is Arrow.UNCLEAR, "text": interval}


def _signed(value: float, name: str) -> str:
    if name in PARTS:
        return f"{round(_POINTS * value, 1) + 0.0:+.1f} pt"  # + 0.0: there is no minus zero
    return f"{round(value) + 0:+,d}"


# Two dimensions: what one tells across the other.


def _crosses(measure: MeasureEstimate, group: GroupEstimate, trends: Sequence[Trend]) -> list[dict[str, Any]]:
    shown = _shown(group.cells)
    if not shown:
        return []
    columns = list(dict.fromkeys(cell.values[1] for cell in group.cells))
    return [
        {
            "whose": whose,
            "head": " / ".join(measure.grid),
            "columns": columns,
            "rows": [
                {
                    "label": name,
                    "cells": [
                        _crossed(measure, cell, whose, trends)
                        for cell in group.cells
                        if cell.values[0] == name
                    ],
                }
                for name in dict.fromkeys(cell.values[0] for cell in group.cells)
            ],
        }
        for whose in (PANEL, ALL_BOXES)
    ]


def _crossed(
    measure: MeasureEstimate, cell: CellEstimate, whose: str, trends: Sequence[Trend]
) -> dict[str, str]:
    one = (cell.panel if whose == PANEL else cell.all_boxes).get("share")
    if cell.withheld or one is None:
        return {"value": "", "interval": "", "change": ""}
    change = trends[0].change(measure.name, "", cell.values, whose).get("share") if trends else None
    moved = change is not None and change.arrow is not Arrow.UNCLEAR
    return {
        "value": percent(one.shown_value),
        "interval": f"{_POINTS * one.shown_low:.1f} to {_POINTS * one.shown_high:.1f}",
        "change": f"{change.arrow.value} {_signed(change.value, 'share')}" if change and moved else "",
    }


# Words and charts.


def teller(name: str) -> Tell:
    """How the values of a figure are written."""
    return percent if name in PARTS else number


def with_interval(one: Figure | None, tell: Tell) -> str:
    """A value as shown with its interval; nothing where there is none."""
    return f"{tell(one.shown_value)} ({tell(one.shown_low)} to {tell(one.shown_high)})" if one else ""


def rank(cell: CellEstimate) -> str:
    """A rank, or the ranks between which a tie leaves it open."""
    if cell.rank_low == cell.rank_high:
        return str(cell.rank_low)
    return f"{cell.rank_low} to {cell.rank_high} (tie)"


def label(cell: CellEstimate | CellTrend, region: str = "") -> str:
    """A cell's values as one name, without the region where that stands above the table."""
    return " / ".join(value for value in cell.values if value != region) or "all viewing"


def _shown(cells: Sequence[CellEstimate]) -> list[CellEstimate]:
    return [cell for cell in cells if not cell.withheld]


def _weight(cell: CellEstimate) -> float:
    """What rows are sorted by; withheld ones come last, in the grid's order."""
    if cell.withheld:
        return float("-inf")
    figures = cell.panel or cell.all_boxes
    return next((figures[name].value for name in HEADS if name in figures), float("-inf"))


def _chart(
    measure: MeasureEstimate, region: str, cells: list[CellEstimate], name: str
) -> dict[str, Any] | None:
    bars = [bar for bar in (_bar(cell, region) for cell in cells) if bar is not None]
    bars = bars if len(bars) <= _MOST_BARS else [bar for bar in bars if not bar.withheld][:_MOST_BARS]
    if sum(not bar.withheld for bar in bars) < _FEWEST_BARS:
        return None
    whose = "reporting boxes" if any(cell.panel for cell in cells) else "all boxes, estimated"
    told = "; ".join(
        f"{bar.label} withheld" if bar.withheld else f"{bar.label} {percent(bar.value)}" for bar in bars
    )
    svg: Markup = bar_chart(name, f"{TITLES.get(measure.name, measure.name)}, {whose}", told, bars, percent)
    first = "" if len(bars) == len(cells) else f"the first {len(bars)}; "
    kind = HEADS["reach-share"] if measure.kind == "untimed" else measure.share_of.capitalize()
    return {"svg": svg, "caption": f"{kind}; {whose}; {first}whiskers are 95 % intervals"}


def _bar(cell: CellEstimate, region: str) -> Bar | None:
    if cell.withheld:
        return Bar(label(cell, region), withheld=cell.withheld)
    figures = cell.panel or cell.all_boxes
    one = next((figures[name] for name in _CHARTED if name in figures), None)
    return Bar(label(cell, region), one.shown_value, one.shown_low, one.shown_high) if one else None
