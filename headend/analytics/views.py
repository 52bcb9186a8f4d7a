"""How figures are written on a page: words for measures, values with intervals, charts."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from headend.analytics.budget import MICRO
from headend.analytics.estimates import MeasureEstimate
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.store import Spending, WeekState
from headend.kit.charts import Bar, bar_chart
from shared.register import Profile
from shared.weeks import Week

_TITLES = {
    "genre": "Genres",
    "viewing": "Viewing time",
    "ordered-genre": "Ordered genres",
    "genre-reach": "Reach of genres",
    "genre-shift": "Genres by time shift",
    "genre-daypart": "Genres by daypart",
    "genre-region": "Genres by region",
    "genre-minutes": "Minutes by genre",
}
_HEADS = {
    "share": "share",
    "minutes": "minutes",
    "audience": "average audience (boxes)",
    "reach": "reach (boxes a week)",
    "reach-share": "reach (part of boxes)",
    "box-weeks": "boxes that ordered (one draw each)",
}
_PARTS = frozenset({"share", "reach-share"})
_CHARTED = ("share", "reach-share")
_FEWEST_BARS = 2
_FRACTIONS_BELOW = 10
_STATES = {
    WeekState.OPEN: "open",
    WeekState.RELEASED: "released",
    WeekState.BELOW_FLOOR: "not released: too few accounts took part",
    WeekState.OVER_BUDGET: "not released: the budget does not cover it",
    WeekState.DRAWN_BEFORE: "drawn before the database was restored; never drawn again",
    WeekState.NO_DIRECTORY: "no directory was published, so nothing was counted",
}
_PAGES = Environment(
    loader=PackageLoader("headend.analytics"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: object) -> str:
    """A template of this side with values, everything escaped."""
    return _PAGES.get_template(template).render(**values)


def span(weeks: list[str]) -> str:
    """The weeks of a window in words."""
    return weeks[0] if len(weeks) == 1 else f"{weeks[0]} to {weeks[-1]}"


def number(value: float) -> str:
    """A number for a person: whole with thousands, small ones with a decimal."""
    return f"{value:.1f}" if value < _FRACTIONS_BELOW else f"{value:,.0f}"


def percent(value: float) -> str:
    """A part of one in percent."""
    return f"{100 * value:.1f} %"


def with_interval(one: Figure, tell: Callable[[float], str]) -> str:
    """A value as shown with its interval."""
    return f"{tell(one.shown_value)} ({tell(one.shown_low)} to {tell(one.shown_high)})"


def rank(cell: CellEstimate) -> str:
    """A rank, or the ranks between which a tie leaves it open."""
    if cell.rank_low == cell.rank_high:
        return str(cell.rank_low)
    return f"{cell.rank_low} to {cell.rank_high} (tie)"


def measure_view(measure: MeasureEstimate, taken: Profile) -> dict[str, Any]:
    """A measure as the page shows it."""
    delivered = f"{measure.accepted:,} of {measure.issued:,}"
    if measure.delivered is not None:
        delivered += f" ({percent(measure.delivered)})"
    return {
        "name": measure.name,
        "title": _TITLES.get(measure.name, measure.name),
        "plain": taken.measure(measure.name).plain.capitalize(),
        "delivered": delivered,
        "cells_are": " / ".join(measure.grid) or "all viewing",
        "groups": [_group_view(measure, group, index) for index, group in enumerate(measure.groups)],
    }


def _group_view(measure: MeasureEstimate, group: GroupEstimate, index: int) -> dict[str, Any]:
    shown = [cell for cell in group.cells if not cell.withheld]
    columns = [(name, "panel") for name in _names([cell.panel for cell in shown])]
    columns += [(name, "all boxes") for name in _names([cell.all_boxes for cell in shown])]
    ordered = sorted(group.cells, key=_weight, reverse=True)
    return {
        "region": group.region,
        "withheld": group.withheld,
        "ranked": len(group.cells) > 1 and any(cell.panel for cell in shown),
        "heads": [f"{_HEADS[name]}, {whose}" for name, whose in columns],
        "rows": [_row(cell, columns) for cell in ordered],
        "chart": _chart(measure, ordered, f"{measure.name}-{index}"),
        "caption": f"{measure.share_of}; bars with 95 % intervals",
    }


def _names(figures: list[dict[str, Figure]]) -> list[str]:
    return [name for name in _HEADS if any(name in one for one in figures)]


def _row(cell: CellEstimate, columns: list[tuple[str, str]]) -> dict[str, Any]:
    figures = {"panel": cell.panel, "all boxes": cell.all_boxes}
    texts = []
    for name, whose in columns:
        one = figures[whose].get(name)
        texts.append(with_interval(one, percent if name in _PARTS else number) if one else "")
    return {"label": _label(cell), "withheld": cell.withheld, "rank": rank(cell), "figures": texts}


def _label(cell: CellEstimate) -> str:
    return " / ".join(cell.values) or "all viewing"


def _charted(cell: CellEstimate) -> Figure | None:
    figures = cell.panel or cell.all_boxes
    return next((figures[name] for name in _CHARTED if name in figures), None)


def _weight(cell: CellEstimate) -> float:
    """What rows are sorted by; withheld ones come last, in the grid's order."""
    if cell.withheld:
        return float("-inf")
    figures = cell.panel or cell.all_boxes
    return next((figures[name].value for name in _HEADS if name in figures), float("-inf"))


def _chart(measure: MeasureEstimate, cells: list[CellEstimate], name: str) -> Markup | None:
    bars = [bar for bar in map(_bar, cells) if bar is not None]
    if sum(not bar.withheld for bar in bars) < _FEWEST_BARS:
        return None
    whose = "reporting boxes" if any(cell.panel for cell in cells) else "all boxes, estimated"
    told = "; ".join(
        f"{bar.label} withheld" if bar.withheld else f"{bar.label} {percent(bar.value)}" for bar in bars
    )
    return bar_chart(name, f"{_TITLES.get(measure.name, measure.name)}, {whose}", told, bars, percent)


def _bar(cell: CellEstimate) -> Bar | None:
    if cell.withheld:
        return Bar(_label(cell), withheld=cell.withheld)
    one = _charted(cell)
    return Bar(_label(cell), one.shown_value, one.shown_low, one.shown_high) if one else None


def week_views(states: dict[Week, WeekState], spendings: list[Spending]) -> list[dict[str, Any]]:
    """The weeks as the page of releases shows them, newest first."""
    return [
        {
            "name": str(week),
            "state": _STATES[state],
            "released": state is WeekState.RELEASED,
            "rho": f"{sum(one.rho_micro for one in spendings if one.week == week) / MICRO:.4f}",
        }
        for week, state in reversed(states.items())
    ]
