"""The two schemas of a side are one: the same tables, the same columns in the same order."""

import pytest

from headend.analytics.engines import open_store as open_analytics
from headend.billing.engines import open_store as open_billing
from headend.console.engines import open_store as open_console
from headend.kit.engine import ENGINE_COLUMNS
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


@pytest.mark.parametrize("side", list(OPEN))
def test_both_engines_have_the_same_tables_with_the_same_columns_in_the_same_order(side, fresh, tmp_path):
    OPEN[side](tmp_path / "side.db").close()
    assert shape(fresh(side)) == shape(tmp_path / "side.db")
