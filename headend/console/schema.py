"""The console's tables; shared/fields/console.toml tells what each is for."""

import sqlite_utils
from sqlite_utils.migrations import Migrations

migrations = Migrations("console")

_FIRST = (
    """CREATE TABLE installation (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        simulated INTEGER NOT NULL CHECK (simulated IN (0, 1))
    ) STRICT""",
    """CREATE TABLE operators (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
        must_change INTEGER NOT NULL CHECK (must_change IN (0, 1)),
        added_ms INTEGER NOT NULL,
        last_sign_in_ms INTEGER
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE sign_ins (
        id_hash BLOB PRIMARY KEY CHECK (length(id_hash) = 32),
        operator TEXT NOT NULL REFERENCES operators (name),
        csrf TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX sign_ins_by_operator ON sign_ins (operator)",
    """CREATE TABLE attempts (
        key TEXT PRIMARY KEY,
        failures INTEGER NOT NULL CHECK (failures > 0),
        last_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE audit (
        line INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        operator TEXT NOT NULL,
        action TEXT NOT NULL,
        what TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX audit_by_action ON audit (action, at_ms)",
    "CREATE INDEX audit_by_operator ON audit (operator, line)",
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    # INSERT OR REPLACE deletes without asking the trigger above.
    """CREATE TRIGGER audit_once BEFORE INSERT ON audit
        WHEN EXISTS (SELECT 1 FROM audit WHERE line = NEW.line)
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
)


@migrations()
def first(database: sqlite_utils.Database) -> None:
    """The tables of the first version."""
    for statement in _FIRST:
        database.execute(statement)
