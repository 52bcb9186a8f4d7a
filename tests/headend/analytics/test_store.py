import sqlite3

import pytest

from headend.analytics.sql import SqlDesk
from headend.analytics.store import (
    ConflictError,
    Contribution,
    Counted,
    StoredDirectory,
    WeekNotDoneError,
    WrongInstallationError,
)
from headend.kit.storage import connect, immediate
from shared.field_register import declared
from shared.weeks import Week
from tests.headend.analytics.builders import WEEK, Town, closed, make_setup, make_town, over


def ready_town(town: Town) -> Town:
    town.publish()
    town.clock.advance_to(over())
    town.send_genre(3)
    town.hand_totals()
    town.clock.advance_to(closed())
    return town


@pytest.mark.parametrize("table", ["releases", "budget", "directories"])
@pytest.mark.parametrize(
    "attack",
    ["UPDATE {0} SET week = week", "DELETE FROM {0}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"],
)
def test_what_is_append_only_cannot_be_changed_by_anybody(town: Town, table: str, attack: str) -> None:
    ready_town(town).side.release(WEEK)
    before = town.rows()
    connection = connect(town.setup.database, checkpoints=False)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(attack.format(table))
    connection.close()
    assert town.rows() == before


def test_every_table_is_declared_with_exactly_its_columns(town: Town) -> None:
    connection = town.side.store.storage.read()
    tables = {
        row["name"]: {column["name"] for column in connection.execute(f"PRAGMA table_info({row['name']})")}
        for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith(("sqlite_", "_sqlite"))
    }
    assert tables == {name: set(entry.fields) for name, entry in declared("analytics").items()}


def test_a_database_of_another_installation_is_refused(town: Town) -> None:
    for change in ({"simulated": False}, {"first_week": WEEK.plus(1)}):
        with pytest.raises(WrongInstallationError):
            make_town(town.setup.database.parent, **change)


def test_the_same_installation_opens_again(town: Town) -> None:
    make_town(town.setup.database.parent).side.close()
    assert make_setup(town.setup.database.parent, town.clock).simulated


def test_another_directory_for_the_week_is_refused(town: Town) -> None:
    envelope = town.publish()
    with pytest.raises(ConflictError):
        town.side.store.accept_directory(StoredDirectory(WEEK, envelope + b" ", b"{}", "0" * 64))
    stored = town.side.store.directory(WEEK)
    assert stored is not None
    assert stored.envelope == envelope


def test_other_totals_for_the_week_are_refused(town: Town) -> None:
    town.hand_totals()
    town.hand_totals()
    before = town.rows()
    with pytest.raises(ConflictError):
        town.hand_totals(asked=401)
    assert town.rows() == before


def test_a_week_without_directory_takes_nothing(town: Town) -> None:
    before = town.rows()
    assert town.side.store.count([Contribution(WEEK, "genre", 1, 1, 0, bytes(32))]) == [Counted.TOO_LATE]
    assert town.rows() == before


def test_a_week_that_is_not_done_cannot_be_forgotten(open_town: Town) -> None:
    open_town.send_genre(1)
    before = open_town.rows()
    with pytest.raises(WeekNotDoneError):
        open_town.side.store.forget(WEEK, 0)
    assert open_town.rows() == before


def test_forgetting_overwrites_nonces_and_counters_in_the_file(open_town: Town) -> None:
    open_town.send_genre(3)
    nonce = open_town.rows()["spent"][0][1]
    assert isinstance(nonce, bytes)
    open_town.side.store.storage.close()
    connection = connect(open_town.setup.database, checkpoints=True)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert nonce in open_town.setup.database.read_bytes()
    assert connection.execute("PRAGMA secure_delete").fetchone()[0] == 1  # some builds have it anyway
    with immediate(connection):
        SqlDesk(connection).drop_nonces(WEEK)
        SqlDesk(connection).drop_counters(WEEK)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert nonce not in open_town.setup.database.read_bytes()


def test_a_done_week_keeps_neither_nonce_nor_counter(town: Town) -> None:
    ready_town(town).side.release(WEEK)
    assert town.rows()["spent"]
    town.side.store.forget(WEEK, 1)
    assert (town.rows()["spent"], town.rows()["counters"]) == ([], [])


def one(cell: int, nonce: int, *, week: Week = WEEK, measure: str = "genre") -> Contribution:
    return Contribution(week, measure, cell, 1, 0, nonce.to_bytes(32, "big"))


def test_a_group_is_counted_as_its_fragments_would_be_one_by_one(open_town: Town) -> None:
    group = [
        one(3, 1),
        one(3, 1),
        one(5, 2),
        one(3, 3),
        one(0, 4),
        one(3, 5, week=WEEK.plus(1)),
        one(2, 6, measure="viewing"),
    ]
    verdicts = open_town.side.store.count(group)
    assert verdicts == [
        Counted.FIRST,
        Counted.DUPLICATE,
        Counted.FIRST,
        Counted.FIRST,
        Counted.FIRST,
        Counted.TOO_LATE,
        Counted.FIRST,
    ]
    assert open_town.counters() == {("genre", 3): (2, 0), ("genre", 5): (1, 0), ("viewing", 2): (1, 0)}
    assert open_town.accepted() == {"genre": 4, "viewing": 1}
    assert open_town.side.store.count([one(9, 2)]) == [Counted.DUPLICATE]
    assert open_town.counters()[("genre", 5)] == (1, 0)
