"""What has left this box on the anonymous line, in words, for its owner."""

from dataclasses import dataclass
from datetime import datetime

from box_agent.chance import DAY_MS
from box_agent.store import Door
from shared.clock import from_ms, to_ms
from shared.register import Grid, Kind, Measure

COUNTED = "counted"
REFUSED = "refused"
UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Sent:
    """One fragment that left: when, of which week, what it said, and what became of it."""

    at: datetime
    week: str
    words: str
    outcome: str


class SentLog:
    """The log and its retention."""

    def __init__(self, door: Door, retention_days: int) -> None:
        self._door = door
        self._retention_ms = retention_days * DAY_MS

    def add(self, at: datetime, week: str, words: str, outcome: str) -> None:
        """Note one fragment that left."""
        self._door.write(
            "INSERT INTO sentlog (at_ms, week, words, outcome) VALUES (?, ?, ?, ?)",
            (to_ms(at), week, words, outcome),
        )

    def entries(self) -> list[Sent]:
        """All entries, the oldest first."""
        rows = self._door.rows("SELECT at_ms, week, words, outcome FROM sentlog ORDER BY id")
        return [Sent(from_ms(at_ms), week, words, outcome) for at_ms, week, words, outcome in rows]

    def prune(self, now: datetime) -> None:
        """Forget what is older than the retention."""
        self._door.write("DELETE FROM sentlog WHERE at_ms < ?", (to_ms(now) - self._retention_ms,))


def in_words(measure: Measure, grid: Grid, cell: int, value: int) -> str:
    """A fragment as a person would say it.

    >>> from shared.register import profile
    >>> viewing = profile("small").measure("viewing")
    >>> in_words(viewing, Grid(viewing, ()), 1, 3)
    'viewing: 3 sixteenths of 80 hours'
    >>> in_words(viewing, Grid(viewing, ()), 0, 0)
    'viewing: nothing'
    """
    if cell == 0:
        return f"{measure.name}: nothing"
    place = ", ".join(grid.values(cell))
    if measure.kind is not Kind.TIMED:
        return f"{measure.name}: {place}"
    amount = f"{value} sixteenths of {measure.volume_minutes // 60} hours"
    return f"{measure.name}: {place}, {amount}" if place else f"{measure.name}: {amount}"
