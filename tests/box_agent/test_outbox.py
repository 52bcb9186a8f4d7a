import sqlite3
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from box_agent.app import ANONYMOUS_LINE, NAMED_LINE, ORDERS
from box_agent.events import Event, Item
from box_agent.outbox import APART_MS, LATE_MS, MOST_TRIES
from box_agent.sessions import viewing_sessions
from box_agent.store import ANONYMOUS_TABLES, ForbiddenTableError
from shared.anonymous import INNER_REQUEST_SIZE, NONE_CELL
from shared.clock import from_ms, to_ms
from shared.register import profile
from tests.box_agent.fakes import BOX, START, W41, YES, ZONE, Bench, sign_directory, waiting

END = to_ms(W41.end(ZONE))
SIX_DAYS = 6 * 86_400_000
CLOSES = to_ms(W41.closes(ZONE))
SECRET = "a-title-nobody-may-see"


@pytest.fixture
def week(bench: Bench) -> Bench:
    """A consenting box that watched an hour of sport on Monday morning."""
    bench.enrol()
    bench.consent()
    bench.agent.report(Event(event="play", item=Item(kind="live", genre="sports", ref=SECRET)))
    bench.clock.advance(timedelta(hours=1))
    bench.agent.report(Event(event="stop"))
    ask_now(bench)
    return bench


def ask_now(bench: Bench) -> None:
    """Let the week's asking not fall on its last day, so that it is rolled up when it ends."""
    bench.agent.tick()
    bench.agent._store.connection().execute("UPDATE asks SET due_ms = ?", (to_ms(bench.clock.now()),))
    bench.agent._due["refill"] = to_ms(bench.clock.now())


def count(bench: Bench, table: str) -> int:
    if table == "events":
        return bench.agent._recorder._viewing.count()
    return bench.agent._store.connection().execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def set_moments(bench: Bench, due_ms: int) -> None:
    bench.agent._store.connection().execute("UPDATE outbox SET due_ms = ?", (due_ms,))
    bench.agent._due["outbox"] = due_ms


@pytest.mark.parametrize("name", ["small", "regional", "national"])
def test_a_week_leaves_as_exactly_its_quota_of_fragments(week: Bench, name: str) -> None:
    week.take(name)
    week.agent.place_order("film-1", YES)
    week.run_until(CLOSES - 1)
    found = [fragment for _, fragment in week.relay.fragments if fragment.week == W41]
    assert Counter(fragment.measure_number for fragment in found) == {
        measure.number: measure.quota for measure in profile(name).measures
    }
    assert len(set(week.relay.nonces)) == len(week.relay.nonces), "one token each"
    assert any(fragment.cell != NONE_CELL for fragment in found)
    assert [entry.outcome for entry in week.agent.sent()] == ["counted"] * len(week.relay.fragments)


def test_the_relay_s_directory_is_fetched_hours_after_the_named_one(week: Bench) -> None:
    week.run_until(CLOSES - 1)
    asked = (
        week.agent._store.connection()
        .execute("SELECT due_ms FROM asks WHERE week = ?", (str(W41),))
        .fetchone()[0]
    )
    fetched = week.relay.fetched[0][0]
    assert APART_MS[0] <= fetched - asked < APART_MS[1] + LATE_MS


def test_different_directories_mean_silence_and_an_alarm(week: Bench) -> None:
    week.relay.directory = sign_directory(W41, regions=["marked"])
    week.run_until(CLOSES - 1)
    assert week.relay.fetched
    assert week.relay.sealed == []
    assert f"directory-differs-{W41}" in week.agent.status()["anonymous"]["alarms"]
    assert count(week, "events") == 0, "the viewing is deleted all the same"


def test_an_unreachable_relay_means_silence(week: Bench) -> None:
    week.relay.down = True
    week.run_until(CLOSES - 1)
    assert week.relay.fragments == []
    week.run_until(CLOSES + 1)
    assert count(week, "outbox") == 0
    assert (
        week.agent._store.connection()
        .execute("SELECT week FROM wallet WHERE week = ?", (str(W41),))
        .fetchall()
        == []
    )


def test_the_viewing_is_deleted_in_the_moment_it_becomes_fragments(week: Bench) -> None:
    week.run_until(END - 1)
    assert count(week, "events") == 2
    week.run_until(END)
    assert (count(week, "events"), count(week, "ordered"), count(week, "outbox")) == (0, 0, 3)


def test_what_an_order_sets_off_at_once_carries_no_fragment_along(week: Bench) -> None:
    week.run_until(END)
    (due,) = week.agent._store.connection().execute("SELECT min(due_ms) FROM outbox").fetchone()
    week.clock.advance_to(from_ms(due))
    for paths in (ORDERS, NAMED_LINE):
        week.agent.tick(*paths)
        assert week.relay.fragments == []
    week.agent.tick(*ANONYMOUS_LINE)
    assert len(week.relay.fragments) == 1


def test_each_fragment_has_a_moment_of_its_own_within_six_days(tmp_path: Path) -> None:
    moments = []
    for number in range(25):
        bench = Bench(tmp_path / str(number))
        bench.enrol()
        bench.consent()
        bench.run_until(CLOSES - 1)
        moments += [at - END for at, _ in bench.relay.fragments]
        bench.agent.close()
    assert len(moments) == 75
    assert all(0 <= one < SIX_DAYS for one in moments)
    assert Counter(one * 3 // SIX_DAYS for one in moments).keys() == {0, 1, 2}
    assert len(set(moments)) == len(moments)


def test_moments_missed_by_more_than_an_hour_are_drawn_again(week: Bench) -> None:
    week.take("regional")
    week.run_until(END)
    assert count(week, "outbox") == 17
    now = END + SIX_DAYS // 2
    moments = [at for (at,) in week.agent._store.connection().execute("SELECT due_ms FROM outbox")]
    in_time = sum(now - 3_600_000 <= at <= now for at in moments)
    week.clock.advance_to(from_ms(now))
    week.agent.tick()
    assert len(week.relay.sealed) <= in_time, "never flushed together"
    week.run_until(CLOSES - 1)
    times = [at for at, fragment in week.relay.fragments if fragment.week == W41]
    assert len(times) == 17
    assert len(set(times)) == 17
    assert max(times) - min(times) > 3_600_000


def hours_before(end_ms: int, hours: float) -> int:
    return end_ms - round(hours * 3_600_000)


@pytest.mark.parametrize("back_ms", [hours_before(END + SIX_DAYS, 2), hours_before(CLOSES, 14)])
def test_a_box_that_comes_back_late_sends_over_half_a_day_at_least(week: Bench, back_ms: int) -> None:
    week.take("regional")
    week.run_until(END)
    week.clock.advance_to(from_ms(back_ms))
    week.agent._store.connection().execute("UPDATE outbox SET due_ms = ?", (END + 1,))
    week.agent._due["outbox"] = END + 1
    week.run_until(CLOSES - 1)
    times = [at for at, fragment in week.relay.fragments if fragment.week == W41]
    assert len(times) == len(set(times)) == 17
    assert max(times) - min(times) > 6 * 3_600_000


@pytest.mark.parametrize("hours", [0.9, 1.1, 5, 12.9])
def test_what_could_only_be_sent_together_is_not_sent(week: Bench, hours: float) -> None:
    week.take("regional")
    week.run_until(END)
    week.clock.advance_to(from_ms(hours_before(CLOSES, hours)))
    week.agent._store.connection().execute("UPDATE outbox SET due_ms = ?", (END + 1,))
    week.agent._due["outbox"] = END + 1
    week.run_until(CLOSES - 1)
    assert [fragment for _, fragment in week.relay.fragments if fragment.week == W41] == []
    assert waiting(week.agent) == 0


def test_a_week_that_ended_while_the_box_was_off_is_not_rolled_up_into_its_last_hours(week: Bench) -> None:
    week.run_until(END - 1)
    week.clock.advance_to(from_ms(hours_before(CLOSES, 3)))
    week.agent.tick()
    assert (count(week, "events"), waiting(week.agent)) == (0, 0)


def test_a_box_that_was_off_for_longer_is_absent(week: Bench) -> None:
    week.run_until(END)
    week.clock.advance_to(from_ms(CLOSES))
    week.agent.tick()
    week.run_until(CLOSES + 86_400_000)
    assert [fragment for _, fragment in week.relay.fragments if fragment.week == W41] == []


def test_a_fragment_is_tried_four_times_at_most_sealed_afresh_hours_apart(week: Bench) -> None:
    week.run_until(END)
    set_moments(week, END + 1)
    week.relay.down = True
    week.run_until(CLOSES - 1)
    assert count(week, "outbox") == 0
    assert len(week.relay.sealed) == 3 * MOST_TRIES
    bodies = [body for _, body in week.relay.sealed]
    assert len(set(bodies)) == len(bodies), "sealed afresh"
    assert {entry.outcome for entry in week.agent.sent()} == {"unanswered"}


def test_a_crash_while_sending_makes_no_fifth_attempt(week: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    week.run_until(END)

    set_moments(week, END + 1)

    class Killed(BaseException):
        pass

    def die(_body: bytes) -> None:
        week.relay.sealed.append((0, b""))
        raise Killed

    monkeypatch.setattr(week.relay, "post_sealed", die)
    for _ in range(40):
        due = week.agent.next_due()
        if due is None or to_ms(due) >= CLOSES:
            break
        week.clock.advance_to(max(due, week.clock.now()))
        try:
            week.agent.tick()
        except Killed:
            week.agent._store.park()
            week.start()
    assert len(week.relay.sealed) == 3 * MOST_TRIES


def test_a_refused_fragment_is_noted_and_not_sent_again(week: Bench) -> None:
    week.run_until(END)
    week.relay.status = 400
    week.run_until(CLOSES - 1)
    assert len([one for one in week.relay.fragments if one[1].week == W41]) == 3
    assert {entry.outcome for entry in week.agent.sent()} == {"refused"}


def test_every_sealed_request_has_one_size_and_nothing_of_the_box_in_it(week: Bench) -> None:
    week.run_until(CLOSES - 1)
    assert {len(body) for _, body in week.relay.sealed} == {INNER_REQUEST_SIZE + 55}
    for _, body in week.relay.sealed:
        assert BOX.encode() not in body
    words = " ".join(entry.words for entry in week.agent.sent())
    assert SECRET not in words


def test_the_sent_log_is_forgotten_after_its_retention(week: Bench) -> None:
    week.run_until(CLOSES - 1)
    assert week.agent.sent()
    week.consent(granted=False)
    week.clock.advance(timedelta(days=61))
    week.agent.tick()
    assert week.agent.sent() == []


def test_a_session_over_the_end_of_the_week_is_told_in_both(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    bench.clock.advance_to(from_ms(END) - timedelta(hours=1))
    bench.agent.tick()
    bench.agent.report(Event(event="play", item=Item(kind="live", genre="arts", ref="x")))
    bench.clock.advance_to(from_ms(END))
    bench.agent.tick()
    bench.clock.advance(timedelta(hours=1))
    bench.agent.report(Event(event="stop"))
    recorder = bench.agent._recorder
    assert [event.event for run in recorder.runs() for event in run.events] == [
        "alive",
        "play",
        "stop",
    ], "with the agent's own sign of life"
    sessions = viewing_sessions([one for run in recorder.runs() for one in run.events], END + 86_400_000)
    viewed = bench.agent._open().outbox._viewed(W41.plus(1), sessions, "")
    assert len(viewed.minutes) == 60


def test_the_anonymous_path_touches_no_table_of_the_named_one(week: Bench) -> None:
    def deny(action: int, table: str | None, *_rest: object) -> int:
        touched = action in {
            sqlite3.SQLITE_READ,
            sqlite3.SQLITE_UPDATE,
            sqlite3.SQLITE_INSERT,
            sqlite3.SQLITE_DELETE,
        }
        return sqlite3.SQLITE_DENY if touched and table not in ANONYMOUS_TABLES else sqlite3.SQLITE_OK

    week.run_until(END - 1)
    outbox = week.agent._open().outbox
    week.agent._store.connection().set_authorizer(deny)
    for step in range(24 * 7 * 15):
        week.clock.advance_to(from_ms(END) + timedelta(minutes=4 * step))
        outbox.run(week.clock.now())
    assert len(week.relay.fragments) == 3
    week.agent._store.connection().set_authorizer(None)


def test_the_anonymous_door_does_not_open_the_named_tables(week: Bench) -> None:
    door = week.agent._store.door(ANONYMOUS_TABLES)
    for sql in ("SELECT box FROM identity", "DELETE FROM orders", "SELECT 1 FROM wallet, chain"):
        with pytest.raises(ForbiddenTableError):
            door.row(sql)
    assert week.clock.now() > START
