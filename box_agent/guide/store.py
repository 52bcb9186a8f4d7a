"""The loaded guide: one small SQLite file beside the box's own, which may be lost at any time.

It holds nothing that is not in the guide's file, so it is written without waiting for the disk, and a
damaged one is deleted and loaded again. Times are Unix seconds. Every call opens the file and closes it:
it is asked a few hundred times a week.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from box_agent.guide.programme import Programme
from shared.errors import StbError

if TYPE_CHECKING:
    from box_agent.settings import BoxSettings

GUIDE_NAME = "guide.sqlite"
BATCH = 500
UNTOLD_SECONDS = 4 * 3600
"""How long the last programme of a channel lasts if its end is not told."""
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE channel (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE channel_name (
  name TEXT NOT NULL, channel INTEGER NOT NULL, PRIMARY KEY (name, channel)
) STRICT, WITHOUT ROWID;
CREATE TABLE programme (
  channel INTEGER NOT NULL, start_s INTEGER NOT NULL, end_s INTEGER NOT NULL, code INTEGER NOT NULL,
  PRIMARY KEY (channel, start_s)
) STRICT, WITHOUT ROWID;
CREATE TABLE fresh (
  channel INTEGER NOT NULL, start_s INTEGER NOT NULL, end_s INTEGER, code INTEGER NOT NULL,
  PRIMARY KEY (channel, start_s)
) STRICT, WITHOUT ROWID;
CREATE TABLE loaded (
  id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, changed_ns INTEGER NOT NULL
) STRICT;
"""
# What is on when two overlap: the one that began later. An end that is not told is the next one's start.
_ADOPT = """
CREATE TEMP TABLE cover AS
  SELECT channel, min(start_s) AS first, max(start_s) AS last FROM fresh GROUP BY channel;
UPDATE programme SET end_s = (SELECT first FROM cover WHERE cover.channel = programme.channel)
  WHERE EXISTS (SELECT 1 FROM cover WHERE cover.channel = programme.channel
    AND programme.start_s < first AND programme.end_s > first);
DELETE FROM programme WHERE EXISTS (SELECT 1 FROM cover WHERE cover.channel = programme.channel
  AND programme.start_s BETWEEN first AND last);
INSERT INTO programme SELECT channel, start_s, min(told, coalesce(next, told)), code FROM (
  SELECT channel, start_s, code, coalesce(end_s, next, start_s + {untold}) AS told, next FROM (
    SELECT *, lead(start_s) OVER (PARTITION BY channel ORDER BY start_s) AS next FROM fresh));
DROP TABLE cover;
DELETE FROM fresh;
"""
_FIND = """
SELECT start_s, end_s, code FROM programme WHERE channel = (
  SELECT number FROM channel WHERE id = :channel
  UNION ALL SELECT channel FROM channel_name WHERE name = :name LIMIT 1)
AND start_s < :end_s AND end_s > :start_s ORDER BY start_s
"""


class GuideStoreError(StbError):
    """The store cannot be written now; a damaged one has been deleted."""


class Signature(NamedTuple):
    """What tells one state of the guide's file from another."""

    size: int
    changed_ns: int


class Row(NamedTuple):
    """A programme to be loaded."""

    channel: str
    start_ms: int
    end_ms: int | None
    code: int


class ChannelName(NamedTuple):
    """A channel's name to be loaded."""

    channel: str
    name: str


class GuideStore:
    """What the guide said, as long as the file beside the store holds. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, settings: "BoxSettings") -> "GuideStore":
        """The one of an agent with these settings, beside its store."""
        return cls(settings.state() / GUIDE_NAME)

    def programmes(self, channel: str, start_ms: int, end_ms: int) -> list[Programme]:
        """What was on between two instants, in order, without overlaps; parts may lie outside.

        `channel` is the guide's id of one, or one of its names in the guide. Nothing if the guide does not
        know it, or is not there.
        """
        wanted = {
            "channel": channel,
            "name": _plain(channel),
            "start_s": start_ms // 1000,
            "end_s": -(-end_ms // 1000),
        }
        rows = self._ask(_FIND, wanted)
        return [Programme(start_s * 1000, end_s * 1000, code) for start_s, end_s, code in rows]

    def signature(self) -> Signature | None:
        """Which file is loaded; None if none is."""
        rows = self._ask("SELECT size, changed_ns FROM loaded", {})
        return Signature(*rows[0]) if rows else None

    def load(self, found: Iterable[Row | ChannelName], signature: Signature, window_ms: range) -> int:
        """Take a guide in: it replaces what it covers, channel by channel; the rest of the window stays.

        Answers with the number of programmes taken. If `found` raises, the guide remains as it was.

        Raises:
            GuideStoreError: the store cannot be written.
        """
        with self._opened(create=True) as connection:
            if connection is None:
                return 0
            connection.execute("DELETE FROM fresh")
            taken = 0
            rest = iter(found)
            numbers = dict(connection.execute("SELECT id, number FROM channel").fetchall())
            while batch := list(islice(rest, BATCH)):
                taken += _stage(connection, batch, numbers)
            _adopt(connection, signature, window_ms)
        return taken

    def _ask(self, sql: str, wanted: dict[str, object]) -> list[tuple[Any, ...]]:
        try:
            with self._opened() as connection:
                return [] if connection is None else connection.execute(sql, wanted).fetchall()
        except GuideStoreError:
            return []  # whoever loads the guide sees that nothing is loaded, and loads it again

    @contextmanager
    def _opened(self, *, create: bool = False) -> Iterator[sqlite3.Connection | None]:
        connection = None
        try:
            if create:
                self._make()
            if self._path.exists():
                connection = _open(self._path)
            yield connection
        except sqlite3.Error as error:
            # An operational error is a lock or a full disk: then the file itself is sound.
            if not isinstance(error, sqlite3.OperationalError):
                self._delete()
            raise GuideStoreError(type(error).__name__) from error
        finally:
            if connection is not None:
                connection.close()

    def _make(self) -> None:
        """Put an empty store in place at once, so that whoever reads never meets one without its tables."""
        if self._path.exists():
            connection = _open(self._path)
            try:
                if connection.execute("PRAGMA user_version").fetchone()[0] == _SCHEMA_VERSION:
                    return
            finally:
                connection.close()
            self._delete()
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = _open(fresh)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_SCHEMA_VERSION};COMMIT;")
        finally:
            connection.close()
        fresh.replace(self._path)

    def _delete(self) -> None:
        for name in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + name).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -512")
        connection.execute("PRAGMA busy_timeout = 5000")
    except BaseException:
        connection.close()
        raise
    return connection


def _stage(connection: sqlite3.Connection, batch: list[Row | ChannelName], numbers: dict[str, int]) -> int:
    rows = []
    names = []
    connection.execute("BEGIN IMMEDIATE")
    for one in batch:
        number = numbers.get(one.channel)
        if number is None:
            added = connection.execute("INSERT INTO channel (id) VALUES (?)", (one.channel,))
            number = numbers[one.channel] = int(added.lastrowid or 0)
        if isinstance(one, ChannelName):
            names.append((_plain(one.name), number))
        else:
            end_s = None if one.end_ms is None else one.end_ms // 1000
            rows.append((number, one.start_ms // 1000, end_s, one.code))
    connection.executemany("INSERT OR IGNORE INTO channel_name VALUES (?, ?)", names)
    connection.executemany("INSERT OR REPLACE INTO fresh VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")
    return len(rows)


def _adopt(connection: sqlite3.Connection, signature: Signature, window_ms: range) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _ADOPT.format(untold=UNTOLD_SECONDS).split(";"):
        connection.execute(statement)
    window_s = (window_ms.start // 1000, window_ms.stop // 1000)
    connection.execute("DELETE FROM programme WHERE end_s <= ? OR start_s >= ?", window_s)
    connection.execute("INSERT OR REPLACE INTO loaded VALUES (1, ?, ?)", signature)
    connection.execute("COMMIT")


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
