"""The plots of docs/capacity.md, with the console's own charts, on paper of their own: a page may be dark."""

from pathlib import Path

from markupsafe import Markup

from benchmarks.capacity import recorded
from benchmarks.capacity.arrivals import BIN_S, Curve
from benchmarks.capacity.boxes import NAMED
from benchmarks.capacity.model import Model
from benchmarks.capacity.page import model, sizes_of
from benchmarks.capacity.tables import figure, size
from benchmarks.growth.sized import Size
from benchmarks.growth.turns import Cost
from headend.kit.charts import WIDTH, Bar, Caption, bar_chart
from headend.kit.lines import Limit, Point, column_chart, exact, line_chart

FOLDER = Path(__file__).parents[2] / "docs" / "images" / "capacity"
SHOWN = 1_000_000
YEARS = 104
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_BINS = 86_400 // BIN_S
_STARTS_AT = 2
_PLOTTED = 6
_TITLE = 28
_OFF = 5.0
"""A bar that is longer than this is told and not drawn."""
_STYLE = (
    "<style>svg{color:#1f2328;font-family:system-ui,sans-serif}.bar{fill:#1f6feb}.line{stroke:#1f6feb}"
    ".limit{stroke:#b35900}</style>"
    "<rect y='-28' width='100%' height='100%' fill='#ffffff'/>"
)


def standalone(chart: Markup) -> str:
    """A chart as a file: with its own size, colours and paper, and its title above it."""
    opened, _, rest = str(chart).partition(">")
    height = float(opened.partition('viewBox="0 0 ')[2].partition('"')[0].split()[1]) + _TITLE
    sized = opened.replace('viewBox="0 0 ', f'viewBox="0 -{_TITLE} ').replace(
        f' {height - _TITLE:g}" width="100%"', f' {height:g}" width="{WIDTH}" height="{height:g}"'
    )
    title = rest.partition("</title>")[0].partition(">")[2]
    above = f'<text x="8" y="-{_TITLE - 18}" font-weight="600">{title}</text>'
    return f"{sized}>{_STYLE}{above}{rest}\n"


def _moment(at: int) -> str:
    hours = _STARTS_AT + at * BIN_S // 3600
    return f"{_DAYS[hours // 24 % 7]} {hours % 24}h"


def week(curve: Curve, kinds: tuple[str, ...], name: str, title: str) -> Markup:
    """Requests a second of a million boxes through the week: means of half hours."""
    rates = curve.rates(dict.fromkeys(kinds, float(SHOWN)))
    points = [
        exact(_moment(at), sum(rates[at : at + _PLOTTED]) / _PLOTTED) for at in range(0, len(rates), _PLOTTED)
    ]
    least, most = (figure(pick(one.value for one in points)) for pick in (min, max))
    told = f"{title}: between {least} and {most}."
    return line_chart(Caption(name, title, told), points, figure)


def storm(evening: list[int], outage: list[int]) -> Markup:
    """The evening with an outage, in five minutes, beside the busiest five minutes that it usually has."""
    first = int(recorded.EVENING[0].total_seconds()) // BIN_S
    points = [exact(_clock(first + at), count / max(evening)) for at, count in enumerate(outage)]
    title = (
        "The named line, nobody answering from 20:00 to 21:00 (1: the usual evening's busiest five minutes)"
    )
    told = f"At the most {max(outage) / max(evening):.2f} times the usual evening's busiest five minutes."
    return column_chart(Caption("storm", title, told), points, lambda value: f"{value:.2f}", Limit(1.0, ""))


def _clock(at: int) -> str:
    minutes = (_STARTS_AT * 60 + at * BIN_S // 60) % (24 * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def growth(costs: list[Cost], sizes: list[Size], name: str, title: str) -> Markup:
    """Each unit's cost in the largest size beside the smallest; whiskers span all sizes."""
    found = {(one.unit, one.size): one.ratio for one in costs}
    bars, off = [], ""
    for unit in dict.fromkeys(one.unit for one in costs):
        ratios = [found[unit, one] for one in sizes]
        if ratios[-1] > _OFF:
            off = f"off the scale: {ratios[-1]:.1f}"
        bars.append(Bar(unit, ratios[-1], min(ratios), max(ratios), off if ratios[-1] > _OFF else ""))
    told = ", ".join(f"{bar.label} {bar.value:.2f}" for bar in bars)
    return bar_chart(name, title, told, bars, lambda value: f"{value:.2f}", off)


def disk(of: Model) -> Markup:
    """Billing's database of ten million boxes by week."""
    boxes = 10 * SHOWN
    points: list[Point] = [exact(f"week {one}", of.billing(boxes, one)) for one in range(1, YEARS + 1)]
    title = "Billing's database, 10 million boxes"
    told = f"{size(points[0].value)} after a week, {size(points[-1].value)} after two years."
    return line_chart(Caption("disk", title, told), points, size)


def write() -> list[Path]:
    """Draw all of them."""
    of, seen = model(), recorded.arrivals()
    boxes, weeks = (sizes_of(found) for found in (of.growth.boxes, of.growth.weeks))
    drawn = {
        "named": week(seen.usual, NAMED, "named", "The named line: requests a second of a million boxes"),
        "orders": week(
            seen.usual,
            ("paid order", "free order", "delivery"),
            "orders",
            "Orders and deliveries a second of a million boxes",
        ),
        "fragments": week(
            seen.usual,
            ("fragment",),
            "fragments",
            "The anonymous line: fragments a second of a million boxes",
        ),
        "storm": storm(seen.evening, seen.storm),
        "growth-boxes": growth(
            of.growth.boxes,
            boxes,
            "growth-boxes",
            f"Cost of a unit, {boxes[-1].boxes:,} boxes beside {boxes[0].boxes:,}",
        ),
        "growth-weeks": growth(
            of.growth.weeks, weeks, "growth-weeks", f"Cost of a unit, {weeks[-1].weeks} weeks beside 1"
        ),
        "disk": disk(of),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, chart in drawn.items():
        (FOLDER / f"{name}.svg").write_text(standalone(chart))
    return [FOLDER / f"{name}.svg" for name in drawn]
