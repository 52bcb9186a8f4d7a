"""Running sums, and what is known of when a box was last heard."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import sqlite_utils
from msgspec import structs
from msgspec.structs import asdict

from headend.billing import exports, schema, sql_fleet, suspense
from headend.billing.credits import credit
from headend.billing.fleet import ChosenBoxes
from headend.billing.invoices import raise_month
from headend.billing.ledger import Draft, chained, usage
from headend.billing.pages.boxes import heard_within
from headend.billing.reconcile import reconcile, recounted
from headend.billing.sqlite import SqliteBilling
from headend.billing.suspense import Decision
from headend.kit.chain import GENESIS
from shared.weeks import Month
from tests.builders import DAY, HOUR, NOW_MS, SigningBox
from tests.campaigns import books

LATER = NOW_MS + 30 * DAY


def live(store: SqliteBilling) -> SigningBox:
    """Orders in every state, a bill, a credit note and a closed batch with a tail behind it."""
    box = SigningBox(store).enrolled()
    said = [box.order(), box.order("film-2", price_cents=399), box.order(price_cents=1)]
    box.submit(*said, box.order("included", price_cents=0), box.order("film-2", price_cents=2))
    decision = Decision("seen", "erin", NOW_MS)
    store.write(lambda tx: suspense.reject(tx, f"{box.box}/1/5", decision))
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    raise_month(store, Month(2026, 10), LATER)
    number = next(store.read().invoices(None, 1)).number
    store.write(lambda tx: credit(tx, number, {f"{box.box}/1/1": 100}, "correction", LATER))
    return box


def test_sums_follow_every_order_and_entry(store):
    live(store)
    books.check(store)
    assert store.read().tail_totals() == {
        name: cents - store.read().batch_totals(1)[name]
        for name, cents in store.read().ledger_totals(1, None).items()
    }


def test_a_sum_that_went_wrong_is_told_by_a_recount(store):
    live(store)
    assert recounted(store.read()) == []
    store.storage.write(lambda db: db.execute("UPDATE ledger_sums SET vat = vat + 1"))
    store.storage.write(
        lambda db: db.execute("UPDATE order_sums SET orders = orders + 1 WHERE state = 'billed'")
    )
    store.storage.write(lambda db: db.execute("UPDATE agent_sums SET boxes = boxes + 1"))
    assert len(recounted(store.read())) == 3


@pytest.mark.sqlite(why="an older version's file")
def test_an_older_database_gets_the_same_sums(store, tmp_path):
    box = live(store)
    kept = {
        table: rows_of(store, table)
        for table in ("order_sums", "ledger_sums", "batch_sums", "sightings", "agent_sums")
    }
    older(store.storage.path)
    reopened = SqliteBilling(tmp_path / "billing.db")
    books.check(reopened)
    for table, rows in kept.items():
        assert rows_of(reopened, table) == rows, table
    SigningBox(reopened, key=box.key, box=box.box, seq=box.seq, prev=box.prev).submit(
        SigningBox(reopened, key=box.key, box=box.box, seq=box.seq, prev=box.prev).order()
    )
    books.check(reopened)
    reopened.close()


def rows_of(store: SqliteBilling, table: str) -> list[tuple[object, ...]]:
    rows = store.storage.read().execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    return [tuple(row) for row in rows if "orders" not in row.keys() or row["orders"]]  # noqa: SIM118 (a row)


def older(path: Path) -> None:
    """Take back what the newer migrations made."""
    db = sqlite_utils.Database(path)
    triggers = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in ("orders_added", "orders_moved", "orders_removed", "entries_added", "boxes_enrolled"):
        assert name in triggers
        db.execute(f"DROP TRIGGER {name}")
    db.execute("DROP TRIGGER boxes_bound")
    for table in ("order_sums", "ledger_sums", "batch_sums", "verifications", "sightings", "agent_sums"):
        db.table(table).drop()
    lists = schema.sums.INDEXES.split("CREATE INDEX ")[1:]
    for name in (line.split()[0] for line in lists):
        db.execute(f"DROP INDEX IF EXISTS {name}")
    db.execute("CREATE INDEX orders_by_state ON orders (state, received_ms)")
    newer = "'sums_and_lists', 'counted_agents', 'lighter_writes'"
    db.execute(f"DELETE FROM _sqlite_migrations WHERE name IN ({newer})")
    db.conn.commit()
    db.close()


@pytest.mark.parametrize("table", ["batch_sums", "verifications"])
def test_what_a_batch_came_to_is_never_changed(store, table):
    live(store)
    if table == "verifications":
        store.storage.write(
            lambda db: db.execute("INSERT INTO verifications VALUES (1, 1, 5, 'erin', 'ok', '')")
        )
    with pytest.raises(Exception, match="append-only"):
        store.storage.write(lambda db: db.execute(f"DELETE FROM {table}"))


def test_a_gap_is_known_until_it_is_filled(store, box):
    lost, found = box.order(), box.order("film-2", price_cents=399)
    box.submit(found)
    (gap,) = store.read().gaps()
    assert (gap.box, gap.missing) == (box.box, 2)
    assert reconcile(store.read()).in_flight == 2
    box.submit(lost, found)
    assert store.read().gaps() == []


def test_a_box_is_heard_by_its_orders_and_keeps_its_version(store, box):
    def sighting() -> tuple[int, str, int]:
        row = store.storage.read().execute("SELECT heard_ms, agent, bound FROM sightings").fetchone()
        return tuple(row)

    assert sighting() == (NOW_MS, "", 1)
    store.write(lambda tx: tx.hear(box.box, "1.4.0", NOW_MS + HOUR))
    box.submit(box.order(), now_ms=NOW_MS + 2 * HOUR)
    assert sighting() == (NOW_MS + 2 * HOUR, "1.4.0", 1)
    store.write(lambda tx: tx.release_box(box.box, NOW_MS + 3 * HOUR))
    assert sighting()[2] == 0
    SigningBox(store, issued_ms=NOW_MS + 4 * HOUR).enrolled(box.box)
    assert sighting()[2] == 1


def test_boxes_are_counted_by_their_version_as_they_tell_it_and_are_released(store):
    def counted() -> tuple[list[tuple[str, int]], int]:
        look = store.read()
        assert look.agents() == look.recount_agents()
        assert recounted(look) == []
        return look.agents(), look.bound_boxes()

    first, second = (SigningBox(store, serial=f"SN-{n}").enrolled() for n in range(2))
    assert counted() == ([("", 2)], 2)
    for box, agent in ((first, "1.4.0"), (second, "1.4.0"), (first, "1.4.0"), (first, ""), (second, "1.5.0")):
        store.write_beside(lambda tx, box=box, agent=agent: tx.hear(box.box, agent, NOW_MS + HOUR))
        counted()
    assert counted() == ([("1.4.0", 1), ("1.5.0", 1)], 2)
    store.write(lambda tx: tx.release_box(first.box, NOW_MS + 2 * HOUR))
    assert counted() == ([("1.5.0", 1)], 1)
    store.write(lambda tx: tx.hear(first.box, "1.6.0", NOW_MS + 3 * HOUR))  # released, and still alive
    assert counted() == ([("1.5.0", 1)], 1)
    store.write(lambda tx: tx.bind_box(first.box, "acc-1", NOW_MS + 4 * HOUR))
    assert counted() == ([("1.5.0", 1), ("1.6.0", 1)], 2)


@pytest.mark.parametrize("few", [0, 2, 100])
def test_boxes_of_a_version_are_paged_alike_whether_they_are_few_or_many(store, monkeypatch, few):
    monkeypatch.setattr(sql_fleet, "FEW", few)
    boxes = [SigningBox(store, serial=f"SN-{n}").enrolled() for n in range(6)]
    for n, box in enumerate(boxes):
        store.write(lambda tx, box=box, n=n: tx.hear(box.box, "1.4.0" if n % 2 else "1.5.0", NOW_MS + n // 3))
    odd = sorted(((NOW_MS + n // 3, boxes[n].box) for n in (1, 3, 5)), reverse=True)
    look, chosen = store.read(), ChosenBoxes(agent="1.4.0")
    found, place = [], None
    while page := look.boxes_page(chosen, place, 1):
        place = page[0].heard_ms, page[0].box
        found.append(place)
    assert found == odd
    assert look.boxes_page(replace(chosen, bound=False), None, 9) == []


@pytest.mark.sqlite(why="an older version's file")
def test_an_older_ledger_loses_its_index_on_hashes_and_nothing_else(tmp_path):
    db = sqlite_utils.Database(tmp_path / "old.db")
    schema.migrations.apply(db, stop_before="lighter_writes")
    last = (0, GENESIS)
    for n in range(3):
        draft = Draft("usage", "acc-1", f"bx/1/{n}", "2026-10", "film", "EUR", 2100, "", NOW_MS, usage(499))
        entry = chained(draft, *last)
        db.table("entries").insert(asdict(entry))
        last = entry.entry, entry.hash
    rows, names = ledger_of(db)
    assert "sqlite_autoindex_entries_1" in names
    schema.migrations.apply(db)
    assert ledger_of(db) == (rows, names - {"sqlite_autoindex_entries_1"})
    bad = asdict(structs.replace(entry, entry=4, ref="bx/1/9"))
    for change in (
        "UPDATE entries SET text = 'x'",
        "DELETE FROM entries",
        lambda: db.table("entries").insert(bad),
        lambda: db.table("entries").insert(bad | {"entry": 6, "prev_hash": last[1]}),
    ):
        with pytest.raises(sqlite3.IntegrityError):
            change() if callable(change) else db.execute(change)
    db.close()


def ledger_of(db):
    names = db.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'entries'").fetchall()
    return db.execute("SELECT * FROM entries ORDER BY entry").fetchall(), {name for (name,) in names}


@pytest.mark.parametrize("hours", [1, 24, 48])
def test_boxes_heard_and_boxes_silent_are_all_that_are_bound(store, hours):
    boxes = [SigningBox(store, serial=f"SN-{n}").enrolled() for n in range(6)]
    now_ms = NOW_MS + 10 * DAY
    for ago, box in zip((0, 1, 24, 25, 48, 49), boxes, strict=True):
        store.write(lambda tx, box=box, ago=ago: tx.hear(box.box, "", now_ms - ago * HOUR))
    store.write(lambda tx: tx.release_box(boxes[0].box, now_ms))
    look, from_ms = store.read(), now_ms - hours * HOUR
    bound, heard, silent = look.bound_boxes(), look.heard_since(from_ms), look.silent_since(from_ms)
    assert (bound, heard) == (5, {1: 1, 24: 2, 48: 4}[hours])
    assert heard + silent == bound
    assert heard_within(look, hours, bound, now_ms) == heard
