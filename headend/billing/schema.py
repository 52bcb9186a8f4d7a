"""Billing's tables, migration by migration. docs/data-model.md explains them."""

import sqlite_utils
from sqlite_utils.migrations import Migrations

from headend.billing import sums
from headend.kit import chain
from headend.kit.storage import StorageError

migrations = Migrations("billing")


class OldBooksError(StorageError):
    """Books of a development version, hashed in another form; they cannot be carried over."""


_APPEND_ONLY = ("batches", "audit", "bindings", "sellers", "laws", "acknowledgements")
_FORGETTABLE = {
    "entries": ("account", "ref", "text", "proof"),
    "invoices": ("account",),
    "invoice_lines": ("order_ref",),
    "invoice_vat": (),
}
"""Append-only too, but once the tax period is over these columns may be emptied, and nothing else."""

_FIRST = """
CREATE TABLE accounts (
    account TEXT PRIMARY KEY, zone TEXT NOT NULL, country TEXT NOT NULL, postal_area TEXT NOT NULL,
    language TEXT NOT NULL, spending_limit_cents INTEGER, created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE boxes (
    box TEXT PRIMARY KEY, serial TEXT NOT NULL, public_key TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (account), epoch INTEGER NOT NULL, enrolled_ms INTEGER NOT NULL,
    released_ms INTEGER
) STRICT;
CREATE INDEX boxes_by_account ON boxes (account);
CREATE INDEX boxes_by_serial ON boxes (serial);
CREATE TABLE bindings (
    box TEXT NOT NULL REFERENCES boxes (box), turn INTEGER NOT NULL, from_ms INTEGER NOT NULL,
    account TEXT REFERENCES accounts (account), PRIMARY KEY (box, turn)
) STRICT, WITHOUT ROWID;
CREATE TABLE codes (
    code_hash TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (account), box TEXT,
    expires_ms INTEGER NOT NULL, used_by TEXT, used_box TEXT
) STRICT;
CREATE TABLE epochs (
    box TEXT NOT NULL REFERENCES boxes (box), epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    last_hash TEXT NOT NULL, last_ms INTEGER NOT NULL, told_seq INTEGER NOT NULL, told_ms INTEGER NOT NULL,
    gap_ms INTEGER NOT NULL, PRIMARY KEY (box, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX epochs_with_gaps ON epochs (gap_ms) WHERE gap_ms > 0;
CREATE TABLE chain (
    box TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL,
    envelope BLOB, envelope_hash TEXT NOT NULL, received_ms INTEGER NOT NULL,
    PRIMARY KEY (box, epoch, seq), FOREIGN KEY (box, epoch) REFERENCES epochs (box, epoch)
) STRICT;
CREATE TABLE catalogues (version INTEGER PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE offers (
    offer TEXT NOT NULL, version INTEGER NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (offer, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE promotions (
    promotion TEXT NOT NULL, version INTEGER NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (promotion, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE laws (
    country TEXT NOT NULL, from_ms INTEGER NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (country, from_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    box TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, account TEXT, state TEXT NOT NULL,
    reason TEXT NOT NULL, kind TEXT NOT NULL, display TEXT NOT NULL, price_cents INTEGER NOT NULL,
    currency TEXT NOT NULL, vat_bp INTEGER NOT NULL, placed_ms INTEGER NOT NULL,
    effective_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, title_hash TEXT NOT NULL,
    month TEXT NOT NULL, promotion TEXT NOT NULL, category TEXT NOT NULL, credit_cents INTEGER NOT NULL,
    credited_cents INTEGER NOT NULL, invoice TEXT,
    PRIMARY KEY (box, epoch, seq), FOREIGN KEY (box, epoch, seq) REFERENCES chain (box, epoch, seq),
    CHECK (credit_cents BETWEEN 0 AND price_cents),
    CHECK (credited_cents BETWEEN 0 AND price_cents - credit_cents)
) STRICT;
CREATE INDEX orders_by_account ON orders (account, effective_ms);
CREATE INDEX orders_by_state ON orders (state, received_ms);
CREATE INDEX orders_due ON orders (account, effective_ms) WHERE state = 'rated';
CREATE INDEX orders_promoted ON orders (account, promotion) WHERE promotion <> '';
CREATE TABLE annex (
    box TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, account TEXT NOT NULL,
    offer TEXT NOT NULL, offer_version INTEGER NOT NULL, title TEXT NOT NULL, salt TEXT NOT NULL,
    window_from_ms INTEGER NOT NULL, window_until_ms INTEGER NOT NULL,
    PRIMARY KEY (box, epoch, seq), FOREIGN KEY (box, epoch, seq) REFERENCES orders (box, epoch, seq)
) STRICT;
CREATE INDEX annex_windows ON annex (account, offer, window_until_ms);
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, ref TEXT NOT NULL,
    month TEXT NOT NULL, text TEXT NOT NULL, currency TEXT NOT NULL, vat_bp INTEGER NOT NULL,
    proof TEXT NOT NULL, at_ms INTEGER NOT NULL, unbilled INTEGER NOT NULL, usage INTEGER NOT NULL,
    receivable INTEGER NOT NULL, revenue INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL,
    prev_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
    CHECK (unbilled + usage + receivable + revenue + vat + rounding = 0)
) STRICT;
CREATE UNIQUE INDEX entries_once ON entries (ref, kind) WHERE ref <> '';
CREATE INDEX entries_by_account ON entries (account, entry);
CREATE TRIGGER entries_gapless BEFORE INSERT ON entries
WHEN NEW.entry <> (SELECT coalesce(max(entry), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'entries are numbered without gaps'); END;
CREATE TRIGGER entries_chained BEFORE INSERT ON entries
WHEN NEW.entry > 1 AND NEW.prev_hash IS NOT (SELECT hash FROM entries WHERE entry = NEW.entry - 1)
BEGIN SELECT RAISE(ABORT, 'an entry names the hash of the one before'); END;
CREATE TABLE numbers (
    series TEXT NOT NULL, year INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (series, year)
) STRICT, WITHOUT ROWID;
CREATE TABLE sellers (
    country TEXT NOT NULL, from_ms INTEGER NOT NULL, name TEXT NOT NULL, vat_number TEXT NOT NULL,
    street TEXT NOT NULL, postcode TEXT NOT NULL, city TEXT NOT NULL, PRIMARY KEY (country, from_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE invoices (
    number TEXT PRIMARY KEY, kind TEXT NOT NULL, refers_to TEXT REFERENCES invoices (number),
    account TEXT NOT NULL, country TEXT NOT NULL, zone TEXT NOT NULL, language TEXT NOT NULL,
    month TEXT NOT NULL, currency TEXT NOT NULL, issued_ms INTEGER NOT NULL,
    gross INTEGER NOT NULL, net INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL,
    CHECK (gross = net + vat + rounding)
) STRICT;
CREATE INDEX invoices_by_account ON invoices (account, issued_ms);
CREATE INDEX invoices_by_time ON invoices (issued_ms);
CREATE INDEX invoices_by_bill ON invoices (refers_to) WHERE refers_to IS NOT NULL;
CREATE UNIQUE INDEX one_bill_a_month ON invoices (account, month) WHERE kind = 'invoice' AND account <> '';
CREATE TABLE invoice_lines (
    number TEXT NOT NULL REFERENCES invoices (number), line INTEGER NOT NULL, order_ref TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, placed_ms INTEGER NOT NULL, cents INTEGER NOT NULL,
    vat_bp INTEGER NOT NULL, late INTEGER NOT NULL, PRIMARY KEY (number, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE invoice_vat (
    number TEXT NOT NULL REFERENCES invoices (number), rate_bp INTEGER NOT NULL, gross INTEGER NOT NULL,
    net INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL, PRIMARY KEY (number, rate_bp),
    CHECK (gross = net + vat + rounding)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER credits_within_the_bill BEFORE INSERT ON invoices WHEN NEW.kind = 'credit-note' AND (
    SELECT coalesce(sum(gross), 0) + NEW.gross FROM invoices WHERE refers_to = NEW.refers_to
) > (SELECT gross FROM invoices WHERE number = NEW.refers_to)
BEGIN SELECT RAISE(ABORT, 'credits never add up to more than their bill'); END;
CREATE TABLE disputes (
    dispute INTEGER PRIMARY KEY, number TEXT NOT NULL REFERENCES invoices (number), order_ref TEXT NOT NULL,
    why TEXT NOT NULL, opened_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, state TEXT NOT NULL,
    decided_ms INTEGER, note TEXT REFERENCES invoices (number)
) STRICT;
CREATE UNIQUE INDEX one_open_dispute ON disputes (number, order_ref) WHERE state = 'open';
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY, first_entry INTEGER NOT NULL UNIQUE, last_entry INTEGER NOT NULL UNIQUE,
    closed_ms INTEGER NOT NULL, prev_hash TEXT NOT NULL, root TEXT NOT NULL, missing TEXT NOT NULL,
    hash TEXT NOT NULL, CHECK (last_entry >= first_entry)
) STRICT;
CREATE TABLE export_keys (
    key_hash TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, recipient TEXT NOT NULL, scopes TEXT NOT NULL,
    created_ms INTEGER NOT NULL, revoked_ms INTEGER
) STRICT;
CREATE TABLE acknowledgements (
    batch INTEGER NOT NULL REFERENCES batches (batch), name TEXT NOT NULL, sha256 TEXT NOT NULL,
    at_ms INTEGER NOT NULL, PRIMARY KEY (batch, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE reporting (
    week TEXT NOT NULL, account TEXT NOT NULL, box TEXT NOT NULL, PRIMARY KEY (week, account)
) STRICT, WITHOUT ROWID;
CREATE TABLE grants (
    week TEXT NOT NULL, account TEXT NOT NULL, measure TEXT NOT NULL, n INTEGER NOT NULL,
    request_hash TEXT NOT NULL, response BLOB NOT NULL, PRIMARY KEY (week, account, measure, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE directories (week TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE alarms (
    alarm INTEGER PRIMARY KEY, kind TEXT NOT NULL, box TEXT NOT NULL, account TEXT NOT NULL,
    detail TEXT NOT NULL, raised_ms INTEGER NOT NULL, evidence BLOB, UNIQUE (kind, box, account, detail)
) STRICT;
CREATE TABLE audit (
    line INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    ref TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_ref ON audit (ref);
CREATE TABLE horizons (what TEXT PRIMARY KEY, ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE installation (fact TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE job_runs (
    job TEXT NOT NULL, slot TEXT NOT NULL, done_ms INTEGER NOT NULL, PRIMARY KEY (job, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_by_account ON bindings (account);
CREATE INDEX chain_signed ON chain (received_ms) WHERE envelope IS NOT NULL;
CREATE INDEX alarms_with_evidence ON alarms (alarm) WHERE evidence IS NOT NULL;
"""
_AGE = {
    "entries": "OLD.at_ms",
    "invoices": "OLD.issued_ms",
    "invoice_lines": "(SELECT issued_ms FROM invoices WHERE number = OLD.number)",
    "invoice_vat": "(SELECT issued_ms FROM invoices WHERE number = OLD.number)",
}


_REQUESTS = """
CREATE TABLE requests (
    request INTEGER PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (account), kind TEXT NOT NULL,
    received_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, state TEXT NOT NULL, decided_ms INTEGER,
    who TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE INDEX requests_by_account ON requests (account);
CREATE INDEX requests_open ON requests (deadline_ms) WHERE state = 'open';
CREATE INDEX requests_decided ON requests (decided_ms) WHERE decided_ms IS NOT NULL;
CREATE INDEX audit_by_who ON audit (who, line);
"""


def _statements(script: str) -> list[str]:
    parts, current = [], ""
    for line in script.splitlines():
        current += line + "\n"
        whole = current.strip()
        ended = whole.endswith("END;") if whole.startswith("CREATE TRIGGER") else whole.endswith(";")
        if ended:
            parts.append(whole)
            current = ""
    return parts


def _guard(db: sqlite_utils.Database, table: str, change: str, unless: str = "0") -> None:
    db.execute(
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} WHEN NOT ({unless}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _only_emptied(db: sqlite_utils.Database, table: str) -> str:
    """The condition under which a row may be updated: it is past the tax horizon, and is only emptied."""
    emptied = _FORGETTABLE[table]
    kept = [column.name for column in db.table(table).columns if column.name not in emptied]
    parts = [f"NEW.{name} IS OLD.{name}" for name in kept] + [f"NEW.{name} = ''" for name in emptied]
    horizon = "coalesce((SELECT ms FROM horizons WHERE what = 'tax'), 0)"
    return f"{_AGE[table]} < {horizon} AND " + " AND ".join(parts)


@migrations()
def tables_with_books_in_columns(db: sqlite_utils.Database) -> None:
    """Everything that is kept, with the guards of what is append-only.

    Raises:
        OldBooksError: the file was made before the ledger's accounts were columns.
    """
    if db.table("postings").exists():
        raise OldBooksError(
            "made by a development version that hashed its books in another form; make a new installation"
        )
    for statement in _statements(_FIRST):
        db.execute(statement)
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            _guard(db, table, change)
    for table in _FORGETTABLE:
        _guard(db, table, "DELETE")
        _guard(db, table, "UPDATE", _only_emptied(db, table))


@migrations()
def sums_and_lists(db: sqlite_utils.Database) -> None:
    """Running sums, when each box was last heard, how batches were verified, and the lists' indexes."""
    for script in (sums.TABLES, sums.FILL, sums.INDEXES):
        for statement in _statements(script):
            db.execute(statement)
    for table in ("batch_sums", "verifications"):
        for change in ("UPDATE", "DELETE"):
            _guard(db, table, change)


@migrations()
def requests_and_a_chained_audit(db: sqlite_utils.Database) -> None:
    """What subscribers ask, with deadlines; and each line of the audit carries the hash of those before."""
    for statement in _statements(_REQUESTS):
        db.execute(statement)
    db.execute("ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''")
    db.execute("DROP TRIGGER audit_no_update")
    before = chain.GENESIS
    rows = db.execute("SELECT line, at_ms, who, what, ref, detail FROM audit ORDER BY line").fetchall()
    for row in rows:
        before = chain.link(before, tuple(row))
        db.execute("UPDATE audit SET hash = ? WHERE line = ?", (before, row[0]))
    _guard(db, "audit", "UPDATE")


@migrations()
def counted_agents(db: sqlite_utils.Database) -> None:
    """How many boxes run which software, counted as they say so."""
    for statement in _statements(sums.AGENTS):
        db.execute(statement)


@migrations()
def lighter_writes(db: sqlite_utils.Database) -> None:
    """A sign of life moves one index less; the ledger's hashes, told apart by their chain, have none."""
    for statement in _statements(sums.LIGHTER):
        db.execute(statement)
    told = "SELECT sql FROM sqlite_master WHERE tbl_name = 'entries' AND sql IS NOT NULL ORDER BY rowid"
    table, *rest = [sql for (sql,) in db.execute(told).fetchall()]
    bare = table.replace("TEXT NOT NULL UNIQUE", "TEXT NOT NULL CHECK (hash <> prev_hash)")
    for statement in (
        bare.replace("entries", "entries_anew", 1),
        "INSERT INTO entries_anew SELECT * FROM entries ORDER BY entry",
        "DROP TABLE entries",
        "ALTER TABLE entries_anew RENAME TO entries",
        *rest,
    ):
        db.execute(statement)
