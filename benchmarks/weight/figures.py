"""The table: each figure with its target, and whether it is met."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number. `target` is the most it may be; None where it is told for itself."""

    name: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""
    held: bool = True
    """Whether what goes with the number is true too, such as that an event was durable."""

    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of its line."""
        told = f"{self.value:,.0f}" if abs(self.value) >= _WHOLE else f"{self.value:,.2f}"
        if self.target is None:
            return self.name, f"{told} {self.unit}", "", "", self.note
        met = "met" if self.held and self.value <= self.target else "NOT MET"
        return self.name, f"{told} {self.unit}", f"<= {self.target:g}", met, self.note


_WHOLE = 100


def table(figures: list[Figure]) -> str:
    """All of them, one a line."""
    rows = [("", "measured", "target", "", ""), *(one.row() for one in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, told, target, met, note in rows:
        cells = (name.ljust(widths[0]), told.rjust(widths[1]), target.rjust(widths[2]), met.ljust(widths[3]))
        lines.append("  ".join((*cells, note)).rstrip())
    return "\n".join(lines)
