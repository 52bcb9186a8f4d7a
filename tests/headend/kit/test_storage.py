import sqlite3
import threading
from pathlib import Path

import pytest
from sqlite_utils.migrations import Migrations

from headend.kit.storage import (
    GROUP_LIMIT,
    NewerDatabaseError,
    Storage,
    StorageError,
    UndeclaredColumnError,
    connect,
)


def make(path, columns="name TEXT PRIMARY KEY, n INTEGER NOT NULL"):
    migrations = Migrations("billing")

    @migrations()
    def first(db):
        db.execute(f"CREATE TABLE tally ({columns}) STRICT")

    return Storage(path / "test.db", migrations)


@pytest.fixture
def storage(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


def add(name, n=1):
    return lambda db: db.execute("INSERT INTO tally VALUES (?, ?)", (name, n))


def rows(storage):
    return [tuple(row) for row in storage.read().execute("SELECT name, n FROM tally ORDER BY name")]


def test_what_is_answered_is_on_disk(storage):
    storage.write(add("a"))
    other = sqlite3.connect(storage.path)
    assert other.execute("SELECT name FROM tally").fetchall() == [("a",)]
    other.close()


def test_a_failure_reaches_whoever_waits_and_undoes_itself_alone(storage):
    def half(db):
        add("half")(db)
        raise KeyError("x")

    results = []

    def run(work):
        try:
            results.append(storage.write(work) and "done")
        except KeyError:
            results.append("failed")

    threads = [threading.Thread(target=run, args=(work,)) for work in (add("a"), half, add("b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "done", "failed"]
    assert rows(storage) == [("a", 1), ("b", 1)]


def test_a_failure_alone_in_its_commit_undoes_itself_and_is_told_as_it_is(storage):
    def half(db):
        add("half")(db)
        add("half")(db)

    with pytest.raises(sqlite3.IntegrityError):
        storage.write(half)
    storage.write(add("a"))
    assert rows(storage) == [("a", 1)]


@pytest.mark.parametrize("together", [1, 3])
def test_what_a_group_changes_goes_through_no_temporary_file(storage, together):
    storage.write(lambda db: db.execute("CREATE TABLE IF NOT EXISTS kept (word TEXT) STRICT"))
    many = [("x" * 3_000,)] * 500
    storage.write(lambda db: db.executemany("INSERT INTO kept VALUES (?)", many))
    opened, begun = [], threading.Event()

    def change(db):
        db.execute("UPDATE kept SET word = word || 'y' WHERE rowid % 2 = 0")
        opened.extend(str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.exists())

    def wait(_db):
        begun.set()
        while len(storage._together._waiting) < together:
            pass

    threads = [threading.Thread(target=storage.write, args=(work,)) for work in (wait, *[change] * together)]
    threads[0].start()
    begun.wait()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(one.endswith("test.db") for one in opened)
    assert not [one for one in opened if "etilqs" in one]


def test_many_writers_share_commits_and_all_are_answered(storage):
    threads = [
        threading.Thread(target=lambda n=n: storage.write(add(f"{n:04}"))) for n in range(GROUP_LIMIT + 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(storage)) == GROUP_LIMIT + 50


def test_a_reader_cannot_write(storage):
    with pytest.raises(sqlite3.OperationalError):
        storage.read().execute("INSERT INTO tally VALUES ('x', 1)")


def test_a_column_that_the_register_does_not_declare_stops_the_start(tmp_path):
    with pytest.raises(UndeclaredColumnError, match="viewer"):
        make(tmp_path, "name TEXT PRIMARY KEY, n INTEGER NOT NULL, viewer TEXT")


def test_a_closed_storage_takes_nothing(tmp_path):
    storage = make(tmp_path)
    storage.close()
    storage.close()
    with pytest.raises(StorageError):
        storage.write(add("a"))


def test_a_commit_that_the_database_refuses_is_told_to_everybody_in_it(storage):
    blocker = connect(storage.path, checkpoints=False)
    blocker.execute("PRAGMA busy_timeout=0")
    storage.write(lambda db: db.execute("PRAGMA busy_timeout=50"))
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError):
        storage.write(add("a"))
    blocker.execute("ROLLBACK")
    blocker.close()
    storage.write(add("b"))
    assert rows(storage) == [("b", 1)]


def test_a_backup_is_the_database_of_one_moment(storage, tmp_path):
    storage.write(add("a"))
    storage.backup_to(tmp_path / "copy.db")
    storage.write(add("b"))
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT name FROM tally").fetchall() == [("a",)]
    copy.close()


def test_an_emptied_log_holds_nothing_that_was_deleted(storage):
    secret = "never-to-be-found-again"
    storage.write(lambda db: db.execute("CREATE TABLE IF NOT EXISTS kept (word TEXT) STRICT"))
    storage.write(lambda db: db.execute("INSERT INTO kept VALUES (?)", (secret,)))
    storage.write(lambda db: db.execute("DELETE FROM kept"))
    files = [storage.path, storage.path.with_name(storage.path.name + "-wal")]
    assert any(secret.encode() in path.read_bytes() for path in files)
    storage.sweep()
    assert not any(secret.encode() in path.read_bytes() for path in files if path.exists())


def test_a_log_that_somebody_reads_from_is_told_of_and_emptied_the_next_time(storage, caplog):
    storage.write(add("a"))
    reader = sqlite3.connect(storage.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM tally").fetchone()
    storage.write(add("b"))
    storage.sweep()
    assert "could not be emptied" in caplog.text
    log = storage.path.with_name(storage.path.name + "-wal")
    assert log.stat().st_size > 0
    storage.write(add("c"))
    reader.close()
    storage.sweep()
    assert log.stat().st_size == 0


def test_a_database_that_newer_code_has_migrated_is_refused_and_stays_as_it_is(tmp_path):
    def code(*names):
        migrations = Migrations("billing")
        for name in names:
            migrations(name=name)(lambda db, name=name: db.execute(f"CREATE INDEX {name} ON tally (n)"))
        return migrations

    make(tmp_path).close()
    path = tmp_path / "test.db"
    first = Migrations("billing")
    first(name="first")(lambda _: None)
    newer = code("first", "one", "two")
    Storage(path, newer).close()
    before = path.read_bytes()
    with pytest.raises(NewerDatabaseError, match=r"one, two.*backup made before the upgrade"):
        Storage(path, first)
    assert path.read_bytes() == before
    Storage(path, newer).close()
