"""A move to PostgreSQL: nothing lost, nothing doubled, whenever it is cut short."""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from unittest import mock

import psycopg
import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.analytics.store import Counted, WeekState
from headend.app import create_app
from headend.billing.reconcile import reconcile, recounted
from headend.billing.rows import OrderState
from headend.doctor.examine import examine
from headend.installation import SETTINGS, SIDES_FILE, Installation, InstallationError
from headend.kit.postgres import UnsafeServerError
from headend.kit.postgres_schema import HalfMovedError
from headend.kit.storage import NewerDatabaseError
from headend.moving import copying, move
from headend.moving.comparing import NotTheSameError
from headend.moving.copying import UnfitRowError
from headend.moving.marks import OtherMoveError, TargetNotEmptyError
from tests import engines, filled
from tests.headend.console.conftest import Visitor
from tests.headend.moving import moved
from tests.headend.moving.moved import OPEN, SIDES, Original, fragment, headend_of, start, targets

pytestmark = pytest.mark.skipif(engines.OVER_POSTGRES, reason="a move begins with files")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return Original(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original, tmp_path):
    return original.copy(tmp_path / "headend")[0]


@pytest.fixture(scope="module")
def after(original, tmp_path_factory):
    """The installation moved, its box, and what the command said."""
    folder, box = original.copy(tmp_path_factory.mktemp("after") / "headend")
    said = run("migrate", folder, "--to", address(), "--json")
    return folder, box, said


def address():
    """Where three new databases are, as it is written on the command line."""
    mark = secrets.token_hex(4)
    made = {side: engines.make(f"to_{side}_{mark}") for side in SIDES}
    return made["billing"].replace("to_billing", "to_{side}")


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.output


def rows_of(connection, table, columns):
    names = ", ".join(f'"{name}"' for name in columns)
    return sorted((tuple(row) for row in connection.execute(f'SELECT {names} FROM "{table}"')), key=repr)


class Cut(BaseException):
    """The process ends here."""


def cut_after(steps):
    """Hears progress, and ends the process after so many steps."""
    heard = []

    def tell(side, table, rows):
        heard.append((side, table, rows))
        if len(heard) == steps:
            raise Cut

    return tell


# --- nothing is lost


def test_every_row_of_every_table_arrives_with_its_order_of_arrival(original, after):
    seen = 0
    for side in SIDES:
        with (
            closing(sqlite3.connect(original.folder / f"{side}.db")) as old,
            psycopg.connect(Installation(after[0]).place(side)) as new,
        ):
            for table in engines.tables(old):
                if table.startswith(("sqlite_", "_sqlite_")):
                    continue
                columns = [row[1] for row in old.execute(f'PRAGMA table_info("{table}")')]
                if table in {"orders", "invoices", "annex", "chain"}:
                    columns.append("rowid")
                assert rows_of(old, table, columns) == rows_of(new, table, columns), table
                seen += len(rows_of(new, table, columns))
    assert seen > 1_000


def test_a_box_goes_on_from_its_last_position_and_what_arrives_next_is_the_last(after):
    folder, box, _ = after
    with headend_of(folder) as headend:
        look = headend.billing.store.read()
        seq = moved.later(box, headend.billing.store)
        assert look.order(box.box, 1, seq).state is OrderState.RATED
        assert [order.seq for order in look.orders(None, None, 1)] == [seq]
        assert reconcile(look).closes
        assert recounted(look) == []


def test_closed_batches_keep_their_bytes_and_the_next_one_follows(original, after, tmp_path):
    folder = after[0]
    for n in (1, 2):
        run("export", "write", original.folder, n, tmp_path / "old")
        run("export", "write", folder, n, tmp_path / "new")
    old = {path.name: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    assert old == {path.name: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    run("export", "close", folder)
    run("export", "write", folder, 3, tmp_path / "new")
    key = run("export", "key", folder).strip()
    checked = run("export", "verify", tmp_path / "new", "--key", key)
    assert checked.count("ok") >= 3


def test_directories_releases_and_operators_are_what_they_were(original, after):
    with headend_of(original.folder) as before, headend_of(after[0]) as headend:
        assert headend.publish(OPEN) == before.publish(OPEN)
        store = headend.analytics.store
        assert store.states() == before.analytics.store.states()
        assert store.state(filled.NEWEST) is WeekState.RELEASED
        assert store.releases() == before.analytics.store.releases()
        assert store.spendings() == before.analytics.store.spendings()
        assert headend.console.auditing.verdict().holds
        signed_in = Visitor(create_app(headend).test_client()).sign_in("alice", filled.PASSWORD)
        assert signed_in.headers["Location"] == "/console/"


def test_a_sides_own_keys_are_sealed_in_its_database_and_their_files_go(original, after):
    folder = after[0]
    assert sorted(path.name for path in (folder / "keys").glob("*/*")) == [
        "billing.pem",
        "catalogue.pem",
        "directory.pem",
        "shelf.key",
        "shelf.key",
    ]
    with headend_of(original.folder) as before, headend_of(folder) as headend:
        assert headend.analytics.key_config(OPEN) == before.analytics.key_config(OPEN)
        assert headend.billing.token_keys(OPEN) == before.billing.token_keys(OPEN)


def test_a_token_spent_before_the_move_is_spent_after_it_and_open_weeks_count_on(after):
    with headend_of(after[0]) as headend:
        store = headend.analytics.store
        given = [fragment(OPEN, 3), fragment(OPEN, 1_000), fragment(OPEN.plus(1), 3)]
        assert store.count(given) == [Counted.DUPLICATE, Counted.FIRST, Counted.FIRST]


def test_the_doctor_finds_the_parts_of_every_published_week_after_the_move(after):
    found = {one.check: (one.verdict, one.says) for one in examine(after[0], SIDES)}
    for side in ("billing", "analytics"):
        assert found[f"{side}.parts"] == ("fine", mock.ANY)


def test_numbers_that_the_database_gives_go_on_where_they_were(original, after):
    with closing(sqlite3.connect(original.folder / "billing.db")) as old:
        (last,) = old.execute("SELECT max(alarm) FROM alarms").fetchone()
    with psycopg.connect(Installation(after[0]).place("billing")) as new:
        (made,) = new.execute(
            "INSERT INTO alarms (kind, box, account, detail, raised_ms) VALUES ('a', '', '', '', 0) "
            "RETURNING alarm"
        ).fetchone()
        new.rollback()
    assert made == last + 1


def test_the_command_says_what_was_the_same_and_the_old_files_are_put_aside(after):
    folder, _, said = after
    assert '"table": "orders"' in said
    assert {path.name for path in folder.glob("*.db*")} == {f"{side}.db.moved" for side in SIDES}
    assert not list(folder.glob("*.moving"))
    with psycopg.connect(Installation(folder).place("billing")) as new:
        assert new.execute("SELECT to_regclass('moving')").fetchone() == (None,)
    assert "on PostgreSQL already" in run("migrate", folder, "--to", address(), code=1)


def test_the_settings_keep_every_other_word(folder):
    path = folder / SETTINGS
    path.write_text("# made by hand\n" + path.read_text())
    before = path.read_text()
    start(folder, targets("console"))
    start(folder, targets("billing"), name="another")
    text = path.read_text()
    assert text.startswith(before)
    assert sorted(Installation(folder).settings.databases) == ["billing", "console"]
    assert Installation(folder).place("analytics") == folder / "analytics.db"


def test_a_folder_of_some_sides_moves_these(folder):
    (folder / SIDES_FILE).write_text("console")
    assert "console.operators" in run("migrate", folder, "--to", address())
    assert sorted(Installation(folder).settings.databases) == ["console"]


def test_a_moved_file_is_not_opened_when_the_settings_forget_where_it_went(folder):
    before = (folder / SETTINGS).read_text()
    start(folder, targets("console"))
    (folder / SETTINGS).write_text(before)
    with pytest.raises(InstallationError, match="was moved"):
        Installation(folder).place("console")


# --- cut short


def test_a_move_that_is_cut_short_after_every_chunk_ends_as_one_that_is_not(folder):
    to = targets("billing")
    cuts = 0
    while True:
        try:
            start(folder, to, cut_after(1), at_once=100)
        except Cut:
            cuts += 1
            if cuts % 5 == 0:
                with pytest.raises(InstallationError, match="is being moved"):
                    Installation(folder).place("billing")
            # Once all is copied, what is left is one comparison; it ends when nobody cuts it.
            with psycopg.connect(to["billing"]) as new:
                if new.execute("SELECT count(*) FROM moving WHERE done = 1 AND what > ''").fetchone() == (
                    37,
                ):
                    break
    assert cuts > 15
    found = start(folder, to)["billing"]
    rows = {one.table: one.rows for one in found}
    assert rows["entries"] > 100
    assert rows["orders"] > 100


def test_what_is_cut_short_within_a_chunk_leaves_no_row_of_it(folder, monkeypatch):
    to = targets("billing")
    advance = copying.advance

    def dies(target, table, last, rows, *, done):
        if table == "orders" and rows > 100:
            raise Cut
        advance(target, table, last, rows, done=done)

    with monkeypatch.context() as patch:
        patch.setattr(copying, "advance", dies)
        with pytest.raises(Cut):
            start(folder, to, at_once=50)
    with psycopg.connect(to["billing"]) as new:
        assert new.execute("SELECT count(*) FROM orders").fetchone() == (100,)
        off = "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'"
        assert new.execute(off).fetchone() == (0,)
    with pytest.raises(HalfMovedError):
        open_at("billing", to)
    assert start(folder, to)["billing"]


def open_at(side, to):
    from headend.billing.engines import open_store

    return open_store(to[side])


def test_a_killed_move_goes_on_where_it_was(original, tmp_path):
    folder, _ = original.copy(tmp_path / "headend")
    to = address()
    command = [sys.executable, "-m", "headend", "migrate", str(folder), "--to", to, "--chunk", "20"]
    for lines in (30, 45):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as killed:
            for _ in range(lines):
                killed.stderr.readline()
            killed.send_signal(signal.SIGKILL)
    assert (folder / "billing.moving").exists()
    said = run("migrate", folder, "--to", to)
    assert "Every row is there and the same" in said
    with headend_of(folder) as headend:
        assert reconcile(headend.billing.store.read()).closes


def test_a_move_cut_short_after_the_settings_count_is_finished_by_the_next_start(folder, monkeypatch):
    to = targets("console")
    with monkeypatch.context() as patch:
        patch.setattr(move, "_finish", lambda installation: installation.settings.databases and cut())
        with pytest.raises(Cut):
            start(folder, to)
    with pytest.raises(move.AlreadyMovedError):
        move.give_up(Installation(folder))
    assert start(folder, to) == {}
    assert (folder / "console.db.moved").exists()
    assert not (folder / "console.moving").exists()


def cut():
    raise Cut


def test_settings_that_name_a_target_by_hand_do_not_make_half_a_move_whole(folder):
    to = targets("console")
    with pytest.raises(Cut):
        start(folder, to, cut_after(1))
    Installation(folder).place_at(to)
    with pytest.raises(move.BadTargetError, match="has not ended"):
        start(folder, to)
    assert (folder / "console.db").exists()


def test_a_move_that_is_given_up_leaves_the_files_in_use_and_its_target_to_nobody(folder):
    to = targets("console")
    with pytest.raises(move.NothingBegunError):
        move.give_up(Installation(folder))
    with pytest.raises(Cut):
        start(folder, to, cut_after(2))
    assert "console: the files are in use again" in run("migrate", folder, "--give-up")
    with headend_of(folder):
        pass
    with pytest.raises(OtherMoveError):
        start(folder, to, name="another")


# --- what is not the same is found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE orders SET category = 'x' WHERE rowid = 9", "differs in category"),
        ("DELETE FROM annex WHERE title LIKE 'Paper%'", "annex: the row"),
        ("INSERT INTO tally VALUES ('invented', 1)", "tally: the target has a row too many"),
        ("UPDATE orders SET rowid = rowid + 5000 WHERE rowid = 7", "differs in rowid"),
        ("UPDATE order_sums SET orders = orders + 1", "order_sums"),
        ("ALTER TABLE entries DISABLE TRIGGER USER", "a guard"),
    ],
    ids=["changed", "missing", "too many", "out of order", "a sum", "a guard"],
)
def test_a_difference_in_the_target_is_found_and_the_files_stay_in_use(folder, change, words):
    to, done = targets("billing"), []

    def meddle(side, table, rows):
        if table.startswith("=") and not done:
            with psycopg.connect(to["billing"]) as new:
                new.execute(change)
            done.append(table)

    with pytest.raises(NotTheSameError, match=words):
        start(folder, to, meddle)
    assert "databases" not in (folder / SETTINGS).read_text()
    assert (folder / "billing.db").exists()


# --- refusals


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("/srv/billing.db", "no way back"),
        ("postgresql://me:secret@host/stb_{side}", "no place for a password"),
        ("postgresql://host/stb_{side}?password=secret", "no place for a password"),
        ("postgresql://host/stb", "a database of its own"),
        ("postgresql://host/stb_{side}?nonsense=1", "nonsense"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(folder, to, words):
    assert words in run("migrate", folder, "--to", to, code=1)
    assert not list(folder.glob("*.moving"))


def test_an_installation_in_service_is_not_moved(folder):
    to = targets("console")
    for lock in (Installation(folder).lock, Installation(folder).gateway_lock):
        held = lock()
        with pytest.raises(InstallationError, match="another process"):
            start(folder, to)
        os.close(held)


def test_a_target_that_holds_something_is_left_alone(folder):
    to = {"console": engines.fresh("console")}
    with psycopg.connect(to["console"]) as new:
        new.execute("INSERT INTO operators VALUES ('mallory', 'admin', 'x', 0, 0, 0, NULL)")
    with pytest.raises(TargetNotEmptyError, match="operators"):
        start(folder, to)
    assert not (folder / "console.moving").exists()


def test_a_target_that_keeps_texts_otherwise_is_refused(folder):
    name = f"sorted_{secrets.token_hex(4)}"
    with psycopg.connect(engines.server(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        admin.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    with pytest.raises(UnsafeServerError, match="UTF-8"):
        start(folder, {"console": engines.database(name)})
    assert not (folder / "console.moving").exists()


def test_a_newer_schema_is_refused_at_either_end(folder):
    to = {"console": engines.fresh("console")}
    with psycopg.connect(to["console"]) as new:
        new.execute("INSERT INTO migrations (name, breaks) VALUES ('of tomorrow', true)")
    with pytest.raises(NewerDatabaseError, match="of tomorrow"):
        start(folder, to)
    with closing(sqlite3.connect(folder / "console.db")) as old, old:
        old.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('console', 'of tomorrow')")
    with pytest.raises(NewerDatabaseError, match="of tomorrow"):
        start(folder, targets("console"))


def test_files_that_do_not_hold_together_are_not_moved(folder):
    with closing(sqlite3.connect(folder / "billing.db")) as old, old:
        old.execute("UPDATE order_sums SET orders = orders + 1 WHERE orders > 0")
    with pytest.raises(move.UnsoundError, match="kept"):
        start(folder, targets("billing"))
    assert not (folder / "billing.moving").exists()


def test_a_row_that_postgresql_cannot_hold_is_told_with_its_table(folder):
    with closing(sqlite3.connect(folder / "billing.db")) as old, old:
        old.execute("UPDATE accounts SET postal_area = '10' || char(0) WHERE account = 'nl-0003'")
    with pytest.raises(UnfitRowError, match="accounts"):
        start(folder, targets("billing"))
