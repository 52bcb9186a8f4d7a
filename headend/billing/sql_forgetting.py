"""The forgetting part of billing's database in SQL; see headend.billing.forgetting for each method."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from headend.billing.forgetting import Emptied, Evidence, Placed, Standing
from headend.billing.rows import (
    AnnexRow,
    AuditLine,
    Link,
    NotFoundError,
    OrderRow,
    OrderState,
    RequestKind,
    RequestState,
    SubscriberRequest,
)
from headend.billing.sql_books import SqlTx, columns, found, values_of
from headend.kit.engine import ENGINE_COLUMNS

_ORDER = ", ".join(f"orders.{name}" for name in columns(OrderRow).split(", "))
_PLACE = "box = ? AND epoch = ? AND seq = ?"
_EMPTIED = "UPDATE entries SET account = '', ref = '', text = '', proof = '' WHERE ref = ? AND at_ms < ?"
_HELD = "SELECT box FROM bindings WHERE account = ?1"
_ORDERED = "SELECT box || '/' || epoch || '/' || seq FROM orders WHERE account = ?1"
_BILLS = "SELECT number FROM invoices WHERE account = ?1"
_THEIRS = "account = ?1"
_ABOUT = {
    "accounts": _THEIRS,
    "boxes": f"account = ?1 OR box IN ({_HELD})",
    "sightings": "box IN (SELECT box FROM boxes WHERE account = ?1)",
    "bindings": (
        "account = ?1 OR EXISTS (SELECT 1 FROM bindings before WHERE before.box = bindings.box "
        "AND before.turn = bindings.turn - 1 AND before.account = ?1)"
    ),
    "codes": _THEIRS,
    "epochs": (
        "(box, epoch) IN (SELECT box, epoch FROM orders WHERE account = ?1) OR "
        "(box, epoch) IN (SELECT box, epoch FROM boxes WHERE account = ?1)"
    ),
    "chain": (
        "(box, epoch, seq) IN (SELECT box, epoch, seq FROM orders WHERE account = ?1) OR "
        f"(kind = 'delivery' AND box IN ({_HELD}))"
    ),
    "orders": _THEIRS,
    "annex": _THEIRS,
    "entries": _THEIRS,
    "invoices": _THEIRS,
    "invoice_lines": f"number IN ({_BILLS})",
    "invoice_vat": f"number IN ({_BILLS})",
    "disputes": f"number IN ({_BILLS})",
    "batches": f"EXISTS (SELECT 1 FROM ({_HELD}) held WHERE instr(missing, held.box) > 0)",
    "reporting": _THEIRS,
    "grants": _THEIRS,
    "alarms": f"account = ?1 OR (account = '' AND box IN ({_HELD}))",
    "requests": _THEIRS,
    "audit": f"ref = ?1 OR ref IN ({_HELD}) OR ref IN ({_ORDERED}) OR ref IN ({_BILLS})",
}
"""By table, which of its rows are about an account; a table that is not here has nobody in it."""


class SqlForgettingTx(SqlTx):
    """`ForgettingTx` over one connection."""

    # --- title detail
    def signed_messages(self, before_ms: int, after: tuple[int, int], limit: int) -> list[Placed]:
        sql = (
            f"SELECT rowid, {columns(Link)} FROM chain WHERE envelope IS NOT NULL AND received_ms < ? "
            "AND (received_ms, rowid) > (?, ?) ORDER BY received_ms, rowid LIMIT ?"
        )
        return list(self._all(_placed, sql, before_ms, *after, limit))

    def signed_deliveries(self, account: str) -> list[Link]:
        sql = (
            f"SELECT {columns(Link)} FROM chain WHERE box IN ({_HELD}) AND kind = 'delivery' "
            "AND envelope IS NOT NULL ORDER BY box, epoch, seq"
        )
        return list(self._all(Link, sql, account))

    def annexes_of(self, account: str) -> list[AnnexRow]:
        sql = f"SELECT {columns(AnnexRow)} FROM annex WHERE account = ? ORDER BY box, epoch, seq"
        return list(self._all(AnnexRow, sql, account))

    def loose_annexes(self, now_ms: int, after: int, limit: int) -> list[tuple[int, OrderRow]]:
        sql = (
            f"SELECT annex.rowid, {_ORDER} FROM annex JOIN orders USING (box, epoch, seq) "
            "JOIN chain USING (box, epoch, seq) WHERE annex.rowid > ?1 AND envelope IS NULL "
            "AND (window_until_ms <= ?2 OR state NOT IN ('rated', 'billed')) ORDER BY annex.rowid LIMIT ?3"
        )
        return list(self._all(_numbered, sql, after, now_ms, limit))

    def forget_message(self, box: str, epoch: int, seq: int) -> bool:
        sql = f"UPDATE chain SET envelope = NULL WHERE {_PLACE} AND envelope IS NOT NULL"
        return self._db.execute(sql, (box, epoch, seq)).rowcount == 1

    def forget_annex(self, box: str, epoch: int, seq: int) -> bool:
        return self._db.execute(f"DELETE FROM annex WHERE {_PLACE}", (box, epoch, seq)).rowcount == 1

    def forget_complaints(self, order_ref: str) -> None:
        self._db.execute("UPDATE disputes SET why = '' WHERE order_ref = ? AND state <> 'open'", (order_ref,))

    def standing_evidence(self, after: int, limit: int) -> list[Evidence]:
        sql = (
            "SELECT alarm, box, account, raised_ms FROM alarms WHERE evidence IS NOT NULL AND alarm > ? "
            "ORDER BY alarm LIMIT ?"
        )
        return list(self._all(Evidence, sql, after, limit))

    def forget_evidence(self, alarm: int) -> None:
        self._db.execute("UPDATE alarms SET evidence = NULL WHERE alarm = ?", (alarm,))

    def forget_codes(self, now_ms: int, limit: int) -> int:
        sql = (
            "DELETE FROM codes WHERE code_hash IN (SELECT code_hash FROM codes "
            "WHERE used_by IS NULL AND expires_ms <= ? LIMIT ?)"
        )
        return self._db.execute(sql, (now_ms, limit)).rowcount

    def law_changes(self, country: str) -> list[int]:
        return list(self._all(int, "SELECT from_ms FROM laws WHERE country = ? ORDER BY from_ms", country))

    # --- the books, once the tax period is over
    def horizon(self, what: str) -> int:
        return self._one(int, "SELECT ms FROM horizons WHERE what = ?", what) or 0

    def move_horizon(self, what: str, ms: int) -> None:
        self._db.execute(
            "INSERT INTO horizons (what, ms) VALUES (?, ?) "
            "ON CONFLICT (what) DO UPDATE SET ms = excluded.ms WHERE excluded.ms > horizons.ms",
            (what, ms),
        )

    def old_documents(self, before_ms: int, after: str, limit: int) -> list[str]:
        sql = (
            "SELECT number FROM invoices WHERE number > ? AND issued_ms < ? AND account <> '' "
            "ORDER BY number LIMIT ?"
        )
        return list(self._all(str, sql, after, before_ms, limit))

    def empty_document(self, number: str, before_ms: int) -> Emptied:
        lines = "SELECT DISTINCT order_ref FROM invoice_lines WHERE number = ? AND order_ref <> ''"
        refs = [str(ref) for (ref,) in self._db.execute(lines, (number,))]
        disputes = self._db.execute("DELETE FROM disputes WHERE number = ?", (number,)).rowcount
        entries = sum(self._empty_entries(ref, before_ms) for ref in [number, *refs])
        orders = sum(self._empty_place(ref) for ref in refs)
        self._db.execute(
            "UPDATE invoice_lines SET order_ref = '' WHERE number = ? AND order_ref <> ''", (number,)
        )
        self._db.execute("UPDATE invoices SET account = '' WHERE number = ?", (number,))
        return Emptied(1, orders, entries, disputes)

    def old_outcomes(self, before_ms: int, after: int, limit: int) -> list[tuple[int, OrderRow]]:
        sql = (
            f"SELECT rowid, {_ORDER} FROM orders WHERE rowid > ? AND state IN ('zero-rated', 'rejected') "
            "AND received_ms < ? AND account IS NOT NULL ORDER BY rowid LIMIT ?"
        )
        return list(self._all(_numbered, sql, after, before_ms, limit))

    def empty_order(self, order: OrderRow, before_ms: int) -> Emptied:
        return Emptied(0, self._empty_place(order.ref), self._empty_entries(order.ref, before_ms), 0)

    def _empty_entries(self, ref: str, before_ms: int) -> int:
        return self._db.execute(_EMPTIED, (ref, before_ms)).rowcount

    def _empty_place(self, ref: str) -> int:
        box, epoch, seq = ref.rsplit("/", 2)
        sql = f"UPDATE orders SET account = NULL WHERE {_PLACE} AND account IS NOT NULL"
        return self._db.execute(sql, (box, int(epoch), int(seq))).rowcount

    def forget_alarms(self, before_ms: int, limit: int) -> int:
        sql = (
            "DELETE FROM alarms WHERE alarm IN (SELECT alarm FROM alarms WHERE raised_ms < ? "
            "ORDER BY alarm LIMIT ?)"
        )
        return self._db.execute(sql, (before_ms, limit)).rowcount

    # --- what subscribers ask
    def add_request(self, request: SubscriberRequest) -> int:
        names = columns(SubscriberRequest, ("request",))
        return self._insert_numbered("requests", names, values_of(request)[1:])

    def request(self, number: int) -> SubscriberRequest:
        sql = f"SELECT {columns(SubscriberRequest)} FROM requests WHERE request = ?"
        return found(self._one(_request, sql, number), "request", str(number))

    def requests(
        self, state: RequestState | None, account: str | None, limit: int
    ) -> list[SubscriberRequest]:
        sql = (
            f"SELECT {columns(SubscriberRequest)} FROM requests WHERE (?1 = '' OR state = ?1) "
            "AND (?2 = '' OR account = ?2) ORDER BY state <> 'open', "
            "CASE state WHEN 'open' THEN deadline_ms ELSE -decided_ms END, request LIMIT ?3"
        )
        return list(self._all(_request, sql, state or "", account or "", limit))

    def open_requests(self) -> tuple[int, int | None]:
        sql = "SELECT count(*), min(deadline_ms) FROM requests WHERE state = 'open'"
        return self._one(lambda n, nearest: (n, nearest), sql) or (0, None)

    def set_request(self, request: SubscriberRequest) -> None:
        self._db.execute(
            "UPDATE requests SET deadline_ms = ?, state = ?, decided_ms = ?, who = ?, note = ? "
            "WHERE request = ?",
            (
                request.deadline_ms,
                request.state,
                request.decided_ms,
                request.who,
                request.note,
                request.request,
            ),
        )

    def forget_requests(self, before_ms: int, limit: int) -> int:
        sql = (
            "DELETE FROM requests WHERE request IN (SELECT request FROM requests "
            "WHERE decided_ms < ? ORDER BY request LIMIT ?)"
        )
        return self._db.execute(sql, (before_ms, limit)).rowcount

    # --- the audit
    def audit_lines(self, ref: str, who: str, before: int | None, limit: int) -> list[AuditLine]:
        chosen, values = [], []
        for name, value in (("ref = ?", ref), ("who = ?", who), ("line < ?", before)):
            if value not in {"", None}:
                chosen.append(name)
                values.append(value)
        where = f"WHERE {' AND '.join(chosen)} " if chosen else ""
        sql = f"SELECT {columns(AuditLine)} FROM audit {where}ORDER BY line DESC LIMIT ?"
        return list(self._all(AuditLine, sql, *values, limit))

    def audit_chain(self) -> Iterator[AuditLine]:
        rows = self._stream(f"SELECT {columns(AuditLine)} FROM audit ORDER BY line")
        return (AuditLine(*row) for row in rows)

    # --- what there is about an account
    def standing(self) -> Standing:
        sql = (
            "SELECT (SELECT count(*) FROM chain WHERE envelope IS NOT NULL), (SELECT count(*) FROM annex), "
            "(SELECT count(*) FROM alarms WHERE evidence IS NOT NULL), "
            "(SELECT min(received_ms) FROM chain WHERE envelope IS NOT NULL)"
        )
        return Standing(*self._db.execute(sql).fetchone())

    def boxes_of(self, account: str) -> list[str]:
        sql = "SELECT DISTINCT box FROM bindings WHERE account = ? ORDER BY box"
        return list(self._all(str, sql, account))

    def rows_about(self, table: str, account: str) -> Iterator[dict[str, object]]:
        if table not in _ABOUT:
            raise NotFoundError(f"no rows about an account in {table!r}")
        sql = f"SELECT * FROM {table} WHERE {_ABOUT[table]} ORDER BY 1, 2, 3"
        for row in self._db.execute(sql, (account,)):
            yield {name: row[name] for name in row.keys() if name not in ENGINE_COLUMNS}  # noqa: SIM118 (a row)


def _request(*row: Any) -> SubscriberRequest:  # noqa: ANN401 (columns of the driver)
    request = SubscriberRequest(*row)
    return replace(request, kind=RequestKind(request.kind), state=RequestState(request.state))


def _placed(rowid: int, *row: Any) -> Placed:  # noqa: ANN401 (columns of the driver)
    link = Link(*row)
    return Placed((link.received_ms, rowid), link)


def _numbered(rowid: int, *row: Any) -> tuple[int, OrderRow]:  # noqa: ANN401 (columns of the driver)
    order = OrderRow(*row)
    return rowid, replace(order, state=OrderState(order.state))
