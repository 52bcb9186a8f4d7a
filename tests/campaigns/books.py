"""What holds of billing's books at any moment, read from the database file and worked out anew.

Nothing here asks the code that keeps the books how it keeps them, but for reconciliation, which is checked.
"""

import base64
import hashlib
import json
from collections import defaultdict
from fractions import Fraction
from math import floor

from headend.billing.reconcile import reconcile, recounted
from headend.billing.store import BillingStore
from headend.kit.engine import Connection
from tests import engines

GENESIS = "0" * 64
LEDGERS = ("unbilled", "usage", "receivable", "revenue", "vat", "rounding")
ENTRY = (
    *("entry", "kind", "account", "ref", "month", "text", "currency", "vat_bp", "proof", "at_ms"),
    *LEDGERS,
    "prev_hash",
)
BOOKS = (
    *("accounts", "boxes", "bindings", "chain", "orders", "annex", "entries", "numbers", "invoices"),
    *("invoice_lines", "invoice_vat", "disputes", "batches", "acknowledgements", "audit", "alarms"),
    *("job_runs", "catalogues", "offers", "promotions"),
)
"""The tables that say what happened."""


def digest(db: Connection, tables: tuple[str, ...] = BOOKS) -> str:
    """A canonical hash of what stands in these tables, and of how far each chain has come."""
    found = hashlib.sha256()
    for table in tables:
        rows = sorted(map(repr, (tuple(row) for row in db.execute(f"SELECT * FROM {table}"))))
        found.update(repr((table, rows)).encode())
    ends = db.execute("SELECT box, epoch, last_seq, last_hash, last_ms FROM epochs ORDER BY box, epoch")
    found.update(repr([tuple(row) for row in ends]).encode())
    return found.hexdigest()


def everything(db: Connection) -> str:
    """A hash of every row of every table."""
    return digest(db, tuple(engines.tables(db)))


def check(store: BillingStore) -> None:
    """Everything that holds of the books whatever has happened."""
    db = store.storage.read()
    check_ledger(db)
    check_numbers(db)
    check_bills(db)
    check_chains(db)
    check_usage(db)
    check_sums(db)
    assert reconcile(store.read()).closes
    assert recounted(store.read()) == []


def check_sums(db: Connection) -> None:
    """What is added up as things happen is what adding it all up anew gives."""
    cells = (
        "SELECT month, state, display, sum(orders), sum(payable), sum(credited) FROM order_sums "
        "GROUP BY 1, 2, 3 HAVING sum(orders) > 0"
    )
    counted = (
        "SELECT month, state, display, count(*), sum(price_cents - credit_cents), sum(credited_cents) "
        "FROM orders GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    assert list(map(tuple, db.execute(cells + " ORDER BY 1, 2, 3"))) == list(map(tuple, db.execute(counted)))
    empty = (
        "SELECT month FROM order_sums GROUP BY month, state, display "
        "HAVING sum(orders) = 0 AND (sum(payable) <> 0 OR sum(credited) <> 0)"
    )
    assert db.execute(empty).fetchall() == []
    names = ", ".join(LEDGERS)
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in LEDGERS)
    kept = tuple(db.execute(f"SELECT {names} FROM ledger_sums").fetchone())
    assert kept == tuple(db.execute(f"SELECT {sums} FROM entries").fetchone())
    for batch in db.execute("SELECT * FROM batches").fetchall():
        range_of = (batch["first_entry"], batch["last_entry"])
        whole = db.execute(f"SELECT {sums} FROM entries WHERE entry BETWEEN ? AND ?", range_of).fetchone()
        stored = db.execute(f"SELECT {names} FROM batch_sums WHERE batch = ?", (batch["batch"],)).fetchone()
        assert tuple(stored) == tuple(whole)
    agents = "SELECT agent, sum(boxes) FROM agent_sums GROUP BY agent HAVING sum(boxes) <> 0 ORDER BY 1"
    boxes = "SELECT agent, count(*) FROM sightings WHERE bound = 1 GROUP BY agent ORDER BY 1"
    assert list(map(tuple, db.execute(agents))) == list(map(tuple, db.execute(boxes)))
    told = "SELECT box, released_ms IS NULL FROM boxes ORDER BY box"
    assert list(map(tuple, db.execute("SELECT box, bound FROM sightings ORDER BY box"))) == list(
        map(tuple, db.execute(told))
    )


def check_ledger(db: Connection) -> None:
    """Entries are numbered from 1, chained from genesis, and balance one by one."""
    before = GENESIS
    for number, row in enumerate(db.execute("SELECT * FROM entries ORDER BY entry"), 1):
        fields = [row[name] for name in ENTRY]
        assert row["entry"] == number
        assert row["prev_hash"] == before
        assert sum(row[name] for name in LEDGERS) == 0
        written = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        before = row["hash"]
        assert before == hashlib.sha256(written).hexdigest(), f"entry {number}"


def check_numbers(db: Connection) -> None:
    """Each series and year counts 1, 2, 3 … and the counter stands at the last."""
    taken: dict[tuple[str, int], list[int]] = defaultdict(list)
    for (number,) in db.execute("SELECT number FROM invoices ORDER BY number"):
        series, year, count = number.split("-")
        taken[series, int(year)].append(int(count))
    for counts in taken.values():
        assert counts == list(range(1, len(counts) + 1))
    counters = {(row["series"], row["year"]): row["last"] for row in db.execute("SELECT * FROM numbers")}
    assert counters == {key: len(counts) for key, counts in taken.items()}


def parts(gross: int, rate_bp: int) -> tuple[int, int, int, int]:
    """Gross, net, VAT and rounding of what is left of a group, by the rule for prices that include VAT."""
    rate = Fraction(rate_bp, 10_000)
    net = floor(gross / (1 + rate) + Fraction(1, 2))
    vat = floor(net * rate + Fraction(1, 2))
    return gross, net, vat, gross - net - vat


def check_bills(db: Connection) -> None:
    """What is payable is the sum of the prices shown less the credits shown, in every part."""
    groups: dict[str, dict[int, list[int]]] = defaultdict(dict)
    for row in db.execute("SELECT * FROM invoice_vat"):
        groups[row["number"]][row["rate_bp"]] = [row[name] for name in ("gross", "net", "vat", "rounding")]
    for bill in db.execute("SELECT * FROM invoices WHERE kind = 'invoice'").fetchall():
        notes = db.execute("SELECT * FROM invoices WHERE refers_to = ?", (bill["number"],)).fetchall()
        shown = "SELECT sum(price_cents - credit_cents), sum(credited_cents) FROM orders WHERE invoice = ?"
        payable, credited = db.execute(shown, (bill["number"],)).fetchone()
        assert bill["gross"] == payable
        assert sum(note["gross"] for note in notes) == credited
        assert 0 <= credited <= payable
        left = {rate: list(values) for rate, values in groups[bill["number"]].items()}
        for rate, values in left.items():
            assert tuple(values) == parts(values[0], rate)
        for note in notes:
            for rate, values in groups[note["number"]].items():
                left[rate] = [a - b for a, b in zip(left[rate], values, strict=True)]
        for rate, values in left.items():
            assert tuple(values) == parts(values[0], rate), "what is left of a bill is exact too"
    for row in db.execute(
        "SELECT invoices.number, gross, (SELECT sum(cents) FROM invoice_lines one "
        "WHERE one.number = invoices.number) AS lines FROM invoices"
    ):
        assert row["gross"] == row["lines"]
        assert row["gross"] == sum(values[0] for values in groups[row["number"]].values())


def check_chains(db: Connection) -> None:
    """Of each epoch 1 to last is stored, each message naming the one before; each has its order."""
    for end in db.execute("SELECT * FROM epochs").fetchall():
        before = GENESIS
        place = (end["box"], end["epoch"])
        rows = db.execute("SELECT * FROM chain WHERE box = ? AND epoch = ? ORDER BY seq", place).fetchall()
        assert [row["seq"] for row in rows] == list(range(1, end["last_seq"] + 1))
        for row in rows:
            if row["envelope"] is not None:
                assert hashlib.sha256(row["envelope"]).hexdigest() == row["envelope_hash"]
                payload = base64.b64decode(json.loads(row["envelope"])["payload"])
                assert json.loads(payload)["prev"] == before
                assert hashlib.sha256(payload).hexdigest() == row["hash"]
            before = row["hash"]
        assert end["last_hash"] == before
        assert end["told_seq"] >= end["last_seq"]
        assert (end["gap_ms"] > 0) == (end["told_seq"] > end["last_seq"])
    orders = "SELECT box, epoch, seq FROM orders WHERE reason <> 'delivery-report' ORDER BY 1, 2, 3"
    links = "SELECT box, epoch, seq FROM chain WHERE kind <> 'delivery' ORDER BY 1, 2, 3"
    assert db.execute(orders).fetchall() == db.execute(links).fetchall()


def check_usage(db: Connection) -> None:
    """What is charged was posted once with the proof of the message that is stored, and nothing else was."""
    charged = {
        f"{row['box']}/{row['epoch']}/{row['seq']}": row
        for row in db.execute("SELECT * FROM orders JOIN chain USING (box, epoch, seq)")
    }
    sums: dict[str, int] = defaultdict(int)
    for row in db.execute("SELECT * FROM entries WHERE kind NOT IN ('invoice', 'credit-note')"):
        order = charged[row["ref"]]
        assert row["proof"] == f"{order['envelope_hash']}:{order['title_hash']}"
        assert row["account"] == order["account"]
        sums[row["ref"]] += row["unbilled"]
    for ref, order in charged.items():
        stands = order["state"] in {"rated", "billed", "credited"}
        assert sums[ref] == (order["price_cents"] - order["credit_cents"] if stands else 0), ref
