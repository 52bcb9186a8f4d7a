"""Jobs: named work with slots (weeks or months), each slot done once whoever ticks.

APScheduler only ticks. A tick asks the injected clock and runs what is due; a job claims its slot in its
side's own database, in the transaction that does the work, so that two tickers or a crash between two
writes cannot make it run twice. A clock that is set back makes nothing due again. Where several nodes serve,
one at a time has the turn to run jobs, so that none begins what another is at.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler

from headend.kit.runs import Run
from shared.clock import Clock, to_ms
from shared.system_clock import SystemClock
from shared.weeks import Week

log = logging.getLogger(__name__)

DAILY_AT = time(4, 30)
"""When daily jobs are due, local time: after both hours that a change of the clocks can touch."""


@dataclass(frozen=True)
class Slot:
    """One turn of a job: its name (such as 2026-W41) and when it is due."""

    name: str
    due: datetime


@dataclass(frozen=True)
class Job:
    """Work that is due once a slot.

    `next_slot` gives the first slot that is not recorded as done; `run` does the work, claims and records
    the slot, and must be safe to call again for a slot that is done; `last_run` is what was recorded last.
    """

    name: str
    next_slot: Callable[[], Slot]
    run: Callable[[Slot], None]
    last_run: Callable[[], Run | None] = lambda: None


@dataclass(frozen=True)
class JobState:
    """How a job stands: its next slot, its last run, and whether the newest try in this process failed."""

    name: str
    next: Slot
    last: Run | None
    failed: bool


def week_slot(done: str | None, first: Week, due: Callable[[Week], datetime]) -> Slot:
    """The slot of the first week that a weekly job has not done."""
    week = first if done is None else Week.parse(done).plus(1)
    return Slot(str(week), due(week))


def day_slot(done: str | None, now: datetime, zone: ZoneInfo) -> Slot:
    """The slot of a daily job, due in the small hours: the day after the last one done, or today's if later.

    What a day has missed the next one does as well, so that days gone by are not caught up one by one.
    """
    today = now.astimezone(zone).date()
    day = today if done is None else max(date.fromisoformat(done) + timedelta(days=1), today)
    return Slot(day.isoformat(), datetime.combine(day, DAILY_AT, tzinfo=zone).astimezone(UTC))


def _always() -> AbstractContextManager[bool]:
    return nullcontext(enter_result=True)


class Jobs:
    """All jobs of an installation, run in the order in which they are listed."""

    def __init__(
        self, jobs: list[Job], clock: Clock, turn: Callable[[], AbstractContextManager[bool]] = _always
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._nodes_turn = turn
        self._turn = threading.Lock()
        self._failed: set[str] = set()
        self.has_turn = False
        """Whether this process runs jobs now."""
        self.last_turn_ms = 0
        """When it last began to, in Unix milliseconds by the installation's clock; 0 if it never has."""

    def run_due(self) -> int:
        """Run every slot that is due, oldest first within a job; gives how many were run.

        Of several nodes one has the turn and runs them; what it leaves undone if it dies the next one does.
        """
        with self._turn:
            due = self.next_due()
            if due is None or due > self._clock.now():
                return 0
            with self._nodes_turn() as mine:
                return self._run_all() if mine else 0

    def _run_all(self) -> int:
        self.has_turn, self.last_turn_ms = True, to_ms(self._clock.now())
        try:
            return sum(self._run_job(job) for job in self._jobs)
        finally:
            self.has_turn = False

    def next_due(self) -> datetime | None:
        """When the earliest slot that is not done is due; in the past while it is being worked on."""
        return min((job.next_slot().due for job in self._jobs), default=None)

    def overview(self) -> list[JobState]:
        """How each job stands."""
        return [
            JobState(job.name, job.next_slot(), job.last_run(), job.name in self._failed)
            for job in self._jobs
        ]

    def _run_job(self, job: Job) -> int:
        done = 0
        now = self._clock.now()
        while (slot := job.next_slot()).due <= now:
            try:
                job.run(slot)
            except Exception:
                # A job that fails stays due and is tried again at the next tick; others go on.
                told = {"job": job.name, "slot": slot.name}
                log.exception("job %s failed for %s", job.name, slot.name, extra=told)
                self._failed.add(job.name)
                return done
            self._failed.discard(job.name)
            done += 1
        return done


class Ticker:
    """Calls `tick` every `every` seconds of real time, also when the wall clock is set back.

    APScheduler plans by the wall clock; a watchman compares with the monotonic clock and plans anew when
    ticks stay away.
    """

    def __init__(self, tick: Callable[[], Any], every: float) -> None:
        self._tick = tick
        self._every = every
        self._real = SystemClock()
        self._last = self._real.monotonic()
        self._stopped = threading.Event()
        # It tells each tick that meets one still under way, which is no news here.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._job = self._scheduler.add_job(
            self._beat, "interval", seconds=every, coalesce=True, max_instances=1, misfire_grace_time=None
        )
        self._watchman = threading.Thread(target=self._watch, name="ticker-watch", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()
        self._watchman.start()

    def stop(self) -> None:
        """Tick no more; waits for a tick that is under way."""
        self._stopped.set()
        self._scheduler.shutdown(wait=True)

    def _beat(self) -> None:
        self._last = self._real.monotonic()
        self._tick()
        self._last = self._real.monotonic()

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            if self._real.monotonic() - self._last > 5 * self._every + 1:
                self._job.modify(next_run_time=self._real.now() + timedelta(milliseconds=1))
