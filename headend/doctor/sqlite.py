"""SQLite looked at without touching it, and what only an SQLite file can have.

A database in WAL mode is not read without its index of the log (`-shm`), which SQLite makes where there is
none. So the index is opened read-only where it stands; where there is none, the file is read as immutable,
without what its log may hold, and a check says so.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from headend.analytics.schema import migrations as analytics
from headend.billing.schema import migrations as billing
from headend.billing.sql import SqlBillingTx
from headend.billing.store import BillingTx
from headend.console.schema import migrations as console
from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.machine import file_system_of
from headend.doctor.patient import CannotLookError, Patient, Row
from headend.kit.engine import Shelf
from headend.kit.shelf import FolderShelf
from headend.kit.storage import Storage, UndeclaredColumnError, check_declared, newer_than_known

MIGRATIONS: dict[str, Migrations] = {"billing": billing, "analytics": analytics, "console": console}
OLDEST = (3, 38, 0)
"""The first SQLite that has all that the tables and questions use."""
LARGE_LOG = 256 << 20
"""Bytes of a write-ahead log that say that nobody checkpoints; it is usually about 4 MiB."""
HEADER, MAGIC = 100, b"SQLite format 3\x00"
VERSIONS, WAL = slice(18, 20), b"\x02\x02"
"""Where a file's header says whether it is in WAL mode (sqlite.org/fileformat2.html, section 1.3)."""
NETWORKED = frozenset(
    {
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
GONE_WITH_POWER = frozenset({"tmpfs", "ramfs"})


class SqliteLook:
    """One database file, read only."""

    def __init__(self, path: Path) -> None:
        kept = "readonly_shm=1" if Path(f"{path}-shm").exists() else "immutable=1"
        try:
            self.connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{kept}", uri=True)
        except sqlite3.Error as error:
            raise CannotLookError(f"{path} does not open: {error}") from error
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA query_only=ON")

    def rows(self, sql: str) -> list[Row]:
        """What a question gives."""
        try:
            return [tuple(row) for row in self.connection.execute(sql)]
        except sqlite3.Error as error:
            raise CannotLookError(f"the database refuses: {error}") from error

    def billing(self) -> BillingTx:
        """The same database as billing's store sees it."""
        return SqlBillingTx(self.connection, Storage)

    def shelf(self, folder: Path) -> Shelf:
        """The side's own keys: files."""
        return FolderShelf(folder)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()


def open_sqlite(patient: Patient, side: str) -> SqliteLook:
    """The engine of an installation whose databases are files.

    Raises:
        CannotLookError: there is no file, or it cannot be opened.
    """
    path = patient.installation.database(side)
    if not path.exists():
        raise CannotLookError(f"there is no {path.name}")
    return SqliteLook(path)


def _look(patient: Patient, side: str) -> SqliteLook:
    look = patient.look(side)
    if not isinstance(look, SqliteLook):
        raise CannotLookError(f"{side} is not kept in an SQLite file")
    return look


def opens(patient: Patient, side: str) -> Answer:
    """The database is there, is one, and is in the mode that keeps readers and the writer apart."""
    restore = "restore the newest backup: headend restore"
    path = patient.installation.database(side)
    if not path.exists():
        return broken(
            f"there is no {path.name}",
            f"{restore}; on a machine of other sides, --sides; where it is PostgreSQL's, its address: "
            f"HEADEND_{side.upper()}_DATABASE_FILE",
        )
    with path.open("rb") as file:
        head = file.read(HEADER)
    if not head.startswith(MAGIC):
        return broken(f"{path.name} is no database", restore)
    patient.rows(side, "SELECT count(*) FROM sqlite_master")
    if head[VERSIONS] != WAL:
        return warning(f"{path.name} keeps no write-ahead log", "stop what else opens it, and serve once")
    return fine(f"{path.name} opens")


def schema(patient: Patient, side: str) -> Answer:
    """The schema is the one that this code knows, and has no column that nobody declared."""
    database, known = Database(_look(patient, side).connection, execute_plugins=False), MIGRATIONS[side]
    if newer := newer_than_known(database, known):
        return broken(
            f"{side}.db is newer than this code: {', '.join(newer)}",
            "install the version that served it last, or restore the backup made before the upgrade",
        )
    try:
        check_declared(database, side)
    except UndeclaredColumnError as error:
        return broken(f"not declared: {error}", "take the column out again; nothing undeclared is stored")
    if waiting := [one.name for one in known.pending(database)]:
        return warning(
            f"{side}.db is older: {', '.join(waiting)}", "back up, then serve: the start migrates it"
        )
    return fine(f"{side}.db has the newest schema")


def intact(patient: Patient, side: str) -> Answer:
    """The file's pages are in order (`PRAGMA quick_check`; thoroughly, `integrity_check`)."""
    pragma = "integrity_check" if patient.thorough else "quick_check"
    told = [str(row[0]) for row in patient.rows(side, f"PRAGMA {pragma}(3)")]
    if told != ["ok"]:
        return broken(f"{side}.db is damaged: {told[0]}", "stop, keep the file, restore the newest backup")
    return fine(f"{side}.db is intact ({pragma})")


def references(patient: Patient, side: str) -> Answer:
    """Every row that refers to another finds it."""
    lost = patient.rows(side, "PRAGMA foreign_key_check")
    if lost:
        return broken(
            f"{len(lost)} rows of {side}.db refer to rows that are not there, the first in {lost[0][0]}",
            "stop, keep the file, restore the newest backup",
        )
    return fine(f"what {side}.db refers to is there")


def log_size(patient: Patient, side: str) -> Answer:
    """The write-ahead log is emptied into the database, and can be read."""
    path = patient.installation.database(side)
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    size = log.stat().st_size if log.exists() else 0
    if size and not index.exists():
        return warning(
            f"{log.name} has no index beside it: {size} bytes were not looked at",
            "copy databases with headend backup only; serve once, then ask again",
        )
    if size > LARGE_LOG:
        return warning(f"{log.name} has {size >> 20} MiB", "end readers that never do; serving empties it")
    return fine(f"{log.name} has {size >> 10} KiB")


def file_system(patient: Patient, _side: str) -> Answer:
    """The databases lie on a disk of this machine, on which locks and syncs mean what they say."""
    kind = file_system_of(patient.folder)
    if kind in NETWORKED:
        return broken(f"the folder is on {kind}: SQLite's locks do not hold there", "move it to a local disk")
    if kind in GONE_WITH_POWER and not patient.installation.settings.simulated:
        return warning(f"the folder is on {kind}, gone with the power", "move it to a disk")
    return fine(f"the folder is on {kind or 'a file system that nobody names'}")


def library(_patient: Patient, _side: str) -> Answer:
    """SQLite itself is new enough."""
    if sqlite3.sqlite_version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return broken(f"SQLite {sqlite3.sqlite_version} is too old", f"install SQLite {wanted} or newer")
    return fine(f"SQLite {sqlite3.sqlite_version}")


ONCE = {"file-system": file_system, "sqlite": library}
OF_A_SIDE = {
    "opens": opens,
    "schema": schema,
    "intact": intact,
    "references": references,
    "log": log_size,
}


def checks(sides: tuple[str, ...]) -> dict[str, Callable[[Patient], Answer]]:
    """All checks of databases that are SQLite files, by name; none where no side has one."""
    once = ONCE if sides else {}
    found: dict[str, Callable[[Patient], Answer]] = {
        name: partial(_apply, check, "") for name, check in once.items()
    }
    for side in sides:
        found |= {f"{side}.{name}": partial(_apply, check, side) for name, check in OF_A_SIDE.items()}
    return found


def _apply(check: Callable[[Patient, str], Answer], side: str, patient: Patient) -> Answer:
    return check(patient, side)
