"""A pgbouncer that pools transactions, before the PostgreSQL of the tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import psycopg

from tests import engines

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 6432
SETTINGS = """
[databases]
* = {server}
[pgbouncer]
pool_mode = transaction
default_pool_size = {size}
auth_type = any
listen_addr =
unix_socket_dir = {folder}
listen_port = {port}
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pooled(folder: Path, size: int) -> Iterator[None]:
    """Run it with so many connections to each database; `through` gives addresses that go by it."""
    server = urlsplit(engines.server())
    host = parse_qs(server.query).get("host", [server.hostname])[0]
    said = {"host": host, "port": server.port or 5432, "user": server.username, "password": server.password}
    words = " ".join(f"{name}={value}" for name, value in said.items() if value)
    file = folder / "pgbouncer.ini"
    file.write_text(SETTINGS.format(server=words, size=size, folder=folder, port=PORT))
    running = subprocess.Popen([*_as_somebody(host, folder), str(PROGRAM), "-q", str(file)])
    try:
        _wait_for(folder, running)
        yield
    finally:
        running.terminate()
        running.wait(10)


def through(folder: Path, url: str) -> str:
    """The address of a database by way of the pooler."""
    at = urlsplit(url)
    query = f"host={quote(str(folder), safe='')}&port={PORT}"
    return urlunsplit(("postgresql", f"{at.username or 'postgres'}@", at.path, query, ""))


def _as_somebody(host: str, folder: Path) -> list[str]:
    """It refuses to be root; whoever the server runs as may use its socket."""
    if os.geteuid() != 0:
        return []
    owner = Path(host).owner() if host.startswith("/") else "nobody"
    shutil.chown(folder, owner)
    for parent in folder.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o001)
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"]


def _wait_for(folder: Path, running: subprocess.Popen) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(through(folder, engines.server())).close()
        except psycopg.OperationalError:
            assert running.poll() is None, "pgbouncer has stopped"
            assert time.monotonic() < until, "pgbouncer does not answer"
            time.sleep(0.05)
        else:
            return
