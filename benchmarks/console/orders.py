"""Fill a billing database with many orders over 24 months, and measure how fast its pages answer.

    python -m benchmarks.console.orders --orders 1000000 --accounts 100000 --file /tmp/billing.db

The rows go through the schema's own tables, with every constraint and trigger on: entries are chained by
their real hashes, bills add up, batches are closed by the books' own code. Signatures are left out.
"""

import argparse
import random
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from benchmarks.console import town
from benchmarks.console.town import DAY_MS, HOUR_MS, MONTHS, Home, Placed
from headend.billing import credits as corrections
from headend.billing import exports, ledger
from headend.billing.catalogue import publish_catalogue
from headend.billing.documents.document import InvoiceLine
from headend.billing.invoices import invoice_number, vat_groups
from headend.billing.lists import ChosenBills
from headend.billing.rating import display_text
from headend.billing.rows import Entry, OrderState
from headend.billing.sqlite import SqliteBilling
from headend.billing.store import BillingTx
from headend.kit.engine import Connection
from shared.clock import to_ms
from shared.system_clock import SystemClock

NOW_MS = to_ms(datetime(2026, 11, 22, 12, tzinfo=UTC))
_CREDITED_EVERY = 200
"""One bill in so many has a credit note."""
_DISPUTED = 400
_GAPS = 200
_ALARMS = 2_000
AGENTS_HEARD = (*town.AGENTS, *town.AGENTS[2:], "")
_ENTRY = ", ".join("?" * len(Entry.__struct_fields__))
_CHARGED = (OrderState.BILLED, OrderState.RATED)


@dataclass
class Books:
    """The books while they are filled: one connection, one month in one transaction."""

    db: Connection
    last: int = 0
    last_hash: str = "0" * 64
    numbers: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def post(self, draft: ledger.Draft) -> None:
        """Chain an entry; it is written with the others of its month."""
        entry = ledger.chained(draft, self.last, self.last_hash)
        self.last, self.last_hash = entry.entry, entry.hash
        self.rows.append(structs.astuple(entry))

    def write_entries(self) -> None:
        """Write what was chained."""
        self.db.executemany(f"INSERT INTO entries VALUES ({_ENTRY})", self.rows)
        self.rows = []


def fill(store: SqliteBilling, accounts: int, orders: int, seed: int, now_ms: int = NOW_MS) -> None:
    """Write so many accounts with a box each, and so many orders over the 24 months before `now_ms`."""
    chance, last = random.Random(seed), town.newest(now_ms)
    start_ms = town.evening_of(town.month_at(last, 0), now_ms).start_ms
    sold = town.offers(start_ms - DAY_MS)
    homes = town.homes(accounts, start_ms, chance)
    store.write(lambda tx: publish_catalogue(tx, sold, Ed25519PrivateKey.generate(), start_ms))
    store.storage.write(lambda db: _write_homes(db, homes))
    books = Books(store.storage.read())
    for index in range(MONTHS):
        month = town.month_at(last, index)
        evening = town.evening_of(month, now_ms)
        active = [home for home in homes if index in home.months] or homes
        count = orders // MONTHS if index else orders - orders // MONTHS * (MONTHS - 1)
        placed = list(town.orders_of(active, count, evening, sold, chance))

        def work(db: Connection, placed: list[Placed] = placed, evening: town.Evening = evening) -> None:
            books.db = db
            _write_month(books, placed, evening)

        store.storage.write(work)
        if not evening.current:
            _close_month(store, books, evening.end_ms + 3 * DAY_MS, chance)
    store.storage.write(lambda db: _write_fleet(db, homes, chance, now_ms))
    store.storage.write(lambda db: _write_disputes(db, chance, now_ms))
    store.sweep()


def _write_homes(db: Connection, homes: list[Home]) -> None:
    accounts, boxes = [home.account for home in homes], [home.box for home in homes]
    db.executemany(
        "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?)", [tuple(vars(one).values()) for one in accounts]
    )
    db.executemany(
        "INSERT INTO boxes VALUES (?, ?, ?, ?, ?, ?, ?)", [tuple(vars(one).values()) for one in boxes]
    )
    db.executemany(
        "INSERT INTO bindings VALUES (?, 0, ?, ?)", [(one.box, one.enrolled_ms, one.account) for one in boxes]
    )
    db.executemany(
        "INSERT INTO epochs VALUES (?, 1, 0, ?, ?, 0, ?, 0)",
        [(one.box, "0" * 64, one.enrolled_ms, one.enrolled_ms) for one in boxes],
    )


def _write_month(books: Books, placed: list[Placed], evening: town.Evening) -> None:
    month = town.newest(evening.start_ms + DAY_MS)
    bills = _number_bills(books, placed, month.plus(1).year)
    db = books.db
    db.executemany(
        "INSERT INTO chain VALUES (?, 1, ?, ?, 'order', ?, ?, ?)",
        [(p.home.box.box, p.seq, p.hash, p.envelope, p.envelope_hash, p.at_ms) for p in placed],
    )
    db.executemany(
        "INSERT INTO orders VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, 'EUR', 2100, ?, ?, ?, ?, ?, '', '', 0, 0, ?)",
        [_order_row(p, str(month), bills) for p in placed],
    )
    if evening.signed:
        db.executemany(
            "INSERT INTO annex VALUES (?, 1, ?, ?, ?, 1, ?, ?, ?, ?)", [_annex_row(p) for p in placed]
        )
    for p in placed:
        if p.state in _CHARGED:
            books.post(_usage(p, str(month)))
    if not evening.current:
        _bill_month(books, placed, bills, (str(month), evening.end_ms + 2 * DAY_MS))
    books.write_entries()


def _number_bills(books: Books, placed: list[Placed], year: int) -> dict[str, str]:
    """The number of each account's bill, in the order of accounts."""
    billed = sorted({p.home.account.account for p in placed if p.state is OrderState.BILLED})
    found = {}
    for account in billed:
        books.numbers[year] += 1
        found[str(account)] = invoice_number("INV", year, books.numbers[year])
    books.db.execute(
        "INSERT INTO numbers VALUES ('INV', ?, ?) "
        "ON CONFLICT (series, year) DO UPDATE SET last = excluded.last",
        (year, books.numbers[year]),
    )
    return found


def _order_row(p: Placed, month: str, bills: dict[str, str]) -> tuple[object, ...]:
    account, offer = p.home.account.account, p.offer
    return (
        p.home.box.box,
        p.seq,
        account,
        p.state.value,
        p.reason,
        offer.kind,
        display_text(offer),
        offer.price_cents,
        p.at_ms,
        p.at_ms,
        p.at_ms,
        p.title_hash,
        month,
        bills.get(str(account)) if p.state is OrderState.BILLED else None,
    )


def _annex_row(p: Placed) -> tuple[object, ...]:
    offer = p.offer
    until_ms = p.at_ms + 48 * HOUR_MS
    account = p.home.account.account
    return p.home.box.box, p.seq, account, offer.offer, offer.title, p.salt, p.at_ms, until_ms


def _usage(p: Placed, month: str) -> ledger.Draft:
    return ledger.Draft(
        kind="usage",
        account=p.home.account.account,
        ref=p.ref,
        month=month,
        text=display_text(p.offer),
        currency="EUR",
        vat_bp=2100,
        proof=f"{p.envelope_hash}:{p.title_hash}",
        at_ms=p.at_ms,
        amounts=ledger.usage(p.offer.price_cents),
    )


def _bill_month(books: Books, placed: list[Placed], bills: dict[str, str], when: tuple[str, int]) -> None:
    month, issued_ms = when
    lines: dict[str, list[Placed]] = defaultdict(list)
    for p in placed:
        if p.state is OrderState.BILLED:
            lines[str(p.home.account.account)].append(p)
    heads, rows, groups = [], [], []
    for name, number in bills.items():
        home = lines[name][0].home.account
        told = tuple(_line(p) for p in lines[name])
        (group,) = vat_groups(told)
        sums = (group.gross, group.net, group.vat, group.rounding)
        heads.append((number, name, home.country, home.zone, home.language, month, issued_ms, *sums))
        rows += [
            (number, place, line.order_ref, line.text, line.placed_ms, line.cents)
            for place, line in enumerate(told, 1)
        ]
        groups.append((number, *sums))
        amounts = ledger.billing(*sums)
        books.post(
            ledger.Draft("invoice", name, number, month, f"bill {month}", "EUR", 0, "", issued_ms, amounts)
        )
    db = books.db
    head = "INSERT INTO invoices VALUES (?, 'invoice', NULL, ?, ?, ?, ?, ?, 'EUR', ?, ?, ?, ?, ?)"
    db.executemany(head, heads)
    db.executemany("INSERT INTO invoice_lines VALUES (?, ?, ?, 'order', ?, ?, ?, 2100, 0)", rows)
    db.executemany("INSERT INTO invoice_vat VALUES (?, 2100, ?, ?, ?, ?)", groups)


def _line(p: Placed) -> InvoiceLine:
    return InvoiceLine(p.ref, "order", display_text(p.offer), p.at_ms, p.offer.price_cents, 2100, late=False)


def _close_month(store: SqliteBilling, books: Books, at_ms: int, chance: random.Random) -> None:
    """Credit some bills of the month, and close its batch."""

    def work(tx: BillingTx) -> None:
        newest = tx.bills_page(ChosenBills(kind="invoice"), None, 20_000)
        for _, bill in chance.sample(newest, len(newest) // _CREDITED_EVERY):
            left = corrections.remaining(tx, found) if (found := tx.invoice(bill.number)) else ()
            if left and left[0].cents:
                corrections.credit(tx, bill.number, {left[0].order_ref: left[0].cents}, "correction", at_ms)
        exports.close_batch(tx, at_ms)
        books.last, books.last_hash = tx.last_entry()

    store.write(work)


def _write_fleet(db: Connection, homes: list[Home], chance: random.Random, now_ms: int) -> None:
    db.executemany(
        "UPDATE epochs SET last_seq = ?1, last_hash = ?2, last_ms = ?3, told_seq = ?1 WHERE box = ?4",
        [(home.seq, home.last_hash, home.last_ms, home.box.box) for home in homes if home.seq],
    )
    heard = [
        (now_ms - int(chance.expovariate(1 / (8 * HOUR_MS))), chance.choice(AGENTS_HEARD), home.box.box)
        for home in homes
    ]
    db.executemany("UPDATE sightings SET heard_ms = ?, agent = ? WHERE box = ?", heard)
    for home in chance.sample(homes, min(_GAPS, len(homes))):
        since = now_ms - chance.randrange(HOUR_MS, 3 * DAY_MS)
        sql = "UPDATE epochs SET told_seq = last_seq + ?, gap_ms = ? WHERE box = ?"
        db.execute(sql, (chance.randint(1, 3), since, home.box.box))
    kinds = ("velocity", "gap", "wrong-binding", "equivocation")
    for number in range(min(_ALARMS, 10 * len(homes))):
        home = chance.choice(homes)
        raised = now_ms - (_ALARMS - number) * HOUR_MS * 4
        values = (chance.choice(kinds), home.box.box, home.account.account, f"invented {number}", raised)
        db.execute(
            "INSERT INTO alarms (kind, box, account, detail, raised_ms) VALUES (?, ?, ?, ?, ?)", values
        )


def _write_disputes(db: Connection, chance: random.Random, now_ms: int) -> None:
    lines = db.execute(
        "SELECT number, order_ref FROM invoice_lines WHERE number IN (SELECT number FROM invoices "
        "WHERE kind = 'invoice' ORDER BY rowid DESC LIMIT ?) AND line = 1",
        (_DISPUTED,),
    ).fetchall()
    for number, ref in lines:
        opened = now_ms - chance.randrange(DAY_MS, 40 * DAY_MS)
        state = chance.choice(("open", "dismissed", "dismissed"))
        decided = None if state == "open" else opened + 5 * DAY_MS
        db.execute(
            "INSERT INTO disputes (number, order_ref, why, opened_ms, deadline_ms, state, decided_ms) "
            "VALUES (?, ?, 'not ordered', ?, ?, ?, ?)",
            (number, ref, opened, opened + 30 * DAY_MS, state, decided),
        )


def main() -> int:
    """Fill the file if it is not there yet, and tell how long that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, required=True)
    asked = parser.parse_args()
    made = not asked.file.exists()
    store = SqliteBilling(asked.file, checkpoints=True)
    clock = SystemClock()
    try:
        if made:
            began = clock.monotonic()
            fill(store, asked.accounts, asked.orders, asked.seed)
            taken = clock.monotonic() - began
            size = asked.file.stat().st_size / 1_000_000
            print(f"{asked.orders:,} orders of {asked.accounts:,} accounts, {taken:.0f} s, {size:.0f} MB")
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
