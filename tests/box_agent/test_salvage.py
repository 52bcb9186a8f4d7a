import os
import random
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from box_agent import salvage as room
from box_agent.app import Agent
from box_agent.core import DAMAGED_COPY, STORE_NAME
from box_agent.salvage import NEW, salvage
from box_agent.starting import DAMAGED, Places, open_core
from box_agent.store import PAGE_SIZE, SCHEMA_VERSION, DamagedStoreError, NewerStoreError, Store
from shared.clock import to_ms
from tests.box_agent.fakes import YES, Bench, offer, sign_catalogue

ORDERS = 30


@pytest.fixture
def box(bench: Bench) -> Bench:
    """A box with orders that nobody has acknowledged, and with viewing."""
    bench.headend.catalogue = sign_catalogue(*(offer(f"film-{number}") for number in range(ORDERS)))
    bench.enrol()
    bench.consent()
    bench.headend.down = True
    for number in range(ORDERS):
        bench.agent.place_order(f"film-{number}", YES)
        bench.clock.advance(timedelta(minutes=1))
    bench.agent.close()
    return bench


def store(bench: Bench) -> Path:
    return bench.settings.state() / STORE_NAME


def places(bench: Bench) -> Places:
    state = bench.settings.state_dir
    return Places(state, f"{state}/agent.sock", str(bench.settings.consent_witness()))


def start(bench: Bench) -> Agent:
    core = open_core(places(bench), bench.clock)
    bench.agent = Agent(bench.settings, (bench.headend, bench.relay), bench.clock, core=core)
    return bench.agent


def page_of(bench: Bench, table: str) -> int:
    connection = sqlite3.connect(store(bench))
    found = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    return int(found)


def spoil(bench: Bench, page: int) -> None:
    with store(bench).open("r+b") as file:
        file.seek((page - 1) * PAGE_SIZE)
        file.write(b"\xa5" * PAGE_SIZE)


def test_a_file_that_is_no_database_any_more_is_an_alarm_and_a_new_start(box: Bench) -> None:
    store(box).write_bytes(b"flash memory gone" * 1000)
    agent = start(box)
    status = agent.status()["named"]
    assert status["alarms"] == ["identity-lost", "store-salvaged"]
    assert not status["enrolled"]
    assert not agent.consent().granted, "the two copies of the consent differ, so the refusal counts"
    assert (box.settings.state() / (STORE_NAME + DAMAGED_COPY)).exists(), "for whoever wants to look"


@pytest.mark.parametrize("table", ["viewing", "catalogue", "consent_log", "wallet", "outbox"])
def test_damage_elsewhere_costs_no_order(box: Bench, table: str) -> None:
    spoil(box, page_of(box, table))
    (box.settings.state() / DAMAGED).touch()
    agent = start(box)
    assert agent.status()["named"]["alarms"] == ["store-salvaged"]
    assert [order.seq for order in agent.orders()] == list(range(1, ORDERS + 1))
    box.headend.down = False
    box.clock.advance(timedelta(hours=12))
    agent.tick()
    assert len(box.headend.chain) == ORDERS
    assert not (box.settings.state() / DAMAGED).exists()


def test_orders_in_the_damaged_part_are_an_alarm_and_the_others_are_saved(box: Bench) -> None:
    connection = sqlite3.connect(store(box))
    leaves = (
        connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'chain' AND pagetype = 'leaf' ORDER BY path"
        ).fetchall()
        if _has_dbstat(connection)
        else []
    )
    connection.close()
    if not leaves:
        pytest.skip("this SQLite has no dbstat")
    spoil(box, leaves[len(leaves) // 2][0])
    (box.settings.state() / DAMAGED).touch()
    agent = start(box)
    assert agent.status()["named"]["alarms"] == ["orders-lost", "store-salvaged"]
    saved = agent._store.connection().execute("SELECT count(*) FROM chain").fetchone()[0]
    assert ORDERS - 3 <= saved < ORDERS


def _has_dbstat(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1 FROM dbstat LIMIT 1")
    except sqlite3.OperationalError:
        return False
    return True


def test_a_chain_whose_end_is_lost_goes_on_from_its_last_message(box: Bench) -> None:
    spoil(box, page_of(box, "head"))
    (box.settings.state() / DAMAGED).touch()
    agent = start(box)
    box.headend.down = False
    box.clock.advance(timedelta(hours=12))
    agent.tick()
    assert len(box.headend.chain) == ORDERS
    again = agent.place_order("film-0", YES)
    assert again.repeated or again.seq == ORDERS + 1
    assert agent.status()["named"]["last_seq"] == ORDERS


def test_a_box_whose_chain_is_lost_whole_has_to_be_enrolled_anew(box: Bench) -> None:
    connection = sqlite3.connect(store(box))
    connection.execute("DELETE FROM head")
    connection.execute("DELETE FROM chain")
    connection.commit()
    connection.close()
    (box.settings.state() / DAMAGED).touch()
    status = start(box).status()["named"]
    assert (status["enrolled"], status["alarms"]) == (False, ["chain-lost", "store-salvaged"])


def test_the_damaged_copy_goes_when_the_viewing_in_it_would_have_gone(box: Bench) -> None:
    spoil(box, page_of(box, "wallet"))
    (box.settings.state() / DAMAGED).touch()
    agent = start(box)
    copy = box.settings.state() / (STORE_NAME + DAMAGED_COPY)
    written = to_ms(box.clock.now()) / 1000
    os.utime(copy, (written, written))
    for days, kept in ((14, True), (2, False)):
        box.clock.advance(timedelta(days=days))
        agent.tick()
        assert copy.exists() == kept


def test_damage_that_is_met_later_is_told_by_its_name(box: Bench) -> None:
    spoil(box, page_of(box, "orders"))
    agent = start(box)
    with pytest.raises(DamagedStoreError):
        agent.orders()


@pytest.mark.parametrize("cut", ["before it is filled", "while it is filled", "after the old one is moved"])
def test_salvage_that_was_cut_short_is_taken_up_again(
    box: Bench, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    class CutError(Exception):
        pass

    def stop(*_args: object) -> None:
        raise CutError

    state = box.settings.state_dir
    with monkeypatch.context() as patched:
        if cut == "before it is filled":
            patched.setattr(room, "_fill_new", stop)
        elif cut == "while it is filled":
            patched.setattr(room, "_chain_faults", stop)
        else:
            replace, calls = Path.replace, []

            def second_fails(self: Path, target: object) -> object:
                calls.append(target)
                if self.name.endswith(NEW):
                    stop()
                return replace(self, target)

            patched.setattr(Path, "replace", second_fails)
        with pytest.raises(CutError):
            salvage(state, box.clock.now())
    assert len(start(box).orders()) == ORDERS
    assert not (box.settings.state() / DAMAGED).exists()


def test_a_damaged_store_of_a_newer_agent_is_left_alone(box: Bench) -> None:
    connection = Store(store(box)).connection()
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = store(box).read_bytes()
    with pytest.raises(NewerStoreError):
        salvage(box.settings.state_dir, box.clock.now())
    assert store(box).read_bytes() == before


def test_bytes_that_change_at_random_never_pass_in_silence(box: Bench) -> None:
    """Either nothing is missing, or an alarm or a typed error says so; never anything else."""
    chance = random.Random(5)  # noqa: S311 (seeded, to be the same each time)
    whole = {path: path.read_bytes() for path in box.settings.state().iterdir() if path.is_file()}
    told = set()
    for _ in range(60):
        for path in box.settings.state().iterdir():
            if path.is_file():
                path.unlink()
        for path, content in whole.items():
            path.write_bytes(content)
        pages = len(whole[store(box)]) // PAGE_SIZE
        for page in chance.sample(range(1, pages + 1), 3):
            spoil(box, page)
        try:
            agent = start(box)
            found = agent.status()["named"]
            orders = len(agent.orders())
            chain = agent._store.connection().execute("SELECT count(*) FROM chain").fetchone()[0]
            agent.close()
        except (DamagedStoreError, sqlite3.DatabaseError) as error:
            told.add(type(error).__name__)
            (box.settings.state() / DAMAGED).touch()
            agent = start(box)
            found, orders = agent.status()["named"], len(agent.orders())
            chain = agent._store.connection().execute("SELECT count(*) FROM chain").fetchone()[0]
            agent.close()
        assert (orders, chain) == (ORDERS, ORDERS) or found["alarms"], "something is missing in silence"
        told |= set(found["alarms"])
    assert told >= {"store-salvaged", "orders-lost"}
