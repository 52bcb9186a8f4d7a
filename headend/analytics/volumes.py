"""Volumes and reach: the figures of timed and untimed measures, for the panel and for all boxes."""

import math
from collections.abc import Callable

from headend.analytics.figures import (
    CellEstimate,
    GroupEstimate,
    Window,
    is_uncertain,
    tiers_of,
    withheld_why,
)
from headend.analytics.intervals import Figure, PlainSums, Sums, Z, around, least_shown, share, told_apart
from headend.analytics.ranking import ranks
from shared.register import SIXTEENTHS

WEEK_MINUTES = 7 * 24 * 60
_Figures = tuple[dict[str, Figure], dict[str, Figure]]


def timed(window: Window) -> GroupEstimate:
    """The figures of a timed measure: minutes, audience and reach of each cell, and shares of all minutes."""
    sums = PlainSums(window.amounts, window.noise + _rounding(window), 0.0)
    has_shares = len(sums.values) > 1 and not is_uncertain(sums)
    return _group(window, sums, lambda index: _timed_figures(window, sums, index, has_shares=has_shares))


def untimed(window: Window) -> GroupEstimate:
    """The figures of an untimed measure: reach."""
    sums = PlainSums(window.amounts, window.noise, 0.0)
    return _group(window, sums, lambda index: _reached(window, sums, index))


def _group(window: Window, sums: Sums, figures: Callable[[int], _Figures]) -> GroupEstimate:
    above = told_apart(sums)
    places = ranks(above, len(sums.values))
    cells = [
        CellEstimate(
            values,
            withheld_why(sums, index, uncertain=False),
            *places[index],
            *figures(index),
        )
        for index, values in enumerate(window.measure.cells)
    ]
    return GroupEstimate("", "", cells, tiers_of(cells, sums.values, above))


def _rounding(window: Window) -> float:
    """A bound on the variance of rounding to sixteenths: a quarter for each box that reached the cell."""
    reached = [
        (amount + rest) / SIXTEENTHS for amount, rest in zip(window.amounts, window.rests, strict=True)
    ]
    return max(0.0, *reached, 0.0) / 4


def _timed_figures(window: Window, sums: PlainSums, index: int, *, has_shares: bool) -> _Figures:
    reached = (window.amounts[index] + window.rests[index]) / SIXTEENTHS
    panel, everyone = _reach(window, reached, 2 * window.noise / SIXTEENTHS**2)
    minutes, estimated = _minutes(window, sums, index)
    panel["minutes"], everyone["minutes"] = minutes, estimated
    per_minute = 1 / (WEEK_MINUTES * window.weeks)
    panel["audience"], everyone["audience"] = minutes.times(per_minute), estimated.times(per_minute)
    if has_shares:
        panel["share"] = share(sums, index)
        everyone["share"] = _share_of_all(window, sums, index)
    return panel, everyone


def _minutes(window: Window, sums: PlainSums, index: int) -> tuple[Figure, Figure]:
    """Minutes over the window; for all boxes with the bound mean (V - mean) on what differs between boxes."""
    volume = window.measure.volume_minutes
    unit = volume / SIXTEENTHS
    least = unit * least_shown(sums, index)
    minutes = around(unit * window.amounts[index], unit**2 * sums.noise).reaching(least)
    mean = min(float(volume), max(0.0, minutes.value / window.box_weeks))
    sampled = mean * (volume - mean) * window.missing() * window.weeks / window.box_weeks
    variance = unit**2 * sums.noise / window.box_weeks**2 + sampled
    mean_of_all = around(minutes.value / window.box_weeks, variance).reaching(least / window.box_weeks)
    everyone = mean_of_all.for_all(window.all_boxes, window.rounding).times(window.weeks)
    return minutes, everyone


def _reached(window: Window, sums: PlainSums, index: int) -> _Figures:
    return _reach(window, window.amounts[index], window.noise, least_shown(sums, index))


def _reach(window: Window, reached: float, noise: float, least: float = math.inf) -> _Figures:
    """Boxes reached in an average week, and their part of all that reported; `least` as in `least_shown`."""
    trials = window.box_weeks
    part = min(1.0, max(0.0, reached / trials))
    sampled = part * (1 - part) * window.missing() * window.weeks / trials
    panel = around(reached / trials, noise / trials**2, 1.0).reaching(least / trials, 1.0)
    everyone = around(reached / trials, noise / trials**2 + sampled, 1.0).reaching(least / trials, 1.0)
    return (
        {"reach": panel.times(trials / window.weeks), "reach-share": panel},
        {"reach": everyone.for_all(window.all_boxes, window.rounding), "reach-share": everyone},
    )


def _share_of_all(window: Window, sums: PlainSums, index: int) -> Figure:
    """The share of all boxes' minutes; what differs between boxes is bounded for the cell and its rest."""
    volume, panel = window.measure.volume_minutes, share(sums, index)
    unit = volume / SIXTEENTHS / window.box_weeks
    part = min(1.0, max(0.0, panel.value))
    whole = sum(sums.values)
    cell = _bound(unit * sums.values[index], volume)
    others = _bound(unit * (whole - sums.values[index]), min(WEEK_MINUTES, volume * len(sums.values)))
    spread = ((1 - part) * cell + part * others) / (unit * whole)
    variance = spread**2 * window.missing() * window.weeks / window.box_weeks
    return around(panel.value, (panel.half_width / Z) ** 2 + variance, 1.0)


def _bound(mean: float, most: float) -> float:
    """The largest standard deviation that a value between 0 and `most` with that mean can have."""
    inside = min(most, max(0.0, mean))
    return float((inside * (most - inside)) ** 0.5)
