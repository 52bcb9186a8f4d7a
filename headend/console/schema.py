"""The console's tables; shared/fields/console.toml tells what each is for."""

import sqlite_utils
from sqlite_utils.migrations import Migrations

from headend.kit.chain import GENESIS, link

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


_APPEND_ONLY = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_about_no_update BEFORE UPDATE ON audit_about
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_about_no_delete BEFORE DELETE ON audit_about
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
    """CREATE TRIGGER audit_about_once BEFORE INSERT ON audit_about
        WHEN EXISTS (SELECT 1 FROM audit_about
            WHERE account = NEW.account AND at_ms = NEW.at_ms AND line = NEW.line)
        BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END""",
)
_CHAINED = (
    "DROP TRIGGER audit_no_update",
    "ALTER TABLE audit ADD COLUMN about TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE audit_about (
        account TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        line INTEGER NOT NULL REFERENCES audit (line),
        PRIMARY KEY (account, at_ms, line)
    ) STRICT, WITHOUT ROWID""",
    "DROP INDEX audit_by_operator",
    "CREATE INDEX audit_by_time ON audit (at_ms)",
    "CREATE INDEX audit_by_operator ON audit (operator, at_ms)",
    "CREATE INDEX audit_by_operator_and_action ON audit (operator, action, at_ms)",
    # What an admin sees: sign-ins and changes of operators are few among what operators look at.
    """CREATE INDEX audit_of_people ON audit (at_ms)
        WHERE action NOT IN ('looked', 'downloaded', 'did')""",
)


@migrations()
def chained_audit(database: sqlite_utils.Database) -> None:
    """Audit lines tell whom they are about, and each holds the hash of the one before."""
    for statement in _CHAINED:
        database.execute(statement)
    head = GENESIS
    found = "SELECT line, at_ms, operator, action, what, detail, about FROM audit ORDER BY line"
    for values in database.execute(found).fetchall():
        head = link(head, tuple(values))
        database.execute("UPDATE audit SET hash = ? WHERE line = ?", (head, values[0]))
    for statement in _APPEND_ONLY:
        database.execute(statement)


_SIGN_INS = (
    "ALTER TABLE sign_ins ADD COLUMN address TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sign_ins ADD COLUMN offered BLOB",
    """CREATE TABLE cookies (
        id_hash BLOB PRIMARY KEY CHECK (length(id_hash) = 32),
        sign_in BLOB NOT NULL REFERENCES sign_ins (id_hash) ON DELETE CASCADE,
        made_ms INTEGER NOT NULL,
        replaced_ms INTEGER
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX cookies_by_sign_in ON cookies (sign_in)",
    "INSERT INTO cookies (id_hash, sign_in, made_ms) SELECT id_hash, id_hash, started_ms FROM sign_ins",
    """CREATE TABLE half_sign_ins (
        id_hash BLOB PRIMARY KEY CHECK (length(id_hash) = 32),
        operator TEXT NOT NULL REFERENCES operators (name),
        started_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX half_sign_ins_by_operator ON half_sign_ins (operator)",
    """CREATE TABLE second_factors (
        operator TEXT PRIMARY KEY REFERENCES operators (name),
        sealed BLOB NOT NULL,
        last_step INTEGER NOT NULL,
        since_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE required_factors (
        role TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID""",
)


@migrations()
def second_factors(database: sqlite_utils.Database) -> None:
    """A sign-in has cookies that follow each other, and may need a second factor."""
    for statement in _SIGN_INS:
        database.execute(statement)
