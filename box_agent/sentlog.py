"""What has left this box on the anonymous line, in words, for its owner."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from box_agent.chance import DAY_MS
from box_agent.store import Door
from shared.clock import from_ms, to_ms
from shared.notice import LANGUAGES, cell_in_words
from shared.register import Grid, Measure

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

    def entries(self, language: str) -> list[Sent]:
        """All entries, the oldest first, in one of `shared.notice.LANGUAGES`."""
        rows = self._door.rows("SELECT at_ms, week, words, outcome FROM sentlog ORDER BY id")
        return [
            Sent(from_ms(at_ms), week, told_in(words, language), outcome)
            for at_ms, week, words, outcome in rows
        ]

    def clear(self) -> None:
        """Forget everything."""
        self._door.write("DELETE FROM sentlog")

    def prune(self, now: datetime) -> None:
        """Forget what is older than the retention."""
        self._door.write("DELETE FROM sentlog WHERE at_ms < ?", (to_ms(now) - self._retention_ms,))


def in_words(measure: Measure, grid: Grid, cell: int, value: int) -> str:
    """A fragment as a person would say it, in every language: what is sent is kept as it will be told.

    >>> from shared.register import profile
    >>> viewing = profile("small").measure("viewing")
    >>> told_in(in_words(viewing, Grid(viewing, ()), 1, 3), "en")
    'time viewed: all viewing, 3/16 of 80 hours'
    """
    told = {language: cell_in_words(measure, grid, cell, value, language) for language in LANGUAGES}
    return msgspec.json.encode(told).decode()


def told_in(words: str, language: str) -> str:
    """What is kept of a fragment, in one of the languages."""
    if not words.startswith("{"):
        return words  # written by a version that spoke English only
    found: dict[str, str] = msgspec.json.decode(words)
    return found[language]
