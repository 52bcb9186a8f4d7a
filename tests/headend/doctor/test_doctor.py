import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import timedelta

import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.app import open_headend
from headend.backup import back_up
from headend.doctor import examine as examining
from headend.doctor import machine, sqlite, weeks
from headend.doctor.findings import fine
from headend.doctor.patient import Patient as Looked
from headend.installation import DIRECTORY_KEY, Installation
from shared.system_clock import ClockSteerer
from tests.headend.conftest import NOW
from tests.headend.doctor.conftest import Patient

pytestmark = pytest.mark.sqlite(why="test_postgres.py looks at databases on PostgreSQL")

ALWAYS = {"served", "backup", "billing.suspense", "billing.gaps", "billing.alarms"}
"""What is so of every copy: nobody serves it, no backup was made, and its boxes have something to tell."""


def change(patient, side, *statements):
    with closing(sqlite3.connect(patient.folder / f"{side}.db", isolation_level=None)) as database:
        for one in statements:
            database.execute(one)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def steered(patient, instant):
    """The copy with a clock of its own that stands elsewhere."""
    clock = patient.folder.parent / "clock"
    ClockSteerer(clock, instant)
    path = patient.folder / "installation.toml"
    lines = [
        f'clock = "{clock}"' if line.startswith("clock") else line for line in path.read_text().split("\n")
    ]
    path.write_text("\n".join(lines))


def everything(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_healthy_installation_is_fine_but_for_what_waits_for_people(patient):
    assert patient.bad() == dict.fromkeys(ALWAYS, "warning")


def test_thoroughly_it_is_so_too(patient):
    assert patient.bad(thorough=True) == dict.fromkeys(ALWAYS, "warning")


@pytest.mark.parametrize("thorough", [False, True])
def test_looking_changes_no_byte(patient, thorough):
    before = everything(patient.folder)
    patient.all(thorough=thorough)
    assert everything(patient.folder) == before


def test_looking_changes_no_byte_of_what_a_crash_left_and_sees_what_stands_in_the_log(patient, tmp_path):
    with closing(sqlite3.connect(patient.folder / "billing.db", isolation_level=None)) as database:
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("UPDATE installation SET value = 'real'")
        crashed = Patient(shutil.copytree(patient.folder, tmp_path / "crashed"))
    assert (crashed.folder / "billing.db-wal").stat().st_size
    before = everything(crashed.folder)
    assert crashed.ask("stamps")[0] == "broken"
    assert everything(crashed.folder) == before
    (crashed.folder / "billing.db-shm").unlink()
    assert crashed.ask("billing.log")[0] == "warning"
    assert not (crashed.folder / "billing.db-shm").exists()


def test_a_served_installation_is_looked_at_while_it_is_written_to(patient):
    headend = open_headend(Installation(patient.folder))
    lock = headend.installation.lock()
    assert patient.bad() == dict.fromkeys(ALWAYS - {"served"}, "warning")
    headend.billing.store.write(lambda tx: tx.add_audit(1, "adam", "looked", "", ""))
    assert patient.ask("billing.audit")[0] == "fine"
    headend.close()
    os.close(lock)


def test_it_knows_every_job_and_when_its_next_slot_is_due(patient):
    looked = Looked(patient.folder, ("billing", "analytics", "console"), sqlite.open_sqlite, thorough=False)
    said = {job: weeks.next_slot(looked, job) for job in weeks.JOBS}
    looked.close()
    headend = open_headend(Installation(patient.folder))
    assert said == {one.name: one.next for one in headend.jobs.overview()}
    headend.close()


BILLING = [
    ("billing.intact", "broken", None),
    (
        "billing.references",
        "broken",
        ["PRAGMA foreign_keys=OFF", "INSERT INTO boxes VALUES ('x','','','n',1,1,1)"],
    ),
    ("billing.schema", "broken", ["ALTER TABLE accounts ADD COLUMN hobby TEXT"]),
    ("billing.schema", "broken", ["CREATE TABLE hobbies (hobby TEXT)"]),
    (
        "billing.schema",
        "broken",
        ["UPDATE _sqlite_migrations SET name = 'of_tomorrow' WHERE name = 'sums_and_lists'"],
    ),
    ("billing.schema", "warning", ["DELETE FROM _sqlite_migrations WHERE name = 'sums_and_lists'"]),
    ("billing.opens", "warning", ["PRAGMA journal_mode=DELETE"]),
    ("billing.books", "broken", ["UPDATE ledger_sums SET unbilled = unbilled + 1"]),
    (
        "billing.audit",
        "broken",
        ["DROP TRIGGER audit_no_update", "UPDATE audit SET who = 'eve' WHERE line = 2"],
    ),
    ("billing.audit", "broken", ["DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE line = 1"]),
    ("billing.totals", "warning", ["INSERT INTO job_runs VALUES ('totals', '2026-W47', 1)"]),
    ("billing.catalogue-key", "broken", ["UPDATE catalogues SET envelope = x'7b7d'"]),
    ("stamps", "broken", ["UPDATE installation SET value = 'real'"]),
    ("directories", "broken", ["DELETE FROM directories WHERE week = '2026-W49'"]),
    ("directories", "broken", ["UPDATE directories SET envelope = x'7b7d' WHERE week = '2026-W49'"]),
    ("directory-key", "broken", ["UPDATE directories SET envelope = x'7b7d'"]),
    ("time", "broken", ["UPDATE job_runs SET done_ms = done_ms + 86400000"]),
]


@pytest.mark.parametrize(("check", "verdict", "statements"), BILLING)
def test_what_is_wrong_in_billing_is_found(patient, check, verdict, statements):
    if statements is None:
        path = patient.folder / "billing.db"
        raw = bytearray(path.read_bytes())
        raw[8192:40960] = bytes(32768)
        path.write_bytes(raw)
    else:
        change(patient, "billing", *statements)
    assert patient.ask(check)[0] == verdict


def test_a_wrong_running_sum_of_a_month_is_found_by_recounting(patient):
    change(patient, "billing", "UPDATE order_sums SET credited = credited + 1, payable = payable + 1")
    assert patient.ask("billing.sums")[0] == "fine"
    assert patient.ask("billing.sums", thorough=True)[0] == "broken"


def test_a_changed_line_before_the_tail_of_an_audit_is_found_thoroughly(patient, monkeypatch):
    monkeypatch.setattr("headend.doctor.books.TAIL", 3)
    change(patient, "billing", "DROP TRIGGER audit_no_update", "UPDATE audit SET who = 'eve' WHERE line = 2")
    assert patient.ask("billing.audit")[0] == "fine"
    assert "line 2" in patient.ask("billing.audit", thorough=True)[1]


def test_what_is_wrong_with_analytics_is_found(patient):
    change(patient, "analytics", "UPDATE installation SET profile = 'regional'")
    assert patient.ask("stamps")[0] == "broken"
    change(patient, "analytics", "INSERT INTO releases VALUES ('2026-W47', x'7b7d', x'7b7d')")
    assert patient.ask("analytics.manifest-key")[0] == patient.ask("analytics.releases")[0] == "broken"


def test_a_release_that_only_the_archive_has_is_told_of(patient):
    (patient.folder / "releases").mkdir()
    (patient.folder / "releases" / "2026-W47.manifest.json").write_bytes(b"{}")
    assert patient.ask("analytics.releases")[0] == "warning"


@pytest.mark.parametrize(
    ("check", "lost"),
    [
        ("settings", "installation.toml"),
        ("billing.opens", "billing.db"),
        ("keys", "keys/billing/catalogue.pem"),
        ("keys", f"keys/{'/'.join(DIRECTORY_KEY)}.pem"),
        ("analytics.week-keys", "keys/analytics/ohttp-2026-W48.key"),
        ("billing.token-keys", "keys/billing/token-2026-W48-genre.pem"),
    ],
)
def test_what_is_lost_is_found_and_everything_else_is_still_looked_at(patient, check, lost):
    asked = [one.check for one in patient.all()]
    (patient.folder / lost).unlink()
    assert patient.ask(check)[0] == "broken"
    assert [one.check for one in patient.all()] == asked


def test_what_is_no_database_at_all_is_broken(patient):
    (patient.folder / "billing.db").write_bytes(b"a page of a diary" * 100)
    assert patient.ask("billing.opens")[0] == patient.ask("billing.books")[0] == "broken"


def test_other_keys_than_those_of_the_databases_are_found(patient, tmp_path):
    other = Installation.create(tmp_path / "other", Installation(patient.folder).settings)
    headend = open_headend(other)
    headend.jobs.run_due()
    headend.close()
    shutil.rmtree(patient.folder / "keys")
    shutil.copytree(other.folder / "keys", patient.folder / "keys")
    found = patient.bad()
    assert {"directory-key", "billing.catalogue-key", "billing.token-keys", "analytics.week-keys"} <= {
        check for check, verdict in found.items() if verdict == "broken"
    }


@pytest.mark.parametrize(
    ("check", "path", "mode"),
    [
        ("key-modes", "keys/billing/billing.pem", 0o640),
        ("key-modes", "keys/root", 0o755),
        ("folder", ".", 0o777),
        ("database-modes", "billing.db", 0o644),
        ("database-modes", "console.db", 0o660),
    ],
)
def test_what_others_may_read_or_replace_is_found(patient, check, path, mode):
    patient.folder.chmod(0o755)
    (patient.folder / path).chmod(mode)
    assert patient.ask(check)[0] == "broken"


def test_a_backup_is_missed_when_two_nights_have_none(patient, tmp_path):
    assert patient.ask("backup") == ("warning", "no backup has been made from this folder")
    back_up(Installation(patient.folder), tmp_path / "copy", None)
    assert patient.ask("backup")[0] == "fine"
    steered(patient, NOW + timedelta(hours=37))
    assert patient.ask("backup")[0] == "warning"


def test_what_stands_in_a_folder_of_its_owner_alone_is_read_by_nobody_else(patient):
    patient.folder.chmod(0o700)
    (patient.folder / "billing.db").chmod(0o644)
    assert patient.ask("database-modes")[0] == "fine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("path", ["keys/billing/billing.pem", "keys/analytics", "console.db", "gateway.lock"])
def test_what_belongs_to_another_user_than_the_folder_is_found(patient, path):
    (patient.folder / path).touch()
    os.chown(patient.folder / path, 12345, 12345)
    verdict, says = patient.ask("owners")
    assert (verdict, path in says) == ("broken", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_that_all_but_the_databases_are_anothers_is_found_without_their_files(patient):
    for path in patient.folder.glob("*.db*"):
        path.unlink()
    os.chown(patient.folder / "keys" / "billing" / "billing.pem", 12345, 12345)
    assert patient.ask("owners")[0] == "broken"


@pytest.mark.parametrize(("later", "verdict"), [(2, "warning"), (30, "broken")])
def test_jobs_that_are_late_are_told_by_how_much(patient, later, verdict):
    steered(patient, NOW.replace(hour=3, minute=30) + timedelta(days=1, hours=later))
    assert patient.ask("jobs")[0] == verdict


def test_a_clock_that_is_behind_what_is_stored_is_found(patient):
    steered(patient, NOW - timedelta(hours=1))
    assert patient.ask("time")[0] == "broken"


def test_a_disk_that_fills_up_is_told_of(patient, monkeypatch):
    usage = shutil.disk_usage(patient.folder)
    for free, verdict in ((64 << 20, "broken"), (512 << 20, "warning"), (8 << 30, "fine")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _path, free=free: usage._replace(free=free))
        assert patient.ask("room")[0] == verdict


def test_a_network_file_system_is_no_place_for_a_database(patient, monkeypatch):
    monkeypatch.setattr(sqlite, "file_system_of", lambda _path: "nfs4")
    assert patient.ask("file-system")[0] == "broken"


def test_the_file_system_is_the_one_that_the_machine_says(tmp_path):
    told = subprocess.run(
        ["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True, check=True
    )
    found, said = machine.file_system_of(tmp_path), told.stdout.strip()
    assert found == said or said.startswith(("ext", "UNKNOWN", "overlay"))


def test_a_job_whose_package_is_not_installed_is_found(patient, monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "opendp" else object())
    assert patient.ask("extras")[0] == "broken"
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "psycopg" else object())
    assert patient.ask("extras")[0] == "fine"


def test_a_large_log_is_told_of(patient, monkeypatch):
    monkeypatch.setattr(sqlite, "LARGE_LOG", -1)
    assert patient.ask("billing.log")[0] == "warning"


def test_sides_that_are_elsewhere_are_not_missed(patient):
    (patient.folder / "analytics.db").unlink()
    shutil.rmtree(patient.folder / "keys" / "analytics")
    found = patient.all(sides=("billing", "console"))
    assert {one.verdict for one in found} == {"fine", "warning"}
    assert not [one.check for one in found if one.check.startswith("analytics")]


def test_a_check_that_fails_in_a_way_nobody_thought_of_is_broken_and_the_others_go_on(patient, monkeypatch):
    def fails(_patient):
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(
        examining, "ANYWHERE", {"odd": fails, "denied": denied, "well": lambda _patient: fine("well")}
    )
    found = {one.check: one for one in patient.all()}
    assert "nobody thought of it" in found["odd"].says
    assert [found[name].verdict for name in ("odd", "denied", "well")] == ["broken", "warning", "fine"]


def denied(_patient):
    raise PermissionError(13, "Permission denied", "/srv/stb/keys/root")


def test_the_command_tells_scripts_and_people_and_fails_only_for_what_is_broken(patient):
    def run(*words):
        return CliRunner().invoke(main, ["doctor", str(patient.folder), *words])

    told = run()
    assert (told.exit_code, "0 broken" in told.output) == (0, True)
    assert "-> headend serve" in told.output
    assert run("--strict").exit_code == 1
    assert run("--sides", "kitchen").exit_code == 2
    found = json.loads(run("--json").output)
    assert {one["check"]: one["verdict"] for one in found}["served"] == "warning"
    (patient.folder / "console.db").unlink()
    assert run("--json").exit_code == 1


def test_what_is_no_installation_is_told_of_in_the_same_way(tmp_path):
    found = {one.check: one.verdict for one in Patient(tmp_path).all()}
    assert found["settings"] == "broken"
    assert found["versions"] == "fine"
