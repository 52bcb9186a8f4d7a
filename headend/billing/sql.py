"""Billing's transactions in SQL; see headend.billing.store for what each method means."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from headend.billing.known_offers import KnownOffers, read_offer
from headend.billing.lists import Chosen
from headend.billing.rows import (
    Account,
    Alarm,
    AnnexRow,
    AuditLine,
    Box,
    ChainEnd,
    Link,
    OrderRow,
    OrderState,
)
from headend.billing.sql_books import SqlBooksTx, columns, found, values_of
from headend.billing.sql_fleet import SqlFleetTx
from headend.billing.sql_forgetting import SqlForgettingTx
from headend.billing.sql_lists import SqlListsTx
from headend.kit import chain
from headend.kit.engine import Connection, Streams
from headend.kit.runs import Run
from shared.named import GENESIS, AccountId, BoxId, Offer, Promotion

_ORDER = columns(OrderRow)
_ANNEX = columns(AnnexRow)
_ANNEXES = ", ".join(f"annex.{name}" for name in _ANNEX.split(", "))
_WINDOW_STATES = "('rated', 'billed')"
_CREDITED = "state = 'credited' AND reason NOT IN ('delivery-failed', 'stopped-in-preview')"
_PLACE = "box = ? AND epoch = ? AND seq = ?"


class SqlBillingTx(SqlBooksTx, SqlForgettingTx, SqlListsTx, SqlFleetTx):
    """`BillingTx` over one connection; inside `write` it is one transaction."""

    def __init__(self, connection: Connection, engine: Streams, known: KnownOffers | None = None) -> None:
        super().__init__(connection, engine)
        self._known = known

    def stamp(self, fact: str, value: str) -> str:
        self._db.execute("INSERT INTO installation VALUES (?, ?) ON CONFLICT DO NOTHING", (fact, value))
        return str(self._db.execute("SELECT value FROM installation WHERE fact = ?", (fact,)).fetchone()[0])

    # --- accounts and boxes
    def add_account(self, account: Account) -> None:
        self._insert("accounts", columns(Account), values_of(account))

    def account(self, account: str) -> Account:
        row = self._one(Account, f"SELECT {columns(Account)} FROM accounts WHERE account = ?", account)
        return found(row, "account", account)

    def accounts(self) -> Iterator[Account]:
        rows = self._stream(f"SELECT {columns(Account)} FROM accounts ORDER BY account")
        return (Account(*row) for row in rows)

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
            f"INSERT INTO boxes ({columns(Box)}) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (box) DO UPDATE SET public_key = excluded.public_key, "
            "epoch = excluded.epoch, enrolled_ms = excluded.enrolled_ms",
            values_of(box),
        )
        # Nothing of an epoch can have been placed before it was issued, whatever the box's clock says.
        self._db.execute(
            "INSERT INTO epochs (box, epoch, last_seq, last_hash, last_ms, told_seq, told_ms, gap_ms) "
            "VALUES (?1, ?2, 0, ?3, ?4, 0, ?4, 0)",
            (box.box, box.epoch, GENESIS, box.enrolled_ms),
        )
        self.bind_box(box.box, box.account, box.enrolled_ms)

    def box(self, box: str) -> Box:
        return found(self._one(Box, f"SELECT {columns(Box)} FROM boxes WHERE box = ?", box), "box", box)

    def boxes(self) -> Iterator[Box]:
        return (Box(*row) for row in self._stream(f"SELECT {columns(Box)} FROM boxes ORDER BY box"))

    def release_box(self, box: str, now_ms: int) -> None:
        self._db.execute("UPDATE boxes SET released_ms = ? WHERE box = ?", (now_ms, box))
        self._add_binding(box, now_ms, None)

    def bind_box(self, box: str, account: str, now_ms: int) -> None:
        held = self.bindings(box)
        if held and held[-1][1] == account:
            return
        self._db.execute("UPDATE boxes SET account = ?, released_ms = NULL WHERE box = ?", (account, box))
        self._add_binding(box, now_ms, account)

    def _add_binding(self, box: str, now_ms: int, account: str | None) -> None:
        self._db.execute(
            "INSERT INTO bindings (box, turn, from_ms, account) "
            "SELECT ?1, count(*), CASE WHEN max(from_ms) > ?2 THEN max(from_ms) ELSE ?2 END, ?3 "
            "FROM bindings WHERE box = ?1",
            (box, now_ms, account),
        )

    def bound_account(self, box: str, at_ms: int) -> AccountId | None:
        sql = (
            "SELECT account FROM bindings WHERE box = ?1 "
            "ORDER BY from_ms <= ?2 DESC, CASE WHEN from_ms <= ?2 THEN -turn ELSE turn END LIMIT 1"
        )
        return self._one(lambda account: account, sql, box, at_ms)

    def bindings(self, box: str) -> list[tuple[int, AccountId | None]]:
        sql = "SELECT from_ms, account FROM bindings WHERE box = ? ORDER BY turn"
        return list(self._all(lambda *row: row, sql, box))

    def boxes_with_serial(self, serial: str) -> list[Box]:
        sql = f"SELECT {columns(Box)} FROM boxes WHERE serial = ? AND released_ms IS NULL ORDER BY box"
        return list(self._all(Box, sql, serial))

    def accounts_with_boxes(self) -> Iterator[tuple[AccountId, tuple[BoxId, ...]]]:
        sql = "SELECT account, box FROM boxes WHERE released_ms IS NULL ORDER BY account, box"
        return _by_account(self._stream(sql))

    def some_with_boxes(self, after: str, limit: int) -> list[tuple[AccountId, tuple[BoxId, ...]]]:
        # As many boxes and one hold as many accounts at the most; of the last one there may be more.
        bound = "SELECT account, box FROM boxes INDEXED BY boxes_by_account WHERE released_ms IS NULL"
        sql = f"{bound} AND account > ? ORDER BY account LIMIT ?"
        rows = self._db.execute(sql, (after, limit)).fetchall()
        if not rows:
            return []
        last = rows[-1][0]
        rest = self._db.execute(f"{bound} AND account = ?", (last,)).fetchall()
        whole = [(account, box) for account, box in rows if account != last] + [tuple(row) for row in rest]
        return list(_by_account(sorted(whole)))

    def boxes_by_area(self) -> list[tuple[str, int]]:
        sql = (
            "SELECT postal_area, sum(n) FROM accounts JOIN (SELECT account, count(*) AS n FROM boxes "
            "WHERE released_ms IS NULL GROUP BY account) AS held USING (account) "
            "GROUP BY postal_area ORDER BY postal_area"
        )
        return list(self._all(lambda area, n: (area, int(n)), sql))

    # --- chain
    def chain_end(self, box: str, epoch: int) -> ChainEnd | None:
        sql = f"SELECT {columns(ChainEnd)} FROM epochs WHERE box = ? AND epoch = ?"
        return self._one(ChainEnd, sql, box, epoch)

    def chain_ends(self) -> Iterator[ChainEnd]:
        rows = self._stream(f"SELECT {columns(ChainEnd)} FROM epochs ORDER BY box, epoch")
        return (ChainEnd(*row) for row in rows)

    def link(self, box: str, epoch: int, seq: int) -> Link | None:
        sql = f"SELECT {columns(Link)} FROM chain WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(Link, sql, box, epoch, seq)

    def add_link(self, link: Link, effective_ms: int) -> None:
        self._insert("chain", columns(Link), values_of(link))
        self._db.execute(
            "UPDATE epochs SET last_seq = ?1, last_hash = ?2, last_ms = ?3, "
            "told_seq = CASE WHEN told_seq > ?1 THEN told_seq ELSE ?1 END, "
            "gap_ms = CASE WHEN told_seq <= ?1 THEN 0 ELSE gap_ms END WHERE box = ?4 AND epoch = ?5",
            (link.seq, link.hash, effective_ms, link.box, link.epoch),
        )

    def deliveries_after(self, box: str, epoch: int, seq: int) -> Iterator[Link]:
        sql = (
            f"SELECT {columns(Link)} FROM chain WHERE box = ? AND epoch = ? AND seq > ? "
            "AND kind = 'delivery' AND envelope IS NOT NULL ORDER BY seq"
        )
        return self._all(Link, sql, box, epoch, seq)

    def set_kind(self, box: str, epoch: int, seq: int, kind: str) -> None:
        self._db.execute(f"UPDATE chain SET kind = ? WHERE {_PLACE}", (kind, box, epoch, seq))

    def tell(self, box: str, epoch: int, seq: int, now_ms: int) -> None:
        self._db.execute(
            "UPDATE epochs SET told_seq = CASE WHEN told_seq > ?1 THEN told_seq ELSE ?1 END, told_ms = ?2, "
            "gap_ms = CASE WHEN told_seq <= last_seq AND ?1 <= last_seq THEN 0 "
            "WHEN gap_ms = 0 THEN ?2 ELSE gap_ms END "
            "WHERE box = ?3 AND epoch = ?4",
            (seq, now_ms, box, epoch),
        )

    def gaps(self) -> list[ChainEnd]:
        # Left to itself SQLite reads every epoch, which are in this order, to save sorting the few with gaps.
        sql = (
            f"SELECT {columns(ChainEnd)} FROM epochs INDEXED BY epochs_with_gaps WHERE gap_ms > 0 "
            "ORDER BY box, epoch"
        )
        return list(self._all(ChainEnd, sql))

    def hear(self, box: str, agent: str, now_ms: int) -> None:
        self._db.execute(
            "UPDATE sightings SET heard_ms = CASE WHEN heard_ms > ?1 THEN heard_ms ELSE ?1 END, "
            "agent = CASE ?2 WHEN '' THEN agent ELSE ?2 END WHERE box = ?3",
            (now_ms, agent, box),
        )

    # --- catalogue
    def add_catalogue(
        self, version: int, envelope: bytes, offers: list[Offer], promotions: list[Promotion]
    ) -> None:
        self._insert("catalogues", "version, envelope", (version, envelope))
        self._db.executemany(
            "INSERT INTO promotions (promotion, version, terms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(one.promotion, one.version, msgspec.json.encode(one).decode()) for one in promotions],
        )
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
        if self._known is not None:
            return self._known.seen_by(self._db, offer, version)
        return read_offer(self._db, offer, version)

    def promotion(self, promotion: str, version: int) -> Promotion | None:
        sql = "SELECT terms FROM promotions WHERE promotion = ? AND version = ?"
        return self._one(lambda terms: msgspec.json.decode(terms, type=Promotion), sql, promotion, version)

    def promotion_uses(self, account: str, promotion: str) -> int:
        sql = (
            "SELECT count(*) FROM orders WHERE account = ? AND promotion = ? AND promotion <> '' "
            "AND state IN ('rated', 'billed', 'suspended')"
        )
        return self._one(int, sql, account, promotion) or 0

    def law(self, country: str, at_ms: int) -> bytes | None:
        sql = "SELECT terms FROM laws WHERE country = ? AND from_ms <= ? ORDER BY from_ms DESC LIMIT 1"
        return self._one(lambda terms: str(terms).encode(), sql, country, at_ms)

    def add_law(self, country: str, from_ms: int, terms: bytes) -> None:
        self._insert("laws", "country, from_ms, terms", (country, from_ms, terms.decode()))

    # --- orders
    def add_order(self, order: OrderRow) -> None:
        self._insert("orders", _ORDER, values_of(order))

    def order(self, box: str, epoch: int, seq: int) -> OrderRow | None:
        sql = f"SELECT {_ORDER} FROM orders WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(_order, sql, box, epoch, seq)

    def set_order(self, order: OrderRow) -> None:
        self._db.execute(
            "UPDATE orders SET state = ?, reason = ?, account = ?, kind = ?, display = ?, price_cents = ?, "
            "currency = ?, vat_bp = ?, placed_ms = ?, effective_ms = ?, title_hash = ?, month = ?, "
            "promotion = ?, category = ?, credit_cents = ?, credited_cents = ?, invoice = ? "
            f"WHERE {_PLACE}",
            (
                order.state,
                order.reason,
                order.account,
                order.kind,
                order.display,
                order.price_cents,
                order.currency,
                order.vat_bp,
                order.placed_ms,
                order.effective_ms,
                order.title_hash,
                order.month,
                order.promotion,
                order.category,
                order.credit_cents,
                order.credited_cents,
                order.invoice,
                order.box,
                order.epoch,
                order.seq,
            ),
        )

    def mark_billed(self, orders: list[OrderRow], invoice: str) -> None:
        self._db.executemany(
            f"UPDATE orders SET state = 'billed', reason = '', invoice = ? WHERE {_PLACE}",
            [(invoice, order.box, order.epoch, order.seq) for order in orders],
        )

    def orders(self, state: OrderState | None, account: str | None, limit: int) -> Iterator[OrderRow]:
        chosen = Chosen(state, account=account or "")
        return (order for _, order in self.orders_page(chosen, None, limit))

    def due_orders(self, account: str, before_ms: int) -> list[OrderRow]:
        # Left to itself SQLite reads all orders that the account has ever placed.
        sql = (
            f"SELECT {_ORDER} FROM orders INDEXED BY orders_due WHERE account = ? AND effective_ms < ? "
            "AND state = 'rated' ORDER BY effective_ms, box, epoch, seq"
        )
        return list(self._all(_order, sql, account, before_ms))

    def accounts_with_due_orders(self, after: str, limit: int) -> list[AccountId]:
        # Left to itself SQLite reads every rated order each time: a month would cost its orders squared.
        sql = (
            "SELECT DISTINCT account FROM orders INDEXED BY orders_due "
            "WHERE state = 'rated' AND account > ? ORDER BY account LIMIT ?"
        )
        return list(self._all(AccountId, sql, after, limit))

    def orders_of(self, account: str) -> Iterator[OrderRow]:
        sql = f"SELECT {_ORDER} FROM orders WHERE account = ? ORDER BY effective_ms, box, epoch, seq"
        return self._all(_order, sql, account)

    def order_totals(self) -> dict[OrderState, tuple[int, int]]:
        sql = (
            "SELECT state, sum(orders), sum(payable - credited) FROM order_sums GROUP BY state "
            "HAVING sum(orders) > 0"
        )
        return {OrderState(state): (n, cents) for state, n, cents in self._db.execute(sql)}

    def paid_orders(self, account: str, from_ms: int, until_ms: int, most: int) -> int:
        sql = (
            "SELECT count(*) FROM (SELECT 1 FROM orders INDEXED BY orders_by_account WHERE account = ? "
            "AND effective_ms >= ? AND effective_ms < ? AND state IN ('rated', 'billed') LIMIT ?) AS paid"
        )
        return self._one(int, sql, account, from_ms, until_ms, most) or 0

    def spent(self, account: str, from_ms: int, until_ms: int) -> int:
        sql = (
            "SELECT coalesce(sum(price_cents - credit_cents), 0) FROM orders "
            "WHERE account = ? AND effective_ms >= ? AND effective_ms < ? AND state IN ('rated', 'billed')"
        )
        return self._one(int, sql, account, from_ms, until_ms) or 0

    def add_annex(self, row: AnnexRow) -> None:
        self._insert("annex", _ANNEX, values_of(row))

    def annex(self, box: str, epoch: int, seq: int) -> AnnexRow | None:
        sql = f"SELECT {_ANNEX} FROM annex WHERE box = ? AND epoch = ? AND seq = ?"
        return self._one(AnnexRow, sql, box, epoch, seq)

    def set_window(self, box: str, epoch: int, seq: int, until_ms: int) -> None:
        self._db.execute(f"UPDATE annex SET window_until_ms = ? WHERE {_PLACE}", (until_ms, box, epoch, seq))

    def open_window(
        self, account: str, offer: str, from_ms: int, until_ms: int, *, credited: bool = False
    ) -> AnnexRow | None:
        paid = f"(state IN {_WINDOW_STATES} OR {_CREDITED})" if credited else f"state IN {_WINDOW_STATES}"
        sql = (
            f"SELECT {_ANNEXES} FROM annex JOIN orders USING (box, epoch, seq) "
            "WHERE annex.account = ? AND offer = ? AND window_from_ms < ? AND window_until_ms > ? "
            f"AND {paid} ORDER BY window_from_ms LIMIT 1"
        )
        return self._one(AnnexRow, sql, account, offer, until_ms, from_ms)

    def free_plays(self, account: str, offer: str, before_ms: int) -> list[AnnexRow]:
        sql = (
            f"SELECT {_ANNEXES} FROM annex JOIN orders USING (box, epoch, seq) "
            "WHERE annex.account = ? AND offer = ? AND window_from_ms < ? AND state = 'zero-rated' "
            "AND reason = 'open-window' ORDER BY window_from_ms, box, epoch, seq"
        )
        return list(self._all(AnnexRow, sql, account, offer, before_ms))

    # --- tokens
    def draw_reporting(self, week: str, drawn: Mapping[str, str]) -> None:
        self._db.executemany(
            "INSERT INTO reporting (week, account, box) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(week, account, box) for account, box in drawn.items()],
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

    def forget_tokens(self, week: str, limit: int) -> bool:
        more = False
        for table in ("reporting", "grants"):
            place = f"SELECT account FROM {table} WHERE week = ? ORDER BY account LIMIT 1 OFFSET ?"
            beyond = self._one(str, place, week, limit)
            until, values = ("", (week,)) if beyond is None else (" AND account < ?", (week, beyond))
            deleted = self._db.execute(f"DELETE FROM {table} WHERE week = ?{until}", values).rowcount
            if beyond is not None and not deleted:  # one account has more than that
                self._db.execute(f"DELETE FROM {table} WHERE week = ? AND account = ?", (week, beyond))
            more = more or beyond is not None
        return more

    # --- the rest
    def put_directory(self, week: str, envelope: bytes) -> None:
        self._db.execute(
            "INSERT INTO directories (week, envelope) VALUES (?, ?) ON CONFLICT DO NOTHING", (week, envelope)
        )

    def directory(self, week: str) -> bytes | None:
        return self._one(bytes, "SELECT envelope FROM directories WHERE week = ?", week)

    def raise_alarm(self, alarm: Alarm, evidence: bytes | None) -> bool:
        told = "SELECT alarm FROM alarms WHERE kind = ? AND box = ? AND account = ? AND detail = ?"
        if self._one(int, told, alarm.kind, alarm.box, alarm.account, alarm.detail) is not None:
            return False  # to try would take a number on PostgreSQL
        cursor = self._db.execute(
            f"INSERT INTO alarms ({columns(Alarm)}, evidence) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (*values_of(alarm), evidence),
        )
        return cursor.rowcount == 1

    def alarms(self, limit: int) -> Iterator[Alarm]:
        return self._all(Alarm, f"SELECT {columns(Alarm)} FROM alarms ORDER BY alarm DESC LIMIT ?", limit)

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        last = self._db.execute("SELECT line, hash FROM audit ORDER BY line DESC LIMIT 1").fetchone()
        number, before = (1, chain.GENESIS) if last is None else (last[0] + 1, last[1])
        values = (number, at_ms, who, what, ref, detail)
        self._insert("audit", columns(AuditLine), (*values, chain.link(before, values)))

    def add_tally(self, counts: dict[str, int]) -> None:
        self._db.executemany(
            "INSERT INTO tally (name, n) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n",
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
        return self._one(
            str, "SELECT max(slot) FROM job_runs WHERE job = ? HAVING max(slot) IS NOT NULL", job
        )

    def last_run(self, job: str) -> Run | None:
        sql = "SELECT slot, done_ms FROM job_runs WHERE job = ? ORDER BY slot DESC LIMIT 1"
        return self._one(Run, sql, job)


def _by_account(rows: Iterable[Any]) -> Iterator[tuple[AccountId, tuple[BoxId, ...]]]:
    for account, held in groupby(rows, key=itemgetter(0)):
        yield AccountId(account), tuple(BoxId(box) for _, box in held)


def _order(*row: Any) -> OrderRow:  # noqa: ANN401 (columns of the driver)
    order = OrderRow(*row)
    return replace(order, state=OrderState(order.state))
