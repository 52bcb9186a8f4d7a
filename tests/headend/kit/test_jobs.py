from datetime import UTC, datetime, timedelta

import pytest

from headend.kit.jobs import Job, Jobs, Slot, Ticker, week_slot
from shared.clock import ManualClock
from shared.weeks import Week
from simulator.processes import wait_until

START = datetime(2026, 10, 5, tzinfo=UTC)


class Weekly:
    """A job with a slot a week, which remembers what it ran."""

    def __init__(self, name="weekly"):
        self.ran, self.fails = [], 0
        self.job = Job(name, self.next_slot, self.run)

    def next_slot(self):
        number = len(self.ran)
        return Slot(f"week {number}", START + timedelta(weeks=number))

    def run(self, slot):
        if self.fails:
            self.fails -= 1
            raise RuntimeError("not now")
        self.ran.append(slot.name)


def test_missed_slots_run_oldest_first_and_each_once():
    weekly, clock = Weekly(), ManualClock(START + timedelta(weeks=2, days=1))
    jobs = Jobs([weekly.job], clock)
    assert jobs.run_due() == 3
    assert jobs.run_due() == 0
    assert weekly.ran == ["week 0", "week 1", "week 2"]
    assert jobs.next_due() == START + timedelta(weeks=3)


def test_a_job_that_fails_stays_due_and_does_not_stop_the_others(caplog):
    bad, good = Weekly("bad"), Weekly("good")
    bad.fails = 1
    jobs = Jobs([bad.job, good.job], ManualClock(START))
    assert jobs.run_due() == 1
    assert jobs.next_due() == START
    assert "bad failed" in caplog.text
    assert jobs.run_due() == 1


def test_a_clock_that_was_set_back_makes_nothing_due_again():
    weekly = Weekly()
    Jobs([weekly.job], ManualClock(START)).run_due()
    assert Jobs([weekly.job], ManualClock(START - timedelta(days=400))).run_due() == 0


def test_the_next_week_of_a_weekly_job_follows_the_last_that_is_done():
    def due(week):
        return datetime.combine(week.monday(), datetime.min.time(), UTC)

    assert week_slot(None, Week(2026, 53), due).name == "2026-W53"
    assert week_slot("2026-W53", Week(2026, 40), due).name == "2027-W01"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_ticker_ticks_and_stops():
    ticks = []
    ticker = Ticker(lambda: ticks.append(1), 0.02)
    ticker.start()
    wait_until(lambda: len(ticks) > 3, "ticks", 5)
    ticker.stop()
    count = len(ticks)
    assert count == len(ticks)


def test_a_job_that_failed_is_told_so_until_it_has_been_done():
    weekly, clock = Weekly(), ManualClock(START)
    jobs = Jobs([weekly.job], clock)
    weekly.fails = 1
    jobs.run_due()
    assert [one.failed for one in jobs.overview()] == [True]
    jobs.run_due()
    assert [(one.failed, one.next.name) for one in jobs.overview()] == [(False, "week 1")]
