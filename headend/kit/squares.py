"""A tile map as SVG: one square a region, where it lies, with its figure in words and in colour."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from headend.kit.charts import CLOSING, Caption, hatching, opening

SHADES = 5
_DARKEST = 0.45
"""Opacity of the strongest shade; text on it stays readable on light and on dark paper."""
_SIDE, _GAP = 92, 6
_EDGE = 4
_ASIDE = 26
"""The room of the heading over the row of regions that are on no map."""
_LEGEND = 46
_LETTERS = 10


@dataclass(frozen=True)
class Square:
    """One region: its place on the map, what it is called, and its figure in words.

    `shade` is 1 (lightest) to `SHADES`; 0 is a region without figures, whose `told` is empty or says so;
    `withheld` says why there is none; `note` stands small under the figure.
    """

    column: int
    row: int
    label: str
    title: str
    told: str = ""
    note: str = ""
    shade: int = 0
    withheld: str = ""


@dataclass(frozen=True)
class Legend:
    """What the shades mean, lightest first, and the heading over regions that are on no map."""

    shades: Sequence[str]
    withheld: str
    aside: str


def tile_map(caption: Caption, squares: Sequence[Square], aside: Sequence[Square], legend: Legend) -> Markup:
    """The squares in their places, and those of `aside` in rows of their own below, by their `column`."""
    columns = max([square.column + 1 for square in (*squares, *aside)] + [5])
    rows = max((square.row + 1 for square in squares), default=0)
    below = rows * (_SIDE + _GAP) + (_ASIDE if squares and aside else 0)
    aside_rows = max((square.row + 1 for square in aside), default=0)
    foot = below + aside_rows * (_SIDE + _GAP)
    width = columns * (_SIDE + _GAP) + 2 * _EDGE
    drawn = [_square(caption.name, square, 0) for square in squares]
    if squares and aside:
        drawn.append(
            Markup('<text class="tick" x="{}" y="{}">{}</text>').format(_EDGE, below - 9, legend.aside)
        )
    drawn += [_square(caption.name, square, below) for square in aside]
    drawn.append(_legend(caption.name, legend, foot + 8, width))
    head = opening(caption, foot + _LEGEND, width, "chart map")
    return head + hatching(caption.name) + Markup().join(drawn) + CLOSING


def _square(name: str, square: Square, down: float) -> Markup:
    x, y = _EDGE + square.column * (_SIDE + _GAP), _EDGE + down + square.row * (_SIDE + _GAP)
    fill, opacity = _paint(name, square)
    lines = (
        (22, 13, 600, _short(square.label)),
        (50, 12 if square.withheld else 17, 650, square.told),
        (72, 11, 400, square.note),
    )
    texts = Markup().join(
        Markup(
            '<text x="{:g}" y="{:g}" font-size="{}" font-weight="{}" text-anchor="middle">{}</text>'
        ).format(x + _SIDE / 2, y + at, size, weight, text)
        for at, size, weight, text in lines
        if text
    )
    said = ": ".join(part for part in (square.title, square.withheld or square.told, square.note) if part)
    return (
        Markup('<g class="square{}"><title>{}</title>').format(
            "" if square.shade or square.withheld else " empty", said
        )
        + _box(x, y, _SIDE, fill, opacity)
        + texts
        + Markup("</g>")
    )


def _box(x: float, y: float, side: float, fill: str, opacity: float) -> Markup:
    return Markup(
        '<rect class="{}" x="{:g}" y="{:g}" width="{:g}" height="{:g}" rx="4" {} fill-opacity="{:.2f}" '
        'stroke="currentColor" stroke-opacity="0.3"/>'
    ).format(
        "shade" if not fill else "gap",
        x,
        y,
        side,
        side,
        Markup('fill="{}"').format(fill) if fill else "",
        opacity,
    )


def _paint(name: str, square: Square) -> tuple[str, float]:
    if square.withheld:
        return f"url(#{name}-hatch)", 1.0
    return "", _opacity(square.shade)


def _opacity(shade: int) -> float:
    return _DARKEST * shade / SHADES


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1]}…"


def _legend(name: str, legend: Legend, y: float, width: float) -> Markup:
    """A small square and its words for each shade, side by side."""
    entries = [("", _opacity(at), text) for at, text in enumerate(legend.shades, 1)]
    entries.append((f"url(#{name}-hatch)", 1.0, legend.withheld))
    step = (width - 2 * _EDGE) / len(entries)
    return Markup().join(
        _box(_EDGE + at * step, y, 12, fill, opacity)
        + Markup('<text class="tick" x="{:.1f}" y="{:g}" font-size="11">{}</text>').format(
            _EDGE + at * step + 17, y + 10, text
        )
        for at, (fill, opacity, text) in enumerate(entries)
    )
