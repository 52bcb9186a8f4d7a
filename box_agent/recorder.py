"""Takes the player's events: asks consent first, keeps them in memory a little, then stores them.

What a power cut may cost is stated: the events of the last `BUFFER_SECONDS`, and of what runs on meanwhile
the signs of life of the last `SIGN_SECONDS`. It never costs an order, which does not come through here. The
first event after a start is durable at once, and so is all of it when the agent is told to stop.
"""

from __future__ import annotations

from box_agent.consent import JUMP_MS
from box_agent.events import ALIVE, BY_BOX, SILENCE_MS, BadEventError, Event, ordered_before
from box_agent.store import StoreError
from box_agent.viewing import Run, Viewing
from shared.clock import to_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from box_agent.consent import Consent
    from box_agent.store import Door
    from shared.clock import Clock

BUFFER_EVENTS = 64
BUFFER_SECONDS = 300
SIGN_SECONDS = 900
"""Signs of life alone wait longer: they only tell how far something that is stored already went on."""
RETRY_SECONDS = 60
MOST_WAITING = 512
"""Events kept in memory while the store takes none; beyond, the oldest go first."""
MOST_HELD = 512
"""Events kept while the clock is not set yet; likewise."""
MAX_AHEAD_MS = 5 * 60_000


class Recorder:
    """Events of the running week, in memory for a moment and then in the store."""

    def __init__(self, door: Door, consent: Consent, clock: Clock, boot: str = "") -> None:
        self.door = door
        self._consent = consent
        self._clock = clock
        self._viewing = Viewing(door, boot)
        self._buffer: list[Event] = []
        self._flush_at: float | None = None
        self._wrote_at: float | None = None
        self._held: list[tuple[float, Event]] = []
        self._read_at: tuple[int, float] | None = None
        self._showing: Event | None = None
        self._recalled = False
        self._began_at = self._taken_at = clock.monotonic()
        self._dropped = 0

    def report(self, event: Event) -> bool:
        """Take one event; answers whether it was kept.

        Without consent nothing is written, nor is anything that happened before it was given.

        Raises:
            BadEventError: the event lies more than five minutes in the future.
        """
        if not self._consent.active():
            return False
        now = to_ms(self._clock.now())
        if event.at_ms is not None:
            return self._take(event, now)
        if self._clock_is_unset(now):
            self._hold(event)
            return True
        self._catch_up(now)
        event = event._replace(at_ms=now)
        self._remember(event)
        return self._take(event, now)

    def flush(self) -> None:
        """Make everything taken so far durable.

        Raises:
            StoreError: the store takes nothing; what was taken stays in memory, as far as it may.
        """
        if not self._buffer:
            return
        monotonic = self._clock.monotonic()
        try:
            self._viewing.append(self._buffer)
        except StoreError:
            self._flush_at = monotonic + RETRY_SECONDS
            surplus = len(self._buffer) - MOST_WAITING
            if surplus > 0:
                del self._buffer[:surplus]
                self._dropped += surplus
            raise
        self._buffer, self._flush_at, self._wrote_at = [], None, monotonic

    def tick(self) -> None:
        """Look at the clock, and make durable what has waited its time.

        Raises:
            StoreError: see `flush`.
        """
        if not self._consent.active():
            return
        self._recall()
        now, monotonic = to_ms(self._clock.now()), self._clock.monotonic()
        is_set = not self._clock_is_unset(now)
        if is_set:
            self._catch_up(now)
        waited = self._flush_at is not None and monotonic >= self._flush_at
        wrote_at = self._began_at if self._wrote_at is None else self._wrote_at
        silent = monotonic - wrote_at >= SIGN_SECONDS
        runs = is_set and self._showing is not None and self._showing.rate in {None, 1}
        if runs and (waited or silent):
            # What is on is alive as far as this agent knows: a power cut shall not take all of it.
            self._buffer.append(Event(ALIVE, at_ms=now, by=BY_BOX))
        if waited or (runs and silent):
            self.flush()

    def forget(self) -> None:
        """Drop what is in memory: consent was withdrawn."""
        self._buffer, self._flush_at = [], None
        self._held.clear()
        self._showing = None
        self._viewing.forget()

    def forget_before(self, at_ms: int, still: Iterable[Run] = ()) -> None:
        """Delete what was viewed or ordered before an instant, but the events that are `still` needed.

        Within the caller's transaction, if there is one.
        """
        self._buffer = [one for one in self._buffer if (one.at_ms or 0) >= at_ms]
        with self.door.transaction():
            self._viewing.forget_before(at_ms, still)
            self.door.write("DELETE FROM ordered WHERE at_ms < ?", (at_ms,))

    def order_placed(self, genre: str | None, at_ms: int) -> None:
        """Note an order's genre, never its title; adult titles have none and are not noted."""
        if genre is not None and self._consent.allows(at_ms):
            self.door.write("INSERT INTO ordered (at_ms, genre) VALUES (?, ?)", (at_ms, genre))

    def runs(self) -> list[Run]:
        """All events on hand, by the stretches in which the clock did not jump.

        Raises:
            StoreError: see `flush`.
        """
        self.flush()
        return self._viewing.runs()

    def on_hand(self) -> int:
        """How many events are on hand, in memory and in the store."""
        return len(self._buffer) + len(self._held) + self._viewing.count()

    def idle_s(self) -> float:
        """Seconds since the last event was taken; none while something is on, as far as this tells."""
        return 0.0 if self._showing is not None else self._clock.monotonic() - self._taken_at

    @property
    def dropped(self) -> int:
        """How many events went because there was no room for them, since this agent started."""
        return self._dropped + self._viewing.dropped

    def _take(self, event: Event, now: int) -> bool:
        at_ms = now if event.at_ms is None else event.at_ms
        if at_ms > now + MAX_AHEAD_MS:
            raise BadEventError("the event lies in the future")
        self._consent.follow(self._clock.now(), self._clock.monotonic())
        if not self._consent.allows(at_ms):
            return False
        self._taken_at = self._clock.monotonic()
        if self._says_nothing_new(event):
            self._buffer[-1] = event
            return True
        self._buffer.append(event)
        wait = SIGN_SECONDS if event.event == "progress" else BUFFER_SECONDS
        due = self._clock.monotonic() + wait
        self._flush_at = due if self._flush_at is None else min(self._flush_at, due)
        if self._wrote_at is None or len(self._buffer) % BUFFER_EVENTS == 0:
            self._flush_quietly()
        return True

    def _flush_quietly(self) -> None:
        # A player is not told that the disk is full: it can do nothing about it. `status` says so.
        try:
            self.flush()
        except StoreError:
            self._wrote_at = self._wrote_at or self._clock.monotonic()

    def _says_nothing_new(self, event: Event) -> bool:
        # Of signs of life in a row the last is enough, as long as the silence before it is none.
        if event.event != "progress" or len(self._buffer) < 2:  # noqa: PLR2004 (a sign, and what came before it)
            return False
        before, sign = self._buffer[-2:]
        alike = sign.event == "progress" and (sign.tuner, sign.by) == (event.tuner, event.by)
        return (
            alike
            and (before.at_ms or 0)
            <= (sign.at_ms or 0)
            <= (event.at_ms or 0)
            <= (before.at_ms or 0) + SILENCE_MS
        )

    def _recall(self) -> None:
        """After a restart of the agent alone: what was on is on still."""
        if self._recalled:
            return
        self._recalled = True
        goes_on = self._viewing.runs()[-1].events
        for event in sorted([*goes_on, *self._buffer], key=ordered_before):
            self._remember(event)

    # A clock that is not set yet, and one that is set meanwhile.

    def _clock_is_unset(self, now: int) -> bool:
        # A box without a battery clock starts in 1970; consent was given later than that.
        return now < self._consent.answer.since_ms - MAX_AHEAD_MS

    def _hold(self, event: Event) -> None:
        self._held.append((self._clock.monotonic(), event))
        if len(self._held) > MOST_HELD:
            del self._held[0]
            self._dropped += 1

    def _catch_up(self, now: int) -> None:
        """Stamp what was held: the monotonic clock knows how long ago it was."""
        held, self._held = self._held, []
        monotonic = self._clock.monotonic()
        stamped = [event._replace(at_ms=now - round((monotonic - at) * 1000)) for at, event in held]
        self._watch_the_clock(now, monotonic - held[0][0] if held else 0.0)
        for event in stamped:
            self._remember(event)
            self._take(event, now)

    def _watch_the_clock(self, now: int, held_s: float) -> None:
        # Across a jump the differences of stamps mean nothing: end what runs where the old clock would
        # have stood, and let it begin again under the new one, in a run of its own, before what was held.
        monotonic = self._clock.monotonic()
        before, self._read_at = self._read_at, (now, monotonic)
        if before is None:
            return
        expected = before[0] + round((monotonic - before[1]) * 1000)
        if abs(now - expected) <= JUMP_MS:
            return
        # A moment before what told of the jump, which may be the end of what was on.
        ago_ms = round(held_s * 1000) + 1
        if self._showing is not None:
            ended = Event("standby", by=BY_BOX, at_ms=expected - ago_ms)
            self._take(ended, max(now, expected))
        self._flush_quietly()
        # What the store does not take now could not be told from what follows.
        self._dropped += len(self._buffer)
        self._buffer, self._flush_at = [], None
        self._viewing.next_run()
        if self._showing is not None:
            self._take(self._showing._replace(at_ms=now - ago_ms, by=BY_BOX), now)

    def _remember(self, event: Event) -> None:
        if event.item is not None:
            self._showing = event
        elif self._showing is None or event.tuner != self._showing.tuner:
            return
        elif event.event in {"stop", "standby"}:
            self._showing = None
        elif event.event in {"pause", "resume", "rate"}:
            rate = {"pause": 0.0, "resume": 1.0}.get(event.event, event.rate)
            self._showing = self._showing._replace(rate=rate)
