"""The analytics database's tables.

STRICT, and without rowid where a row number would tell the order in which fragments came. Releases, the
budget and directories are append-only, guarded by triggers.
"""

import sqlite_utils
from sqlite_utils.migrations import Migrations

migrations = Migrations("analytics")

_TABLES = (
    """CREATE TABLE installation (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
        profile TEXT NOT NULL,
        zone TEXT NOT NULL,
        first_week TEXT NOT NULL,
        cap_micro INTEGER NOT NULL CHECK (cap_micro > 0)
    ) STRICT""",
    """CREATE TABLE directories (
        week TEXT PRIMARY KEY,
        envelope BLOB NOT NULL,
        payload BLOB NOT NULL,
        sha256 TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE weeks (week TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE counters (
        week TEXT NOT NULL,
        measure TEXT NOT NULL,
        cell INTEGER NOT NULL CHECK (cell >= 1),
        amount INTEGER NOT NULL CHECK (amount >= 0),
        rest INTEGER NOT NULL CHECK (rest >= 0),
        PRIMARY KEY (week, measure, cell)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE spent (
        week TEXT NOT NULL,
        nonce BLOB NOT NULL CHECK (length(nonce) = 32),
        PRIMARY KEY (week, nonce)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE accepted (
        week TEXT NOT NULL,
        measure TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (week, measure)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE tally (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE totals (
        week TEXT PRIMARY KEY,
        payload BLOB NOT NULL,
        sha256 TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE budget (
        week TEXT NOT NULL,
        measure TEXT NOT NULL,
        rho_micro INTEGER NOT NULL CHECK (rho_micro > 0),
        PRIMARY KEY (week, measure)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE releases (
        week TEXT PRIMARY KEY,
        manifest BLOB NOT NULL,
        "table" BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE job_runs (
        job TEXT NOT NULL,
        slot TEXT NOT NULL,
        done_ms INTEGER NOT NULL,
        PRIMARY KEY (job, slot)
    ) STRICT, WITHOUT ROWID""",
)
_APPEND_ONLY = ("releases", "budget", "directories")


@migrations()
def first(database: sqlite_utils.Database) -> None:
    """The tables of the first version."""
    for statement in _TABLES:
        database.execute(statement)
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            database.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    # INSERT OR REPLACE deletes without asking the triggers above.
    for table, same in (("releases", ""), ("budget", " AND measure = NEW.measure"), ("directories", "")):
        database.execute(
            f"CREATE TRIGGER {table}_once BEFORE INSERT ON {table}"  # noqa: S608 (constants of this file)
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE week = NEW.week{same})"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


@migrations()
def disclosures(database: sqlite_utils.Database) -> None:
    """What the command line handed out; its line numbers are the order of an operator's acts."""
    database.execute(
        """CREATE TABLE disclosures (
            line INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL,
            kind TEXT NOT NULL,
            recipient TEXT NOT NULL,
            purpose TEXT NOT NULL,
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            what TEXT NOT NULL
        ) STRICT"""
    )
    for verb in ("UPDATE", "DELETE"):
        database.execute(
            f"CREATE TRIGGER disclosures_no_{verb.lower()} BEFORE {verb} ON disclosures"
            " BEGIN SELECT RAISE(ABORT, 'disclosures is append-only'); END"
        )
    # INSERT OR REPLACE deletes without asking the triggers above.
    database.execute(
        "CREATE TRIGGER disclosures_once BEFORE INSERT ON disclosures"
        " WHEN EXISTS (SELECT 1 FROM disclosures WHERE line = NEW.line)"
        " BEGIN SELECT RAISE(ABORT, 'disclosures is append-only'); END"
    )
