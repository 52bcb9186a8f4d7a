"""What waits to leave on the anonymous line, in words, and the tokens that it will be sent with.

When a fragment is to be sent is not told to anybody: whoever knew it could pick the sealed request out of all
others on its way.
"""

from collections.abc import Callable
from dataclasses import dataclass

from box_agent.sentlog import told_in
from box_agent.store import Door


@dataclass(frozen=True)
class Waiting:
    """One fragment in the queue: of which week, what it says, and how often it was tried without answer."""

    week: str
    words: str
    tries: int


@dataclass(frozen=True)
class Tokens:
    """A week's tokens. `state` is how the asking stands: planned, asked, granted, refused, missed or none.

    `pending` were asked for and not answered; `ready` wait for the week's end. `directory` is how the two
    lines' directories compare: waiting, equal, differs or none.
    """

    week: str
    state: str
    pending: int
    ready: int
    directory: str


_NONE = "none"


def waiting(door: Door, language: str) -> list[Waiting]:
    """The queue, by week and by what is said: not in the order of sending."""
    rows = door.rows("SELECT week, words, tries FROM outbox ORDER BY week, measure, cell, value, id")
    return [Waiting(week, told_in(words, language), tries) for week, words, tries in rows]


def tokens(door: Door, this_week: str, asked: Callable[[str], str | None]) -> list[Tokens]:
    """The tokens of every week that has some, and of this one; `asked` knows how a week's asking stands."""
    held = {
        week: (pending, ready)
        for week, pending, ready in door.rows(
            "SELECT week, sum(token IS NULL), sum(token IS NOT NULL) FROM wallet GROUP BY week"
        )
    }
    verdicts: dict[str, str] = dict(door.rows("SELECT week, verdict FROM directories"))
    return [
        Tokens(week, asked(week) or _NONE, *held.get(week, (0, 0)), verdicts.get(week, _NONE))
        for week in sorted({*held, *verdicts, this_week})
    ]
