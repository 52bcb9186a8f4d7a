from pathlib import Path
from typing import Any

import pytest

from headend.analytics import sql
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
from tests import engines
from tests.headend.analytics.builders import WEEK, Town, closed, make_town, over


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
    ["UPDATE {0} SET week = week", "DELETE FROM {0}", engines.OVERWRITE],
)
def test_what_is_append_only_cannot_be_changed_by_anybody(town: Town, table: str, attack: str) -> None:
    ready_town(town).side.release(WEEK)
    before = town.rows()
    with (
        engines.raw(town.setup.database) as connection,
        pytest.raises(engines.REFUSED, match="append-only"),
    ):
        connection.execute(attack.format(table))
    assert town.rows() == before


def test_every_table_is_declared_with_exactly_its_columns(town: Town) -> None:
    assert engines.columns(town.side.store.storage.read()) == {
        name: set(entry.fields) for name, entry in declared("analytics").items()
    }


def test_a_database_of_another_installation_is_refused(town: Town, tmp_path: Path) -> None:
    for change in ({"simulated": False}, {"first_week": WEEK.plus(1)}):
        with pytest.raises(WrongInstallationError):
            make_town(tmp_path, database=town.setup.database, **change)


def test_the_same_installation_opens_again(town: Town, tmp_path: Path) -> None:
    town.publish()
    again = make_town(tmp_path, database=town.setup.database)
    assert again.side.store.directory(WEEK) == town.side.store.directory(WEEK)
    again.side.close()


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


@pytest.mark.sqlite(why="what is left in its file")
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
        SqlDesk(connection).drop_nonces(WEEK, 9)
        SqlDesk(connection).drop_counters(WEEK)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert nonce not in open_town.setup.database.read_bytes()


def test_a_done_week_keeps_neither_nonce_nor_counter(town: Town) -> None:
    ready_town(town).side.release(WEEK)
    assert town.rows()["spent"]
    town.side.store.forget(WEEK, 1)
    assert (town.rows()["spent"], town.rows()["counters"]) == ([], [])


def test_a_week_is_forgotten_some_nonces_at_a_time_and_recorded_with_the_last(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready_town(town).side.release(WEEK)
    store, left = town.side.store, []
    with engines.raw(engines.where(store)) as db:
        for number in range(5):
            db.execute("INSERT INTO spent (week, nonce) VALUES (?, ?)", (str(WEEK), bytes([number] * 32)))
    known, write = len(town.rows()["spent"]), store.storage.write

    def watched(work: Any) -> Any:
        found = write(work)
        left.append((len(town.rows()["spent"]), store.last_done("prune")))
        return found

    monkeypatch.setattr(sql, "AT_A_TIME", 2)
    monkeypatch.setattr(store.storage, "write", watched)
    store.forget(WEEK, 1)
    if engines.OVER_POSTGRES:  # a part goes as a whole
        assert left == [(0, WEEK)]
    else:
        steps = range(known - 2, 0, -2)
        assert left == [*((rest, None) for rest in steps), (0, WEEK)]


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
