"""How figures, spans and weeks are written on a page."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from headend.analytics.budget import MICRO
from headend.analytics.store import Spending, WeekState
from shared.weeks import Week

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


def why_missing(state: WeekState | None) -> str:
    """Why a week has no release, in words; nothing where it is not known, or has one."""
    return "" if state is None or state is WeekState.RELEASED else _STATES[state]


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
