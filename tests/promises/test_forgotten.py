"""What was counted is forgotten: after a week's release no counter, spent token or key of it stands."""

import pytest

from headend.installation import Installation
from headend.kit.jobs import Jobs
from tests import engines
from tests.headend.analytics.builders import closed, over, working_town

pytestmark = [pytest.mark.promise, pytest.mark.journey]

WEEK = "2026-W41"


def rows(town, table):
    with engines.raw(Installation(town.folder).place("analytics")) as database:
        return database.execute(f"SELECT count(*) FROM {table} WHERE week = ?", (WEEK,)).fetchone()[0]


def test_the_week_was_released_and_its_counters_and_spent_tokens_are_gone(town):
    assert rows(town, "releases") == 1
    assert rows(town, "counters") == 0
    assert rows(town, "spent") == 0


@pytest.mark.sqlite(why="a server sweeps by itself, and its log is its own")
def test_no_byte_of_a_spent_token_and_no_older_page_stands_in_any_file_after_the_release(tmp_path):
    town = working_town(tmp_path)
    town.publish()
    town.hand_totals()
    town.clock.advance_to(over())
    for cell in (1, 2, 2, 0):
        town.send_genre(cell)
    nonces = [bytes(row[1]) for row in town.rows()["spent"]]
    files = [town.setup.database.with_name(town.setup.database.name + end) for end in ("", "-wal")]
    assert len(nonces) == 4
    assert any(nonce in path.read_bytes() for nonce in nonces for path in files)
    town.clock.advance_to(closed())
    assert Jobs(town.side.side.jobs, town.clock).run_due() == 2
    assert not any(nonce in path.read_bytes() for nonce in nonces for path in files)
    assert files[1].stat().st_size == 0, "the log held the counters as they were after each fragment"
    town.side.close()


def test_what_was_sealed_for_the_week_can_be_opened_by_nobody_any_more(town):
    keys = town.folder / "keys" / "analytics"
    assert not list(keys.glob(f"ohttp-{WEEK}*"))
    assert list(keys.glob("ohttp-2026-W42*")), "the next week's stands, since it is still open"


def test_no_table_of_analytics_has_a_row_for_each_fragment(town):
    with engines.raw(Installation(town.folder).place("analytics")) as database:
        columns = set().union(*engines.columns(database).values())
    assert not columns & {"address", "ip", "box", "account", "received_ms", "arrived_ms", "body"}
