"""Latencies in HDR histograms, and the tables that are printed of them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from hdrh.histogram import HdrHistogram

from tests.load.plan import Measured, Result

MOST_US = 600 * 1_000_000
DIGITS = 3
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


def histogram(latencies_us: list[int]) -> HdrHistogram:
    """An HDR histogram of latencies in us, to three digits."""
    made = HdrHistogram(1, MOST_US, DIGITS)
    for latency in latencies_us:
        made.record_value(max(1, min(latency, MOST_US)))
    return made


@dataclass(frozen=True)
class Line:
    """One kind's line: rates a second, latencies of good answers in ms, and what was answered otherwise."""

    kind: str
    offered: int
    offered_s: float
    good_s: float
    ms: tuple[float, ...]
    refused: dict[str, int]

    @property
    def lost(self) -> float:
        """The part that was not answered well."""
        return sum(self.refused.values()) / max(1, self.offered)


def line_of(kind: str, measured: Measured, seconds: float) -> Line:
    """A kind's line; only what was answered within those seconds of sending counts as good a second."""
    good = histogram(measured.good_us)
    statuses = dict(measured.statuses)
    offered = sum(statuses.values())
    well = statuses.pop("good", 0)
    ms = tuple(good.get_value_at_percentile(one) / 1000 if well else 0.0 for one in PERCENTILES)
    return Line(kind, offered, offered / seconds, measured.in_time / seconds, ms, statuses)


def lines_of(result: Result, seconds: float) -> list[Line]:
    """Every kind that was sent, in the order of its name."""
    return [line_of(kind, one, seconds) for kind, one in sorted(result.kinds.items()) if one.statuses]


HEAD = (
    f"{'':16}{'offered/s':>10}{'good/s':>9}{'p50 ms':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>9}"
    "  answered otherwise"
)


def told(line: Line, name: str = "") -> str:
    """A line as it is printed."""
    ms = "".join(f"{one:9.1f}" for one in line.ms)
    refused = ", ".join(f"{name} {count:,}" for name, count in sorted(line.refused.items()))
    return f"{name or line.kind:16}{line.offered_s:10,.0f}{line.good_s:9,.0f}{ms}  {refused}"


def plain(line: Line) -> dict[str, object]:
    """A line for a script."""
    return asdict(line)


def write_hgrm(measured: Measured, path: Path) -> None:
    """The whole distribution, as HdrHistogram's own plotter reads it (in ms)."""
    with path.open("wb") as file:
        histogram(measured.good_us).output_percentile_distribution(file, 1000)
