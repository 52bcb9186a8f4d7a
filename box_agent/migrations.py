"""The schema, step by step. Imported only when a store is new or old: sqlite-utils costs 15 MiB.

Every table is STRICT and belongs to one group, see `box_agent.store`. Times are Unix milliseconds.
"""

import sqlite3
import zlib

from sqlite_utils import Database, Migrations

_FIRST = """
-- named path
CREATE TABLE identity (            -- one row: the key made on this box, and what enrolment gave it
  id INTEGER PRIMARY KEY CHECK (id = 1), private_key BLOB NOT NULL, box TEXT, epoch INTEGER
) STRICT;
CREATE TABLE head (                -- one row: the end of the chain, and what the headend has stored of it
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
  acked INTEGER NOT NULL
) STRICT;
CREATE TABLE chain (               -- signed messages, byte for byte, until acknowledged and out of retention
  epoch INTEGER NOT NULL, seq INTEGER NOT NULL, placed_ms INTEGER NOT NULL, envelope BLOB NOT NULL,
  PRIMARY KEY (epoch, seq)
) STRICT;
CREATE TABLE orders (              -- what the household may look up
  epoch INTEGER NOT NULL, seq INTEGER NOT NULL, offer TEXT NOT NULL, title TEXT NOT NULL,
  price_cents INTEGER NOT NULL, currency TEXT NOT NULL, placed_ms INTEGER NOT NULL, until_ms INTEGER,
  outcome TEXT, PRIMARY KEY (epoch, seq)
) STRICT;
CREATE INDEX orders_offer ON orders (offer, until_ms);
CREATE TABLE catalogue (           -- the signed catalogue last accepted, deflated
  id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, digest TEXT NOT NULL, etag TEXT,
  packed BLOB NOT NULL
) STRICT;
CREATE TABLE duties (              -- what the named line owes and when
  name TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE asks (                -- one a week: when tokens are asked for, and how that went
  week TEXT PRIMARY KEY, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL, state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE named_alarms (
  name TEXT PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- where the paths meet
CREATE TABLE directories (         -- the named line's bytes, and what the comparison with the relay's said
  week TEXT PRIMARY KEY, named BLOB NOT NULL, relay_ms INTEGER, tries INTEGER NOT NULL, verdict TEXT NOT NULL
) STRICT;
CREATE TABLE wallet (              -- tokens, and what is needed to finish one
  week TEXT NOT NULL, measure TEXT NOT NULL, number INTEGER NOT NULL, pending BLOB, token BLOB,
  PRIMARY KEY (week, measure, number)
) STRICT, WITHOUT ROWID;
-- anonymous path
CREATE TABLE consent (             -- one row: what was answered last
  id INTEGER PRIMARY KEY CHECK (id = 1), granted INTEGER NOT NULL, notice INTEGER NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE consent_log (         -- every answer, as proof
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, granted INTEGER NOT NULL, notice INTEGER NOT NULL,
  how TEXT NOT NULL
) STRICT;
CREATE TABLE events (              -- the running week's player events; a repeated delivery is one row
  at_ms INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (at_ms, body)
) STRICT, WITHOUT ROWID;
CREATE TABLE ordered (             -- the running week's ordered genres, without title
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, genre TEXT NOT NULL
) STRICT;
CREATE TABLE rolled (week TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;  -- weeks that are done with
CREATE TABLE outbox (              -- fragments that wait for their moment, each with its token
  id INTEGER PRIMARY KEY, week TEXT NOT NULL, measure INTEGER NOT NULL, cell INTEGER NOT NULL,
  value INTEGER NOT NULL, words TEXT NOT NULL, token BLOB NOT NULL, due_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL
) STRICT;
CREATE TABLE sentlog (             -- what has left this box, in words, for its owner
  id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, week TEXT NOT NULL, words TEXT NOT NULL,
  outcome TEXT NOT NULL
) STRICT;
CREATE TABLE anonymous_alarms (
  name TEXT PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_PROMOTIONS = """
ALTER TABLE orders ADD COLUMN promotion TEXT;            -- what it was ordered with, if anything
ALTER TABLE orders ADD COLUMN credit_cents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN promotion_until_ms INTEGER;  -- until then this use of it has to be remembered
ALTER TABLE orders ADD COLUMN preview_until_ms INTEGER;  -- until then it can be stopped without being charged
"""

_PROOF = """
ALTER TABLE consent ADD COLUMN reminded_ms INTEGER NOT NULL DEFAULT 0; -- when the notice was last shown
UPDATE consent SET reminded_ms = since_ms;
ALTER TABLE consent_log ADD COLUMN act TEXT NOT NULL DEFAULT '';       -- granted, withdrawn, reminded, lapsed
UPDATE consent_log SET act = iif(granted, 'granted', 'withdrawn');
ALTER TABLE consent_log DROP COLUMN granted;
ALTER TABLE consent_log ADD COLUMN language TEXT NOT NULL DEFAULT 'en'; -- of the notice that was shown
ALTER TABLE consent_log ADD COLUMN notice_sha256 TEXT NOT NULL DEFAULT '';
CREATE TABLE pin (                 -- one row: what the household shows before it reads the log
  id INTEGER PRIMARY KEY CHECK (id = 1), salt BLOB NOT NULL, hash BLOB NOT NULL, missed INTEGER NOT NULL,
  until_ms INTEGER NOT NULL
) STRICT;
"""

_BATCHES = """
CREATE TABLE viewing (             -- the running week's player events, as many as were written at once
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,            -- stretches in which the clock went on without a jump, in order
  boot TEXT NOT NULL,              -- which start of the box it was, as far as this box tells
  first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, events INTEGER NOT NULL,
  body BLOB NOT NULL               -- deflated JSON
) STRICT;
"""

_CLOCKS = """
ALTER TABLE consent ADD COLUMN boot TEXT NOT NULL DEFAULT '';  -- which start of the box it was given in
ALTER TABLE consent ADD COLUMN booted_ms INTEGER;              -- when that start was, by the yes's clock
"""

_migrations = Migrations("box")


@_migrations()
def first(db: Database) -> None:
    """All tables of the first version."""
    for statement in _statements(_FIRST):
        db.execute(statement)


@_migrations()
def promotions(db: Database) -> None:
    """What orders were placed with, and how long they can be stopped; the chain's bytes stay as they are."""
    for statement in _statements(_PROMOTIONS):
        db.execute(statement)


@_migrations()
def proof(db: Database) -> None:
    """Consent's reminders, its proof with the text that was shown, and the PIN before the log."""
    for statement in _statements(_PROOF):
        db.execute(statement)


@_migrations()
def batches(db: Database) -> None:
    """Player events are kept by what is written at once: a fraction of the flash memory's pages."""
    for statement in _statements(_BATCHES):
        db.execute(statement)
    rows = db.execute("SELECT at_ms, body FROM events ORDER BY at_ms").fetchall()
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        row = (part[0][0], part[-1][0], len(part), zlib.compress(b",".join(body for _, body in part)))
        db.execute(
            "INSERT INTO viewing (run, boot, first_ms, last_ms, events, body) VALUES (1, '', ?, ?, ?, ?)", row
        )
    db.execute("DROP TABLE events")


@_migrations()
def clocks(db: Database) -> None:
    """By which clock a consent was given, so that it moves when that clock is set."""
    for statement in _statements(_CLOCKS):
        db.execute(statement)


_BATCH = 64


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to the present version; each step and its record share a transaction."""
    _migrations.apply(Database(connection))


def _statements(script: str) -> list[str]:
    # executescript would commit the step's transaction.
    lines = (line.split("--")[0] for line in script.splitlines())
    return [statement for statement in " ".join(lines).split(";") if statement.strip()]
