"""What this box has recorded and not told yet, in words: never a title. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from box_agent.phrases import phrases_of
from box_agent.sessions import MINUTE_MS, ViewingSession, sort_at
from shared.clock import from_ms
from shared.weeks import viewing_day
from shared.words import words_of


@dataclass(frozen=True)
class Recorded:
    """One viewing session: its viewing day, how it would be counted, and how many minutes it lasted so far.

    `words` say the same in one language. The minutes are rounded; a session shorter than half of one has 0.
    """

    day: str
    daypart: str
    kind: str
    genre: str
    detail: str
    shift: str
    minutes: int
    words: str


@dataclass(frozen=True)
class Ordered:
    """An ordered genre that waits for the week's end: its viewing day, and the genre."""

    day: str
    genre: str
    words: str


def recorded(sessions: Iterable[ViewingSession], zone: ZoneInfo, language: str) -> list[Recorded]:
    """Viewing sessions as their household may read them, the oldest first.

    No title, no channel and no time of day but its part: others of the household may look on.
    """
    begun = [(session.stretches[0][0], session) for session in sessions if session.stretches]
    return [_recorded(session, at, zone, language) for at, session in sorted(begun, key=lambda one: one[0])]


def ordered(rows: Iterable[tuple[int, str]], zone: ZoneInfo, language: str) -> list[Ordered]:
    """Ordered genres, each with the Unix milliseconds of its order."""
    values = words_of(language).values
    return [Ordered(_day(at, zone), genre, values.get(genre, genre)) for at, genre in rows]


def _recorded(session: ViewingSession, at_ms: int, zone: ZoneInfo, language: str) -> Recorded:
    genre, shift, daypart, detail = sort_at(session.item, at_ms, zone)
    kind, values = session.item.kind, words_of(language).values
    # "live, live" and "on demand, on demand" say nothing more.
    said = [values[detail], phrases_of(language).kinds.get(kind), values[shift], values[daypart]]
    minutes = (session.viewed_ms() + MINUTE_MS // 2) // MINUTE_MS
    words = ", ".join(word for word in said if word)
    return Recorded(_day(at_ms, zone), daypart, kind, genre, detail, shift, minutes, words)


def _day(at_ms: int, zone: ZoneInfo) -> str:
    return viewing_day(from_ms(at_ms), zone).isoformat()
