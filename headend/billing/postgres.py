"""Billing's database on PostgreSQL: what several nodes have to do otherwise than one.

The tables are in tables.sql. Work that is done beside that of other nodes locks the rows it decides by: the
end of a box's chain, the account that an order is for, the reporting box that asks for tokens. The ends of
the ledger and of the audit are taken when the transaction ends.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files

from msgspec import structs

from headend.billing.known_offers import KnownOffers
from headend.billing.ledger import Draft, chained, check_balanced
from headend.billing.rows import Account, ChainEnd, Entry
from headend.billing.sql import SqlBillingTx
from headend.billing.sql_books import columns, found
from headend.billing.sql_store import SqlBilling
from headend.kit.engine import Connection
from headend.kit.postgres import PostgresStorage, PostgresTransaction
from headend.kit.postgres_schema import SEALED_KEYS, Migration, Schema
from headend.kit.postgres_weeks import Weeks
from shared.named import BoxId

WEEKLY = ("reporting", "grants")
"""Tables of which every week has a part of its own, which is dropped when the week is forgotten."""
STANDING_WEEKS = (
    "SELECT week FROM directories WHERE week > coalesce("
    "(SELECT max(slot) FROM job_runs WHERE job = 'forget-tokens'), '') ORDER BY week"
)
"""The weeks that have their parts: published, and not forgotten."""
SCHEMA = Schema(
    "billing",
    (
        Migration("tables", (files("headend.billing") / "tables.sql").read_text()),
        SEALED_KEYS,
        Migration("counted_agents", (files("headend.billing") / "agents.sql").read_text()),
    ),
    WEEKLY,
)
_ENTRY = ", ".join(Entry.__struct_fields__)
_ARRAYS = ", ".join(
    f"CAST(?{place} AS {'BIGINT' if kind is int else 'TEXT'}[])"
    for place, kind in enumerate(Entry.__annotations__.values(), 1)
)
_LOCKED = "FOR NO KEY UPDATE"


class PostgresBillingTx(SqlBillingTx):
    """`BillingTx` over one connection; inside `write` and `write_beside` it is one transaction."""

    @property
    def _beside(self) -> PostgresTransaction | None:
        """The transaction, if others write beside it."""
        own = self._db
        return own if isinstance(own, PostgresTransaction) and not own.alone else None

    # --- what is decided by is locked
    def account(self, account: str) -> Account:
        if self._beside is None:
            return super().account(account)
        sql = f"SELECT {columns(Account)} FROM accounts WHERE account = ? {_LOCKED}"
        return found(self._one(Account, sql, account), "account", account)

    def chain_end(self, box: str, epoch: int) -> ChainEnd | None:
        if self._beside is None:
            return super().chain_end(box, epoch)
        sql = f"SELECT {columns(ChainEnd)} FROM epochs WHERE box = ? AND epoch = ? {_LOCKED}"
        return self._one(ChainEnd, sql, box, epoch)

    def reporting_box(self, week: str, account: str) -> BoxId | None:
        if self._beside is None:
            return super().reporting_box(week, account)
        sql = f"SELECT box FROM reporting WHERE week = ? AND account = ? {_LOCKED}"
        return self._one(BoxId, sql, week, account)

    # --- ends of chains
    def post(self, draft: Draft) -> None:
        if self._beside is None:
            super().post(draft)
            return
        check_balanced(draft)
        self._beside.later("ledger", draft, self._post_all)

    def _post_all(self, connection: Connection, drafts: list[Draft]) -> None:
        tx = PostgresBillingTx(connection, self._engine)
        last, last_hash = SqlBillingTx.last_entry(tx)
        rows = []
        for draft in drafts:
            entry = chained(draft, last, last_hash)
            last, last_hash = entry.entry, entry.hash
            rows.append(structs.astuple(entry))
        sql = f"INSERT INTO entries ({_ENTRY}) SELECT * FROM unnest({_ARRAYS})"
        connection.execute(sql, [list(column) for column in zip(*rows, strict=True)])

    def last_entry(self) -> tuple[int, str]:
        self._settle("ledger")
        return super().last_entry()

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        self._settle("ledger")
        return super().entries(first, last)

    def usage_entry(self, ref: str) -> Entry | None:
        self._settle("ledger")
        return super().usage_entry(ref)

    def entries_of(self, ref: str) -> list[Entry]:
        self._settle("ledger")
        return super().entries_of(ref)

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        if self._beside is None:
            super().add_audit(at_ms, who, what, ref, detail)
            return
        self._beside.later("audit", (at_ms, who, what, ref, detail), self._audit_all)

    def _audit_all(self, connection: Connection, lines: list[tuple[int, str, str, str, str]]) -> None:
        tx = PostgresBillingTx(connection, self._engine)
        for line in lines:
            SqlBillingTx.add_audit(tx, *line)

    def _settle(self, what: str) -> None:
        if self._beside is not None and self._beside.waiting(what):
            self._beside.settle()

    # --- weeks
    def put_directory(self, week: str, envelope: bytes) -> None:
        self._weeks.open(self._db, WEEKLY, week)
        super().put_directory(week, envelope)

    def draw_reporting(self, week: str, drawn: Mapping[str, str]) -> None:
        self._weeks.open(self._db, WEEKLY, week)
        super().draw_reporting(week, drawn)

    def add_grant(self, week: str, account: str, measure: str, request_hash: str, response: bytes) -> None:
        self._weeks.open(self._db, WEEKLY, week)
        super().add_grant(week, account, measure, request_hash, response)

    @property
    def _weeks(self) -> Weeks:
        assert isinstance(self._engine, PostgresStorage)  # noqa: S101 (the store below gave it)
        return self._engine.weeks

    def forget_tokens(self, week: str, limit: int) -> bool:  # noqa: ARG002 (a part goes as a whole)
        self._weeks.drop(self._db, WEEKLY, week)
        return False


def _settled(connection: Connection) -> Connection | None:
    """A look, or a transaction beside others, in which no offer is ever published, sees what is committed.

    A transaction that is alone might have published one. It does not ask a look: behind a pooler that could
    be waiting for the very connection that the transaction holds.
    """
    alone = isinstance(connection, PostgresTransaction) and connection.alone
    return None if alone else connection


class PostgresBilling(SqlBilling):
    """`BillingStore` on a PostgreSQL server."""

    storage: PostgresStorage

    def __init__(self, url: str) -> None:
        super().__init__(PostgresStorage(url, SCHEMA), PostgresBillingTx, KnownOffers(_settled))
