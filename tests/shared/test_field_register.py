import dataclasses
import re
import sqlite3

import msgspec
import pytest

from box_agent import migrations as box_migrations
from shared import anonymous, directory, named, totals
from shared.field_register import declared, declared_columns, places


def fields_of(form):
    if dataclasses.is_dataclass(form):
        return {field.name for field in dataclasses.fields(form)}
    tag = {form.__struct_config__.tag_field} - {None}
    return {field.encode_name for field in msgspec.structs.fields(form)} | tag


def structs_of(module):
    found = {
        name: form
        for name, form in vars(module).items()
        if isinstance(form, type)
        and issubclass(form, msgspec.Struct)
        and form.__module__ == module.__name__
        and not name.startswith("_")
    }
    return {name: fields_of(form) for name, form in found.items()}


def test_every_message_of_the_named_line_is_declared_field_by_field():
    assert {name: set(fields) for name, fields in declared_columns("named").items()} == structs_of(named)


def test_everything_that_travels_towards_analytics_is_declared_field_by_field():
    travels = structs_of(directory) | structs_of(totals) | {"Fragment": fields_of(anonymous.Fragment)}
    assert {name: set(fields) for name, fields in declared_columns("anonymous").items()} == travels


def test_every_table_of_the_box_is_declared_column_by_column(tmp_path):
    connection = sqlite3.connect(tmp_path / "box.sqlite", isolation_level=None)
    box_migrations.migrate(connection)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {
        name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        for name in names
        if not name.startswith(("sqlite_", "_sqlite_"))
    }
    connection.close()
    assert {name: set(fields) for name, fields in declared_columns("box").items()} == columns


@pytest.mark.parametrize("place", places())
def test_everything_declared_says_what_for_on_what_basis_and_how_long(place):
    for entry in declared(place).values():
        assert entry.purpose, entry.name
        assert entry.basis, entry.name
        assert entry.retention, entry.name
        assert entry.fields, entry.name
        assert not any("advert" in recipient for recipient in entry.recipients)


def test_nothing_that_travels_towards_analytics_names_a_box_an_account_or_a_title():
    telling = re.compile(r"^(box|account|serial|title|offer|public_key|address)(_id)?$")
    for place in ("analytics", "anonymous"):
        for entry in declared(place).values():
            assert not [name for name in entry.fields if telling.match(name)], f"{place}.{entry.name}"


def test_a_place_that_nobody_declared_is_empty():
    assert declared("advertisers") == {}
    assert declared_columns("advertisers") == {}
