"""Charts as SVG drawn on the server: no scripts, the page's colours, read aloud by title and text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

WIDTH = 760
_LABEL = 190
_VALUE = 120
_LETTER = 6.9
_WIDEST_LABEL = 300
_ROW = 28
_BAR = 14
_CAP = 5
_MARGIN = 8
_NICE = (1, 2, 2.5, 4, 5, 8, 10)


@dataclass(frozen=True)
class Bar:
    """One bar with its interval's whiskers; `withheld` instead of a value where nothing is shown."""

    label: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    withheld: str = ""


@dataclass(frozen=True)
class Caption:
    """What a chart is called on its page, and what it says to whoever cannot see it.

    `name` is a word that is unique on the page, of which ids are made; `description` tells the same figures
    in words.
    """

    name: str
    title: str
    description: str


def bar_chart(
    name: str,
    title: str,
    description: str,
    bars: Sequence[Bar],
    tell: Callable[[float], str],
    withheld: str = "withheld",
) -> Markup:
    """Horizontal bars from zero, each with the interval as whiskers and the value in words.

    Args:
        name: A word that is unique on the page; ids are made from it.
        title: What the chart is.
        description: The same figures in a sentence, for whoever cannot see it.
        bars: From top to bottom; values, lows and highs are not negative.
        tell: A value in words, such as "28.4 %".
        withheld: What stands in place of a bar that is not shown.
    """
    top = ceiling(max((bar.high for bar in bars if not bar.withheld), default=0.0))
    height = _ROW * len(bars) + 2 * _MARGIN + _ROW
    plot = _plot(bars)
    rows = Markup().join(_row(bar, plot.at(index, top), tell, withheld) for index, bar in enumerate(bars))
    return (
        opening(Caption(name, title, description), height) + _axis(plot, top, height, tell) + rows + CLOSING
    )


CLOSING = Markup("</svg>")


def opening(caption: Caption, height: float, width: float = WIDTH, shape: str = "chart") -> Markup:
    """The beginning of a chart's SVG, with its title and description; `CLOSING` ends it."""
    return Markup(
        '<svg class="{}" xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {:g} {:g}" width="100%" '
        'aria-labelledby="{}-title {}-desc" font-size="13" fill="currentColor" stroke="none">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>'
    ).format(
        shape,
        width,
        height,
        *(caption.name, caption.name, caption.name, caption.title, caption.name, caption.description),
    )


def hatching(name: str) -> Markup:
    """The pattern of what is withheld; `fill="url(#…-hatch)"` uses it."""
    return Markup(
        '<defs><pattern id="{}-hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="7" stroke="currentColor" '
        'stroke-opacity="0.35" stroke-width="2"/></pattern></defs>'
    ).format(name)


def ceiling(highest: float) -> float:
    """The smallest round number that is not below `highest`; 1 where there is nothing."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(highest))) - 1) if highest >= 1 else 1.0
    while power > highest:
        power /= 10
    return next(power * step for step in _NICE if power * step >= highest)


@dataclass(frozen=True)
class _Plot:
    """Where bars stand: the room of their labels, and of one bar its middle and the axis' end."""

    left: float
    middle: float = 0.0
    top: float = 1.0

    @property
    def width(self) -> float:
        return WIDTH - self.left - _VALUE

    def at(self, index: int, top: float) -> "_Plot":
        return replace(self, middle=_MARGIN + index * _ROW + _ROW / 2, top=top)


def _plot(bars: Sequence[Bar]) -> _Plot:
    longest = max((len(bar.label) for bar in bars), default=0)
    return _Plot(min(_WIDEST_LABEL, max(_LABEL, longest * _LETTER + _MARGIN)))


def _axis(plot: _Plot, top: float, height: int, tell: Callable[[float], str]) -> Markup:
    line = Markup(
        '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" stroke="currentColor" '
        'stroke-opacity="0.2"/><text class="tick" x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
    )
    bottom = height - _ROW
    return Markup().join(
        line.format(plot.left + plot.width * part, _MARGIN, bottom, bottom + 18, tell(top * part))
        for part in (0, 0.5, 1)
    )


def _row(bar: Bar, plot: _Plot, tell: Callable[[float], str], withheld: str) -> Markup:
    label = Markup('<text class="label" x="{:g}" y="{:.1f}" text-anchor="end">{}</text>').format(
        plot.left - 8, plot.middle + 4, bar.label
    )
    if bar.withheld:
        return label + Markup(
            '<text class="withheld" x="{:g}" y="{:.1f}" font-style="italic">{}</text>'
        ).format(plot.left + 6, plot.middle + 4, withheld)
    return (
        label
        + _body(bar, plot)
        + Markup('<text class="value" x="{:g}" y="{:.1f}">{}</text>').format(
            plot.left + plot.width + 10, plot.middle + 4, tell(bar.value)
        )
    )


def _body(bar: Bar, plot: _Plot) -> Markup:
    value, low, high = (
        plot.left + plot.width * min(1.0, at / plot.top) for at in (bar.value, bar.low, bar.high)
    )
    return Markup(
        '<rect class="bar" x="{0:g}" y="{1:.1f}" width="{2:.1f}" height="{3}" fill-opacity="0.35">'
        "<title>{4}</title></rect>"
        '<path class="whisker" d="M{5:.1f} {7:.1f}H{6:.1f}M{5:.1f} {8:.1f}V{9:.1f}M{6:.1f} {8:.1f}V{9:.1f}" '
        'fill="none" stroke="currentColor" stroke-width="1.5"/>'
    ).format(
        plot.left,
        plot.middle - _BAR / 2,
        value - plot.left,
        _BAR,
        escape(bar.label),
        low,
        high,
        plot.middle,
        plot.middle - _CAP,
        plot.middle + _CAP,
    )
