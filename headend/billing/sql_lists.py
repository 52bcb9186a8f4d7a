"""The console's lists in SQL; see headend.billing.lists for what each method means.

Rows are numbered as they arrive (rowid), and every index ends in that number: so an index on what is chosen
gives a page in order, from any place on, without sorting.
"""

from dataclasses import replace
from heapq import nlargest, nsmallest
from typing import Any

from headend.billing.lists import BillHead, Cell, Chosen, ChosenBills, Verification, Waiting
from headend.billing.rows import Batch, Dispute, DisputeState, Entry, OrderRow, OrderState
from headend.billing.sql_books import SqlTx, columns

NEWEST = 1 << 62
"""A place that is before none."""
_ORDER = columns(OrderRow)
_HEAD = columns(BillHead)
_DISPUTE = columns(Dispute)
_ENTRY = ", ".join(Entry.__struct_fields__)
_MOST_ENTRIES = 100
"""Entries of one reference that are told: an order has four at the most, a bill one."""
_KINDS = ("invoice", "credit-note")


class SqlListsTx(SqlTx):
    """`ListsTx` over one connection."""

    # --- orders
    def orders_page(self, chosen: Chosen, before: int | None, limit: int) -> list[tuple[int, OrderRow]]:
        until = NEWEST if before is None else before
        if chosen.account or chosen.box:
            return self._orders_of(chosen, until, limit)
        if chosen == Chosen():
            return self._orders("WHERE rowid < ? ORDER BY rowid DESC LIMIT ?", until, limit)
        places = self._places(chosen, until, limit)
        if not places:
            return []
        marks = ", ".join("?" * len(places))
        return self._orders(f"WHERE rowid IN ({marks}) ORDER BY rowid DESC", *places)

    def _orders(self, rest: str, *values: object) -> list[tuple[int, OrderRow]]:
        return list(self._all(_placed, f"SELECT rowid, {_ORDER} FROM orders {rest}", *values))

    def _orders_of(self, chosen: Chosen, until: int, limit: int) -> list[tuple[int, OrderRow]]:
        """One account's or box's: few enough to be looked through."""
        wanted = {
            "account": chosen.account,
            "box": chosen.box,
            "state": chosen.state or "",
            "month": chosen.month,
            "display": chosen.display,
        }
        wanted = {name: value for name, value in wanted.items() if value}
        by = "INDEXED BY orders_by_account" if chosen.account else "INDEXED BY sqlite_autoindex_orders_1"
        where = " AND ".join(f"{name} = ?" for name in wanted)
        rest = f"{by} WHERE {where} AND rowid < ? ORDER BY rowid DESC LIMIT ?"
        return self._orders(rest, *wanted.values(), until, limit)

    def _places(self, chosen: Chosen, until: int, limit: int) -> list[int]:
        """The newest places among the cells that are chosen, each cell asked for what could still count.

        There are as many cells as months, states and classes meet, however many orders there are.
        """
        sql = (
            "SELECT rowid FROM orders INDEXED BY orders_by_cell WHERE month = ? AND state = ? "
            "AND display = ? AND rowid < ? AND rowid > ? ORDER BY rowid DESC LIMIT ?"
        )
        found: list[int] = []
        for cell in reversed(self.order_cells()):
            if _fits(cell, chosen):
                least = found[-1] if len(found) == limit else 0
                values = (cell.month, cell.state, cell.display, until, least, limit)
                more = [row[0] for row in self._db.execute(sql, values)]
                found = nlargest(limit, found + more) if more else found
        return found

    def order_cells(self) -> list[Cell]:
        sql = (
            "SELECT month, state, display, sum(orders), sum(payable), sum(credited) FROM order_sums "
            "GROUP BY month, state, display HAVING sum(orders) > 0 ORDER BY month, state, display"
        )
        return list(self._all(_cell, sql))

    def orders_received(self, from_ms: int) -> int:
        return self._one(int, "SELECT count(*) FROM orders WHERE received_ms >= ?", from_ms) or 0

    def waiting(self) -> list[Waiting]:
        sql = (
            "SELECT reason, count(*), sum(price_cents - credit_cents), min(received_ms) FROM orders "
            "INDEXED BY orders_waiting WHERE state = 'suspended' GROUP BY reason ORDER BY reason"
        )
        return list(self._all(Waiting, sql))

    def waiting_page(
        self, reason: str, after: tuple[int, int] | None, limit: int
    ) -> list[tuple[int, OrderRow]]:
        rest = (
            "INDEXED BY orders_waiting WHERE state = 'suspended' AND reason = ? "
            "AND (received_ms, rowid) > (?, ?) ORDER BY received_ms, rowid LIMIT ?"
        )
        reasons = [reason] if reason else [one.reason for one in self.waiting()]
        found = [row for one in reasons for row in self._orders(rest, one, *(after or (-1, 0)), limit)]
        return nsmallest(limit, found, key=lambda one: (one[1].received_ms, one[0]))

    def entries_of(self, ref: str) -> list[Entry]:
        sql = f"SELECT {_ENTRY} FROM entries INDEXED BY entries_once WHERE ref = ? AND ref <> '' LIMIT ?"
        return sorted(self._all(Entry, sql, ref, _MOST_ENTRIES), key=lambda entry: entry.entry)

    def neighbours(self, box: str, epoch: int, seq: int) -> tuple[str | None, str | None]:
        sql = "SELECT hash FROM chain WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(str, sql, box, epoch, seq - 1), self._one(str, sql, box, epoch, seq + 1)

    # --- names
    def names_like(self, text: str, limit: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for what, table, name in (
            ("account", "accounts", "account"),
            ("box", "boxes", "box"),
            ("number", "invoices", "number"),
        ):
            sql = f"SELECT {name} FROM {table} WHERE {name} >= ?1 AND {name} < ?2 ORDER BY {name} LIMIT ?3"
            found += self._all(lambda one, what=what: (what, one), sql, text, text + "\U0010ffff", limit)
        sql = "SELECT box FROM boxes WHERE serial = ? LIMIT ?"
        return found + [("box", box) for box in self._all(str, sql, text, limit) if ("box", box) not in found]

    # --- bills
    def bills_page(self, chosen: ChosenBills, before: int | None, limit: int) -> list[tuple[int, BillHead]]:
        until = NEWEST if before is None else before
        if chosen.account:
            wanted = {"account": chosen.account, "month": chosen.month, "kind": chosen.kind}
            by = "INDEXED BY invoices_by_account"
        elif chosen.month and not chosen.kind:
            both = [self.bills_page(replace(chosen, kind=kind), before, limit) for kind in _KINDS]
            return sorted(both[0] + both[1], key=lambda one: one[0], reverse=True)[:limit]
        else:
            wanted = {"month": chosen.month, "kind": chosen.kind}
            by = "INDEXED BY invoices_by_month" if chosen.month else "NOT INDEXED"
            by = "INDEXED BY invoices_by_kind" if chosen.kind and not chosen.month else by
        wanted = {name: value for name, value in wanted.items() if value}
        where = "".join(f"{name} = ? AND " for name in wanted)
        sql = f"SELECT rowid, {_HEAD} FROM invoices {by} WHERE {where}rowid < ? ORDER BY rowid DESC LIMIT ?"
        return list(self._all(_bill, sql, *wanted.values(), until, limit))

    def bill_months(self) -> list[str]:
        """One step of the index a month: as many steps as months."""
        sql = (
            "WITH RECURSIVE found(month) AS (SELECT max(month) FROM invoices UNION ALL "
            "SELECT (SELECT max(month) FROM invoices WHERE month < found.month) FROM found "
            "WHERE found.month IS NOT NULL) SELECT month FROM found WHERE month IS NOT NULL"
        )
        return list(self._all(str, sql))

    def disputes_of(self, number: str) -> list[Dispute]:
        sql = f"SELECT {_DISPUTE} FROM disputes WHERE number = ? ORDER BY dispute"
        return list(self._all(_dispute, sql, number))

    def disputes_due(self, now_ms: int) -> tuple[int, int]:
        sql = "SELECT count(*), count(*) FILTER (WHERE deadline_ms < ?) FROM disputes WHERE state = 'open'"
        return self._one(lambda n, late: (int(n), int(late)), sql, now_ms) or (0, 0)

    def open_disputes(self, after: tuple[int, int] | None, limit: int) -> list[Dispute]:
        sql = (
            f"SELECT {_DISPUTE} FROM disputes WHERE state = 'open' AND (deadline_ms, dispute) > (?, ?) "
            "ORDER BY deadline_ms, dispute LIMIT ?"
        )
        return list(self._all(_dispute, sql, *(after or (-1, 0)), limit))

    def decided_disputes(self, before: int | None, limit: int) -> list[Dispute]:
        sql = (
            f"SELECT {_DISPUTE} FROM disputes WHERE dispute < ? AND state <> 'open' "
            "ORDER BY dispute DESC LIMIT ?"
        )
        return list(self._all(_dispute, sql, NEWEST if before is None else before, limit))

    # --- export
    def batches_page(self, before: int | None, limit: int) -> list[Batch]:
        sql = f"SELECT {columns(Batch)} FROM batches WHERE batch < ? ORDER BY batch DESC LIMIT ?"
        return list(self._all(Batch, sql, NEWEST if before is None else before, limit))

    def add_verification(self, found: Verification) -> None:
        values = (found.batch, found.at_ms, found.who, found.verdict, found.detail)
        self._insert("verifications", columns(Verification), values)

    def verifications(self, batch: int, limit: int) -> list[Verification]:
        sql = (
            f"SELECT {columns(Verification)} FROM verifications WHERE batch = ? "
            "ORDER BY verification DESC LIMIT ?"
        )
        return list(self._all(Verification, sql, batch, limit))


def _fits(cell: Cell, chosen: Chosen) -> bool:
    wanted = ((chosen.month, cell.month), (chosen.state, cell.state), (chosen.display, cell.display))
    return all(not asked or asked == held for asked, held in wanted)


def _placed(rowid: int, *row: Any) -> tuple[int, OrderRow]:  # noqa: ANN401 (columns of the driver)
    order = OrderRow(*row)
    return rowid, replace(order, state=OrderState(order.state))


def _cell(month: str, state: str, display: str, *sums: int) -> Cell:
    return Cell(month, OrderState(state), display, *sums)


def _bill(rowid: int, *row: Any) -> tuple[int, BillHead]:  # noqa: ANN401 (columns of the driver)
    return rowid, BillHead(*row)


def _dispute(*row: Any) -> Dispute:  # noqa: ANN401 (columns of the driver)
    dispute = Dispute(*row)
    return replace(dispute, state=DisputeState(dispute.state))
