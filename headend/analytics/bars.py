"""The chart of a table: a bar for each cell, with its interval, or what it is withheld for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headend.analytics.estimates import MeasureEstimate
from headend.analytics.figures import CellEstimate
from headend.analytics.wording import HEADS, PARTS, Wording
from headend.kit.charts import Bar, bar_chart

_FEWEST, _MOST = 2, 18


@dataclass(frozen=True)
class BarsOf:
    """The bars of one table, or of one region of it; `figures` are those that it shows, in their order."""

    words: Wording
    measure: MeasureEstimate
    region: str
    figures: Sequence[str]

    @property
    def figure(self) -> str:
        """The figure that is drawn: a part if any is shown, else the first volume."""
        return next((name for name in self.figures if name in PARTS), next(iter(self.figures), "share"))

    def chart(self, cells: Sequence[CellEstimate], index: int) -> dict[str, Any] | None:
        """The chart with its caption; nothing where fewer than two cells are shown.

        `index` is the number of the group within its table.
        """
        bars = [bar for bar in map(self._bar, cells) if bar is not None]
        bars = bars if len(bars) <= _MOST else [bar for bar in bars if not bar.withheld][:_MOST]
        if sum(not bar.withheld for bar in bars) < _FEWEST:
            return None
        words, tell = self.words, self.words.teller(self.figure)
        of_panel = any(cell.panel for cell in cells)
        whose = words.text("reporting boxes") if of_panel else words.text("all boxes, estimated")
        svg = bar_chart(
            f"{self.measure.name}-{index}",
            words.text("{table}, {whose}", table=words.title(self.measure.name), whose=whose),
            "; ".join(self._aloud(bar, tell) for bar in bars),
            bars,
            tell,
            words.text("withheld"),
        )
        return {"svg": svg, "caption": self._caption(whose, len(bars), len(cells))}

    def _caption(self, whose: str, drawn: int, cells: int) -> str:
        kind = self.words.text(self.measure.share_of if self.figure == "share" else HEADS[self.figure])
        places = {"kind": kind[:1].upper() + kind[1:], "whose": whose}
        if drawn == cells:
            return self.words.text("{kind}; {whose}; whiskers are 95% intervals", **places)
        return self.words.text(
            "{kind}; {whose}; the first {n}; whiskers are 95% intervals", **places, n=drawn
        )

    def _aloud(self, bar: Bar, tell: Callable[[float], str]) -> str:
        if bar.withheld:
            return self.words.text("{name} withheld", name=bar.label)
        return f"{bar.label} {tell(bar.value)}"

    def _bar(self, cell: CellEstimate) -> Bar | None:
        label = self.words.label(cell, self.region)
        if cell.withheld:
            return Bar(label, withheld=cell.withheld)
        one = (cell.panel or cell.all_boxes).get(self.figure)
        return Bar(label, one.shown_value, one.shown_low, one.shown_high) if one else None
