"""What one Kodi has on its screen, and the events that tell of it. Pure.

`opening` is what was asked for and has, or has not yet, its picture; `showing` is what is known to be on.
"""

from typing import Any, Literal, NamedTuple

from box_agent.events import Event, Item
from box_agent.sources.kodi_item import KodiItems, Shown

LATE_MS = 15_000
"""A programme that Kodi moves on to within this of its start began when the guide says."""
Told = dict[str, Any]


class Opening(NamedTuple):
    """What a notification told of an item that begins, and since when it has its picture."""

    told: Told
    by_box: bool
    pictured_ms: int | None = None
    tries: int = 0


class Showing(NamedTuple):
    """What is on, since when, and when Kodi last said so; `told` is what its notification said of it."""

    shown: Shown
    since_ms: int
    confirmed_ms: int
    told: Told | None


class KodiScreen:
    """The screen's state; `taken` gives its events."""

    def __init__(self, items: KodiItems) -> None:
        self.opening: Opening | None = None
        self.showing: Showing | None = None
        self.rate = 1.0
        self._items = items
        self._events: list[Event] = []
        self._seq = 0

    def taken(self) -> list[Event]:
        """The events since this was last called, in order."""
        found, self._events = self._events, []
        return found

    def answered(self, told: Told, now_ms: int) -> None:
        """Kodi says that this is on."""
        opening, showing = self.opening, self.showing
        known = opening.told if opening is not None else (showing and showing.told) or {}
        shown = self._items.shown({"playerid": known.get("playerid"), **told})
        if shown is None:
            self.end("stop", now_ms, by_box=True)
        elif opening is not None and opening.pictured_ms is not None:
            self._show(shown, opening.pictured_ms, by_box=opening.by_box, told=opening.told)
        elif showing is None:
            self._show(shown, now_ms, by_box=True, told=None)
        elif shown.item == showing.shown.item:
            self.showing = showing._replace(shown=shown)
        else:
            self._follow(showing, shown, now_ms)
        if self.showing is not None:
            self.showing = self.showing._replace(confirmed_ms=max(now_ms, self.showing.confirmed_ms))

    def settle(self) -> None:
        """Let what has its picture count, although Kodi has not answered what it is."""
        opening, self.opening = self.opening, None
        if opening is not None and opening.pictured_ms is not None:
            shown = self._items.shown(_as_answer(opening.told))
            if shown is not None:
                self._show(shown, opening.pictured_ms, by_box=opening.by_box, told=opening.told)

    def end(self, event: str, at_ms: int, *, by_box: bool) -> None:
        """Nothing is on any more; `event` says how."""
        showing, self.opening, self.showing = self.showing, None, None
        if showing is not None:
            self._emit(event, max(at_ms, showing.since_ms), by_box=by_box)

    def speed(self, rate: float, now_ms: int, *, by_box: bool) -> None:
        """It runs at this speed now."""
        self.rate = rate
        if self.showing is None:
            return
        if rate in {0.0, 1.0}:
            self._emit("resume" if rate else "pause", now_ms, by_box=by_box)
        else:
            self._emit("rate", now_ms, by_box=by_box, rate=rate)

    def sign(self, event: str, now_ms: int, *, by_box: bool) -> None:
        """A sign of life or of a person, if something is on."""
        if self.showing is not None:
            self._emit(event, now_ms, by_box=by_box)

    def _follow(self, showing: Showing, shown: Shown, now_ms: int) -> None:
        """Another item is on than was, and Kodi did not tell: the next programme, or something was missed."""
        before, channel = showing.shown, channel_of(shown.item)
        at_ms = now_ms
        if channel and channel == channel_of(before.item):
            at_ms = _boundary(showing, shown, now_ms)
            if 0 < before.ends_ms < min(at_ms, shown.starts_ms):
                # Programmes in between were missed: only the channel is known of that time.
                between = Item(kind="live", genre=0, ref=channel, channel=shown.channel)
                self._show(Shown(between), before.ends_ms, by_box=True, told=showing.told)
        self._show(shown, at_ms, by_box=True, told=showing.told)

    def _show(self, shown: Shown, at_ms: int, *, by_box: bool, told: Told | None) -> None:
        since_ms = at_ms if self.showing is None else max(at_ms, self.showing.since_ms)
        self.opening, self.showing = None, Showing(shown, since_ms, since_ms, told)
        self._emit("play", since_ms, by_box=by_box, item=shown.item, rate=self.rate)

    def _emit(
        self,
        event: str,
        at_ms: int,
        *,
        by_box: bool,
        item: Item | None = None,
        rate: float | None = None,
    ) -> None:
        self._seq += 1  # two events of one millisecond stay in this order
        by: Literal["box", "user"] = "box" if by_box else "user"
        self._events.append(Event(event=event, item=item, rate=rate, by=by, at_ms=at_ms, seq=self._seq))


def channel_of(item: Item) -> str:
    """What a live item's reference says of its channel; empty for others."""
    return item.ref.partition("@")[0] if item.kind == "live" else ""


def name_of(told: Told) -> tuple[str, ...]:
    """What tells an item from the next, as far as notifications say."""
    return tuple(str(told.get(one)) for one in ("type", "id", "title"))


def _boundary(showing: Showing, shown: Shown, now_ms: int) -> int:
    """When the next programme began: as the guide says, but not before the last was seen to be on still."""
    starts_ms = shown.starts_ms or showing.shown.ends_ms or now_ms
    behind = showing.confirmed_ms - starts_ms > LATE_MS
    return min(now_ms, showing.confirmed_ms if behind else starts_ms)


def _as_answer(told: Told) -> Told:
    """A notification's item in the form of an answer; without a number, "movie" is any file."""
    title = told.get("title")
    kind = told.get("type") if "id" in told else "unknown"
    return {**told, "type": kind, "label": title, "channel": title}
