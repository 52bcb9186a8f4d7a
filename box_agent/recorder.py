"""Takes the player's events: asks consent first, buffers a little, stores the rest.

At most `BUFFER_EVENTS` events or `BUFFER_SECONDS` seconds of them are in memory alone; that much viewing a
power cut may cost. It never costs an order, which does not come through here.
"""

import msgspec

from box_agent.consent import Consent
from box_agent.events import BadEventError, Event, pack, unpack
from box_agent.store import Door
from shared.clock import Clock, to_ms

BUFFER_EVENTS = 20
BUFFER_SECONDS = 60
MAX_AHEAD_MS = 5 * 60_000
JUMP_MS = 60_000
"""The wall clock has jumped when it moved this much more or less than the monotonic one."""


class Recorder:
    """Events of the running week, in memory for a moment and then in the store."""

    def __init__(self, door: Door, consent: Consent, clock: Clock) -> None:
        self._door = door
        self._consent = consent
        self._clock = clock
        self._buffer: list[tuple[int, bytes]] = []
        self._buffered_at = 0.0
        self._read_at: tuple[int, float] | None = None
        self._showing: Event | None = None

    def report(self, event: Event) -> bool:
        """Take one event; answers whether it was kept.

        Without consent nothing is written, nor is anything that happened before it was given.

        Raises:
            BadEventError: the event lies more than five minutes in the future.
        """
        if not self._consent.active():
            return False
        now = to_ms(self._clock.now())
        if event.at_ms is None:
            self._watch_the_clock(now)
            event = msgspec.structs.replace(event, at_ms=now)
            self._remember(event)
        return self._take(event, now)

    def flush(self) -> None:
        """Make everything taken so far durable."""
        if self._buffer:
            taken, self._buffer = self._buffer, []
            self._door.write_many("INSERT OR IGNORE INTO events (at_ms, body) VALUES (?, ?)", taken)

    def flush_old(self) -> None:
        """Make it durable if the oldest of it has waited its time."""
        if self._buffer and self._clock.monotonic() - self._buffered_at >= BUFFER_SECONDS:
            self.flush()

    def forget(self) -> None:
        """Drop what is in memory: consent was withdrawn."""
        self._buffer.clear()
        self._showing = None

    def forget_before(self, at_ms: int) -> None:
        """Delete what was viewed or ordered before an instant, whatever became of it."""
        self._buffer = [one for one in self._buffer if one[0] >= at_ms]
        with self._door.transaction():
            self._door.write("DELETE FROM events WHERE at_ms < ?", (at_ms,))
            self._door.write("DELETE FROM ordered WHERE at_ms < ?", (at_ms,))

    def order_placed(self, genre: str | None, at_ms: int) -> None:
        """Note an order's genre, never its title; adult titles have none and are not noted."""
        if genre is not None and self._consent.allows(at_ms):
            self._door.write("INSERT INTO ordered (at_ms, genre) VALUES (?, ?)", (at_ms, genre))

    def events(self) -> list[Event]:
        """All events on hand."""
        self.flush()
        rows = self._door.rows("SELECT body FROM events ORDER BY at_ms")
        return unpack([body for (body,) in rows])

    def _take(self, event: Event, now: int) -> bool:
        at_ms = now if event.at_ms is None else event.at_ms
        if at_ms > now + MAX_AHEAD_MS:
            raise BadEventError("the event lies in the future")
        if not self._consent.allows(at_ms):
            return False
        if not self._buffer:
            self._buffered_at = self._clock.monotonic()
        self._buffer.append((at_ms, pack(event)))
        if len(self._buffer) >= BUFFER_EVENTS:
            self.flush()
        return True

    def _watch_the_clock(self, now: int) -> None:
        # Across a jump the differences of stamps mean nothing: end what runs where the old clock would
        # have stood, and let it begin again under the new one.
        monotonic = self._clock.monotonic()
        before, self._read_at = self._read_at, (now, monotonic)
        if before is None:
            return
        expected = before[0] + round((monotonic - before[1]) * 1000)
        if abs(now - expected) <= JUMP_MS:
            return
        self._take(Event(event="standby", by="box", at_ms=expected), max(now, expected))
        if self._showing is not None:
            self._take(msgspec.structs.replace(self._showing, at_ms=now, by="box"), now)

    def _remember(self, event: Event) -> None:
        if event.item is not None:
            self._showing = event
        elif self._showing is None or event.tuner != self._showing.tuner:
            return
        elif event.event in {"stop", "standby"}:
            self._showing = None
        elif event.event in {"pause", "resume", "rate"}:
            rate = {"pause": 0.0, "resume": 1.0}.get(event.event, event.rate)
            self._showing = msgspec.structs.replace(self._showing, rate=rate)
