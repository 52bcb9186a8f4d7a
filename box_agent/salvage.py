"""A store that is damaged: what can be read out of it goes into a new one, and what is missing is an alarm.

Flash memory fails in blocks. A row that cannot be read is left; the rows around it are not. The damaged file
stays beside the new one, as `box.sqlite.damaged`, until the next damage. What must never happen is silence:
an alarm stands in any case, and one more for orders that are missing from the chain.
"""

import base64
import binascii
import logging
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from box_agent.alarms import Alarms
from box_agent.core import DAMAGED_COPY, STORE_NAME
from box_agent.starting import DAMAGED
from box_agent.store import (
    ANONYMOUS_TABLES,
    FILES,
    NAMED_TABLES,
    SCHEMA_VERSION,
    Door,
    NewerStoreError,
    Row,
    Store,
    remove_files,
    sync_folder,
)
from shared.named import payload_hash

NEW = ".new"
_LOG = logging.getLogger(__name__)


def salvage(state: str, now: datetime) -> int:
    """Fill a new store from the damaged one and put it in its place; answers with the number of rows saved.

    It can be cut short anywhere and is then taken up again by the next start.

    Raises:
        StoreError: the new store cannot be made.
        NewerStoreError: the damaged one is of a later version than this agent knows.
    """
    path, marker = Path(state) / STORE_NAME, Path(state) / DAMAGED
    fresh, aside = Path(f"{path}{NEW}"), Path(f"{path}{DAMAGED_COPY}")
    marker.touch()
    sync_folder(state)
    saved = 0
    if path.exists() or not fresh.exists():  # else it was cut short after the old one had been moved aside
        remove_files(fresh)
        saved = _fill_new(fresh, path, now)
        remove_files(aside)
        for suffix in reversed(FILES):
            if Path(f"{path}{suffix}").exists():
                Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    fresh.replace(path)
    sync_folder(state)
    marker.unlink()
    _LOG.error("the store was damaged; %d rows were saved", saved)
    return saved


def _fill_new(fresh: Path, damaged: Path, now: datetime) -> int:
    store = Store(fresh)
    named, alarms = store.door(NAMED_TABLES), ["store-salvaged"]
    with store.transaction():
        saved = _copy(store, damaged)
        alarms += _chain_faults(named)
        for name in alarms:
            Alarms(named, "named").sound(name, now)
    store.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.park()
    return saved


def _copy(store: Store, damaged: Path) -> int:
    try:
        source = sqlite3.connect(damaged, isolation_level=None)
    except sqlite3.Error:
        return 0
    saved = 0
    try:
        if _version(source) > SCHEMA_VERSION:
            raise NewerStoreError("the damaged store is of a later version")
        for tables in (NAMED_TABLES, ANONYMOUS_TABLES):
            door = store.door(tables)
            for table in sorted(tables):
                for columns, row in _rows(source, table):
                    saved += _put(door, table, columns, row)
    finally:
        source.close()
    return saved


def _version(source: sqlite3.Connection) -> int:
    try:
        return int(source.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def _rows(source: sqlite3.Connection, table: str) -> Iterator[tuple[list[str], Row]]:
    """Every row that can be read: from the front up to the damage, and from the back down to it."""
    try:
        described = source.execute(f"PRAGMA table_info({table})").fetchall()
        (without_rowid,) = source.execute(
            "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
        ).fetchone() or (0,)
    except sqlite3.DatabaseError:
        return
    columns = [column[1] for column in described]
    # The order in which the rows stand: any other would read all of them before it gave the first.
    key = [column[1] for column in sorted(described, key=lambda one: one[5]) if column[5]]
    key = key if without_rowid else ["rowid"]
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{name} {direction}" for name in key)
        names = ", ".join(columns)
        try:
            for row in source.execute(f"SELECT {names} FROM {table} NOT INDEXED ORDER BY {order}"):  # noqa: S608 (names of our own schema)
                yield columns, row
        except sqlite3.DatabaseError:
            continue
        return


def _put(door: Door, table: str, columns: list[str], row: Row) -> int:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    try:
        return door.write(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 (likewise)
    except sqlite3.IntegrityError:
        return 0  # a row that damage has changed


def _chain_faults(named: Door) -> list[str]:
    """Mend the chain's end as far as the messages tell it, and name what is missing for good."""
    who = named.row("SELECT box, epoch FROM identity")
    if who is None:
        return ["identity-lost"]
    box, epoch = who
    if box is None:
        return []
    head = named.row("SELECT seq, acked FROM head WHERE epoch = ?", (epoch,))
    last = named.row("SELECT seq, envelope FROM chain WHERE epoch = ? ORDER BY seq DESC LIMIT 1", (epoch,))
    if last is not None and (head is None or head[0] < last[0]):
        acked = head[1] if head else 0
        named.write(
            "INSERT OR REPLACE INTO head (id, epoch, seq, hash, acked) VALUES (1, ?, ?, ?, ?)",
            (epoch, last[0], _hash_of(last[1]), acked),
        )
        head = (last[0], acked)
    if head is None:
        # Nothing tells where the chain stood: the box has to be enrolled again, under a new epoch.
        named.write("UPDATE identity SET box = NULL, epoch = NULL")
        return ["chain-lost"]
    waiting = named.row("SELECT count(*) FROM chain WHERE epoch = ? AND seq > ?", (epoch, head[1]))
    return ["orders-lost"] if waiting is None or waiting[0] < head[0] - head[1] else []


def _hash_of(envelope: bytes) -> str:
    try:
        return payload_hash(base64.b64decode(msgspec.json.decode(envelope)["payload"]))
    except (msgspec.DecodeError, KeyError, TypeError, binascii.Error):
        return payload_hash(envelope)  # it will be refused, and the alarm stands
