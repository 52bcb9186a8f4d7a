"""Charts over time as SVG: a line with the band of its intervals, and columns; both may have a limit.

Drawn on the server, without scripts, in the page's colours; what is not shown is hatched and says why.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from headend.kit.charts import CLOSING, WIDTH, Caption, ceiling, hatching, opening

_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 16, 14, 34
_HEIGHT = 280
_PLOT = WIDTH - _LEFT - _RIGHT
_DEEP = _HEIGHT - _TOP - _BOTTOM
_LABELS = 8
_DOTS = 60
"""Of more points than this single ones are not marked."""
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)

Tell = Callable[[float], str]


@dataclass(frozen=True)
class Point:
    """One moment of a series: its label, value and interval.

    `withheld` says why nothing is shown; `broken` why the series does not go on from the point before.
    """

    label: str
    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    withheld: str = ""
    broken: str = ""


def exact(label: str, value: float) -> Point:
    """A point without an interval."""
    return Point(label, value, value, value)


@dataclass(frozen=True)
class Limit:
    """A value that is not to be passed, with what it is called."""

    value: float
    label: str


@dataclass(frozen=True)
class _Scale:
    count: int
    top: float

    def x(self, index: float) -> float:
        return _LEFT + _PLOT * (index + 0.5) / max(1, self.count)

    def y(self, value: float) -> float:
        return _TOP + _DEEP * (1 - min(1.0, max(0.0, value / self.top)))

    @property
    def step(self) -> float:
        return _PLOT / max(1, self.count)


def line_chart(caption: Caption, points: Sequence[Point], tell: Tell, limit: Limit | None = None) -> Markup:
    """A line through the values over the band of their intervals, oldest first; values are not negative."""
    scale = _scale(points, limit)
    drawn = Markup().join(_stretch(points, stretch, scale) for stretch in _stretches(points))
    return _framed(caption, points, scale, tell, drawn + _limit(limit, scale))


def column_chart(caption: Caption, points: Sequence[Point], tell: Tell, limit: Limit | None = None) -> Markup:
    """A column for each value, oldest first; values are not negative."""
    scale = _scale(points, limit)
    column = Markup(
        '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {}</title></rect>'
    )
    drawn = Markup().join(
        column.format(
            scale.x(index) - 0.38 * scale.step,
            scale.y(point.value),
            0.76 * scale.step,
            scale.y(0) - scale.y(point.value),
            point.label,
            tell(point.value),
        )
        for index, point in enumerate(points)
        if not point.withheld
    )
    return _framed(caption, points, scale, tell, drawn + _limit(limit, scale))


def _scale(points: Sequence[Point], limit: Limit | None) -> _Scale:
    highest = max((max(point.high, point.value) for point in points if not point.withheld), default=0.0)
    return _Scale(len(points), ceiling(max(highest, limit.value if limit else 0.0)))


def _framed(caption: Caption, points: Sequence[Point], scale: _Scale, tell: Tell, drawn: Markup) -> Markup:
    gaps = Markup().join(_gap(caption.name, index, point, scale) for index, point in enumerate(points))
    axes = _levels(scale, tell) + _moments(points, scale)
    return opening(caption, _HEIGHT) + hatching(caption.name) + axes + gaps + drawn + CLOSING


def _levels(scale: _Scale, tell: Tell) -> Markup:
    line = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" stroke="currentColor" '
        'stroke-opacity="0.2"/><text class="tick" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    heights = [(scale.y(scale.top * part), scale.top * part) for part in _QUARTERS]
    return Markup().join(
        line.format(_LEFT, WIDTH - _RIGHT, y, _LEFT - 8, y + 4, tell(value)) for y, value in heights
    )


def _moments(points: Sequence[Point], scale: _Scale) -> Markup:
    every = max(1, -(-len(points) // _LABELS))
    text = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    # Counted from the newest, which always has its label.
    chosen = range((len(points) - 1) % every, len(points), every) if points else range(0)
    return Markup().join(
        text.format(min(scale.x(index), WIDTH - 34), _HEIGHT - 12, points[index].label) for index in chosen
    )


def _gap(name: str, index: int, point: Point, scale: _Scale) -> Markup:
    """The hatching of a point that is not shown, and the mark of a break before one."""
    left = scale.x(index) - scale.step / 2
    found = Markup()
    if point.withheld:
        found += Markup(
            '<rect class="gap" x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill="url(#{}-hatch)">'
            "<title>{}: {}</title></rect>"
        ).format(left, _TOP, scale.step, _DEEP, name, point.label, point.withheld)
    if point.broken:
        found += Markup(
            '<line class="break" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}" stroke="currentColor" '
            'stroke-width="1.5" stroke-dasharray="4 3"><title>{3}</title></line>'
        ).format(left, _TOP, _TOP + _DEEP, point.broken)
    return found


def _stretches(points: Sequence[Point]) -> Iterator[list[int]]:
    """The numbers of points that are joined: shown ones, up to the next that is withheld or a break."""
    number, of = 0, []
    for point in points:
        number += bool(point.broken)
        of.append(-1 if point.withheld else number)
        number += bool(point.withheld)
    for key, found in groupby(range(len(points)), key=lambda index: of[index]):
        if key >= 0:
            yield list(found)


def _stretch(points: Sequence[Point], stretch: list[int], scale: _Scale) -> Markup:
    upper = [f"{scale.x(at):.1f} {scale.y(points[at].high):.1f}" for at in stretch]
    lower = [f"{scale.x(at):.1f} {scale.y(points[at].low):.1f}" for at in reversed(stretch)]
    middle = [f"{scale.x(at):.1f} {scale.y(points[at].value):.1f}" for at in stretch]
    found = Markup(
        '<path class="band" d="M{}Z" fill-opacity="0.18"/>'
        '<path class="line" d="M{}" fill="none" stroke="currentColor" stroke-width="2"/>'
    ).format("L".join(upper + lower), "L".join(middle))
    if len(points) > _DOTS and len(stretch) > 1:
        return found
    alone = len(stretch) == 1
    return found + Markup().join(_dot(points[at], scale.x(at), scale, whisker=alone) for at in stretch)


def _dot(point: Point, x: float, scale: _Scale, *, whisker: bool) -> Markup:
    found = Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.6"><title>{}</title></circle>').format(
        x, scale.y(point.value), point.label
    )
    if whisker:
        found += Markup(
            '<path class="whisker" d="M{0:.1f} {1:.1f}V{2:.1f}" fill="none" stroke="currentColor" '
            'stroke-width="1.5"/>'
        ).format(x, scale.y(point.low), scale.y(point.high))
    return found


def _limit(limit: Limit | None, scale: _Scale) -> Markup:
    if limit is None:
        return Markup()
    return Markup(
        '<line class="limit" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" stroke="currentColor" '
        'stroke-width="2" stroke-dasharray="7 4"/><text class="label" x="{3}" y="{4:.1f}">{5}</text>'
    ).format(_LEFT, WIDTH - _RIGHT, scale.y(limit.value), _LEFT + 6, scale.y(limit.value) + 16, limit.label)
