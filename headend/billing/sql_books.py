"""The books' part of billing's transactions in SQL; see headend.billing.books for what each method means."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache
from typing import Any, TypeVar

from msgspec import structs

from headend.billing.documents.document import InvoiceLine, Seller
from headend.billing.ledger import Draft, chained
from headend.billing.rows import (
    LEDGERS,
    Batch,
    BatchAcknowledgement,
    Dispute,
    DisputeState,
    Entry,
    ExportKey,
    Invoice,
    MonthTotals,
    NotFoundError,
    OrderState,
)
from headend.kit.engine import Connection, Streams
from shared.money import VatGroup
from shared.named import GENESIS

Row = TypeVar("Row")


@cache
def columns(form: type[Any], leave_out: tuple[str, ...] = ()) -> str:
    """A row's columns, as its class names them."""
    return ", ".join(field.name for field in fields(form) if field.name not in leave_out)


def values_of(row: Any) -> tuple[Any, ...]:  # noqa: ANN401 (any row of ours)
    """A row's values in the order of its columns; `dataclasses.astuple` would copy each of them deeply."""
    return tuple(vars(row).values())


_ENTRY = ", ".join(Entry.__struct_fields__)
_INVOICE = columns(Invoice, ("lines", "groups"))
_LINE = columns(InvoiceLine)
_GROUP = columns(VatGroup)
_INVOICES, _LINES = _INVOICE.split(", "), _LINE.split(", ")
_DISPUTE = columns(Dispute)
_SELLER = columns(Seller)


class SqlTx:
    """One connection; inside `write` it is one transaction."""

    def __init__(self, connection: Connection, engine: Streams) -> None:
        self._db = connection
        self._engine = engine

    def _one(self, form: Callable[..., Row], sql: str, *values: object) -> Row | None:
        row = self._db.execute(sql, values).fetchone()
        return None if row is None else form(*row)

    def _all(self, form: Callable[..., Row], sql: str, *values: object) -> Iterator[Row]:
        return (form(*row) for row in self._db.execute(sql, values))

    def _stream(self, sql: str, *values: object) -> Iterator[Any]:
        """Rows as plain tuples as they are read, for what may be long."""
        return self._engine.stream(self._db, sql, values)

    def _insert(self, table: str, names: str, values: tuple[object, ...]) -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

    def _insert_numbered(self, table: str, names: str, values: tuple[object, ...]) -> int:
        """Insert a row that the database numbers, in the column named for one row; gives the number."""
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {table[:-1]}"
        return int(self._db.execute(sql, values).fetchone()[0])


class SqlBooksTx(SqlTx):
    """`BooksTx` over one connection."""

    # --- ledger
    def last_entry(self) -> tuple[int, str]:
        sql = "SELECT entry, hash FROM entries ORDER BY entry DESC LIMIT 1"
        return self._one(lambda entry, digest: (entry, digest), sql) or (0, GENESIS)

    def post(self, draft: Draft) -> None:
        entry = chained(draft, *self.last_entry())
        self._insert("entries", _ENTRY, structs.astuple(entry))

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        sql = f"SELECT {_ENTRY} FROM entries WHERE entry BETWEEN ? AND ? ORDER BY entry"
        return (Entry(*row) for row in self._stream(sql, first, last))

    def entry_rows(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        sql = f"SELECT {_ENTRY} FROM entries WHERE entry BETWEEN ? AND ? ORDER BY entry"
        return self._stream(sql, first, last)

    def usage_entry(self, ref: str) -> Entry | None:
        return self._one(Entry, f"SELECT {_ENTRY} FROM entries WHERE ref = ? AND kind = 'usage'", ref)

    def ledger_totals(self, first: int, last: int | None) -> dict[str, int]:
        if (first, last) == (1, None):
            return self._ledgers(f"SELECT {', '.join(LEDGERS)} FROM ledger_sums")
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in LEDGERS)
        until = "" if last is None else "AND entry <= ?"
        sql = f"SELECT {sums} FROM entries WHERE entry >= ? {until}"
        return self._ledgers(sql, first, *([] if last is None else [last]))

    def recount_ledger(self) -> dict[str, int]:
        return self.ledger_totals(0, None)

    def batch_totals(self, batch: int) -> dict[str, int]:
        return self._ledgers(f"SELECT {', '.join(LEDGERS)} FROM batch_sums WHERE batch = ?", batch)

    def tail_totals(self) -> dict[str, int]:
        less = ", ".join(f"{one} - coalesce((SELECT sum({one}) FROM batch_sums), 0)" for one in LEDGERS)
        return self._ledgers(f"SELECT {less} FROM ledger_sums")

    def _ledgers(self, sql: str, *values: object) -> dict[str, int]:
        return dict(zip(LEDGERS, self._db.execute(sql, values).fetchone(), strict=True))

    # --- bills
    def next_number(self, series: str, year: int) -> int:
        self._db.execute(
            "INSERT INTO numbers (series, year, last) VALUES (?, ?, 1) "
            "ON CONFLICT (series, year) DO UPDATE SET last = numbers.last + 1",
            (series, year),
        )
        sql = "SELECT last FROM numbers WHERE series = ? AND year = ?"
        return int(self._db.execute(sql, (series, year)).fetchone()[0])

    def add_invoice(self, invoice: Invoice) -> None:
        self._insert("invoices", _INVOICE, tuple(getattr(invoice, name) for name in _INVOICES))
        self._db.executemany(
            f"INSERT INTO invoice_lines (number, line, {_LINE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (invoice.number, place, *(getattr(line, name) for name in _LINES))
                for place, line in enumerate(invoice.lines, 1)
            ],
        )
        for group in invoice.groups:
            self._insert("invoice_vat", f"number, {_GROUP}", (invoice.number, *values_of(group)))

    def invoice(self, number: str) -> Invoice | None:
        row = self._db.execute(f"SELECT {_INVOICE} FROM invoices WHERE number = ?", (number,)).fetchone()
        return None if row is None else self._whole(row)

    def invoices(self, account: str | None, limit: int) -> Iterator[Invoice]:
        chosen, values = ("", ()) if account is None else ("WHERE account = ?", (account,))
        sql = f"SELECT {_INVOICE} FROM invoices {chosen} ORDER BY issued_ms DESC, number DESC LIMIT ?"
        return (self._whole(row) for row in self._db.execute(sql, (*values, limit)))

    def bill_of(self, account: str, month: str) -> str | None:
        # Left to itself SQLite reads every bill of the month, since month and kind are an index too. The
        # index that holds one bill a month leaves out those whose account has been forgotten.
        sql = (
            "SELECT number FROM invoices INDEXED BY one_bill_a_month "
            "WHERE account = ? AND account <> '' AND month = ? AND kind = 'invoice'"
        )
        return self._one(str, sql, account, month)

    def notes_of(self, number: str) -> list[Invoice]:
        sql = f"SELECT {_INVOICE} FROM invoices WHERE refers_to = ? ORDER BY number"
        return [self._whole(row) for row in self._db.execute(sql, (number,)).fetchall()]

    def _whole(self, row: Any) -> Invoice:  # noqa: ANN401 (a row of the driver)
        lines = self._all(
            InvoiceLine, f"SELECT {_LINE} FROM invoice_lines WHERE number = ? ORDER BY line", row["number"]
        )
        groups = self._all(
            VatGroup, f"SELECT {_GROUP} FROM invoice_vat WHERE number = ? ORDER BY rate_bp", row["number"]
        )
        return Invoice(
            **dict(row),
            lines=tuple(replace(line, late=bool(line.late)) for line in lines),
            groups=tuple(groups),
        )

    def add_seller(self, seller: Seller, from_ms: int) -> None:
        self._insert("sellers", f"from_ms, {_SELLER}", (from_ms, *values_of(seller)))

    def seller(self, country: str, at_ms: int) -> Seller | None:
        sql = (
            f"SELECT {_SELLER} FROM sellers WHERE country = ?1 "
            "ORDER BY from_ms <= ?2 DESC, CASE WHEN from_ms <= ?2 THEN -from_ms ELSE from_ms END LIMIT 1"
        )
        return self._one(Seller, sql, country, at_ms)

    def sellers(self) -> Iterator[tuple[int, Seller]]:
        sql = f"SELECT from_ms, {_SELLER} FROM sellers ORDER BY country, from_ms"
        return self._all(lambda from_ms, *row: (from_ms, Seller(*row)), sql)

    def month_totals(self) -> Iterator[MonthTotals]:
        sql = (
            "SELECT month, state, sum(orders), sum(payable), sum(credited) FROM order_sums "
            "GROUP BY month, state HAVING sum(orders) > 0 ORDER BY month, state"
        )
        return self._all(_month, sql)

    def recount_months(self) -> Iterator[MonthTotals]:
        sql = (
            "SELECT month, state, count(*), sum(price_cents - credit_cents), sum(credited_cents) "
            "FROM orders GROUP BY month, state ORDER BY month, state"
        )
        return self._all(_month, sql)

    # --- disputes
    def add_dispute(self, dispute: Dispute) -> int:
        names = columns(Dispute, ("dispute",))
        return self._insert_numbered("disputes", names, values_of(dispute)[1:])

    def dispute(self, number: int) -> Dispute:
        return found(
            self._one(_dispute, f"SELECT {_DISPUTE} FROM disputes WHERE dispute = ?", number),
            "dispute",
            str(number),
        )

    def disputes(self, state: DisputeState | None, account: str | None) -> Iterator[Dispute]:
        sql = (
            f"SELECT {_DISPUTE} FROM disputes WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR "
            "number IN (SELECT number FROM invoices WHERE account = ?2)) ORDER BY deadline_ms, dispute"
        )
        return self._all(_dispute, sql, state or "", account or "")

    def decide_dispute(self, number: int, state: DisputeState, decided_ms: int, note: str | None) -> None:
        self._db.execute(
            "UPDATE disputes SET state = ?, decided_ms = ?, note = ? WHERE dispute = ?",
            (state, decided_ms, note, number),
        )

    # --- export
    def last_batch(self) -> Batch | None:
        return self._one(Batch, f"SELECT {columns(Batch)} FROM batches ORDER BY batch DESC LIMIT 1")

    def batch(self, batch: int) -> Batch | None:
        return self._one(Batch, f"SELECT {columns(Batch)} FROM batches WHERE batch = ?", batch)

    def batch_with(self, entry: int) -> Batch | None:
        sql = f"SELECT {columns(Batch)} FROM batches WHERE last_entry >= ? ORDER BY last_entry LIMIT 1"
        return self._one(Batch, sql, entry)

    def batches(self) -> Iterator[Batch]:
        return self._all(Batch, f"SELECT {columns(Batch)} FROM batches ORDER BY batch")

    def add_batch(self, batch: Batch) -> None:
        self._insert("batches", columns(Batch), values_of(batch))
        names = ", ".join(LEDGERS)
        sums = ", ".join(f"sum({name})" for name in LEDGERS)
        self._db.execute(
            f"INSERT INTO batch_sums (batch, {names}) SELECT ?, {sums} FROM entries "
            "WHERE entry BETWEEN ? AND ?",
            (batch.batch, batch.first_entry, batch.last_entry),
        )

    def add_export_key(self, key: ExportKey) -> None:
        self._insert("export_keys", columns(ExportKey), values_of(key))

    def export_key(self, key_hash: str) -> ExportKey | None:
        sql = f"SELECT {columns(ExportKey)} FROM export_keys WHERE key_hash = ?"
        return self._one(ExportKey, sql, key_hash)

    def export_keys(self) -> Iterator[ExportKey]:
        return self._all(ExportKey, f"SELECT {columns(ExportKey)} FROM export_keys ORDER BY created_ms, name")

    def revoke_export_key(self, name: str, now_ms: int) -> bool:
        sql = "UPDATE export_keys SET revoked_ms = ? WHERE name = ? AND revoked_ms IS NULL"
        return self._db.execute(sql, (now_ms, name)).rowcount == 1

    def acknowledge_batch(self, acknowledgement: BatchAcknowledgement) -> bool:
        cursor = self._db.execute(
            f"INSERT INTO acknowledgements ({columns(BatchAcknowledgement)}) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            values_of(acknowledgement),
        )
        return cursor.rowcount == 1

    def acknowledgements(self, batch: int) -> list[BatchAcknowledgement]:
        sql = f"SELECT {columns(BatchAcknowledgement)} FROM acknowledgements WHERE batch = ? ORDER BY name"
        return list(self._all(BatchAcknowledgement, sql, batch))


def _month(month: str, state: str, *sums: int) -> MonthTotals:
    return MonthTotals(month, OrderState(state), *sums)


def _dispute(*row: Any) -> Dispute:  # noqa: ANN401 (columns of the driver)
    dispute = Dispute(*row)
    return replace(dispute, state=DisputeState(dispute.state))


def found(row: Row | None, what: str, name: str) -> Row:
    """The row, if there is one.

    Raises:
        NotFoundError: there is none.
    """
    if row is None:
        raise NotFoundError(f"no {what} {name!r}")
    return row
