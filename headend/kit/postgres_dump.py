"""A database on PostgreSQL as one file, and back, by the server's own programs.

pg_dump reads the database as it stands at one moment while everybody goes on. The programs are looked for in
PATH, then where Debian keeps them, newest first: they have to be as new as the server at least.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from headend.kit.postgres import check, connect, read_address
from headend.kit.storage import StorageError

DEBIAN: Final = Path("/usr/lib/postgresql")
_TAKEN = """
SELECT EXISTS (
    SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
)
"""


class NoProgramError(StorageError):
    """A program of PostgreSQL's is not on this machine."""


class DumpError(StorageError):
    """The database could not be written into a file, or read from it; the message says why."""


class TakenDatabaseError(StorageError):
    """A dump is to be read into a database that holds tables already."""


def program(name: str) -> str:
    """Where a program is.

    Raises:
        NoProgramError: it is not there.
    """
    beside = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: -int(path.parts[-3]))
    found = shutil.which(name) or next(map(str, beside), None)
    if found is None:
        raise NoProgramError(f"{name} is not here; it comes with Debian's postgresql-client")
    return found


def dump(url: str, target: Path) -> None:
    """Write a database as it stands at one moment into the new file `target`, mode 0600.

    Raises:
        NoProgramError: pg_dump is not there.
        DumpError: it could not; nothing is left behind.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _run(url, program("pg_dump"), "--format=custom", "--no-owner", "--no-acl", f"--file={target}")
    except StorageError:
        target.unlink()
        raise


def check_target(url: str) -> None:
    """Refuse a database that a dump cannot be read into.

    Raises:
        NoProgramError: pg_restore is not there.
        TakenDatabaseError: it holds tables already.
        StorageError: it cannot be reached, or keeps texts otherwise.
    """
    program("pg_restore")
    with connect(url) as raw:
        check(raw)
        row = raw.execute(_TAKEN).fetchone()
    if row is None or row[0]:
        raise TakenDatabaseError("the database holds tables already; a backup is restored into an empty one")


def load(source: Path, url: str) -> None:
    """Read a dump into an empty database, all or nothing.

    Raises:
        NoProgramError: pg_restore is not there.
        DumpError: it could not; the database is empty still.
    """
    words = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-acl", str(source))
    _run(url, program("pg_restore"), *words)


def _run(url: str, *command: str) -> None:
    """Start a program on a database; a password goes by the environment, since everybody sees arguments."""
    said = read_address(url)
    password = said.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(  # noqa: S603 (PostgreSQL's own program)
        [*command, f"--dbname={make_conninfo(**said)}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DumpError(f"{Path(command[0]).name}: {done.stderr.strip()[-500:]}")
