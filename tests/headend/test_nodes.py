"""Several nodes on one PostgreSQL, each with a folder and sides of its own, as on machines of their own."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from click.testing import CliRunner
from werkzeug.test import Client

from headend.__main__ import main
from headend.analytics.store import StoredRelease
from headend.app import create_app, open_headend
from headend.billing.catalogue import publish_catalogue
from headend.billing.refusals import WrongWeekError
from headend.installation import Installation, InstallationError
from headend.kit.postgres import PostgresStorage
from headend.kit.postgres_schema import Migration, Schema
from headend.kit.shelf import SHELF_KEY, OtherShelfError
from headend.kit.storage import NewerDatabaseError
from shared.system_clock import ClockSteerer
from shared.weeks import Week
from tests import engines
from tests.builders import CATALOGUE_KEY, NOW_MS, SETTINGS, SigningBox, account, offer

pytestmark = pytest.mark.usefixtures("few_token_keys")

WEEK = Week(2026, 41)
START = datetime(2026, 10, 2, 12, tzinfo=UTC)


class Nodes:
    """An installation with two nodes, whose clock the test moves."""

    def __init__(self, folder):
        self.clock = ClockSteerer(folder / "clock", START)
        self.urls = {side: engines.fresh(side) for side in engines.SCHEMAS}
        settings = replace(
            SETTINGS, simulated=True, clock=str(folder / "clock"), databases=self.urls, first_week=str(WEEK)
        )
        self.first = open_headend(Installation.create(folder / "first", settings), serving=True)
        self.first.jobs.run_due()
        self.second = open_headend(self.first.installation.make_node(folder / "second"), serving=True)
        self.both = (self.first, self.second)
        for headend in self.both:  # drawn here and not in a process of its own, which takes its time to start
            object.__setattr__(headend.analytics.setup, "spawn_release", headend.analytics.release)

    def close(self):
        for headend in self.both:
            headend.close()

    def billing(self, sql):
        with psycopg.connect(self.urls["billing"]) as look:
            return look.execute(sql.encode()).fetchall()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, few_token_keys):
    """Two nodes for tests that take nothing away, and do not look at what others add."""
    made = Nodes(tmp_path_factory.mktemp("shared"))
    yield made
    made.close()


@pytest.fixture
def nodes(tmp_path):
    made = Nodes(tmp_path)
    yield made
    made.close()


def test_both_serve_the_same_directory_whichever_published_it(shared):
    weeks = [WEEK, WEEK.plus(1)]
    published = [shared.first.publish(weeks[0]), shared.second.publish(weeks[1])]
    clients = [Client(create_app(headend)) for headend in shared.both]
    for prefix in ("/billing/v1/directory/", "/analytics/directory/"):
        for week, envelope in zip(weeks, published, strict=True):
            assert [client.get(f"{prefix}{week}").data for client in clients] == [envelope, envelope]


def test_a_key_that_one_made_signs_and_opens_at_the_other(shared):
    shared.second.publish(WEEK.plus(1))
    assert shared.first.billing.token_keys(WEEK.plus(1)) == shared.second.billing.token_keys(WEEK.plus(1))
    configs = {headend.analytics.key_config(WEEK.plus(1)) for headend in shared.both}
    manifests = {headend.analytics.keys.manifest_key().private_bytes_raw() for headend in shared.both}
    assert (len(configs), len(manifests)) == (1, 1)


def test_a_week_that_one_forgets_is_forgotten_by_the_other(nodes):
    nodes.first.publish(WEEK)
    assert nodes.second.analytics.weeks.by_key_id(WEEK.number) is not None
    assert nodes.second.billing.keys.of("genre", WEEK)
    nodes.first.analytics.keys.forget(WEEK)
    nodes.first.billing.keys.destroy(WEEK)
    nodes.first.billing.store.write(lambda tx: tx.claim("forget-tokens", str(WEEK), 0))
    for side in nodes.second.sides():
        side.flush()
    assert nodes.second.analytics.weeks.by_key_id(WEEK.number) is None
    assert nodes.second.billing.keys.public(["genre"], WEEK) == []
    with pytest.raises(WrongWeekError):
        nodes.second.billing.keys.of("genre", WEEK)


def test_keys_in_the_database_are_sealed_and_open_with_the_installations_own_shelf_key_only(nodes, tmp_path):
    nodes.first.publish(WEEK)
    names = {name for (name,) in nodes.billing("SELECT name FROM sealed_keys")}
    assert {f"token-{WEEK}-genre.pem", f"token-{WEEK}-viewing.pem"} <= names
    assert not any(b"PRIVATE KEY" in sealed for (sealed,) in nodes.billing("SELECT sealed FROM sealed_keys"))
    folder = nodes.second.installation.keys_of("billing")
    (folder / SHELF_KEY).unlink()
    with pytest.raises(OtherShelfError, match="copy that file"):
        nodes.second.billing.keys.of("genre", WEEK)
    (folder / SHELF_KEY).write_bytes(bytes(32))
    (folder / SHELF_KEY).chmod(0o600)
    with pytest.raises(OtherShelfError, match="another shelf"):
        nodes.second.billing.keys.of("genre", WEEK)


def test_every_job_of_eight_weeks_runs_once_whoever_ticks(nodes):
    ran: Counter = Counter()
    for headend in nodes.both:
        jobs = headend.jobs
        jobs._jobs = [replace(job, run=counted(job, ran)) for job in jobs._jobs]
    for day in range(1, 60, 2):
        nodes.clock.set(START + timedelta(days=day))
        threads = [threading.Thread(target=headend.jobs.run_due) for headend in nodes.both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for headend in nodes.both:  # whoever had not the turn finds what is left
            headend.jobs.run_due()
    assert set(ran.values()) == {1}
    assert {job for job, _ in ran} == {job.name for job in nodes.first.jobs._jobs}
    told = nodes.billing("SELECT job, count(*), count(DISTINCT slot) FROM job_runs GROUP BY job")
    assert told
    assert all(runs == slots for _, runs, slots in told)


def counted(job, ran):
    def run(slot):
        ran[job.name, slot.name] += 1
        return job.run(slot)

    return run


def test_while_one_has_the_turn_the_other_runs_nothing_and_takes_over_when_it_dies(nodes):
    nodes.clock.set(START + timedelta(days=12))
    store = nodes.first.billing.store
    with store.turn() as mine:
        assert mine
        assert nodes.second.jobs.run_due() == 0
        with psycopg.connect(nodes.urls["billing"], autocommit=True) as admin:
            # What is seen of a node that is gone: its connection ends.
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 3"
            )
        assert nodes.second.jobs.run_due() > 0


def test_a_release_that_one_drew_stands_in_the_others_archive(shared):
    shared.second.analytics.flush()
    assert shared.second.analytics.archive.find(WEEK) is None
    shared.first.analytics.store.at_release_desk(
        lambda desk: desk.enter_release(StoredRelease(WEEK, b"manifest", b"table"))
    )
    shared.second.analytics.flush()
    found = shared.second.analytics.archive.find(WEEK)
    assert (found.manifest, found.table) == (b"manifest", b"table")


def test_totals_that_a_dead_node_handed_over_are_not_drawn_anew(nodes, monkeypatch):
    nodes.first.publish(WEEK)
    zone = nodes.first.installation.zone
    nodes.clock.set(WEEK.plus(2).start(zone) + timedelta(hours=1))
    note = nodes.first._done

    def die(job, slot):
        if job == "totals":
            raise OSError("killed")
        note(job, slot)

    monkeypatch.setattr(nodes.first, "_done", die)
    nodes.first.jobs.run_due()
    handed = nodes.second.analytics.store.totals(WEEK)
    assert handed is not None
    nodes.second.billing.store.write(lambda tx: tx.draw_reporting(str(WEEK), {"late": "bx-late"}))
    nodes.second.jobs.run_due()
    assert nodes.second.analytics.store.totals(WEEK) == handed
    assert nodes.second.billing.store.read().last_slot("totals") == str(WEEK)


def test_what_one_acknowledges_the_other_sees_at_once(shared):
    first, second = (headend.billing.store for headend in shared.both)
    for number in range(3):
        first.write_beside(lambda tx, number=number: tx.add_tally({f"beside {number}": 1}))
        assert second.read().tally()[f"beside {number}"] == 1
        second.write(lambda tx, number=number: tx.add_tally({f"alone {number}": 1}))
        assert first.read().tally()[f"alone {number}"] == 1


def test_two_boxes_of_a_household_that_order_the_same_film_at_two_nodes_pay_once(shared):
    store = shared.first.billing.store
    store.write(lambda tx: tx.add_account(account()))
    store.write(lambda tx: publish_catalogue(tx, [offer()], CATALOGUE_KEY, NOW_MS, []))
    boxes = [
        SigningBox(headend.billing.store, serial=f"SN-{n}").enrolled()
        for n, headend in enumerate(shared.both)
    ]
    for turn in range(12):
        at_ms = NOW_MS + turn * 49 * 3_600_000
        envelopes = [box.order(at_ms=at_ms) for box in boxes]
        threads = [
            threading.Thread(target=box.submit, args=(envelope,), kwargs={"now_ms": at_ms})
            for box, envelope in zip(boxes, envelopes, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    states = dict(shared.billing("SELECT state, count(*) FROM orders GROUP BY state"))
    assert states == {"rated": 12, "zero-rated": 12}
    assert shared.billing("SELECT count(*), max(entry) FROM entries") == [(12, 12)]


def test_a_folder_for_another_node_holds_keys_and_settings_and_nothing_of_a_file(shared, tmp_path):
    folder = shared.first.installation.folder
    done = CliRunner().invoke(main, ["node", str(folder), str(tmp_path / "third")])
    assert done.exit_code == 0, done.output
    assert Installation(tmp_path / "third").settings == shared.first.installation.settings
    names = {path.name for path in (tmp_path / "third").iterdir()}
    assert names <= {"installation.toml", "keys", "releases", "totals"}
    again = CliRunner().invoke(main, ["node", str(folder), str(tmp_path / "third")])
    assert (again.exit_code, "stands already" in again.output) == (1, True)


@pytest.mark.skipif(engines.OVER_POSTGRES, reason="this is about an installation in files")
def test_an_installation_in_files_has_one_node(tmp_path):
    made = Installation.create(tmp_path / "alone", SETTINGS)
    with pytest.raises(InstallationError, match="billing, analytics, console: in a file"):
        made.make_node(tmp_path / "second")
    held = made.lock()
    with pytest.raises(InstallationError, match="another process"):
        made.lock()
    assert held


def test_nodes_of_one_machine_may_serve_one_folder(shared):
    assert shared.first.installation.lock() != shared.first.installation.lock()


def test_an_old_node_starts_beside_a_step_that_adds_and_not_beside_one_that_breaks():
    url = engines.fresh("console")
    base = engines.SCHEMAS["console"]
    added = Migration("later", "CREATE INDEX later ON audit (what)")
    PostgresStorage(url, Schema("console", (*base.steps, added))).close()
    PostgresStorage(url, base).close()
    broken = Migration("broken", "DROP INDEX later", breaks=True)
    PostgresStorage(url, Schema("console", (*base.steps, added, broken))).close()
    with pytest.raises(NewerDatabaseError, match="broken"):
        PostgresStorage(url, base)
