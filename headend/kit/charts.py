"""Charts as SVG drawn on the server: no scripts, the page's colours, read aloud by title and text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 760
_LABEL = 190
_VALUE = 120
_PLOT = WIDTH - _LABEL - _VALUE
_ROW = 28
_BAR = 14
_CAP = 5
_MARGIN = 8
_NICE = (1, 2, 2.5, 4, 5, 10)


@dataclass(frozen=True)
class Bar:
    """One bar with its interval's whiskers; `withheld` instead of a value where nothing is shown."""

    label: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    withheld: str = ""


def bar_chart(
    name: str, title: str, description: str, bars: Sequence[Bar], tell: Callable[[float], str]
) -> Markup:
    """Horizontal bars from zero, each with the interval as whiskers and the value in words.

    Args:
        name: A word that is unique on the page; ids are made from it.
        title: What the chart is.
        description: The same figures in a sentence, for whoever cannot see it.
        bars: From top to bottom; values, lows and highs are not negative.
        tell: A value in words, such as "28.4 %".
    """
    top = _ceiling(max((bar.high for bar in bars if not bar.withheld), default=0.0))
    height = _ROW * len(bars) + 2 * _MARGIN + _ROW
    rows = Markup().join(_row(bar, index, top, tell) for index, bar in enumerate(bars))
    head = Markup(
        '<svg class="chart" xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {} {}" width="100%" '
        'aria-labelledby="{}-title {}-desc" font-size="13" fill="currentColor" stroke="none">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>'
    ).format(WIDTH, height, name, name, name, title, name, description)
    return head + _axis(top, height, tell) + rows + Markup("</svg>")


def _ceiling(highest: float) -> float:
    """The smallest round number that is not below `highest`; 1 where there is nothing."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(highest))) - 1) if highest >= 1 else 1.0
    while power > highest:
        power /= 10
    return next(power * step for step in _NICE if power * step >= highest)


def _axis(top: float, height: int, tell: Callable[[float], str]) -> Markup:
    line = Markup(
        '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" stroke="currentColor" '
        'stroke-opacity="0.2"/><text class="tick" x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
    )
    bottom = height - _ROW
    return Markup().join(
        line.format(_LABEL + _PLOT * part, _MARGIN, bottom, bottom + 18, tell(top * part))
        for part in (0, 0.5, 1)
    )


def _row(bar: Bar, index: int, top: float, tell: Callable[[float], str]) -> Markup:
    middle = _MARGIN + index * _ROW + _ROW / 2
    label = Markup('<text class="label" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
        _LABEL - 8, middle + 4, bar.label
    )
    if bar.withheld:
        return label + Markup(
            '<text class="withheld" x="{}" y="{:.1f}" font-style="italic">withheld</text>'
        ).format(_LABEL + 6, middle + 4)
    return (
        label
        + _body(bar, middle, top)
        + Markup('<text class="value" x="{}" y="{:.1f}">{}</text>').format(
            _LABEL + _PLOT + 10, middle + 4, tell(bar.value)
        )
    )


def _body(bar: Bar, middle: float, top: float) -> Markup:
    value, low, high = (_LABEL + _PLOT * min(1.0, at / top) for at in (bar.value, bar.low, bar.high))
    return Markup(
        '<rect class="bar" x="{0}" y="{1:.1f}" width="{2:.1f}" height="{3}" fill-opacity="0.35">'
        "<title>{4}</title></rect>"
        '<path class="whisker" d="M{5:.1f} {7:.1f}H{6:.1f}M{5:.1f} {8:.1f}V{9:.1f}M{6:.1f} {8:.1f}V{9:.1f}" '
        'fill="none" stroke="currentColor" stroke-width="1.5"/>'
    ).format(
        _LABEL,
        middle - _BAR / 2,
        value - _LABEL,
        _BAR,
        escape(bar.label),
        low,
        high,
        middle,
        middle - _CAP,
        middle + _CAP,
    )
