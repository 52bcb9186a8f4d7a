"""The two schemas of a side are one: the same tables, the same columns in the same order."""

import pytest

from headend.analytics.engines import open_store as open_analytics
from headend.billing.engines import open_store as open_billing
from headend.billing.postgres import SCHEMA as BILLING
from headend.console.engines import open_store as open_console
from headend.kit.engine import ENGINE_COLUMNS
from headend.kit.postgres import connect
from headend.kit.postgres_schema import Schema, migrate
from tests import engines

OPEN = {
    "billing": open_billing,
    "analytics": open_analytics,
    "console": lambda place: open_console(place, simulated=False),
}


def shape(place):
    with engines.raw(place) as connection:
        return {
            table: [name for name in engines.columns_of(connection, table) if name not in ENGINE_COLUMNS]
            for table in engines.tables(connection)
        }


def test_an_older_database_on_a_server_gets_the_same_counts_of_boxes(server):
    place = engines.make("older_billing")
    try:
        with connect(place) as raw:
            migrate(raw, Schema("billing", BILLING.steps[:2], BILLING.partitioned))
            raw.execute("INSERT INTO accounts VALUES ('a', 'UTC', 'NL', '1', 'nl', NULL, 0)")
            for box, released in (("one", "NULL"), ("two", "NULL"), ("three", "5")):
                raw.execute(
                    f"INSERT INTO boxes VALUES ('{box}', '{box}', 'key', 'a', 1, 0, {released})".encode()
                )
        store = open_billing(place)
        assert store.read().agents() == [("", 2)]
        store.write(lambda tx: tx.hear("two", "1.4.0", 5))
        assert store.read().agents() == store.read().recount_agents() == [("", 1), ("1.4.0", 1)]
        store.close()
    finally:
        engines.drop(place)


@pytest.mark.parametrize("side", list(OPEN))
def test_both_engines_have_the_same_tables_with_the_same_columns_in_the_same_order(side, fresh, tmp_path):
    OPEN[side](tmp_path / "side.db").close()
    assert shape(fresh(side)) == shape(tmp_path / "side.db")
