"""Viewing sessions of a channel, split where one programme ended and the next began. Pure.

Players send nothing there: the guide knows.
"""

from collections.abc import Callable, Iterable, Sequence

from box_agent.events import Item
from box_agent.guide.programme import Programme
from box_agent.sessions import ViewingSession

Programmes = Callable[[str, int, int], Sequence[Programme]]
"""The guide: what a channel showed between two instants, in order and without overlap."""


def no_guide(_channel: str, _start_ms: int, _end_ms: int) -> list[Programme]:
    """A guide that knows nothing: every item's genre is what the player said."""
    return []


def split(sessions: Iterable[ViewingSession], programmes: Programmes) -> list[ViewingSession]:
    """Sessions of a channel, told apart at the programme boundaries that the guide knows.

    Where it knows nothing, the item's own genre stays. The dwell counts for the whole stay on a channel: what
    was cut off of it stays with its last part.
    """
    found: list[ViewingSession] = []
    for session in sessions:
        if session.item.channel and session.stretches:
            found += _split(session, programmes)
        else:
            found.append(session)
    return found


def _split(session: ViewingSession, programmes: Programmes) -> list[ViewingSession]:
    start, end = session.stretches[0][0], session.stretches[-1][1]
    parts: list[tuple[Item, int, int]] = []
    at = start
    for one in programmes(session.item.channel, start, end):
        first, last = max(one.start_ms, at), min(one.end_ms, end)
        if last <= first:
            continue
        if first > at:
            parts.append((session.item, at, first))
        # The programme's start tells two of one genre apart, as two items are.
        parts.append(
            (session.item._replace(genre=one.code or session.item.genre, ref=f"{one.start_ms}"), first, last)
        )
        at = last
    if at < end:
        parts.append((session.item, at, end))
    cut = [0] * (len(parts) - 1) + [session.cut_ms]
    return [
        ViewingSession(item, within, left)
        for (item, first, last), left in zip(parts, cut, strict=True)
        if (within := _within(session.stretches, first, last)) or left
    ]


def _within(stretches: Iterable[tuple[int, int]], first: int, last: int) -> tuple[tuple[int, int], ...]:
    cut = ((max(start, first), min(end, last)) for start, end in stretches)
    return tuple((start, end) for start, end in cut if start < end)
