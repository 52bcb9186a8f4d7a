"""Several writers on one PostgreSQL database, each with a store of its own, as nodes of a headend have."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import psycopg
import pytest

from headend.analytics.postgres import PostgresStore
from headend.analytics.store import Contribution, Counted, StoredDirectory, WeekState
from headend.billing import accounts, orders
from headend.billing import credits as corrections
from headend.billing.catalogue import publish_catalogue
from headend.billing.invoices import raise_month
from headend.billing.ledger import Amounts, Draft
from headend.billing.postgres import PostgresBilling
from headend.billing.reconcile import reconcile
from headend.billing.rows import Alarm, OrderState
from headend.kit.postgres import connect
from headend.kit.storage import StorageError
from shared.weeks import Month, Week
from tests import engines
from tests.builders import CATALOGUE_KEY, DAY, NOW_MS, SigningBox, account, offer
from tests.campaigns import books

WEEK = Week(2026, 41)
BOXES, ORDERS = 3, 8


@pytest.fixture
def nodes(fresh):
    """Two stores of billing on one database with an account, an offer and a few boxes."""
    url = fresh("billing")
    found = [PostgresBilling(url), PostgresBilling(url)]
    found[0].write(lambda tx: tx.add_account(account()))
    found[0].write(lambda tx: publish_catalogue(tx, [offer()], CATALOGUE_KEY, NOW_MS, []))
    yield found
    for node in found:
        node.close()


def deadlocks(store):
    """How many deadlocks the server has met in this database."""
    with engines.raw(engines.where(store)) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        return connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()[0]


def all_at_once(works):
    """Run each work in a thread of its own, all from the same moment; gives their answers."""
    ready = threading.Barrier(len(works))

    def run(work):
        ready.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [done.result() for done in [pool.submit(run, work) for work in works]]


def test_two_nodes_take_the_same_boxes_orders_and_nothing_is_lost_or_taken_twice(nodes):
    """Each box's orders go to both nodes, in pieces, some twice: as behind a balancer that repeats."""
    boxes = [SigningBox(nodes[0], serial=f"SN-{number}").enrolled() for number in range(BOXES)]
    said = {box.box: [box.order() for _ in range(ORDERS)] for box in boxes}

    def send(node, box, seed):
        rng = random.Random(seed)  # noqa: S311 (the same pieces every time)
        for _ in range(ORDERS):
            start = rng.randrange(ORDERS)
            orders.take(node, said[box.box][start : start + 4], NOW_MS)
        return orders.take(node, said[box.box], NOW_MS).ack

    works = [
        lambda node=node, box=box, seed=seed: send(node, box, seed)
        for seed, (box, node) in enumerate((box, node) for box in boxes for node in nodes)
    ]
    assert all_at_once(works) == [ORDERS] * len(works)
    books.check(nodes[0])
    assert nodes[1].read().order_totals()[OrderState.RATED][0] == 1, "one window was opened once"
    assert nodes[1].read().order_totals()[OrderState.ZERO_RATED][0] == BOXES * ORDERS - 1
    assert reconcile(nodes[1].read()).received == BOXES * ORDERS


def test_two_nodes_whose_deliveries_credit_one_bill_credit_it_exactly(nodes, monkeypatch):
    """Each waits for the other when it has drafted its note: if both can, both started from the same bill."""
    boxes = [SigningBox(node, serial=f"SN-{number}").enrolled() for number, node in enumerate(nodes)]
    sold = [offer(f"film-{number}", version=2, price_cents=99) for number in range(3)]
    nodes[0].write(lambda tx: publish_catalogue(tx, sold, CATALOGUE_KEY, NOW_MS, []))
    for number, one in enumerate(sold):
        box = boxes[number % 2]
        box.submit(box.order(one.offer, offer_version=2, price_cents=99))
    later = NOW_MS + 30 * DAY
    raise_month(nodes[0], Month(2026, 10), later)
    drafted, draft_note = threading.Barrier(2), corrections.draft_note

    def meet(*asked):
        note = draft_note(*asked)
        with suppress(threading.BrokenBarrierError):
            drafted.wait(1)
        return note

    monkeypatch.setattr(corrections, "draft_note", meet)
    all_at_once([lambda box=box: box.submit(box.delivery(1, "failed"), now_ms=later) for box in boxes])
    look = nodes[0].read()
    (bill,) = [one for one in look.invoices(None, 9) if one.kind == "invoice"]
    assert [note.gross for note in look.notes_of(bill.number)] == [99, 99]
    books.check(nodes[0])


def post(ref, cents):
    return Draft(
        "usage", "acc-1", ref, "2026-10", "", "EUR", 0, "p", NOW_MS, Amounts(unbilled=cents, usage=-cents)
    )


def test_entries_of_two_nodes_get_one_row_of_numbers_and_one_chain(nodes):
    def work(node, number):
        for n in range(10):
            node.write_beside(lambda tx, n=n: tx.post(post(f"{number}-{n}", 1)))
            node.write(lambda tx, n=n: tx.add_audit(NOW_MS, "erin", "did", f"{number}-{n}", ""))

    all_at_once([lambda node=nodes[n % 2], n=n: work(node, n) for n in range(8)])
    look = nodes[0].read()
    assert look.last_entry()[0] == 80
    assert look.ledger_totals(1, None)["unbilled"] == 80
    with engines.raw(engines.where(nodes[0])) as connection:
        books.check_ledger(connection)
    lines = list(look.audit_chain())
    assert [line.line for line in lines] == list(range(1, len(lines) + 1))


def test_what_fails_at_the_end_of_a_transaction_takes_no_other_with_it(nodes):
    """Two entries under one reference meet only when the group's entries are numbered."""
    node = nodes[0]
    held = threading.Event()

    def hold(tx):
        held.wait(10)

    def work(ref):
        try:
            node.write_beside(lambda tx: tx.post(post(ref, 5)))
        except Exception as error:  # noqa: BLE001 (its kind is what is looked at)
            return type(error).__name__
        return "stored"

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(node.write_beside, hold)  # while it is held, the others gather into one group
        rest = [pool.submit(work, ref) for ref in ("a", "b", "twin", "c", "twin", "d")]
        while len(node.storage._beside._waiting) < len(rest):
            pass
        held.set()
        first.result()
        said = sorted(one.result() for one in rest)
    assert said == ["UniqueViolation", *["stored"] * 5]
    assert node.read().ledger_totals(1, None)["unbilled"] == 25
    with engines.raw(engines.where(node)) as connection:
        books.check_ledger(connection)


@pytest.mark.parametrize("kind", ["write", "write_beside"])
def test_a_connection_that_is_cut_before_the_commit_is_made_anew_and_the_work_is_done_once(nodes, kind):
    node, tries = nodes[0], []

    def work(tx):
        tries.append(tx)
        tx.post(post("once", 7))
        if len(tries) == 1:
            engines.cut(engines.where(node))
            tx.stamp("a question", "that the dead connection cannot be asked")

    getattr(node, kind)(work)
    assert len(tries) == 2
    assert node.read().ledger_totals(1, None)["unbilled"] == 7


class CutAtTheEnd:
    """A connection that is lost after the server has committed, and before it could say so."""

    def __init__(self, raw):
        self.raw = raw

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def execute(self, sql, *values):
        found = self.raw.execute(sql, *values)
        if sql == "COMMIT":
            self.raw.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return found


def lose_the_next_commit(storage):
    storage._drop_writer(alone=False)
    storage._writers[False] = CutAtTheEnd(connect(storage.url))


def test_a_commit_whose_answer_is_lost_is_told_and_asking_again_does_not_double_it(nodes):
    """Whether it was stored cannot be known, so nothing is repeated; what comes again is known."""
    node, tries = nodes[0], []
    box = SigningBox(node).enrolled()
    envelope = box.order()
    lose_the_next_commit(node.storage)
    with pytest.raises(StorageError):
        orders.take(node, [envelope], NOW_MS)
    assert orders.take(node, [envelope], NOW_MS).ack == 1
    assert node.read().last_entry()[0] == 1
    lose_the_next_commit(node.storage)
    with pytest.raises(StorageError):
        node.write_beside(lambda tx: tries.append(tx.post(post("once", 7))))
    assert len(tries) == 1


def test_a_group_whose_commit_is_lost_is_not_done_again_either(nodes):
    storage, tries = nodes[0].storage, []
    lose_the_next_commit(storage)
    with pytest.raises(StorageError):
        storage._group([lambda _, name=name: tries.append(name) for name in ("one", "two")], alone=False)
    assert tries == ["one", "two"]


@pytest.fixture
def gateways(fresh):
    """Two stores of analytics on one database, with a week that is open."""
    url = fresh("analytics")
    found = [PostgresStore(url), PostgresStore(url)]
    found[0].accept_directory(StoredDirectory(WEEK, b"e", b"{}", "d" * 64))
    yield found
    for store in found:
        store.close()


def fragments(seed, nonces=None):
    """A group of fragments, most of them in a few cells."""
    rng = random.Random(seed)  # noqa: S311 (the same fragments every time)
    nonces = nonces or [rng.randbytes(32) for _ in range(60)]
    return [Contribution(WEEK, rng.choice("abc"), rng.randrange(1, 9), 1, 2, nonce) for nonce in nonces]


def counted(gateways):
    cells = gateways[0].at_release_desk(lambda desk: desk.counters(WEEK))
    return sum(one.amount for one in cells), sum(one.rest for one in cells)


def test_counters_of_overlapping_cells_add_up_from_many_threads_without_a_deadlock(gateways, caplog):
    caplog.set_level("INFO", "headend.kit.postgres")

    def work(number):
        return [v for n in range(12) for v in gateways[number % 2].count(fragments(100 * number + n))]

    verdicts = list(chain(*all_at_once([lambda n=n: work(n) for n in range(8)])))
    assert verdicts == [Counted.FIRST] * (8 * 12 * 60)
    assert sum(one.count for one in gateways[1].accepted()) == len(verdicts)
    assert counted(gateways) == (len(verdicts), 2 * len(verdicts))
    assert deadlocks(gateways[0]) == 0
    assert "done again" not in caplog.text  # the server tells of its deadlocks late


class Told:
    """A transaction that says what it is asked."""

    def __init__(self, connection, told):
        self.connection, self.told = connection, told

    def execute(self, sql, values=()):
        self.told.append((sql, values))
        return self.connection.execute(sql, values)


def test_a_group_is_one_statement_a_table_with_rows_in_the_order_of_their_key(gateways):
    """Two groups that touch the same rows then wait for each other, and never in a circle."""
    told = []
    gateways[0].storage.write(lambda connection: gateways[0]._count(Told(connection, told), fragments(1)))
    tables = [sql.split()[2] for sql, _ in told if sql.startswith("INSERT")]
    assert tables == ["spent", "accepted", "counters"]
    for sql, columns in told:
        if sql.startswith("INSERT"):
            keys = list(zip(*columns[: 3 if "counters" in sql else 2], strict=True))
            assert keys == sorted(keys)
            assert len(keys) == len(set(keys)) > 1


def test_a_token_that_is_shown_to_two_nodes_at_once_is_spent_once(gateways):
    nonces = [bytes([number]) * 32 for number in range(40)]
    works = [lambda n=n: gateways[n % 2].count(fragments(n, nonces)) for n in range(8)]
    verdicts = list(chain(*all_at_once(works)))
    assert verdicts.count(Counted.FIRST) == 40
    assert verdicts.count(Counted.DUPLICATE) == 7 * 40
    assert counted(gateways) == (40, 80)


def parts(place):
    with engines.raw(place) as connection:
        found = connection.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
        return {row[0] for row in found}


def test_a_week_s_parts_appear_with_its_directory_and_are_dropped_when_it_is_forgotten(fresh):
    store = PostgresStore(fresh("analytics"))
    for week in (WEEK, WEEK.plus(1)):
        store.accept_directory(StoredDirectory(week, b"e", b"{}", "d" * 64))
    later = {"spent_2026_w42", "counters_2026_w42"}
    assert parts(store.storage.url) == {"spent_2026_w41", "counters_2026_w41"} | later
    store.count([Contribution(WEEK, "genre", 1, 1, 0, bytes(32))])
    store.at_release_desk(lambda desk: desk.finish(WEEK, WeekState.RELEASED, 0))
    store.forget(WEEK, 1)
    assert parts(store.storage.url) == later
    store.close()


def test_who_reported_and_what_was_signed_has_a_part_a_week_that_is_dropped(nodes):
    week, place = "2026-W41", engines.where(nodes[0])
    nodes[0].write(lambda tx: tx.draw_reporting(week, {"acc-1": "bx"}))
    nodes[1].write_beside(lambda tx: tx.add_grant(week, "acc-1", "genre", "r", b"s"))
    assert parts(place) == {"reporting_2026_w41", "grants_2026_w41"}
    nodes[0].write(lambda tx: tx.forget_tokens(week, 1))
    assert parts(place) == set()


def test_a_part_that_was_made_in_a_transaction_that_failed_is_made_again(nodes):
    def draw(tx, *, fails):
        for number in range(3):
            tx.draw_reporting("2026-W41", {f"acc-{number}": "bx"})
        if fails:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        nodes[0].write(lambda tx: draw(tx, fails=True))
    nodes[0].write(lambda tx: draw(tx, fails=False))
    assert nodes[0].read().issued("2026-W41")[0] == 3


def test_threads_that_end_leave_their_connections_to_those_that_begin(nodes):
    for _ in range(20):
        thread = threading.Thread(target=nodes[0].read().tally)
        thread.start()
        thread.join()
        thread = threading.Thread(target=lambda: nodes[0].read().tally())
        thread.start()
        thread.join()
    assert len(nodes[0].storage._looks) <= 3


def test_a_look_comes_back_after_the_server_has_been_away(nodes):
    look = nodes[0].read()
    before = look.tally()
    engines.cut(engines.where(nodes[0]))
    assert look.tally() == before


def test_alarms_of_two_nodes_are_raised_once(nodes):
    alarm = Alarm("fork", "bx", "", "epoch 1, seq 2", NOW_MS)
    works = [
        lambda node=nodes[n % 2]: node.write_beside(lambda tx: tx.raise_alarm(alarm, None)) for n in range(8)
    ]
    assert sorted(all_at_once(works)) == [False] * 7 + [True]


def test_one_code_enrols_one_box_on_whichever_node(nodes):
    code = nodes[0].write(lambda tx: accounts.add_code(tx, "acc-1", None, NOW_MS, bytes))
    box = SigningBox(nodes[0])
    envelope = box.enrolment(code)
    works = [lambda node=nodes[n % 2]: accounts.enrol(node, envelope, NOW_MS, bytes).box for n in range(4)]
    assert len(set(all_at_once(works))) == 1
