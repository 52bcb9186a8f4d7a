import gc
import random
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from box_agent.app import Agent
from box_agent.migrations import migrate
from box_agent.store import (
    ANONYMOUS_TABLES,
    MEETING_TABLES,
    NAMED_TABLES,
    PAGE_SIZE,
    SCHEMA_VERSION,
    NewerStoreError,
    Store,
)
from shared.clock import ManualClock, to_ms
from shared.named import GENESIS, payload_hash, read_chained
from tests.box_agent.fakes import START, YES, Bench, FakeHeadend, FakeRelay, settings

ROOT = Path(__file__).parents[2]


def test_the_file_is_wal_with_small_pages_and_full_sync_and_its_owner_s_alone(tmp_path: Path) -> None:
    connection = Store(tmp_path / "box" / "box.sqlite").connection()
    values = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "page_size", "synchronous")
    ]
    assert values == ["wal", PAGE_SIZE, 2]
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "box").iterdir()} == {0o600}


def test_every_table_is_strict_and_in_exactly_one_group(tmp_path: Path) -> None:
    connection = Store(tmp_path / "box.sqlite").connection()
    tables = {row[1]: row[5] for row in connection.execute("PRAGMA table_list") if row[1][:1] not in "_s"}
    assert set(tables) | {"sentlog"} == NAMED_TABLES | ANONYMOUS_TABLES
    assert set(tables.values()) == {1}
    assert NAMED_TABLES.isdisjoint(ANONYMOUS_TABLES)
    assert MEETING_TABLES < ANONYMOUS_TABLES


def test_a_store_of_the_present_version_is_opened_without_the_migration_library(tmp_path: Path) -> None:
    Store(tmp_path / "box.sqlite").connection()
    code = (
        "import sys; from pathlib import Path; from box_agent.store import Store;"
        f"Store(Path({str(tmp_path / 'box.sqlite')!r})).connection();"
        "print('sqlite_utils' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout == "False\n"


def test_recording_needs_neither_cryptography_nor_requests_nor_the_scheduler() -> None:
    code = (
        "import sys; import box_agent.app, box_agent.recorder;"
        "late = ('cryptography', 'requests', 'apscheduler', 'sqlite_utils');"
        "print([name for name in late if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout == "[]\n"


def test_a_store_of_a_newer_agent_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "box.sqlite")
    store.connection().execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    store.park()
    with pytest.raises(NewerStoreError):
        store.connection()


def test_a_migration_cut_off_before_its_number_was_written_is_taken_up_again(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "box.sqlite", isolation_level=None)
    migrate(connection)
    connection.close()
    assert Store(tmp_path / "box.sqlite").connection().execute("SELECT count(*) FROM chain").fetchone() == (
        0,
    )


OLD_PLACE = '"box":"box-1","epoch":1'
OLD_ORDER = (
    f'{{"type":"order",{OLD_PLACE},"seq":1,"prev":"{GENESIS}","offer":"film-1","offer_version":1,'
    f'"price_cents":499,"currency":"EUR","vat_bp":2100,"placed_ms":{to_ms(START)},"salt":"{"0" * 32}",'
    '"evidence":{"pin_verified":true,"consent_immediate_supply":true,"confirmation_shown":true},"v":1}'
).encode()


def test_a_store_of_version_1_keeps_its_orders_and_sends_their_bytes_as_they_are(bench: Bench) -> None:
    bench.enrol()
    envelope = bench.agent._open().identity.sign(msgspec.Raw(OLD_ORDER))
    connection = bench.agent._store.connection()
    for name in ("promotion", "credit_cents", "promotion_until_ms", "preview_until_ms"):
        connection.execute(f"ALTER TABLE orders DROP COLUMN {name}")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'promotions'")
    connection.execute("INSERT INTO chain VALUES (1, 1, ?, ?)", (to_ms(START), envelope))
    kept = (1, 1, "film-1", "A Film", 499, "EUR", to_ms(START), to_ms(START) + 48 * 3_600_000, None)
    connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", kept)
    connection.execute("UPDATE head SET seq = 1, hash = ?", (payload_hash(OLD_ORDER),))
    connection.execute("PRAGMA user_version = 1")
    bench.agent.close()

    bench.start()
    (order,) = bench.agent.orders()
    assert (order.offer, order.promotion, order.credit_cents) == ("film-1", None, 0)
    assert bench.agent.place_order("film-1", YES).repeated
    assert bench.agent.report_delivery(1, "confirmed") == 2
    bench.agent.tick()
    old, new = bench.headend.chain
    assert old == OLD_ORDER
    assert read_chained(new).prev == payload_hash(OLD_ORDER)
    assert (read_chained(old).v, read_chained(new).v) == (1, 2)


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "box.sqlite")
    door = store.door(ANONYMOUS_TABLES)

    def fail() -> None:
        with store.transaction():
            door.write("INSERT INTO ordered (at_ms, genre) VALUES (1, 'film-comedy')")
            with store.transaction():
                door.write("INSERT INTO ordered (at_ms, genre) VALUES (2, 'film-comedy')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert door.rows("SELECT * FROM ordered") == []


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_parked_agent_goes_on(bench: Bench) -> None:
    bench.enrol()
    bench.agent.park()
    gc.collect()  # what earlier tests have left open is closed now, not meanwhile
    before = open_files()
    assert bench.agent.status()["named"]["enrolled"]
    assert open_files() > before
    bench.agent.park()
    assert open_files() == before


def test_orders_answered_yes_survive_kill_9_and_the_chain_stays_whole(tmp_path: Path) -> None:
    chance = random.Random(9)  # noqa: S311 (seeded, to be the same each time)
    answered = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.box_agent.crashing", str(tmp_path / "box")],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        ) as child:
            assert child.stdout is not None
            answered = int(child.stdout.readline())
            time.sleep(chance.random() / 5)
            child.send_signal(signal.SIGKILL)
            lines = [line for line in child.stdout.read().splitlines(keepends=False) if line]
            answered = int(lines[-1]) if lines else answered
    clock = ManualClock(START + timedelta(hours=1))
    headend = FakeHeadend()
    agent = Agent(settings(tmp_path / "box"), (headend, FakeRelay(clock)), clock)
    headend.public = agent._open().identity._key().public_key()
    agent.tick()
    placed = [read_chained(payload) for payload in headend.chain]
    assert [message.seq for message in placed] == list(range(1, len(placed) + 1))
    assert answered <= len(placed) <= answered + 1
    assert len(agent.orders()) == len(placed)
    assert agent._store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert to_ms(clock.now()) > 0


def test_viewing_of_an_earlier_version_becomes_batches(bench: Bench) -> None:
    bench.consent()
    bench.agent.close()
    connection = sqlite3.connect(bench.settings.state() / "box.sqlite", isolation_level=None)
    connection.execute("DROP TABLE viewing")
    connection.execute(
        "CREATE TABLE events (at_ms INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (at_ms, body))"
        " STRICT, WITHOUT ROWID"
    )
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'batches'")
    start = to_ms(START)
    for number in range(150):
        body = b'{"v":1,"event":"key","at_ms":%d}' % (start + number)
        connection.execute("INSERT INTO events VALUES (?, ?)", (start + number, body))
    connection.execute("PRAGMA user_version = 3")
    connection.close()

    bench.start()
    (run,) = bench.agent._recorder.runs()
    assert [event.at_ms for event in run.events] == [start + number for number in range(150)]
    rows = bench.agent._store.connection().execute("SELECT events FROM viewing").fetchall()
    assert rows == [(64,), (64,), (22,)]
