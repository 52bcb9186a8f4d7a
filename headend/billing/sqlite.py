"""Billing's database on SQLite; see headend.billing.store for what each method means."""

from collections.abc import Callable, Iterator
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from headend.billing.schema import migrations
from headend.billing.store import (
    Account,
    Alarm,
    AnnexRow,
    Batch,
    BillingTx,
    Box,
    ChainEnd,
    Entry,
    Invoice,
    InvoiceLine,
    Link,
    NotFoundError,
    OrderRow,
    OrderState,
    Posting,
)
from headend.kit.storage import Connection, Storage
from shared.named import GENESIS, AccountId, BoxId, Offer

T = TypeVar("T")
Row = TypeVar("Row")


def _columns(form: type[Any], leave_out: tuple[str, ...] = ()) -> str:
    return ", ".join(field.name for field in fields(form) if field.name not in leave_out)


_ORDER = _columns(OrderRow)
_ANNEX = _columns(AnnexRow)
_ENTRY = _columns(Entry, ("postings",))
_INVOICE = _columns(Invoice, ("lines",))
_LINE = _columns(InvoiceLine)
_WINDOW_STATES = "('rated', 'billed')"


class SqliteBillingTx:
    """`BillingTx` over one connection; inside `write` it is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def _one(self, form: Callable[..., Row], sql: str, *values: object) -> Row | None:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else form(*row)

    def _all(self, form: Callable[..., Row], sql: str, *values: object) -> Iterator[Row]:
        return (form(*row) for row in self._db.execute(sql, values))

    def _insert(self, table: str, columns: str, values: tuple[object, ...]) -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)

    def stamp(self, fact: str, value: str) -> str:
        self._db.execute("INSERT INTO installation VALUES (?, ?) ON CONFLICT DO NOTHING", (fact, value))
        return str(self._db.execute("SELECT value FROM installation WHERE fact = ?", (fact,)).fetchone()[0])

    # --- accounts and boxes
    def add_account(self, account: Account) -> None:
        self._insert("accounts", _columns(Account), astuple(account))

    def account(self, account: str) -> Account:
        found = self._one(Account, f"SELECT {_columns(Account)} FROM accounts WHERE account = ?", account)
        return _found(found, "account", account)

    def accounts(self) -> Iterator[Account]:
        return self._all(Account, f"SELECT {_columns(Account)} FROM accounts ORDER BY account")

    def add_code(self, code_hash: str, account: str, box: str | None, expires_ms: int) -> None:
        self._insert("codes", "code_hash, account, box, expires_ms", (code_hash, account, box, expires_ms))

    def code(self, code_hash: str) -> tuple[AccountId, BoxId | None, int, str | None] | None:
        sql = "SELECT account, box, expires_ms, used_by FROM codes WHERE code_hash = ?"
        return self._one(lambda *row: row, sql, code_hash)

    def use_code(self, code_hash: str, public_key: str, box: str) -> None:
        self._db.execute(
            "UPDATE codes SET used_by = ?, used_box = ? WHERE code_hash = ?", (public_key, box, code_hash)
        )

    def box_of_code(self, code_hash: str) -> Box:
        row = self._db.execute("SELECT used_box FROM codes WHERE code_hash = ?", (code_hash,)).fetchone()
        return self.box(row[0] if row else "")

    def put_box(self, box: Box) -> None:
        self._db.execute(
            f"INSERT INTO boxes ({_columns(Box)}) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (box) DO UPDATE SET public_key = excluded.public_key, "
            "account = excluded.account, epoch = excluded.epoch",
            astuple(box),
        )
        self._db.execute(
            "INSERT INTO epochs (box, epoch, last_seq, last_hash, last_ms, told_seq, told_ms) "
            "VALUES (?, ?, 0, ?, 0, 0, ?)",
            (box.box, box.epoch, GENESIS, box.enrolled_ms),
        )

    def box(self, box: str) -> Box:
        return _found(self._one(Box, f"SELECT {_columns(Box)} FROM boxes WHERE box = ?", box), "box", box)

    def boxes(self) -> Iterator[Box]:
        return self._all(Box, f"SELECT {_columns(Box)} FROM boxes ORDER BY box")

    def accounts_with_boxes(self) -> Iterator[tuple[AccountId, tuple[BoxId, ...]]]:
        sql = "SELECT account, group_concat(box) FROM boxes GROUP BY account ORDER BY account"
        for account, boxes in self._db.execute(sql):
            yield AccountId(account), tuple(BoxId(box) for box in sorted(boxes.split(",")))

    # --- chain
    def chain_end(self, box: str, epoch: int) -> ChainEnd | None:
        sql = f"SELECT {_columns(ChainEnd)} FROM epochs WHERE box = ? AND epoch = ?"
        return self._one(ChainEnd, sql, box, epoch)

    def chain_ends(self) -> Iterator[ChainEnd]:
        return self._all(ChainEnd, f"SELECT {_columns(ChainEnd)} FROM epochs ORDER BY box, epoch")

    def link(self, box: str, epoch: int, seq: int) -> Link | None:
        sql = f"SELECT {_columns(Link)} FROM chain WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(Link, sql, box, epoch, seq)

    def add_link(self, link: Link, effective_ms: int) -> None:
        self._insert("chain", _columns(Link), astuple(link))
        self._db.execute(
            "UPDATE epochs SET last_seq = ?, last_hash = ?, last_ms = ?, told_seq = max(told_seq, ?) "
            "WHERE box = ? AND epoch = ?",
            (link.seq, link.hash, effective_ms, link.seq, link.box, link.epoch),
        )

    def tell(self, box: str, epoch: int, seq: int, now_ms: int) -> None:
        self._db.execute(
            "UPDATE epochs SET told_seq = max(told_seq, ?), told_ms = ? WHERE box = ? AND epoch = ?",
            (seq, now_ms, box, epoch),
        )

    # --- catalogue
    def add_catalogue(self, version: int, envelope: bytes, offers: list[Offer]) -> None:
        self._insert("catalogues", "version, envelope", (version, envelope))
        self._db.executemany(
            "INSERT INTO offers (offer, version, terms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(offer.offer, offer.version, msgspec.json.encode(offer).decode()) for offer in offers],
        )

    def catalogue(self) -> tuple[int, bytes] | None:
        sql = "SELECT version, envelope FROM catalogues ORDER BY version DESC LIMIT 1"
        return self._one(lambda version, envelope: (version, envelope), sql)

    def catalogue_version(self) -> int:
        return self._one(int, "SELECT coalesce(max(version), 0) FROM catalogues") or 0

    def offer(self, offer: str, version: int) -> Offer | None:
        sql = "SELECT terms FROM offers WHERE offer = ? AND version = ?"
        return self._one(lambda terms: msgspec.json.decode(terms, type=Offer), sql, offer, version)

    # --- orders
    def add_order(self, order: OrderRow) -> None:
        self._insert("orders", _ORDER, astuple(order))

    def order(self, box: str, epoch: int, seq: int) -> OrderRow | None:
        sql = f"SELECT {_ORDER} FROM orders WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(_order, sql, box, epoch, seq)

    def set_order_state(self, order: OrderRow, state: OrderState, reason: str, invoice: str | None) -> None:
        self._db.execute(
            "UPDATE orders SET state = ?, reason = ?, invoice = ? WHERE box = ? AND epoch = ? AND seq = ?",
            (state, reason, invoice, order.box, order.epoch, order.seq),
        )

    def orders(self, state: OrderState | None, account: str | None, limit: int) -> Iterator[OrderRow]:
        sql = (
            f"SELECT {_ORDER} FROM orders WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR account = ?2) "
            "ORDER BY received_ms DESC, box, seq LIMIT ?3"
        )
        return self._all(_order, sql, state, account, limit)

    def due_orders(self, account: str, before_ms: int) -> list[OrderRow]:
        sql = (
            f"SELECT {_ORDER} FROM orders WHERE account = ? AND effective_ms < ? AND state = 'rated' "
            "ORDER BY effective_ms, box, epoch, seq"
        )
        return list(self._all(_order, sql, account, before_ms))

    def accounts_with_due_orders(self) -> list[AccountId]:
        sql = "SELECT DISTINCT account FROM orders WHERE state = 'rated' ORDER BY account"
        return list(self._all(AccountId, sql))

    def order_totals(self) -> dict[OrderState, tuple[int, int]]:
        sql = "SELECT state, count(*), sum(price_cents) FROM orders GROUP BY state"
        return {OrderState(state): (n, cents) for state, n, cents in self._db.execute(sql)}

    def orders_since(self, account: str, from_ms: int) -> tuple[int, int]:
        sql = (
            "SELECT count(*), coalesce(sum(price_cents), 0) FROM orders "
            "WHERE account = ? AND effective_ms >= ? AND state IN ('rated', 'billed')"
        )
        found = self._one(lambda n, cents: (int(n), int(cents)), sql, account, from_ms)
        return found or (0, 0)

    def add_annex(self, row: AnnexRow) -> None:
        self._insert("annex", _ANNEX, astuple(row))

    def annex(self, box: str, epoch: int, seq: int) -> AnnexRow | None:
        sql = f"SELECT {_ANNEX} FROM annex WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(AnnexRow, sql, box, epoch, seq)

    def open_window(self, account: str, offer: str, at_ms: int) -> AnnexRow | None:
        sql = (
            f"SELECT {', '.join('annex.' + name for name in _ANNEX.split(', '))} "
            "FROM annex JOIN orders USING (box, epoch, seq) WHERE annex.account = ? AND offer = ? "
            "AND window_from_ms <= ? AND window_until_ms > ? "
            f"AND state IN {_WINDOW_STATES} ORDER BY window_from_ms LIMIT 1"
        )
        return self._one(AnnexRow, sql, account, offer, at_ms, at_ms)

    # --- ledger
    def last_entry(self) -> tuple[int, str]:
        sql = "SELECT entry, hash FROM entries ORDER BY entry DESC LIMIT 1"
        return self._one(lambda entry, digest: (entry, digest), sql) or (0, GENESIS)

    def add_entry(self, entry: Entry) -> None:
        for line, posting in enumerate(entry.postings):
            self._insert(
                "postings", "entry, line, ledger, cents", (entry.entry, line, posting.ledger, posting.cents)
            )
        values = tuple(getattr(entry, name) for name in _ENTRY.split(", "))
        self._insert("entries", _ENTRY, values)

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        sql = f"SELECT {_ENTRY} FROM entries WHERE entry BETWEEN ? AND ? ORDER BY entry"
        lines = self._db.execute(
            "SELECT entry, ledger, cents FROM postings WHERE entry BETWEEN ? AND ? ORDER BY entry, line",
            (first, last),
        )
        line = lines.fetchone()
        for row in self._db.execute(sql, (first, last)):
            postings = []
            while line is not None and line[0] == row[0]:
                postings.append(Posting(line[1], line[2]))
                line = lines.fetchone()
            yield Entry(postings=tuple(postings), **dict(row))

    def ledger_totals(self, last: int | None) -> dict[str, int]:
        sql = "SELECT ledger, sum(cents) FROM postings WHERE ?1 IS NULL OR entry <= ?1 GROUP BY ledger"
        return dict(self._all(lambda ledger, cents: (ledger, cents), sql, last))

    # --- invoices
    def next_number(self, series: str, year: int) -> int:
        self._db.execute(
            "INSERT INTO numbers (series, year, last) VALUES (?, ?, 1) "
            "ON CONFLICT (series, year) DO UPDATE SET last = last + 1",
            (series, year),
        )
        sql = "SELECT last FROM numbers WHERE series = ? AND year = ?"
        return int(self._db.execute(sql, (series, year)).fetchone()[0])

    def add_invoice(self, invoice: Invoice) -> None:
        self._insert("invoices", _INVOICE, astuple(invoice)[:-1])
        for number, line in enumerate(invoice.lines, 1):
            values = (invoice.number, number, *astuple(line)[:-1], int(line.late))
            self._insert("invoice_lines", f"number, line, {_LINE}", values)

    def invoice(self, number: str) -> Invoice | None:
        row = self._db.execute(f"SELECT {_INVOICE} FROM invoices WHERE number = ?", (number,)).fetchone()
        return None if row is None else self._with_lines(row)

    def invoices(self, account: str | None, limit: int) -> Iterator[Invoice]:
        sql = (
            f"SELECT {_INVOICE} FROM invoices WHERE ?1 IS NULL OR account = ?1 "
            "ORDER BY issued_ms DESC, number DESC LIMIT ?2"
        )
        return (self._with_lines(row) for row in self._db.execute(sql, (account, limit)).fetchall())

    def _with_lines(self, row: Any) -> Invoice:  # noqa: ANN401 (a row of the driver)
        sql = f"SELECT {_LINE} FROM invoice_lines WHERE number = ? ORDER BY line"
        lines = tuple(
            InvoiceLine(**{**dict(line), "late": bool(line["late"])})
            for line in self._db.execute(sql, (row["number"],))
        )
        return Invoice(lines=lines, **dict(row))

    # --- export
    def last_batch(self) -> Batch | None:
        return self._one(Batch, f"SELECT {_columns(Batch)} FROM batches ORDER BY batch DESC LIMIT 1")

    def batch(self, batch: int) -> Batch | None:
        return self._one(Batch, f"SELECT {_columns(Batch)} FROM batches WHERE batch = ?", batch)

    def add_batch(self, batch: Batch) -> None:
        self._insert("batches", _columns(Batch), astuple(batch))

    # --- tokens
    def draw_reporting(self, week: str, account: str, box: str) -> None:
        self._db.execute(
            "INSERT INTO reporting (week, account, box) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (week, account, box),
        )

    def reporting_box(self, week: str, account: str) -> BoxId | None:
        return self._one(BoxId, "SELECT box FROM reporting WHERE week = ? AND account = ?", week, account)

    def grants(self, week: str, account: str, measure: str) -> list[tuple[str, bytes]]:
        sql = "SELECT request_hash, response FROM grants WHERE week = ? AND account = ? AND measure = ?"
        return list(self._all(lambda *row: row, sql + " ORDER BY n", week, account, measure))

    def add_grant(self, week: str, account: str, measure: str, request_hash: str, response: bytes) -> None:
        self._db.execute(
            "INSERT INTO grants (week, account, measure, n, request_hash, response) SELECT ?1, ?2, ?3, "
            "count(*), ?4, ?5 FROM grants WHERE week = ?1 AND account = ?2 AND measure = ?3",
            (week, account, measure, request_hash, response),
        )

    def issued(self, week: str) -> tuple[int, int, dict[str, int]]:
        drawn = self._db.execute("SELECT count(*) FROM reporting WHERE week = ?", (week,)).fetchone()[0]
        asked = self._db.execute(
            "SELECT count(DISTINCT account) FROM grants WHERE week = ?", (week,)
        ).fetchone()[0]
        by_measure = self._db.execute(
            "SELECT measure, count(*) FROM grants WHERE week = ? GROUP BY measure ORDER BY measure", (week,)
        )
        return drawn, asked, dict(by_measure.fetchall())

    def forget_tokens(self, week: str) -> None:
        self._db.execute("DELETE FROM reporting WHERE week = ?", (week,))
        self._db.execute("DELETE FROM grants WHERE week = ?", (week,))

    # --- the rest
    def put_directory(self, week: str, envelope: bytes) -> None:
        self._db.execute(
            "INSERT INTO directories (week, envelope) VALUES (?, ?) ON CONFLICT DO NOTHING", (week, envelope)
        )

    def directory(self, week: str) -> bytes | None:
        return self._one(bytes, "SELECT envelope FROM directories WHERE week = ?", week)

    def raise_alarm(self, alarm: Alarm, evidence: bytes | None) -> bool:
        cursor = self._db.execute(
            f"INSERT INTO alarms ({_columns(Alarm)}, evidence) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (*astuple(alarm), evidence),
        )
        return cursor.rowcount == 1

    def alarms(self, limit: int) -> Iterator[Alarm]:
        return self._all(Alarm, f"SELECT {_columns(Alarm)} FROM alarms ORDER BY alarm DESC LIMIT ?", limit)

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        self._insert("audit", "at_ms, who, what, ref, detail", (at_ms, who, what, ref, detail))

    def add_tally(self, counts: dict[str, int]) -> None:
        self._db.executemany(
            "INSERT INTO tally (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
            sorted(counts.items()),
        )

    def tally(self) -> dict[str, int]:
        return dict(self._all(lambda name, n: (name, n), "SELECT name, n FROM tally ORDER BY name"))

    def claim(self, job: str, slot: str, now_ms: int) -> bool:
        cursor = self._db.execute(
            "INSERT INTO job_runs (job, slot, done_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (job, slot, now_ms),
        )
        return cursor.rowcount == 1

    def last_slot(self, job: str) -> str | None:
        return self._one(str, "SELECT max(slot) FROM job_runs WHERE job = ? HAVING max(slot) NOT NULL", job)


def _order(*row: Any) -> OrderRow:  # noqa: ANN401 (columns of the driver)
    order = OrderRow(*row)
    return replace(order, state=OrderState(order.state))


def _found(row: Row | None, what: str, name: str) -> Row:
    if row is None:
        raise NotFoundError(f"no {what} {name!r}")
    return row


class SqliteBilling:
    """`BillingStore` in one SQLite file."""

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        self.storage = Storage(path, migrations, checkpoints=checkpoints)

    def write(self, work: Callable[[BillingTx], T]) -> T:
        return self.storage.write(lambda connection: work(SqliteBillingTx(connection)))

    def read(self) -> BillingTx:
        return SqliteBillingTx(self.storage.read())

    def close(self) -> None:
        self.storage.close()
