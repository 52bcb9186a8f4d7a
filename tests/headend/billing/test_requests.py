"""Subscribers' requests: received, answered in time, refused with a reason."""

import sqlite3
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import sqlite_utils

from headend.billing.deadlines import months_later
from headend.billing.requests import (
    BadRequestError,
    answer_request,
    erase_on_request,
    extend_request,
    receive_request,
    refuse_request,
)
from headend.billing.retention import forget_due
from headend.billing.rows import NotFoundError, RequestKind, RequestState
from headend.billing.schema import migrations
from headend.kit import chain
from shared.clock import from_ms, to_ms
from tests.builders import DAY, NOW_MS

ZONE = ZoneInfo("Europe/Amsterdam")


def receive(store, kind=RequestKind.ACCESS, received_ms=NOW_MS, now_ms=NOW_MS):
    return store.write(lambda tx: receive_request(tx, "acc-1", kind, received_ms, ("dana", now_ms)))


@pytest.mark.parametrize(
    ("received", "months", "ends"),
    [
        ("2026-10-07T20:00", 1, "2026-11-08T00:00"),
        ("2026-01-31T00:00", 1, "2026-03-01T00:00"),
        ("2024-01-31T10:00", 1, "2024-03-01T00:00"),
        ("2026-11-30T23:59", 3, "2027-03-01T00:00"),
        ("2026-12-15T12:00", 1, "2027-01-16T00:00"),
    ],
)
def test_a_period_of_months_ends_with_the_day_of_the_same_number_or_the_months_last(received, months, ends):
    at_ms = to_ms(datetime.fromisoformat(received).replace(tzinfo=ZONE))
    until = from_ms(months_later(at_ms, months, ZONE)).astimezone(ZONE)
    assert until.replace(tzinfo=None).isoformat(timespec="minutes") == ends


def test_a_request_has_a_deadline_and_an_audit_line(store):
    made = receive(store)
    assert made.deadline_ms == months_later(NOW_MS, 1, ZONE)
    assert store.read().open_requests() == (1, made.deadline_ms)
    (line,) = store.read().audit_lines("acc-1", "dana", None, 10)
    assert (line.what, line.detail) == ("request received", "access 1")


def test_the_same_request_is_not_opened_twice_and_none_comes_from_the_future(store):
    receive(store)
    for kind, at_ms in ((RequestKind.ACCESS, NOW_MS), (RequestKind.ERASURE, NOW_MS + 1)):
        with pytest.raises(BadRequestError):
            receive(store, kind, at_ms)
    with pytest.raises(NotFoundError):
        store.write(lambda tx: receive_request(tx, "acc-9", RequestKind.ACCESS, NOW_MS, ("dana", NOW_MS)))
    assert len(store.read().requests(None, None, 10)) == 1


def test_more_time_is_taken_once_and_within_the_first_month_only(store):
    made = receive(store)
    late = ("dana", made.deadline_ms)
    with pytest.raises(BadRequestError):
        store.write(lambda tx: extend_request(tx, 1, "many boxes", late))
    moved = store.write(lambda tx: extend_request(tx, 1, "many boxes", ("dana", NOW_MS)))
    assert (moved.deadline_ms, moved.note) == (months_later(NOW_MS, 3, ZONE), "many boxes")
    with pytest.raises(BadRequestError):
        store.write(lambda tx: extend_request(tx, 1, "again", ("dana", NOW_MS)))


def test_a_refusal_says_why_and_a_decision_stands(store):
    receive(store)
    with pytest.raises(BadRequestError):
        store.write(lambda tx: refuse_request(tx, 1, "  ", ("dana", NOW_MS)))
    done = store.write(lambda tx: refuse_request(tx, 1, "asked for another account", ("dana", NOW_MS + DAY)))
    assert (done.state, done.decided_ms, done.note) == (
        RequestState.REFUSED,
        NOW_MS + DAY,
        "asked for another account",
    )
    for move in (answer_request, erase_on_request):
        with pytest.raises(BadRequestError):
            store.write(lambda tx, move=move: move(tx, 1, ("dana", NOW_MS)))


def test_erasure_is_done_for_a_request_that_asks_for_it_and_for_no_other(store, box):
    box.submit(box.order(price_cents=1))
    receive(store)
    erasing = receive(store, RequestKind.ERASURE)
    with pytest.raises(BadRequestError):
        store.write(lambda tx: erase_on_request(tx, 1, ("dana", NOW_MS)))
    store.write(lambda tx: erase_on_request(tx, erasing.request, ("dana", NOW_MS)))
    assert store.read().request(erasing.request).state is RequestState.ANSWERED
    assert "titles erased on request" in [one.what for one in store.read().audit_lines("", "dana", None, 10)]


def test_requests_are_listed_open_ones_by_deadline_then_decided_ones_newest_first(store):
    for kind, at_ms in ((RequestKind.ACCESS, NOW_MS), (RequestKind.ERASURE, NOW_MS - 5 * DAY)):
        receive(store, kind, at_ms)
    assert [one.request for one in store.read().requests(None, None, 10)] == [2, 1]
    store.write(lambda tx: answer_request(tx, 2, ("dana", NOW_MS)))
    assert [one.request for one in store.read().requests(None, None, 10)] == [1, 2]
    assert [one.request for one in store.read().requests(RequestState.OPEN, None, 10)] == [1]


def test_decided_requests_go_with_the_tax_period_and_open_ones_stay(store):
    receive(store)
    receive(store, RequestKind.ERASURE)
    store.write(lambda tx: answer_request(tx, 1, ("dana", NOW_MS)))
    after = to_ms(datetime(2037, 1, 2, tzinfo=UTC))
    assert forget_due(store, after, ZONE)["requests"] == 1
    assert [one.request for one in store.read().requests(None, None, 10)] == [2]


def test_billings_audit_is_a_chain(store, box):
    receive(store)
    lines = list(store.read().audit_chain())
    assert len(lines) > 1
    values = [(one.line, one.hash, [v for k, v in vars(one).items() if k != "hash"]) for one in lines]
    assert chain.follow(values).holds
    values[0][2][2] = "mallory"
    assert chain.follow(values).broken == 1


def test_lines_of_an_audit_that_had_no_hashes_yet_are_chained_and_stay_guarded(tmp_path):
    database = sqlite_utils.Database(tmp_path / "old.db")
    migrations.apply(database, stop_before="requests_and_a_chained_audit")
    for n in (1, 2, 3):
        database.execute(
            "INSERT INTO audit (at_ms, who, what, ref, detail) VALUES (?, 'erin', 'did', 'acc-1', ?)", (n, n)
        )
    migrations.apply(database)
    rows = database.execute("SELECT line, hash, at_ms, who, what, ref, detail FROM audit ORDER BY line")
    lines = [(row[0], row[1], (row[0], *row[2:])) for row in rows]
    assert (chain.follow(lines).holds, chain.follow(lines).lines) == (True, 3)
    for change in ("UPDATE audit SET who = 'mallory'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(change)
