"""What was viewed, told a second time: looked up in the list of events, with nothing carried along.

The agent's own edit rules (`box_agent.sessions`) are a machine that goes from event to event. Here each
stretch between two events is judged by itself, by looking back over all that came before it. Slow, and meant
to be: the two have nothing in common but the order of events of one millisecond, which docs/box.md leaves to
the agent.
"""

from collections.abc import Sequence
from typing import NamedTuple

from box_agent.events import Event, Item, ordered_before

DWELL_MS = 15_000
CAP_MS = 180 * 60_000
SILENCE_MS = 5 * 60_000


class Viewed(NamedTuple):
    """One session: what, for how long, and how much of it nobody watched."""

    item: Item
    viewed_ms: int
    cut_ms: int


def viewed(events: Sequence[Event], until_ms: int) -> list[Viewed]:
    """The sessions of these events, those below the dwell left out."""
    told = [one for one in _distinct(events) if (one.at_ms or 0) <= until_ms]
    fronts = [at for at in range(len(told)) if _comes_forward(told, at)]
    found = [_session(told, at, until_ms) for at in fronts]
    return [one for one in found if one.viewed_ms + one.cut_ms >= DWELL_MS]


def _session(told: list[Event], start: int, until_ms: int) -> Viewed:
    """What is shown from this event on, until something ends it."""
    item = _item(told, start, told[start].tuner)
    assert item is not None
    seen = cut = 0
    for at in range(start, len(told)):
        if at > start and _ends(told, at, told[start].tuner):
            break
        begin = told[at].at_ms or 0
        end = (told[at + 1].at_ms or 0) if at + 1 < len(told) else until_ms
        if _rate(told, at, told[start].tuner) != 1 or _silent(told, (start, at), end):
            continue
        credited = max(begin, min(end, _somebody(told, at) + CAP_MS))
        seen += credited - begin
        cut += end - credited
    return Viewed(item, seen, cut)


def _begins(told: list[Event], at: int) -> int | None:
    """The event since which the tuner of this one plays what it plays; None if it plays nothing."""
    return _playing(told, at, told[at].tuner)


def _playing(told: list[Event], at: int, tuner: str) -> int | None:
    for back in range(at, -1, -1):
        one = told[back]
        if one.event == "standby" or (one.event == "stop" and one.tuner == tuner):
            return None
        if one.tuner == tuner and one.event in {"play", "tune"} and one.item is not None:
            return back
    return None


def _item(told: list[Event], at: int, tuner: str) -> Item | None:
    since = _playing(told, at, tuner)
    return None if since is None else told[since].item


def _comes_forward(told: list[Event], at: int) -> bool:
    """Whether a session begins with this event: another item, another tuner, or the same after an end."""
    one = told[at]
    if one.event not in {"play", "tune"} or _begins(told, at) is None:
        return False
    if one.item is None or at == 0:
        return True
    return _shown(told, at - 1) != (one.tuner, one.item)


def _shown(told: list[Event], at: int) -> tuple[str, Item] | None:
    """The tuner and item in the foreground after this event."""
    for back in range(at, -1, -1):
        one = told[back]
        if one.event in {"play", "tune"}:
            item = _item(told, back, one.tuner)
            still = _playing(told, at, one.tuner) is not None
            return (one.tuner, item) if item is not None and still else None
    return None


def _ends(told: list[Event], at: int, tuner: str) -> bool:
    """Whether this event ends what this tuner showed in the foreground."""
    one = told[at]
    if one.event in {"play", "tune"}:
        return one.item is None or _shown(told, at - 1) != (one.tuner, one.item)
    return one.event in {"stop", "standby"} and _playing(told, at, tuner) is None


def _rate(told: list[Event], at: int, tuner: str) -> float:
    since = _playing(told, at, tuner)
    if since is None:
        return 0.0
    for back in range(at, since, -1):
        one = told[back]
        if one.tuner == tuner and one.event in {"pause", "resume", "rate"}:
            return {"pause": 0.0, "resume": 1.0}.get(one.event, one.rate or 0.0)
    rate = told[since].rate
    return 1.0 if rate is None else rate


def _silent(told: list[Event], session: tuple[int, int], end_ms: int) -> bool:
    """Whether the player, which reports progress, was silent from this event on for too long."""
    start, at = session
    tuner = told[start].tuner
    reports = any(one.event == "progress" and one.tuner == tuner for one in told[start : at + 1])
    return reports and end_ms - (told[at].at_ms or 0) > SILENCE_MS


def _somebody(told: list[Event], at: int) -> int:
    """When somebody last did something; else when the first item came forward."""
    acted = [
        one.at_ms or 0
        for one in told[: at + 1]
        if one.by == "user" and one.event not in {"progress", "standby"}
    ]
    if acted:
        return acted[-1]
    first = next(back for back in range(at + 1) if _comes_forward(told, back))
    return told[first].at_ms or 0


def _distinct(events: Sequence[Event]) -> list[Event]:
    found: list[Event] = []
    for one in sorted(events, key=ordered_before):
        if not found or found[-1] != one:
            found.append(one)
    return found
