"""The stores behind pgbouncer, which hands each transaction to whichever of its few connections is free."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from headend.analytics.postgres import PostgresStore
from headend.analytics.store import Contribution, Counted, StoredDirectory
from headend.billing import orders
from headend.billing.catalogue import publish_catalogue
from headend.billing.postgres import PostgresBilling
from headend.billing.rows import OrderState
from shared.weeks import Week
from tests import engines
from tests.builders import CATALOGUE_KEY, NOW_MS, SigningBox, account, offer
from tests.campaigns import books
from tests.contracts.pooler import PROGRAM, pooled, through
from tests.contracts.recorded import replay, rows

WEEK = Week(2026, 41)


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory):
    if PROGRAM is None:
        if os.environ.get("CI"):
            pytest.fail("pgbouncer is missing")
        pytest.skip("no pgbouncer on this machine")
    made = tmp_path_factory.mktemp("pgbouncer")
    with pooled(made, size=4):
        yield made


@pytest.fixture
def pool(folder, fresh):
    """Makes databases; gives their addresses by way of the pooler."""
    return lambda side: through(folder, fresh(side))


def test_a_pooler_is_known_by_its_process_number_and_nothing_is_prepared_there(pool, fresh):
    with engines.raw(pool("billing")) as connection:
        assert connection.raw.prepare_threshold is None
    with engines.raw(fresh("billing")) as connection:
        assert connection.raw.prepare_threshold is not None


def test_the_year_of_billing_answers_the_same_by_way_of_the_pooler(life, pool):
    store = PostgresBilling(pool("billing"))
    replay(life.turns, store)
    assert rows(store) == rows(life.over)
    store.close()


def test_two_nodes_write_at_once_by_way_of_the_pooler(pool):
    url = pool("billing")
    nodes = [PostgresBilling(url), PostgresBilling(url)]
    nodes[0].write(lambda tx: tx.add_account(account()))
    nodes[0].write(lambda tx: publish_catalogue(tx, [offer()], CATALOGUE_KEY, NOW_MS, []))
    boxes = [SigningBox(nodes[0], serial=f"SN-{number}").enrolled() for number in range(4)]
    said = [[box.order() for _ in range(6)] for box in boxes]

    def send(number):
        for end in range(1, 7):
            orders.take(nodes[number % 2], said[number // 2][:end], NOW_MS)
            nodes[number % 2].write(lambda tx, end=end: tx.add_tally({f"{number}": end}))

    with ThreadPoolExecutor(8) as pool_:
        list(pool_.map(send, range(8)))
    books.check(nodes[0])
    assert nodes[1].read().order_totals()[OrderState.ZERO_RATED][0] == 4 * 6 - 1
    with nodes[0].turn() as mine, nodes[1].turn() as theirs:
        assert (mine, theirs) == (True, False)
    for node in nodes:
        node.close()
    nothing_stays(url)


def test_fragments_are_counted_by_way_of_the_pooler(pool):
    url = pool("analytics")
    stores = [PostgresStore(url), PostgresStore(url)]
    stores[0].accept_directory(StoredDirectory(WEEK, b"e", b"{}", "d" * 64))

    def count(number):
        return stores[number % 2].count(
            [Contribution(WEEK, "genre", cell, 1, 0, bytes([number, cell]) * 16) for cell in range(1, 9)]
        )

    with ThreadPoolExecutor(8) as pool_:
        assert list(pool_.map(count, range(16))) == [[Counted.FIRST] * 8] * 16
    assert [one.amount for one in stores[0].at_release_desk(lambda desk: desk.counters(WEEK))] == [16] * 8
    for store in stores:
        store.close()
    nothing_stays(url)


def nothing_stays(url):
    """What the next transaction finds on any connection of the pool: nothing that another left."""
    left = (
        "SELECT (SELECT count(*) FROM pg_prepared_statements), "
        "(SELECT count(*) FROM pg_cursors WHERE is_holdable), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), current_setting('statement_timeout')"
    )
    for _ in range(12):
        with engines.raw(url) as connection:
            assert connection.execute(left).fetchone() == (0, 0, 0, "0")
