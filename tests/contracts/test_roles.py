"""A database and a role a side, made by the printed SQL on a real server, and what lives in them.

That none can reach another's is a promise: tests/promises/test_sides_unreadable.py.
"""

import os
import re
import traceback
from pathlib import Path

import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.installation import Installation
from headend.kit.reception import BOX_THREADS, OPERATOR_THREADS
from tests import engines
from tests.roles import made, psql, run

PREFIX = f"r{os.getpid()}"


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


@pytest.mark.sqlite(why="the installation is made by `init --database`, whatever the run is over")
def test_the_sql_of_an_installation_is_that_of_its_addresses(folder, template):
    assert run("database", "roles", folder) == run("database", "roles", "--database", template)


@pytest.mark.sqlite(why="it only prints")
def test_a_role_may_have_as_many_connections_as_two_nodes_of_four_workers_or_as_is_said():
    words = ("database", "roles", "--database", "postgresql://stb_{side}@db.example/stb_{side}")
    limit = int(re.search(r"CONNECTION LIMIT (\d+)", run(*words))[1])
    assert limit >= 2 * 4 * (2 + BOX_THREADS + OPERATOR_THREADS + 1)
    assert run(*words, "--connections", 7).count("CONNECTION LIMIT 7;") == 3


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


@pytest.mark.parametrize("password", ["b", "a/b", "a?b", "a#b", "a%zz", "a[b", "a:b"])
def test_init_refuses_a_password_on_the_command_line_whatever_is_in_it(tmp_path, password):
    said = run(
        "init", tmp_path / "a", "--database", f"postgresql://stb_{{side}}:{password}@h/{{side}}", code=1
    )
    assert said.startswith("Error: installation.toml is no place for a password")
    assert not (tmp_path / "a").exists()


def test_init_with_a_database_that_cannot_be_used_writes_nothing_and_may_be_repeated(server, tmp_path):
    with made(server, f"{PREFIX}i") as address:
        elsewhere = address.replace("{side}", "{side}_gone")
        assert "does not exist" in run("init", tmp_path / "a", "--database", elsewhere, code=1)
        assert not (tmp_path / "a").exists()
        run("init", tmp_path / "a", "--database", address)


@pytest.mark.parametrize("address", ["postgresql://stb:sEcr%zt@h/stb", "postgresql://stb:sEcr/zt@h/stb"])
@pytest.mark.parametrize("words", [("jobs",), ("doctor",), ("backup", "{folder}-copy")], ids=" ".join)
def test_an_address_that_cannot_be_read_is_told_without_any_of_it(tmp_path, monkeypatch, address, words):
    run("init", tmp_path / "a")
    monkeypatch.setenv("HEADEND_BILLING_DATABASE", address)
    command, *more = [word.format(folder=tmp_path / "a") for word in words]
    done = CliRunner().invoke(main, [command, str(tmp_path / "a"), *more])
    said = done.output + "".join(traceback.format_exception(done.exception))
    assert (done.exit_code, "database cannot be read" in said) == (1, True)
    assert [part for part in ("sEcr", "zt@", "%zt") if part in said] == []
