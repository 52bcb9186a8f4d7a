"""The doctor before an installation on PostgreSQL, as a role of its own serves it."""

import contextlib
import itertools
import os
import shutil
from dataclasses import replace
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from headend.app import open_headend
from headend.doctor import examine as examining
from headend.doctor import server
from headend.doctor.patient import CannotLookError
from headend.doctor.patient import Patient as Looked
from headend.doctor.postgres import PostgresLook
from headend.installation import ALL_SIDES, Installation
from shared.system_clock import ClockSteerer
from tests import engines, filled
from tests.builders import SETTINGS
from tests.headend.conftest import NOW
from tests.roles import run

ROLE = f"stb_doctor_{os.getpid()}"
ALWAYS = {
    "served",
    "backup",
    "billing.suspense",
    "billing.gaps",
    "billing.alarms",
    *(f"{side}.durable" for side in ALL_SIDES),
}
"""What is so of every copy: nobody serves it, its boxes have told, and the tests' server forgets."""
_numbers = itertools.count(1)


def admin(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for one in statements:
            connection.execute(one.encode())


def name_of(url):
    return urlsplit(url).path.lstrip("/")


def given(url):
    """A database's address for the role, which owns it, and into which nobody else may look."""
    name = name_of(url)
    admin(
        url,
        f"ALTER DATABASE {name} OWNER TO {ROLE}",
        f"ALTER SCHEMA public OWNER TO {ROLE}",
        f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
    )
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{ROLE}@{host}"))


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    """An installation like `healthy`, on PostgreSQL; only ever copied."""
    folder = tmp_path_factory.mktemp("well")
    ClockSteerer(folder / "clock", NOW)
    admin(engines.server(), f"CREATE ROLE {ROLE} LOGIN")
    with engines.tidied():
        urls = {side: given(engines.make(f"well_{side}_{os.getpid()}")) for side in ALL_SIDES}
        settings = replace(SETTINGS, simulated=True, clock=str(folder / "clock"), first_week="2026-W48")
        made = Installation.create(folder / "headend", settings).place_at(urls)
        headend = open_headend(made)
        with mock.patch.dict(filled.DONE, clear=True):
            filled.fill_billing(headend)
        headend.jobs.run_due()
        headend.close()
        yield headend.installation
    admin(engines.server(), f"DROP ROLE {ROLE}")


class Patient:
    """A copy of the folder, and of a side's database once it is to be damaged."""

    def __init__(self, well, folder):
        self.installation = Installation(shutil.copytree(well.folder, folder))
        self.urls = dict(well.settings.databases)
        self.environment = {}

    def own(self, side):
        """The administrator's address of a copy of a side's database."""
        if f"HEADEND_{side.upper()}_DATABASE" not in self.environment:
            name = f"test_patient_{os.getpid()}_{next(_numbers)}"
            made = engines.make(name, name_of(self.urls[side]))
            self.environment[f"HEADEND_{side.upper()}_DATABASE"] = self.urls[side] = given(made)
        return engines.database(name_of(self.urls[side]))

    def all(self, **options):
        with mock.patch.dict(os.environ, self.environment):
            return examining.examine(self.installation.folder, ALL_SIDES, **options)

    def ask(self, check):
        with mock.patch.dict(os.environ, self.environment):
            looked = Looked(self.installation.folder, ALL_SIDES, examining.open_database, thorough=False)
            found = examining._ask(check, examining.checks(ALL_SIDES, ALL_SIDES)[check], looked)
            looked.close()
        assert bool(found.do) == (found.verdict != "fine")
        return found.verdict, found.says

    def bad(self, **options):
        return {one.check: one for one in self.all(**options) if one.verdict != "fine"}


@pytest.fixture
def patient(well, tmp_path):
    with engines.tidied():
        yield Patient(well, tmp_path / "patient")


def test_a_healthy_installation_is_fine_but_for_what_waits_for_people(patient):
    assert {
        name: (one.verdict, one.says) for name, one in patient.bad(thorough=True).items()
    } == dict.fromkeys(ALWAYS, ("warning", mock.ANY))


def test_looking_changes_no_row_and_no_file(patient):
    def everything():
        files = {path: path.read_bytes() for path in patient.installation.folder.rglob("*") if path.is_file()}
        dumps = [engines.dump(url) for url in patient.urls.values()]
        return files, dumps

    before = everything()
    patient.all(thorough=True)
    assert everything() == before


def test_a_look_refuses_to_write_and_holds_no_lock_when_it_has_answered(patient):
    own = patient.own("analytics")
    look = PostgresLook(patient.urls["analytics"])
    with pytest.raises(CannotLookError, match="read-only"):
        look.rows("DELETE FROM weeks RETURNING week")
    look.rows("SELECT * FROM counters")
    admin(own, "SET lock_timeout = '1s'", "DROP TABLE counters")
    look.close()


def test_a_served_installation_is_told_to_be_served(patient):
    lock = patient.installation.lock()
    assert patient.ask("served")[0] == "fine"
    os.close(lock)
    assert patient.ask("served")[0] == "warning"


WEEK = "2026_w48"
FAULTS = [
    ("billing.schema", "broken", "ALTER TABLE accounts ADD COLUMN hobby TEXT"),
    ("billing.schema", "broken", "INSERT INTO migrations VALUES ('of_tomorrow', true)"),
    ("billing.schema", "warning", "INSERT INTO migrations VALUES ('of_tomorrow', false)"),
    ("console.schema", "warning", "DELETE FROM migrations WHERE name = 'sealed_keys'"),
    ("billing.guards", "broken", "DROP TRIGGER append_only ON audit"),
    ("billing.guards", "broken", "ALTER TABLE entries DISABLE TRIGGER follows"),
    ("analytics.guards", "broken", "DROP TRIGGER never_emptied ON budget"),
    ("analytics.parts", "broken", f"DROP TABLE counters_{WEEK}"),
    ("billing.parts", "broken", f"DROP TABLE grants_{WEEK}"),
    ("billing.parts", "broken", "INSERT INTO job_runs VALUES ('forget-tokens', '2026-W48', 1)"),
    ("billing.shelf", "broken", "UPDATE sealed_keys SET sealed = sealed || '\\x00'"),
    ("billing.token-keys", "broken", "DELETE FROM sealed_keys WHERE name LIKE 'token-2026-W48-genre%'"),
    ("analytics.week-keys", "broken", "DELETE FROM sealed_keys"),
    ("billing.books", "broken", "UPDATE ledger_sums SET unbilled = unbilled + 1"),
    ("billing.role", "broken", "ALTER TABLE orders OWNER TO CURRENT_USER"),
    ("billing.role", "warning", "ALTER SCHEMA public OWNER TO CURRENT_USER"),
    ("billing.durable", "broken", "UPDATE pg_database SET datcollate = 'nl_NL.UTF-8' WHERE datname = {name}"),
    ("billing.access", "warning", "GRANT CONNECT ON DATABASE {own} TO PUBLIC"),
    ("billing.opens", "broken", "ALTER DATABASE {own} CONNECTION LIMIT 0"),
]


@pytest.mark.parametrize(("check", "verdict", "statement"), FAULTS)
def test_what_is_wrong_is_found(patient, check, verdict, statement):
    own = patient.own(check.partition(".")[0])
    admin(own, statement.replace("{own}", name_of(own)).replace("{name}", f"'{name_of(own)}'"))
    assert patient.ask(check)[0] == verdict


def test_what_the_doctor_says_of_a_week_without_its_part_mends_it(patient):
    admin(patient.own("analytics"), f"DROP TABLE counters_{WEEK}")
    with mock.patch.dict(os.environ, patient.environment):
        run(*patient.bad()["analytics.parts"].do.split()[1:])
    assert patient.ask("analytics.parts")[0] == "fine"


def test_a_server_that_forgets_is_broken_but_for_an_invented_installation(patient):
    assert patient.ask("billing.durable")[0] == "warning"
    path = patient.installation.folder / "installation.toml"
    kept = [line for line in path.read_text().split("\n") if not line.startswith("clock")]
    path.write_text("\n".join(kept).replace("simulated = true", 'simulated = false\nclock = ""'))
    verdict, says = patient.ask("billing.durable")
    assert (verdict, "fsync" in says) == ("broken", True)
    assert patient.ask("billing.archive")[0] == "warning"
    admin(
        patient.own("console"),
        f"ALTER DATABASE {name_of(patient.own('console'))} SET synchronous_commit = off",
    )
    assert patient.ask("console.durable")[1].startswith("synchronous_commit, ")


def test_a_database_that_is_being_filled_is_found(patient):
    admin(
        patient.own("console"),
        "CREATE TABLE moving (what TEXT, done BOOLEAN)",
        f"ALTER TABLE moving OWNER TO {ROLE}",
        "INSERT INTO moving VALUES ('', false)",
    )
    verdict, says = patient.ask("console.schema")
    assert (verdict, "headend migrate" in says) == ("broken", True)


def test_a_role_with_powers_and_a_superuser_are_found(patient):
    admin(patient.own("billing"), f"GRANT pg_read_all_data TO {ROLE}")
    assert patient.ask("billing.role")[0] == "warning"
    admin(patient.own("billing"), f"REVOKE pg_read_all_data FROM {ROLE}")
    patient.environment["HEADEND_BILLING_DATABASE"] = patient.own("billing")
    assert "superuser" in patient.ask("billing.role")[1]


def test_another_database_that_the_role_may_read_is_told_of(patient):
    verdict, says = patient.ask("billing.access")
    assert (verdict, "one process serves them" in says) == ("fine", True)
    other = engines.make(f"test_other_{os.getpid()}")
    admin(other, f"GRANT CONNECT ON DATABASE {name_of(other)} TO {ROLE}")
    assert name_of(other) in patient.ask("billing.access")[1]


def test_without_its_shelf_key_or_with_another_ones_a_node_is_broken(patient):
    key = patient.installation.keys_of("billing") / "shelf.key"
    key.write_bytes(bytes(32))
    assert patient.ask("billing.shelf")[0] == patient.ask("billing.token-keys")[0] == "broken"
    key.unlink()
    assert patient.ask("billing.shelf")[0] == "broken"
    assert not key.exists()


def test_few_connections_dead_rows_and_old_transactions_are_told_of(patient, monkeypatch):
    for check in ("connections", "vacuum"):
        assert patient.ask(f"billing.{check}")[0] == "fine"
    monkeypatch.setattr(server, "FULL", 0)
    assert patient.ask("billing.connections")[0] == "warning"
    monkeypatch.setattr(server, "OLD", 0)
    assert patient.ask("billing.vacuum")[0] == "warning"
    monkeypatch.setattr(server, "TOO_OLD", 0)
    assert patient.ask("billing.vacuum")[0] == "broken"


def test_a_role_or_a_database_that_may_have_few_connections_is_told_of(patient):
    admin(engines.server(), f"ALTER ROLE {ROLE} CONNECTION LIMIT 1")
    try:
        assert patient.ask("billing.connections") == (
            "warning",
            "1 of the 1 connections that the role may have are taken",
        )
    finally:
        admin(engines.server(), f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")
    own = patient.own("billing")
    admin(own, f"ALTER DATABASE {name_of(own)} CONNECTION LIMIT 1")
    assert "that the database may have" in patient.ask("billing.connections")[1]


def test_an_older_server_than_was_tried_is_broken(patient, monkeypatch):
    assert patient.ask("billing.opens")[0] == "fine"
    monkeypatch.setattr(server, "OLDEST", 99_00_00)
    verdict, says = patient.ask("billing.opens")
    assert (verdict, says.endswith(" is too old")) == ("broken", True)


def test_a_slot_that_nobody_reads_is_told_of(patient):
    assert patient.ask("billing.archive")[0] == "fine", "of an invented installation"
    name = f"lost_{os.getpid()}"
    admin(engines.server(), f"SELECT pg_create_physical_replication_slot('{name}')")
    try:
        assert name in patient.ask("billing.archive")[1]
    finally:
        admin(engines.server(), f"SELECT pg_drop_replication_slot('{name}')")


def test_an_address_that_leads_nowhere_is_told_of_without_its_password_and_the_rest_goes_on(patient):
    url = "postgresql://stb:quiet@127.0.0.1:1/none"
    patient.environment["HEADEND_CONSOLE_DATABASE"] = url
    found = {one.check: one for one in patient.all()}
    assert found["console.opens"].verdict == found["console.audit"].verdict == "broken"
    assert found["billing.books"].verdict == "fine"
    assert not [one for one in found.values() if "quiet" in one.says + one.do]
    patient.environment["HEADEND_CONSOLE_DATABASE_FILE"] = "/nonexistent"
    assert patient.ask("console.opens")[0] == "broken"


@pytest.mark.sqlite(why="two of the three sides are in files")
def test_one_side_in_postgresql_and_others_in_files_are_looked_at_each_in_its_way(healthy, well, tmp_path):
    made = Installation(shutil.copytree(healthy, tmp_path / "mixed"))
    url = given(engines.make(f"test_mixed_{os.getpid()}"))
    with mock.patch.dict(os.environ, {"HEADEND_CONSOLE_DATABASE": url}):
        headend = open_headend(made)
        headend.close()
        found = {one.check: one.verdict for one in examining.examine(made.folder, ALL_SIDES)}
    assert {"billing.intact", "file-system", "console.guards", "console.role"} <= found.keys()
    assert {"console.intact", "billing.guards"}.isdisjoint(found)
    assert {check for check, verdict in found.items() if verdict == "broken"} == set()


def test_a_book_is_read_as_it_stands_at_one_moment(patient):
    own = patient.own("billing")
    with contextlib.closing(PostgresLook(patient.urls["billing"])) as look:
        tx = look.billing()
        assert tx.last_slot("draw") is not None
        admin(own, "DELETE FROM job_runs")
        assert tx.last_slot("gaps") is not None
        assert look.billing().last_slot("gaps") is None
