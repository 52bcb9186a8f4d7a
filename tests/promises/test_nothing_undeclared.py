"""What the register does not declare cannot be recorded on the box, sent, or stored."""

import json

import msgspec
import pytest
from sqlite_utils.migrations import Migrations

from box_agent.events import BadEventError, read_event
from headend.analytics.intake import Refusal
from headend.app import open_headend
from headend.installation import Installation
from headend.kit.storage import UndeclaredColumnError, migrate
from shared import directory, named, totals
from shared.anonymous import Fragment
from shared.directory import BadDirectoryError, describe
from shared.register import Grid, UndeclaredError, profile, profile_names
from tests import engines
from tests.builders import SETTINGS
from tests.headend.analytics.builders import WEEK, fragment_request, make_town, over, token

pytestmark = pytest.mark.promise

SIDES = ("billing", "analytics", "console")


@pytest.fixture
def installation(tmp_path):
    made = Installation.create(tmp_path / "headend", SETTINGS)
    open_headend(made).close()
    return made


@pytest.fixture
def town(tmp_path):
    made = make_town(tmp_path)
    made.publish()
    made.clock.advance_to(over())
    yield made
    made.side.close()


# --- recorded


@pytest.mark.parametrize(
    "more",
    [
        {"title": "A Film"},
        {"channel": "One"},
        {"account": "acc-1"},
        {"item": {"kind": "live", "title": "A Film"}},
    ],
    ids=str,
)
def test_the_box_records_no_field_that_is_not_declared(more):
    event = {"event": "play", "item": {"kind": "live", "genre": "news"}}
    read_event(json.dumps(event).encode())
    with pytest.raises(BadEventError):
        read_event(json.dumps({**event, **more}).encode())


def test_the_box_records_no_genre_that_is_not_listed():
    with pytest.raises(BadEventError):
        read_event(b'{"event":"play","item":{"kind":"live","genre":"adult"}}')


# --- sent


def messages():
    for module in (named, directory, totals):
        for name, form in vars(module).items():
            if (
                isinstance(form, type)
                and issubclass(form, msgspec.Struct)
                and form.__module__ == module.__name__
            ):
                yield name, form


def test_every_message_but_the_lenient_head_refuses_fields_that_are_not_declared():
    lenient = {name for name, form in messages() if not form.__struct_config__.forbid_unknown_fields}
    assert lenient == {"ChainHead"}


def test_a_fragment_has_no_room_for_anything_else():
    assert [len(Fragment(1, WEEK, cell, 1).encode()) for cell in (0, 1, 65_535)] == [8, 8, 8]


def test_a_box_refuses_a_week_that_takes_an_undeclared_measure(town):
    said = directory.read_directory(town.side.store.directory(WEEK).payload, WEEK)
    one = said.measures[0]
    for more in (
        msgspec.structs.replace(one, name="titles", number=9),
        msgspec.structs.replace(one, grid=["genre", "account"]),
        msgspec.structs.replace(one, quota=one.quota + 1),
    ):
        for measures in ([*said.measures, more], [more, *said.measures[1:]]):
            with pytest.raises(BadDirectoryError):
                msgspec.structs.replace(said, measures=measures).taken()


def test_a_measure_a_dimension_and_a_cell_that_are_not_declared_do_not_exist():
    with pytest.raises(UndeclaredError):
        profile("small").measure("titles")
    for name in profile_names():
        for measure in profile(name).measures:
            with pytest.raises(UndeclaredError):
                Grid(measure, ("north",)).values(Grid(measure, ("north",)).size + 1)
            assert describe(profile(name))


@pytest.mark.parametrize(
    ("fragment", "reason"),
    [
        (Fragment(1, WEEK, 12, 1), Refusal.CELL),
        (Fragment(1, WEEK, 65_535, 1), Refusal.CELL),
        (Fragment(1, WEEK, 3, 2), Refusal.VALUE),
        (Fragment(9, WEEK, 3, 1), Refusal.OTHER_MEASURE),
    ],
    ids=["first-cell-outside", "last-number", "value", "measure"],
)
def test_analytics_counts_no_cell_value_or_measure_that_is_not_declared(town, fragment, reason):
    before = town.rows()
    answer = town.send(fragment_request(fragment, token("genre")))
    assert (answer.status // 100, answer.body) == (4, reason.value.encode())
    assert town.rows() == before


# --- stored


@pytest.mark.parametrize("side", SIDES)
def test_a_database_with_an_undeclared_column_is_not_opened(installation, side):
    table = {"billing": "orders", "analytics": "counters", "console": "operators"}[side]
    with engines.raw(installation.place(side)) as connection:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN seen_by_advertiser TEXT")
    with pytest.raises(UndeclaredColumnError, match=f"{side}.{table}: seen_by_advertiser"):
        open_headend(installation)


@pytest.mark.parametrize("side", SIDES)
def test_a_database_with_an_undeclared_table_is_not_opened(tmp_path, side):
    extra = Migrations(side)

    @extra()
    def profiles(database):
        database.execute("CREATE TABLE viewers (account TEXT, genre TEXT) STRICT")

    with pytest.raises(UndeclaredColumnError, match=f"{side}.viewers"):
        migrate(tmp_path / "side.db", extra)
