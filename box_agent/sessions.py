"""From player events to viewing sessions and clock minutes. Pure: no clock, no store, no chance.

The edit rules: only normal speed counts; pause, trick play and standby do not; a zap without a stop ends
the previous item; of several tuners only the one in the foreground counts; what was viewed shorter than
the dwell is surfing, once reached the dwell is credited back to its first second; without any user action
a session is credited with three hours after the last one, and what is cut off is kept as a figure; a
connection that is lost closes the session at the last sign of life. Events may arrive twice and in any
order. Times are Unix milliseconds.

A run is a stretch in which the box's clock went on without a jump. Stamps of two runs cannot be compared:
what was on at a run's end ended at its last sign of life, and minutes that two runs both tell of count once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from box_agent.events import ALIVE, SILENCE_MS, Event, Item, ordered_before
from shared.clock import from_ms
from shared.dayparts import daypart
from shared.genres import SHIFT_LIVE, SHIFT_VOD, shift_class
from shared.weeks import viewing_day

MINUTE_MS = 60_000
DWELL_MS = 15_000
CAP_MS = 180 * MINUTE_MS
HALF_MINUTE_MS = 30_000
"""A clock minute counts when at least this much of it was viewed."""

_NO_ACTION = frozenset({"progress", "standby"})
_UNKNOWN_DAY = {"catchup": "within-7-days", "recording": "later"}
_QUARTER = 15


@dataclass(frozen=True)
class ViewingSession:
    """One item on one box after the edit rules: half-open stretches in order, and what the cap cut off.

    Without stretches if that was all of it.
    """

    item: Item
    stretches: tuple[tuple[int, int], ...]
    cut_ms: int

    def viewed_ms(self) -> int:
        """How long it was viewed."""
        return sum(end - start for start, end in self.stretches)


class Minute(NamedTuple):
    """One viewed clock minute; `number` counts minutes since 1970, the rest are the grids' values.

    Each is named for the dimension of the register that it is a value of.
    """

    number: int
    genre: str
    shift: str
    daypart: str
    detail: str


@dataclass
class _Playing:
    item: Item
    opened: Event
    rate: float
    rated: Event


@dataclass
class _Running:
    item: Item
    fronted: Event
    stretches: list[tuple[int, int]] = field(default_factory=list)
    cut_ms: int = 0
    progress: Event | None = None


class _Machine:
    """What the box shows, event by event."""

    def __init__(self) -> None:
        self.done: list[ViewingSession] = []
        self.tuners: dict[str, _Playing] = {}
        self.front = ""
        self.running: _Running | None = None
        self.at = 0
        self.last: Event | None = None
        self.action: Event | None = None
        self.action_ms = 0

    def take(self, event: Event) -> None:
        if self._tells_nothing(event):
            return
        now = event.at_ms or 0
        self.advance(now)
        if event.by == "user" and event.event not in _NO_ACTION:
            self.action, self.action_ms = event, now
        self.last = event
        self._apply(event)

    def advance(self, now: int) -> None:
        """Credit the time since the last event to the session in the foreground."""
        start, self.at = self.at, now
        running = self.running
        if running is None or self.tuners[self.front].rate != 1:
            return
        if running.progress is not None and now - start > SILENCE_MS:
            return
        end = max(start, min(now, self.action_ms + CAP_MS))
        running.cut_ms += now - end
        if end > start:
            _credit(running.stretches, start, end)

    def _tells_nothing(self, event: Event) -> bool:
        # The agent's own sign of life is for players that send none. Of one that does, it knows no more.
        signs = self.running is not None and self.running.progress is not None
        return signs and event.event == ALIVE

    def finish(self) -> None:
        """End the session in the foreground."""
        running, self.running = self.running, None
        if running is not None:
            found = ViewingSession(running.item, tuple(running.stretches), running.cut_ms)
            if found.viewed_ms() + found.cut_ms >= DWELL_MS:  # what the cap cuts off is no surfing
                self.done.append(found)

    def needed(self) -> list[Event]:
        """The events taken so far without which it could not be told what runs."""
        if self.running is None:
            return []
        wanted = [self.running.fronted, self.running.progress, self.action, self.last]
        for playing in self.tuners.values():
            wanted += [playing.opened, playing.rated]
        return _in_order(event for event in wanted if event is not None)

    def _apply(self, event: Event) -> None:
        match event.event:
            case "play":
                self._play(event)
            case "tune":
                self._tune(event)
            case "pause" | "resume" | "rate":
                self._rate(event)
            case "stop" | "standby":
                self._stop(event)
            case "progress" if self.running is not None and event.tuner == self.front:
                self.running.progress = event
            case _:  # a sign of life, and of somebody there
                pass

    def _play(self, event: Event) -> None:
        item = event.item
        if item is None:
            return
        again = self.running is not None and self.front == event.tuner and self.running.item == item
        rate = 1.0 if event.rate is None else event.rate
        self.tuners[event.tuner] = _Playing(item, event, rate, event)
        if not again:
            self._bring_forward(event, item)

    def _tune(self, event: Event) -> None:
        if event.item is not None:
            self._play(event)
        elif event.tuner in self.tuners:
            self._bring_forward(event, self.tuners[event.tuner].item)
        else:
            self.finish()

    def _bring_forward(self, event: Event, item: Item) -> None:
        self.finish()
        self.front = event.tuner
        self.running = _Running(item, event)
        if self.action is None:
            self.action, self.action_ms = event, event.at_ms or 0

    def _rate(self, event: Event) -> None:
        playing = self.tuners.get(event.tuner)
        if playing is not None:
            playing.rated = event
            playing.rate = {"pause": 0.0, "resume": 1.0}.get(event.event, event.rate or 0.0)

    def _stop(self, event: Event) -> None:
        if event.event == "standby":
            self.tuners.clear()
        self.tuners.pop(event.tuner, None)
        if self.front not in self.tuners:
            self.finish()


def viewing_sessions(events: Iterable[Event], until_ms: int) -> list[ViewingSession]:
    """The sessions of one run's events; one that still runs is credited up to `until_ms`."""
    return settle([list(events)], until_ms, until_ms)[0]


def still_needed(events: Iterable[Event], end_ms: int) -> list[Event]:
    """Of one run's events before `end_ms`, the few that tell what was still running then."""
    return settle([list(events)], end_ms, end_ms)[1][0]


def settle(
    runs: Sequence[Sequence[Event]], end_ms: int, until_ms: int
) -> tuple[list[ViewingSession], list[list[Event]]]:
    """The sessions until `until_ms`, and for each run what a week that ends at `end_ms` leaves behind."""
    sessions: list[ViewingSession] = []
    needed: list[list[Event]] = []
    taken: set[Event] = set()
    for at, events in enumerate(runs):
        # What is delivered again after a jump belongs to the run in which it was first.
        fresh = _in_order(event for event in events if event not in taken)
        taken.update(fresh)
        last = at + 1 == len(runs)
        ended_ms = (fresh[-1].at_ms or 0) if fresh else 0
        until = until_ms if last else ended_ms  # which may lie ahead of a clock that was set back
        found, left = _settle_run(fresh, end_ms, until)
        ended = not last and ended_ms < end_ms
        sessions += found
        needed.append([] if ended else left)
    return sessions, needed


def _settle_run(
    events: Sequence[Event], end_ms: int, until_ms: int
) -> tuple[list[ViewingSession], list[Event]]:
    machine = _Machine()
    needed: list[Event] | None = None
    for event in events:
        at_ms = event.at_ms or 0
        if needed is None and at_ms >= end_ms:
            needed = machine.needed()
        if at_ms > until_ms:
            break
        machine.take(event)
    if needed is None:
        needed = machine.needed()
    machine.advance(max(machine.at, until_ms))
    machine.finish()
    return machine.done, needed


def clock_minutes(sessions: Iterable[ViewingSession], zone: ZoneInfo) -> list[Minute]:
    """The minutes viewed, in order, each of the item viewed longest in it.

    A minute counts when at least half of it was viewed, so that bits at the edges even out.
    """
    owners: dict[int, Item] = {}
    edges: dict[int, dict[Item, int]] = {}
    for session in sessions:
        for start, end in session.stretches:
            _spread(session.item, start, end, owners, edges)
    for index, shares in edges.items():
        if sum(shares.values()) >= HALF_MINUTE_MS:
            owners[index] = max(shares, key=shares.__getitem__)
    found: list[Minute] = []
    before: tuple[Item, int] | None = None
    sort = ("", "", "", "")
    for index, item in sorted(owners.items(), key=itemgetter(0)):
        quarter = index // _QUARTER
        if before is None or before[0] is not item or before[1] != quarter:
            before, sort = (item, quarter), _sort(quarter, item, zone)
        found.append(Minute(index, *sort))
    return found


def sort_at(item: Item, at_ms: int, zone: ZoneInfo) -> tuple[str, str, str, str]:
    """How what is viewed at an instant is counted: genre, shift class, daypart and detail."""
    return _sort(at_ms // (_QUARTER * MINUTE_MS), item, zone)


def _in_order(events: Iterable[Event]) -> list[Event]:
    found: list[Event] = []
    for event in sorted(events, key=ordered_before):
        if not found or found[-1] != event:
            found.append(event)
    return found


def _credit(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    if stretches and stretches[-1][1] == start:
        stretches[-1] = (stretches[-1][0], end)
    else:
        stretches.append((start, end))


def _spread(
    item: Item, start: int, end: int, owners: dict[int, Item], edges: dict[int, dict[Item, int]]
) -> None:
    first, last = start // MINUTE_MS, (end - 1) // MINUTE_MS
    owners.update(dict.fromkeys(range(first + 1, last), item))
    for index in {first, last}:
        viewed = min(end, (index + 1) * MINUTE_MS) - max(start, index * MINUTE_MS)
        if viewed == MINUTE_MS:
            owners[index] = item
        else:
            shares = edges.setdefault(index, {})
            shares[item] = shares.get(item, 0) + viewed


@lru_cache(maxsize=4096)
def _quarter(number: int, zone: ZoneInfo) -> tuple[str, date]:
    # Zones differ by whole quarters of an hour, so daypart and viewing day are the same within one.
    instant = from_ms(number * _QUARTER * MINUTE_MS)
    return daypart(instant, zone), viewing_day(instant, zone)


def _sort(quarter: int, item: Item, zone: ZoneInfo) -> tuple[str, str, str, str]:
    part, day = _quarter(quarter, zone)
    if item.kind == "live":
        shift = SHIFT_LIVE
    elif item.kind == "vod":
        shift = SHIFT_VOD
    elif item.broadcast_day is None:
        shift = _UNKNOWN_DAY[item.kind]
    else:
        shift = shift_class((day - item.broadcast_day).days)
    return item.genre_name(), shift, part, item.detail_name()
