"""What was counted is forgotten: after a week's release no counter, spent token or key of it stands."""

import pytest

from headend.installation import Installation
from tests import engines

pytestmark = [pytest.mark.promise, pytest.mark.journey]

WEEK = "2026-W41"


def rows(town, table):
    with engines.raw(Installation(town.folder).place("analytics")) as database:
        return database.execute(f"SELECT count(*) FROM {table} WHERE week = ?", (WEEK,)).fetchone()[0]


def test_the_week_was_released_and_its_counters_and_spent_tokens_are_gone(town):
    assert rows(town, "releases") == 1
    assert rows(town, "counters") == 0
    assert rows(town, "spent") == 0


def test_what_was_sealed_for_the_week_can_be_opened_by_nobody_any_more(town):
    keys = town.folder / "keys" / "analytics"
    assert not list(keys.glob(f"ohttp-{WEEK}*"))
    assert list(keys.glob("ohttp-2026-W42*")), "the next week's stands, since it is still open"


def test_no_table_of_analytics_has_a_row_for_each_fragment(town):
    with engines.raw(Installation(town.folder).place("analytics")) as database:
        columns = set().union(*engines.columns(database).values())
    assert not columns & {"address", "ip", "box", "account", "received_ms", "arrived_ms", "body"}
