"""What an order costs in statements and rows: it must not grow with what the account has done before."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from headend.billing import charging, orders
from headend.billing.invoices import raise_month
from headend.billing.pages.boxes import heard_within
from headend.billing.rows import OrderState
from headend.billing.sql import SqlBillingTx
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, HOUR, NOW_MS, offer


class Counted:
    """A store that counts what its transactions are asked for."""

    def __init__(self, over: Any) -> None:
        self.over = over
        self.asked = Counter()

    def read(self) -> Any:
        return self.over.read()

    def write_beside(self, work: Callable[[Any], Any]) -> Any:
        return self.over.write_beside(lambda tx: work(_Asked(tx, self.asked)))


class _Asked:
    def __init__(self, over: Any, asked: Counter) -> None:
        self._over, self._counted = over, asked

    def __getattr__(self, name: str) -> Any:
        self._counted[name] += 1
        return getattr(self._over, name)


def steps(store: Any, ask: Callable[[Any], object]) -> int:
    """Steps of SQLite's machine that a question takes: they follow the rows that it looks at."""
    connection, taken = store.storage.read(), [0]

    def step() -> int:
        taken[0] += 1
        return 0

    connection.set_progress_handler(step, 1)
    try:
        ask(store.read())
    finally:
        connection.set_progress_handler(None, 0)
    return taken[0]


def copies(store: Any, first: int, count: int, **changes: str) -> None:
    """More orders, copied from the first one to places from `first` on, with other values as said."""
    with engines.raw(engines.where(store)) as db:  # past the store: without messages of their own
        names = engines.columns_of(db, "orders")
        said = {"seq": f"{first} + n", **changes}
        columns = ", ".join(said.get(name, name) for name in names)
        db.execute(
            "WITH RECURSIVE more(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM more WHERE n + 1 < ?) "
            f"INSERT INTO orders SELECT {columns} FROM orders CROSS JOIN more WHERE seq = 1",
            (count,),
        )


def test_a_submission_asks_once_for_its_chains_end_and_once_an_order_for_its_account(store, box):
    counted = Counted(store)
    said = [box.order(), box.order("film-2", price_cents=399)]
    acknowledged = orders.take(counted, said, NOW_MS)
    assert acknowledged.ack == 2
    assert (counted.asked["chain_end"], counted.asked["account"]) == (1, 2)


def test_what_follows_within_a_submission_is_bounded_by_what_came_before_it(store, box):
    first = box.order(placed_ms=NOW_MS + 2 * HOUR)
    box.submit(first, box.order("film-2", price_cents=399, placed_ms=NOW_MS), now_ms=NOW_MS + DAY)
    kept = [store.read().order(box.box, 1, seq).effective_ms for seq in (1, 2)]
    assert kept == [NOW_MS + 2 * HOUR, NOW_MS + 2 * HOUR]


@pytest.mark.sqlite(why="counts the steps of its machine")
def test_the_watch_over_a_days_orders_stops_at_its_limit(store, box):
    box.submit(box.order())
    most = charging.VELOCITY_LIMIT + 1

    def watch(look: Any) -> int:
        return look.paid_orders(box.account, NOW_MS - DAY, NOW_MS + DAY, most)

    copies(store, 100, most)
    few = steps(store, watch)
    assert watch(store.read()) == most
    copies(store, 1_000, 2_000)
    assert store.read().order_totals()[OrderState.RATED][0] == 2_001 + most
    assert steps(store, watch) == few


class UndoneError(Exception):
    """The transaction is broken off."""


@pytest.mark.sqlite(why="counts the steps of its machine")
def test_what_is_due_is_found_among_what_is_due_however_long_the_account_has_ordered(store, box):
    box.submit(box.order(), box.order("film-2", price_cents=399))

    def due(look: Any) -> list[object]:
        return look.due_orders(box.account, NOW_MS + DAY)

    few = steps(store, due)
    copies(store, 1_000, 300, state="'billed'", effective_ms=f"{NOW_MS} - n")
    assert len(due(store.read())) == 2
    assert steps(store, due) == few


@pytest.mark.sqlite(why="counts the steps of its machine")
def test_the_bill_of_a_month_is_found_however_many_bills_there_are(store, box):
    box.submit(box.order())
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    (bill,) = store.read().invoices(None, 1)

    def bill_of(look: Any) -> str | None:
        return look.bill_of(box.account, "2026-10")

    few = steps(store, bill_of)
    with engines.raw(engines.where(store)) as db:
        for account, month in (("account", "'1926-' || n"), ("'other-' || n", "month")):
            said = {"number": f"{account} || {month} || n", "account": account, "month": month}
            names = engines.columns_of(db, "invoices")
            db.execute(
                "WITH RECURSIVE more(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM more WHERE n < 300) INSERT "
                f"INTO invoices SELECT {', '.join(said.get(name, name) for name in names)} FROM invoices "
                "CROSS JOIN more WHERE number = ?",
                (bill.number,),
            )
    assert bill_of(store.read()) == bill.number
    assert steps(store, bill_of) == few


@pytest.mark.sqlite(why="counts the steps of its machine")
def test_the_fleet_is_counted_without_reading_the_boxes_that_are_well(store, box):
    store.write(lambda tx: tx.hear(box.box, "1.4.0", NOW_MS + DAY))

    def counted(look: Any) -> list[object]:
        return [look.bound_boxes(), look.agents(), heard_within(look, 48, look.bound_boxes(), NOW_MS + DAY)]

    few = steps(store, counted)
    with engines.raw(engines.where(store)) as db:
        db.execute(
            "WITH RECURSIVE more(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM more WHERE n < 299) INSERT INTO "
            "sightings (box, bound, heard_ms, agent) SELECT box || n, 1, heard_ms, agent FROM sightings "
            "CROSS JOIN more"
        )
    assert counted(store.read()) == [301, [("1.4.0", 301)], 301]
    assert steps(store, counted) == few


@pytest.mark.sqlite(why="its triggers")
def test_a_sign_of_life_that_says_nothing_new_counts_nothing_anew(store, box):
    store.write(lambda tx: tx.hear(box.box, "1.4.0", NOW_MS + HOUR))

    def changed(agent: str) -> int:
        def hear(db: Any) -> int:
            before = db.total_changes  # of triggers too
            SqlBillingTx(db, store.storage).hear(box.box, agent, NOW_MS + DAY)
            return db.total_changes - before

        return store.storage.write(hear)

    assert (changed("1.4.0"), changed(""), changed("1.5.0")) == (1, 1, 3)


def test_an_offer_is_read_from_the_database_once(store):
    assert store.read().offer("film-2", 1).price_cents == 399
    with engines.raw(engines.where(store)) as db:
        db.execute("DELETE FROM offers WHERE offer = 'film-2'")  # as nothing in the headend does
    assert store.read().offer("film-2", 1).price_cents == 399
    assert store.write(lambda tx: tx.offer("film-2", 1)).price_cents == 399


def test_an_offer_that_was_not_there_is_asked_for_again(store):
    assert store.read().offer("late", 1) is None
    store.write(lambda tx: tx.add_catalogue(2, b"", [offer("late")], []))
    assert store.read().offer("late", 1) == offer("late")


def test_an_offer_of_a_transaction_that_was_undone_is_not_remembered(store):
    def published(tx: Any) -> None:
        tx.add_catalogue(2, b"", [offer("late", price_cents=1)], [])
        assert tx.offer("late", 1).price_cents == 1
        raise UndoneError

    with pytest.raises(UndoneError):
        store.write(published)
    assert store.read().offer("late", 1) is None
    store.write(lambda tx: tx.add_catalogue(2, b"", [offer("late", price_cents=2)], []))
    assert store.write(lambda tx: tx.offer("late", 1)).price_cents == 2
