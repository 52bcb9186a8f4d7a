"""Billing's tables, migration by migration. docs/data-model.md explains them."""

import sqlite_utils
from sqlite_utils.migrations import Migrations

migrations = Migrations("billing")

_APPEND_ONLY = ("entries", "postings", "invoices", "invoice_lines", "batches", "audit")

_FIRST = """
CREATE TABLE accounts (
    account TEXT PRIMARY KEY, zone TEXT NOT NULL, country TEXT NOT NULL, postal_area TEXT NOT NULL,
    spending_limit_cents INTEGER, created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE boxes (
    box TEXT PRIMARY KEY, serial TEXT NOT NULL, public_key TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (account), epoch INTEGER NOT NULL, enrolled_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX boxes_by_account ON boxes (account);
CREATE TABLE codes (
    code_hash TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (account), box TEXT,
    expires_ms INTEGER NOT NULL, used_by TEXT, used_box TEXT
) STRICT;
CREATE TABLE epochs (
    box TEXT NOT NULL REFERENCES boxes (box), epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    last_hash TEXT NOT NULL, last_ms INTEGER NOT NULL, told_seq INTEGER NOT NULL, told_ms INTEGER NOT NULL,
    PRIMARY KEY (box, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (
    box TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL,
    envelope BLOB, envelope_hash TEXT NOT NULL, received_ms INTEGER NOT NULL,
    PRIMARY KEY (box, epoch, seq), FOREIGN KEY (box, epoch) REFERENCES epochs (box, epoch)
) STRICT;
CREATE TABLE catalogues (version INTEGER PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE offers (
    offer TEXT NOT NULL, version INTEGER NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (offer, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    box TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, account TEXT, state TEXT NOT NULL,
    reason TEXT NOT NULL, kind TEXT NOT NULL, display TEXT NOT NULL, price_cents INTEGER NOT NULL,
    currency TEXT NOT NULL, vat_bp INTEGER NOT NULL, placed_ms INTEGER NOT NULL,
    effective_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, title_hash TEXT NOT NULL, invoice TEXT,
    PRIMARY KEY (box, epoch, seq), FOREIGN KEY (box, epoch, seq) REFERENCES chain (box, epoch, seq)
) STRICT;
CREATE INDEX orders_by_account ON orders (account, effective_ms);
CREATE INDEX orders_by_state ON orders (state, received_ms);
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
    proof TEXT NOT NULL, at_ms INTEGER NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
    UNIQUE (kind, ref)
) STRICT;
CREATE TABLE postings (
    entry INTEGER NOT NULL REFERENCES entries (entry) DEFERRABLE INITIALLY DEFERRED, line INTEGER NOT NULL,
    ledger TEXT NOT NULL, cents INTEGER NOT NULL, PRIMARY KEY (entry, line)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entries_balance BEFORE INSERT ON entries
WHEN (SELECT coalesce(sum(cents), 1) FROM postings WHERE entry = NEW.entry) <> 0
BEGIN SELECT RAISE(ABORT, 'an entry''s postings must add up to nothing'); END;
CREATE TRIGGER entries_gapless BEFORE INSERT ON entries
WHEN NEW.entry <> (SELECT coalesce(max(entry), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'entries are numbered without gaps'); END;
CREATE TRIGGER postings_first BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM entries WHERE entry = NEW.entry)
BEGIN SELECT RAISE(ABORT, 'nothing is posted to an entry that stands'); END;
CREATE TABLE numbers (
    series TEXT NOT NULL, year INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (series, year)
) STRICT, WITHOUT ROWID;
CREATE TABLE invoices (
    number TEXT PRIMARY KEY, kind TEXT NOT NULL, refers_to TEXT REFERENCES invoices (number),
    account TEXT NOT NULL, month TEXT NOT NULL, currency TEXT NOT NULL, issued_ms INTEGER NOT NULL,
    gross INTEGER NOT NULL, net INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL,
    CHECK (gross = net + vat + rounding)
) STRICT;
CREATE INDEX invoices_by_account ON invoices (account, issued_ms);
CREATE UNIQUE INDEX one_bill_a_month ON invoices (account, month) WHERE kind = 'invoice';
CREATE TABLE invoice_lines (
    number TEXT NOT NULL REFERENCES invoices (number), line INTEGER NOT NULL, order_ref TEXT NOT NULL,
    text TEXT NOT NULL, placed_ms INTEGER NOT NULL, cents INTEGER NOT NULL, vat_bp INTEGER NOT NULL,
    late INTEGER NOT NULL, PRIMARY KEY (number, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY, first_entry INTEGER NOT NULL UNIQUE, last_entry INTEGER NOT NULL UNIQUE,
    closed_ms INTEGER NOT NULL, prev_hash TEXT NOT NULL, root TEXT NOT NULL, missing TEXT NOT NULL,
    hash TEXT NOT NULL, CHECK (last_entry >= first_entry)
) STRICT;
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
CREATE TABLE tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE installation (fact TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE job_runs (
    job TEXT NOT NULL, slot TEXT NOT NULL, done_ms INTEGER NOT NULL, PRIMARY KEY (job, slot)
) STRICT, WITHOUT ROWID;
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


@migrations()
def the_first_tables(db: sqlite_utils.Database) -> None:
    """Everything that the first version keeps, with the guards of what is append-only."""
    for statement in _statements(_FIRST):
        db.execute(statement)
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            db.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
