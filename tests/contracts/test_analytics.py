"""Analytics' store over both engines: a seeded month of fragments and releases answers the same."""

import random
from contextlib import suppress

import pytest

from headend.analytics.engines import open_store
from headend.analytics.store import (
    AnalyticsStore,
    Contribution,
    Disclosure,
    Installation,
    ReleaseDesk,
    Spending,
    StoredDirectory,
    StoredRelease,
    StoredTotals,
    WeekState,
)
from shared.weeks import Week
from tests.contracts.recorded import RecordedStore, methods, replay, rows

FIRST = Week(2026, 41)
STAMP = Installation(simulated=False, profile="small", zone="UTC", first_week=FIRST, cap_micro=10_000)
MEASURES = ("genre", "viewing", "ordered-genre")


class RecordedAnalytics(RecordedStore):
    """Its transactions are `at_release_desk`; everything else is asked of the store itself."""

    def at_release_desk(self, work):
        return self._write("at_release_desk", work)


def directory(week):
    return StoredDirectory(week, b"envelope of " + str(week).encode(), b"{}", "d" * 64)


def attempt(call, *values):
    """Ask for something that may be refused; the refusal is written down too."""
    with suppress(Exception):
        call(*values)


def fragments(rng, week, known):
    """A group as the gateway hands it over: some twice, some of a week that is not open."""
    found = []
    for _ in range(rng.randrange(1, 40)):
        nonce = rng.choice(known) if known and rng.random() < 0.1 else rng.randbytes(32)
        known.append(nonce)
        of = week.plus(1) if rng.random() < 0.05 else week
        amount = rng.randrange(0, 5)
        found.append(Contribution(of, rng.choice(MEASURES), rng.randrange(0, 13), amount, amount, nonce))
    return found


def release(desk, week, *, breaks=False):
    desk.state(week), desk.directory(week), desk.totals(week), desk.accepted(week)
    desk.installation(), desk.spendings(), desk.spent_micro(), desk.release(week)
    desk.spendings_between(week, week), desk.spendings_between(week.plus(-1), week.plus(1))
    assert desk.counters(week)
    for measure in MEASURES:
        desk.spend(Spending(week, measure, 2_500))
    desk.enter_release(StoredRelease(week, b"manifest", b"table"))
    if breaks:
        raise ZeroDivisionError
    desk.finish(week, WeekState.RELEASED, 5)
    desk.drop_counters(week)


def look(store, week):
    store.installation(), store.directory(week), store.open_directories(), store.totals(week)
    store.accepted(), store.tally(), store.state(week), store.states(), store.release(week), store.releases()
    store.release_weeks(), store.directories(None, 2), store.directories(week, 2), store.spendings()
    store.disclosures(), store.last_done("release"), store.last_run("release"), store.last_done("never")


def live(store):
    rng = random.Random(2006)  # noqa: S311 (the same month every time)
    store.stamp(STAMP)
    attempt(
        store.stamp, Installation(simulated=True, profile="small", zone="UTC", first_week=FIRST, cap_micro=1)
    )
    for number in range(4):
        week, known = FIRST.plus(number), []
        store.accept_directory(directory(week))
        store.accept_directory(directory(week))
        attempt(store.accept_directory, StoredDirectory(week, b"another", b"{}", "e" * 64))
        for _ in range(6):
            store.count(fragments(rng, week, known))
        store.count([])
        attempt(store.forget, week, 1)
        store.accept_totals(week, StoredTotals(b"totals", "f" * 64))
        attempt(store.accept_totals, week, StoredTotals(b"others", "e" * 64))
        attempt(store.at_release_desk, lambda desk, week=week: release(desk, week, breaks=True))
        store.at_release_desk(lambda desk, week=week: release(desk, week))
        store.add_tally({"wrong-size": number, "duplicate": 1})
        store.add_disclosure(Disclosure(number, "release", "public", "publication", "a" * 64, f"{week}.json"))
        look(store, week)
        if number < 3:
            store.forget(week, 7)
            store.count(fragments(rng, week, known))
    look(store, FIRST)


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    store = RecordedAnalytics(open_store(tmp_path_factory.mktemp("month") / "analytics.db"))
    live(store)
    yield store
    store.close()


def test_the_month_asks_everything_that_the_analytics_store_promises(life):
    assert methods(ReleaseDesk, AnalyticsStore) - life.names() == {
        "measured",
        "shelf",
        "turn",
    }


def test_a_month_of_analytics_answers_the_same_and_leaves_the_same_rows_over_postgresql(life, fresh):
    store = open_store(fresh("analytics"))
    replay(life.turns, store)
    assert rows(store) == rows(life.over)
    store.close()
