"""The generator, the schedules, and two seconds of load on a real headend; the rest is `make load`."""

import http.server
import threading
from random import Random

import pytest

from box_agent.submission import BACKOFF_BASE_MS, BACKOFF_MOST_MS
from headend.app import open_headend
from shared.bhttp import decode_response
from tests import engines
from tests.load import __main__ as command
from tests.load import evening, storm
from tests.load.arrivals import SECOND_US, shaped, steady
from tests.load.field import Extent, laid_out
from tests.load.figures import line_of
from tests.load.fleet import enrol
from tests.load.generator import TIMED_OUT
from tests.load.plan import Ask, Backoff, Kind, Plan
from tests.load.serving import generate


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers as the test says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.answer(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def far():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.handle_error = lambda *_: None  # a client that has gone is part of the game
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def plan(far, asks, boxes=(), **more):
    kinds = {"plain": Kind("far", "POST", "/x"), "order": Kind("far", "POST", "/chain", chains=True)}
    return Plan({"far": [f"http://127.0.0.1:{far.server_port}"]}, kinds, asks, list(boxes), **more)


def test_arrivals_do_not_wait_for_answers_and_latency_counts_from_the_planned_moment(far, tmp_path):
    together = threading.Barrier(4)

    def answer(_body):
        together.wait(30)  # nobody is answered before all four have been sent
        return 200, b"{}"

    far.answer = answer
    asks = [Ask(number * SECOND_US // 10, "plain", b"x") for number in range(4)]
    found = generate(plan(far, asks), tmp_path).kinds["plain"]
    assert dict(found.statuses) == {"good": 4}
    # The first was planned 0.3 s before the last was sent, and none could be answered earlier.
    assert max(found.good_us) >= 3 * SECOND_US // 10


def test_what_nobody_answers_is_told_as_such(far, tmp_path):
    never = threading.Event()

    def answer(_body):
        never.wait(30)
        return 200, b""

    far.answer = answer
    try:
        found = generate(plan(far, [Ask(0, "plain", b"x")], timeout_s=0.2), tmp_path)
    finally:
        never.set()
    assert dict(found.kinds["plain"].statuses) == {TIMED_OUT: 1}


def test_a_refused_box_comes_again_with_all_that_it_owes_until_it_is_acknowledged(far, tmp_path):
    bodies = []

    def answer(body):
        bodies.append(body)
        if len(bodies) < 3:
            return 503, b'{"type":"urn:stb-telemetry:problem:busy"}'
        return 200, b'{"box":"b","epoch":1,"ack":%d}' % body.count(b"order")

    far.answer = answer
    chain = [b'{"order":1}', b'{"order":2}']
    found = generate(
        plan(far, [Ask(0, "order", b"", 0, 2)], [chain], backoff=Backoff(speed=1e6, seed=1)), tmp_path
    )
    assert bodies == [b'{"envelopes":[{"order":1},{"order":2}]}'] * 3
    assert dict(found.kinds["order"].statuses) == {"503 busy": 2, "good": 1}
    assert (found.acked, found.placed) == ([2], [2])


def test_arrivals_have_the_rate_and_the_shape_that_were_asked_for():
    moments = steady(1_000, 20, Random(1))
    assert 19_000 < len(moments) < 21_000
    bent = shaped(lambda part: 2_000 * part, 20, Random(1))
    assert 19_000 < len(bent) < 21_000
    assert sum(at < 10 * SECOND_US for at in bent) == pytest.approx(len(bent) / 4, rel=0.1)


def test_an_evening_has_the_rates_of_the_boxs_own_schedule():
    found = evening.rates(864_000)
    assert found.heartbeat == pytest.approx(10)  # once in 24 hours
    assert found.fragment == pytest.approx(
        864_000 * evening.REPORTING * 17 / (6 * 86_400)
    )  # 17 within six days


def test_boxes_that_tried_in_vain_come_back_far_apart_and_those_without_power_at_once():
    waits = storm.after_headend_outage(5_000, Random(1))
    assert min(waits) >= 0
    assert max(waits) <= BACKOFF_MOST_MS / 1000
    assert max(storm.per_minute(waits)) < 5_000 / 10
    assert max(storm.after_power_cut(5_000, Random(1))) <= storm.STARTING_S
    assert BACKOFF_BASE_MS > 1000


def test_what_a_headend_acknowledges_under_load_is_there_once_and_what_a_run_leaves_is_owed_in_the_next():
    extent = Extent(seconds=1.5, boxes=60, seed=1)
    with laid_out(extent, extent.boxes) as (field, books):
        fleet = field.fleet
        owing = fleet.boxes[:2]
        node, field.nodes["named"] = field.nodes["named"], ["http://127.0.0.1:9"]  # nobody listens there
        lost = field.play(
            [Ask(0, "order", b"", n, 1) for n in range(2)], (owing, fleet.sign_orders(owing)), 0.1
        )
        field.nodes["named"] = node
        again = field.play([Ask(0, "order", b"", 0, 1)], (owing[:1], fleet.sign_orders(owing[:1])), 0.1)
        boxes = fleet.boxes[2:]  # one of the two owes its order still, until all is settled
        fleet.seal_fragments(60)
        chains = fleet.sign_orders(boxes, 3)
        asks = [Ask(n * 8_000, "order", b"", n % 58, 1) for n in range(174)]
        asks += [Ask(n * 20_000, "fragment", str(n).encode()) for n in range(60)]
        asks += [Ask(n * 20_000, "heartbeat", body) for n, body in enumerate(fleet.heartbeats(fleet.boxes))]
        asks += [Ask(n * 100_000, "tokens", body) for n, body in enumerate(fleet.token_asks(fleet.boxes[:8]))]
        asks += [Ask(n * 100_000, kind, b"") for n in range(8) for kind in ("catalogue", "console")]
        result = field.play(asks, (boxes, chains), extent.seconds, Backoff(speed=300, seed=1))
    (closed,) = books
    assert (lost.acked, again.acked) == ([0, 0], [2])
    assert closed.faults == ()
    assert closed.placed == closed.acknowledged == closed.stored == 174 + 3
    assert closed.fragments_accepted == closed.fragments_counted == 60
    for kind in ("heartbeat", "tokens", "catalogue", "console"):
        line = line_of(kind, result.kinds[kind], 1.5)
        assert line.offered > sum(line.refused.values()), kind
        assert line.refused.keys() <= {"503 busy"}, "a machine that is busy with other things may shed some"


def test_a_fleet_on_postgresql_has_two_nodes_and_makes_fragments_with_keys_from_its_database(tmp_path):
    places = {side: engines.fresh(side) for side in engines.SCHEMAS}
    fleet = enrol(tmp_path, 2, places)
    node = fleet.installation.make_node(tmp_path / "second")
    fleet.seal_fragments(2)
    headend = open_headend(node)
    answers = [
        decode_response(one.sealed.context.open_response(headend.analytics.intake.answer(one.sealed.body)))
        for one in fleet.fragments
    ]
    headend.close()
    assert [answer.status for answer in answers] == [200, 200]
    assert len(fleet.boxes) == 2


@pytest.mark.parametrize("named", [[], ["evening"], ["storm", "evening"]])
def test_the_command_plays_the_scenarios_that_are_named_or_all(monkeypatch, named):
    played = []
    for name in command.SCENARIOS:
        monkeypatch.setitem(
            command.SCENARIOS, name, lambda _, name=name: played.append(name) or {"faults": []}
        )
    assert command.main(named) == 0
    assert played == (named or ["saturation", "evening", "storm"])
    with pytest.raises(SystemExit):
        command.main(["night"])


def test_the_command_fails_for_one_fault_in_one_scenario(monkeypatch):
    found = {"steps": {"first": {"faults": ["an order is lost"]}}}
    monkeypatch.setitem(command.SCENARIOS, "evening", lambda _: found)
    assert command.main(["evening"]) == 1
