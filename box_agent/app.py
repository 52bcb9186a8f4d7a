"""The agent: the two paths put together over one store, one clock and two lines.

This is the only room of the box that knows both paths. What needs cryptography is imported when it is
first needed, so that an agent that only records stays small.
"""

import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from box_agent.chance import HOUR_MS, RandomBytes, below
from box_agent.consent import Answer, Shown
from box_agent.core import Core
from box_agent.dues import (
    asked_state,
    bring_forward,
    named_due_ms,
    outbox_due_ms,
    owes_roll_up,
    refill_due_ms,
)
from box_agent.events import Event
from box_agent.lines import AnonymousLine, NamedLine
from box_agent.pin import Pin
from box_agent.sentlog import Sent, SentLog
from box_agent.settings import BoxSettings
from box_agent.store import MEETING_TABLES, NAMED_TABLES, StoreError, StoreFullError
from box_agent.wallet import Wallet
from box_agent.wipe import drop_damaged_copy, wipe
from shared.clock import Clock, from_ms, to_ms
from shared.notice_version import notice_version
from shared.weeks import Week

if TYPE_CHECKING:
    from box_agent.identity import Enrolment, Identity
    from box_agent.kept import Kept, Placed
    from box_agent.ordering import Ordering, PromotionUse
    from box_agent.outbox import Outbox
    from box_agent.owner import Owner
    from box_agent.refill import Refill
    from box_agent.submission import Submission
    from shared.named import Evidence, Offer


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """What a household is told before it answers."""

    version: int
    text: str


@dataclass(frozen=True)
class _Paths:
    identity: "Identity"
    ordering: "Ordering"
    submission: "Submission"
    refill: "Refill"
    outbox: "Outbox"


class Agent:
    """One box's agent. Not for several threads at once; see `box_agent.service` for that.

    `lines` are the named and the anonymous one; they are asked only from `tick` and `enrol`.
    """

    def __init__(
        self,
        settings: BoxSettings,
        lines: tuple[NamedLine, AnonymousLine],
        clock: Clock,
        random_bytes: RandomBytes = os.urandom,
        core: Core | None = None,
    ) -> None:
        self._settings = settings
        self._lines = lines
        self._clock = clock
        self._random_bytes = random_bytes
        core = core or Core(settings.state_dir, settings.consent_witness(), clock)
        self._core = core
        self._store, self._consent, self._recorder = core.store, core.consent, core.recorder
        self._named = core.store.door(NAMED_TABLES)
        self._pin = Pin(core.door, random_bytes)
        self._log = SentLog(core.door, settings.sentlog_retention_days)
        self._paths: _Paths | None = None
        self._pruned_ms = self._seen_ms = 0
        # When each path has something to do.
        self._due = dict.fromkeys(_PATHS, _NEVER_MS)
        self._plan_anew(clock.now())

    # What the household does.

    def report(self, event: Event) -> bool:
        """Take a player's event; answers whether it was kept (without consent it is not).

        Raises:
            BadEventError: it lies in the future.
        """
        return self._recorder.report(event)

    def place_order(self, offer: str, evidence: "Evidence", promotion: str | None = None) -> "Placed":
        """Place an order; when this returns it survives a power cut. See `Ordering.place_order`."""
        placed = self._open().ordering.place_order(offer, evidence, self._random_bytes, promotion)
        if not placed.repeated:
            self._recorder.order_placed(placed.genre, placed.placed_ms)
        self._plan()
        return placed

    def report_delivery(self, order_seq: int, outcome: str) -> int:
        """Tell whether an order could be viewed, or was stopped. See `Ordering.report_delivery`."""
        seq = self._open().ordering.report_delivery(order_seq, outcome)
        self._plan()
        return seq

    def set_consent(self, *, granted: bool, notice: int, how: str, language: str | None = None) -> Answer:
        """Record the household's answer; a no takes effect at once and destroys what was recorded.

        Raises:
            WrongNoticeError: a yes to another notice than this agent's.
            BadConsentError: it does not say how it was given, or in no language of the notice.
        """
        now, shown = self._clock.now(), Shown(how, language or self._settings.language)
        self._consent.look_at_clock(now, self._clock.monotonic())
        if granted:
            self._consent.grant(notice, shown, now)
        else:
            self._consent.withdraw(shown, now)
            self._forget_viewing()
        self._plan()
        return self._consent.answer

    def reminded(self, how: str, language: str | None = None) -> Answer:
        """Record that the household was shown the notice again, and let its consent stand for a year.

        Raises:
            NoConsentError: there is none to be reminded of.
            BadConsentError: see `set_consent`.
        """
        self._consent.remind(Shown(how, language or self._settings.language), self._clock.now())
        return self._consent.answer

    def set_pin(self, new: str, old: str = "") -> None:
        """Set the PIN before the log of what was sent. See `Pin.set` for what is refused."""
        self._pin.set(new, old, self._clock.now())

    def reset_pin(self) -> None:
        """Remove a forgotten PIN, and with it the log that it guarded."""
        with self._store.transaction():
            self._log.clear()
            self._pin.forget()

    def wipe(self, how: str, *, everything: bool = False) -> None:
        """Destroy what this box knows of its household. See `box_agent.wipe.wipe` for what is refused."""
        wipe(self._core, Shown(how, self._settings.language), everything=everything)
        self._paths = None
        self._plan()

    # What the household may look up.

    def consent(self) -> Answer:
        """The answer in force."""
        return self._consent.answer

    def notice(self, language: str | None = None) -> Notice:
        """The notice that consent is asked to, in the settings' language if none is said."""
        from shared.notice import notice_text

        return Notice(notice_version(), notice_text(language or self._settings.language))

    def sent(self, language: str | None = None) -> list[Sent]:
        """What has left on the anonymous line, in words; for the process itself, not for a door."""
        return self._log.entries(language or self._settings.language)

    def show_sent(self, pin: str, language: str | None = None) -> list[Sent]:
        """The same for whoever knows the box's PIN. See `Pin.check` for what is refused."""
        return self.owner(pin).sent(language)

    def owner(self, pin: str) -> "Owner":
        """What tells a household of its members, for whoever knows the box's PIN. See `Pin.check`."""
        from box_agent.owner import Owner

        self._pin.check(pin, self._clock.now())
        return Owner(self._core, self._named, self._log, self._settings)

    def offers(self) -> "list[Offer]":
        """The offers in force. See `Ordering.offers`."""
        return self._open().ordering.offers()

    def promotions(self) -> "list[PromotionUse]":
        """The promotions in force. See `Ordering.promotions`."""
        return self._open().ordering.promotions()

    def orders(self) -> "list[Kept]":
        """The orders that this box remembers."""
        return self._open().ordering.orders()

    def status(self) -> dict[str, Any]:
        """How the agent stands, for a person or a script; see docs/box.md."""
        from box_agent.sessions import settle
        from box_agent.status import status

        now = self._clock.now()
        week = Week.of(now, self._settings.timezone())
        asked = asked_state(self._named, week)
        found = status(self._store, self._consent, str(week), asked)
        # A figure that capping leaves behind: how long the box showed something to nobody.
        runs = [run.events for run in self._recorder.runs()]
        cut_ms = sum(session.cut_ms for session in settle(runs, to_ms(now), to_ms(now))[0])
        found["anonymous"] |= {"events": self._recorder.on_hand(), "dropped": self._recorder.dropped}
        # The named line's alone: when a fragment will be sent is told to nobody.
        return found | {"next_due": _text(self._due["named"]), "cut_minutes": cut_ms // 60_000}

    # What the operator and time do.

    def enrol(self, code: str) -> "Enrolment":
        """Bind this box to an account. See `Identity.enrol`."""
        paths = self._open()
        found = paths.identity.enrol(self._lines[0], code, self._settings.serial)
        paths.submission.begin(self._clock.now())
        self._plan()
        return found

    def tick(self, *paths: str) -> None:
        """Do what is due now on these paths, on all of them if none is said; cheap when nothing is.

        What an order or an answer sets off at once is ORDERS alone, and a box that runs by itself ticks for
        each line by itself: a fragment carried along by something named would have its moment.
        """
        now = self._clock.now()
        self._follow_the_clock(now)
        self._record()
        if self._consent.lapse(now):
            self._forget_viewing()
            self._plan()
        for path in paths or _PATHS:
            if self._due[path] <= to_ms(now):
                self._run(path, now)

    def _run(self, path: str, now: datetime) -> None:
        self._due[path] = _NEVER_MS
        try:
            paths = self._open()
            if path == "named":
                paths.submission.run(now)
                self._prune(paths, now)
            elif self._consent.active():
                (paths.refill if path == "refill" else paths.outbox).run(now)
        finally:
            # The other line's path may have found something for this one meanwhile.
            meanwhile = self._due[path]
            self._plan(path)
            self._due[path] = min(self._due[path], meanwhile)
        if path == "refill":  # tokens may have come, or a week begun
            self._due["outbox"] = min(self._due["outbox"], to_ms(now))

    def _follow_the_clock(self, now: datetime) -> None:
        self._consent.follow(now, self._clock.monotonic())
        if to_ms(now) < self._seen_ms:
            self._plan_anew(now)
        self._seen_ms = to_ms(now)

    def _plan_anew(self, now: datetime) -> None:
        # What was planned by a clock that was ahead would wait until it is that late again.
        bring_forward(self._named, to_ms(now), self._settings.heartbeat_hours * HOUR_MS)
        self._plan()
        zone = self._settings.timezone()
        if self._consent.active() and owes_roll_up(self._core.door, Week.of(now, zone).plus(-1), zone):
            self._due["outbox"] = to_ms(now)  # a week may have ended while nobody looked

    def _record(self) -> None:
        # Viewing that finds no room waits; what is owed on the lines, and makes room, does not wait for it.
        try:
            self._recorder.tick()
        except StoreFullError as error:
            _LOG.warning("viewing waits in memory: %s", error)

    def next_due(self) -> datetime | None:
        """When `tick` has something to do next, but for the buffer of viewing; None if never.

        It tells when a fragment will be sent, so it is shown to nobody. Answered from memory, so that a fleet
        can ask often. A box whose consent stands still has each
        week's start; one that is neither enrolled nor consenting has nothing.
        """
        return _instant(min(self._due.values()))

    def flush(self) -> None:
        """Make all viewing taken so far durable."""
        self._recorder.flush()

    def park(self) -> None:
        """Write what is buffered and close the file until it is needed again."""
        self.flush()
        self._store.park()

    close = park

    def _forget_viewing(self) -> None:
        self._recorder.forget()
        drop_damaged_copy(Path(self._store.path))
        try:
            self._store.scrub()
        except StoreError as error:
            _LOG.warning("what was recorded is deleted, and not overwritten yet: %s", error)

    def _plan(self, *changed: str) -> None:
        for path in changed or _PATHS:
            due = self._due_ms(path)
            self._due[path] = _NEVER_MS if due is None else due

    def _due_ms(self, path: str) -> int | None:
        if path == "named":
            return named_due_ms(self._named)
        if not self._consent.active():
            return None
        if path == "outbox":
            return outbox_due_ms(self._recorder.door)
        now, zone = self._clock.now(), self._settings.timezone()
        covered = self._consent.covers(to_ms(Week.of(now, zone).start(zone)))
        return refill_due_ms(self._named, zone, now, covered=covered)

    def _prune(self, paths: _Paths, now: datetime) -> None:
        if to_ms(now) - self._pruned_ms >= _PRUNE_EVERY_MS:
            paths.ordering.prune(now, self._settings.order_retention_days)
            self._log.prune(now)
            self._recorder.forget_before(to_ms(now) - VIEWING_KEPT_MS)
            drop_damaged_copy(Path(self._store.path), to_ms(now) - VIEWING_KEPT_MS)
            self._pruned_ms = to_ms(now)

    def _open(self) -> _Paths:
        if self._paths is None:
            self._paths = self._compose()
        return self._paths

    def _compose(self) -> _Paths:
        from box_agent.guide.store import GuideStore
        from box_agent.identity import Identity
        from box_agent.ordering import Ordering
        from box_agent.outbox import Outbox, Place
        from box_agent.published import Pinned
        from box_agent.refill import Refill
        from box_agent.submission import Submission

        settings, (named_line, anonymous_line) = self._settings, self._lines
        named = self._named
        identity = Identity(named)
        ordering = Ordering(named, identity, self._clock, settings.catalogue_key)
        pinned = Pinned(settings.directory_key, settings.issuer, settings.zone)
        wallet = Wallet(self._store.door(MEETING_TABLES))
        draws, covers = self._random_bytes, self._consent.covers
        parts = (self._consent, self._recorder, self._log)
        place = Place(pinned, settings.postal_area, GuideStore.of(settings).programmes)
        return _Paths(
            identity,
            ordering,
            Submission(named, (identity, ordering), named_line, below(draws), settings.heartbeat_hours),
            Refill(named, (identity, wallet, named_line), pinned, draws, covers),
            Outbox(self._recorder.door, parts, anonymous_line, place, draws),
        )


_PRUNE_EVERY_MS = 24 * 3_600_000
VIEWING_KEPT_MS = 15 * 24 * 3_600_000
"""Viewing is deleted when its week is rolled up, which is before the next has ended; this is the deadline
for whatever got in the way: a week, the week in which it is sent, and a day."""
_PATHS = ("named", "refill", "outbox")
ORDERS, NAMED_LINE, ANONYMOUS_LINE = _PATHS[:1], _PATHS[:2], _PATHS[2:]
"""The paths that `Agent.tick` can be asked to walk."""
_NEVER_MS = 253402300799999


def _instant(due_ms: int) -> datetime | None:
    return None if due_ms == _NEVER_MS else from_ms(due_ms)


def _text(due_ms: int) -> str | None:
    instant = _instant(due_ms)
    return None if instant is None else instant.isoformat()
