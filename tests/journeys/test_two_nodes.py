"""Two real nodes on one PostgreSQL take a town's orders while one dies, or the database cuts them off."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import psycopg
import pytest
import requests

from headend.app import open_headend
from headend.billing.catalogue import publish_catalogue
from headend.billing.reconcile import reconcile, recounted
from headend.installation import Installation
from shared.clock import to_ms
from shared.named import Submission, encode
from shared.system_clock import ClockSteerer
from shared.weeks import Week
from simulator.processes import Headend, wait_until
from tests import engines
from tests.builders import CATALOGUE_KEY, SETTINGS, SigningBox, account, offer
from tests.deploy.nginx import Nginx
from tests.deploy.stages import Certificates, lay_out_gateway

pytestmark = pytest.mark.journey

WEEK = Week(2026, 41)
START = datetime(2026, 10, 2, 12, tzinfo=UTC)
BOXES = 12
FILMS = 250
"""As many as a box can order in a test: each order is of another film, so each is paid."""


class Line(threading.Thread):
    """One box that orders, one after another, at whichever node answers; each until it is acknowledged."""

    def __init__(self, box, urls, at_ms, first, ca_file=None):
        super().__init__()
        self.ca_file = ca_file
        self.box, self.urls, self.at_ms, self.first = box, urls, at_ms, first
        self.enough = threading.Event()
        self.acknowledged = 0
        self.refused: Counter = Counter()

    def run(self):
        with requests.Session() as http:
            http.trust_env, http.verify = False, self.ca_file or True
            for number in range(self.first, self.first + FILMS):
                if self.enough.is_set():
                    return
                self.order(http, self.box.order(f"film-{number}", at_ms=self.at_ms))

    def order(self, http, envelope):
        body = encode(Submission(envelopes=[msgspec.Raw(envelope)]))
        for turn in range(2_000):
            url = self.urls[(turn + self.box.seq) % len(self.urls)]
            try:
                answer = http.post(
                    f"{url}/billing/v1/chain",
                    data=body,
                    headers={"content-type": "application/json"},
                    timeout=10,
                )
            except requests.RequestException:
                self.refused["no answer"] += 1
            else:
                if answer.ok:
                    self.acknowledged = answer.json()["ack"]
                    return
                self.refused[answer.status_code] += 1
            threading.Event().wait(0.02)
        raise AssertionError("never acknowledged")


class Place:
    """A PostgreSQL of its own, an installation on it, and two nodes that serve it."""

    def __init__(self, folder, urls=None):
        self.clock = ClockSteerer(folder / "clock", START)
        self.urls = urls or {side: engines.fresh(side) for side in engines.SCHEMAS}
        settings = replace(
            SETTINGS, simulated=True, clock=str(folder / "clock"), databases=self.urls, first_week=str(WEEK)
        )
        (folder / "a").mkdir()
        (folder / "b").mkdir()
        first = Installation.create(folder / "a" / "headend", settings)
        self.urls = first.settings.databases
        headend = open_headend(first)
        headend.jobs.run_due()
        store = headend.billing.store
        films = [offer(f"film-{number}") for number in range(3 * FILMS)]
        store.write(lambda tx: publish_catalogue(tx, films, CATALOGUE_KEY, to_ms(START), []))
        self.boxes, self.ordered = [], 0
        for number in range(BOXES):
            name = f"acc-{number}"
            store.write(lambda tx, name=name: tx.add_account(account(name)))
            self.boxes.append(SigningBox(store, account=name, serial=f"SN-{number}").enrolled())
        self.headend = headend
        first.make_node(folder / "b" / "headend")
        self.nodes = [Headend(folder / node / "headend") for node in "ab"]
        for node in self.nodes:
            node.start()

    def lines(self, url=None, ca_file=None):
        urls, first = [url] if url else [node.url for node in self.nodes], self.ordered
        self.ordered += FILMS
        return [Line(box, urls, to_ms(START), first, ca_file) for box in self.boxes]

    def stop(self):
        for node in self.nodes:
            node.stop()
        self.headend.close()

    def ask(self, side, sql):
        with psycopg.connect(self.urls[side]) as look:
            return look.execute(sql.encode()).fetchall()


@pytest.fixture(scope="module")
def town_of_two(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("two"))
    yield made
    made.stop()


def check_books(place, lines):
    for line in lines:
        line.enough.set()
    for line in lines:
        line.join()
    assert all(line.acknowledged == line.box.seq for line in lines)
    orders = sum(line.box.seq for line in lines)
    counted = (
        "SELECT count(*), count(DISTINCT (box, epoch, seq)), count(*) FILTER (WHERE state = 'rated') "
        "FROM orders"
    )
    assert place.ask("billing", counted) == [(orders, orders, orders)]
    assert place.ask("billing", "SELECT count(*), max(entry) FROM entries") == [(orders, orders)]
    look = place.headend.billing.store.read()
    assert reconcile(look).closes
    assert recounted(look) == []


def test_a_node_that_dies_in_mid_load_loses_and_doubles_nothing(town_of_two):
    lines = town_of_two.lines()
    for line in lines:
        line.start()
    wait_until(lambda: sum(line.acknowledged for line in lines) > 40, "orders")
    # The other goes on alone while this one starts again; behind the front, below, the other dies.
    town_of_two.nodes[1].kill("both")
    check_books(town_of_two, lines)
    deadlocks = town_of_two.ask(
        "billing", "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )
    assert deadlocks == [(0,)]
    taken = town_of_two.ask(
        "billing", "SELECT job, count(*), count(DISTINCT slot) FROM job_runs GROUP BY job"
    )
    assert all(runs == slots for _, runs, slots in taken)


def test_connections_that_the_database_cuts_lose_and_double_nothing(town_of_two):
    lines = town_of_two.lines()
    for line in lines:
        line.start()
    with psycopg.connect(engines.server(), autocommit=True) as admin:
        for _ in range(6):
            done = sum(line.acknowledged for line in lines)
            wait_until(lambda done=done: sum(line.acknowledged for line in lines) > done + 20, "orders")
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (town_of_two.urls["billing"].split("?")[0].rsplit("/", 1)[1],),
            )
    check_books(town_of_two, lines)


def test_behind_the_shipped_front_no_box_notices_a_node_that_dies(town_of_two, tmp_path):
    certificates = Certificates(tmp_path)
    (tmp_path / "configuration").mkdir()
    lay_out_gateway(tmp_path / "configuration", certificates)
    servers = " ".join(f"server 127.0.0.1:{node.port} max_fails=2;" for node in town_of_two.nodes)
    front = Nginx(tmp_path, "gateway", {"server 127.0.0.1:8080;": servers})
    lines = town_of_two.lines(f"https://127.0.0.1:{front.ports[443]}", str(certificates.public_file))
    for line in lines:
        line.start()
    done = sum(line.acknowledged for line in lines)
    wait_until(lambda: sum(line.acknowledged for line in lines) > done + 60, "orders")
    town_of_two.nodes[0].kill("both")
    check_books(town_of_two, lines)
    front.stop()
    assert sum((line.refused for line in lines), Counter()) == {}


def test_a_database_that_fails_over_to_its_standby_loses_and_doubles_nothing(clusters, tmp_path):
    first, second = clusters
    for side in engines.SCHEMAS:
        first.ask(f"CREATE DATABASE {side}")
    second.follow(first)
    hosts = f"host={first.folder},{second.folder}&target_session_attrs=read-write"
    place = Place(tmp_path, {side: f"postgresql://postgres@/{side}?{hosts}" for side in engines.SCHEMAS})
    try:
        lines = place.lines()
        for line in lines:
            line.start()
        wait_until(lambda: sum(line.acknowledged for line in lines) > 40, "orders")
        first.crash()
        away = sum(line.acknowledged for line in lines)
        second.take_over()
        wait_until(lambda: sum(line.acknowledged for line in lines) > away + 100, "orders on the standby")
        check_books(place, lines)
        assert sum((line.refused for line in lines), Counter()).keys() <= {503, "no answer"}
    finally:
        place.stop()
