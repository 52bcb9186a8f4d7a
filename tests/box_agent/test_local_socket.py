import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from box_agent.app import ANONYMOUS_LINE, NAMED_LINE, Agent
from box_agent.client import AgentClient
from box_agent.core import Core
from box_agent.front import MAX_LINE, Front
from box_agent.lines import LineDownError
from box_agent.listener import Listener
from box_agent.local_socket import perform
from box_agent.service import Service
from shared.clock import from_ms, to_ms
from shared.notice_version import notice_version
from tests.box_agent.fakes import W41, YES, ZONE, Bench, offer, promotion, sign_catalogue

EVIDENCE = {"pin_verified": True, "consent_immediate_supply": True, "confirmation_shown": True}
PLAY = {"v": 1, "event": "play", "item": {"kind": "live", "genre": 67, "ref": "x"}, "rate": 1}


class Opened(Service):
    """A service behind its front, which answers lines."""

    front: Front


def opened(bench: Bench) -> Opened:
    """The box's agent, started anew behind a front."""
    bench.agent.close()
    core = Core(bench.settings.state_dir, bench.settings.consent_witness(), bench.clock)
    front = Front(core)
    found = Opened(
        lambda lines: Agent(bench.settings, lines, bench.clock, core=core),
        (bench.headend, bench.relay),
        front,
        steered=True,
    )
    front.open(lambda line: perform(found, line))
    found.front = front
    return found


@pytest.fixture
def service(bench: Bench) -> Opened:
    return opened(bench)


def answer(service: Opened, line: bytes) -> bytes:
    return service.front.answer(line)


def ask(path: Path, request: dict[str, Any], timeout_s: float = 60) -> dict[str, Any]:
    with AgentClient(path, timeout_s) as client:
        return client.exchange(request)


def say(service: Opened, **request: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer(service, json.dumps(request).encode()))
    return found


def test_a_box_s_life_over_the_socket(service: Opened, bench: Bench) -> None:
    assert say(service, op="enrol", code="code-1234")["result"] == {"box": "box-1", "epoch": 1}
    assert say(service, op="tick") == {"ok": True, "result": None}
    assert say(service, op="offers")["result"][0]["offer"] == "film-1"
    placed = say(service, op="order", offer="film-1", evidence=EVIDENCE)["result"]
    assert (placed["seq"], placed["repeated"], placed["to_pay_cents"]) == (1, False, 499)
    assert say(service, op="delivery", order=1, outcome="confirmed")["result"] == {"seq": 2}
    assert say(service, op="event", event=PLAY)["result"] == {"kept": False}
    notice = say(service, op="notice")["result"]
    given = say(service, op="set-consent", granted=True, notice=notice["version"], how="screen")
    assert given["result"]["granted"]
    assert say(service, op="consent")["result"]["notice"] == notice_version()
    assert say(service, op="event", event=PLAY)["result"] == {"kept": True}
    assert say(service, op="orders")["result"][0]["outcome"] == "confirmed"
    assert say(service, op="sent", pin="2580")["error"] == "no-pin"
    assert say(service, op="set-pin", new="2580")["ok"]
    assert say(service, op="sent", pin="2580")["result"] == []
    assert say(service, op="reminded", how="screen", language="nl")["result"]["granted"]
    bench.clock.advance(timedelta(hours=1))
    say(service, op="tick")
    status = say(service, op="status")["result"]
    assert (status["named"]["acknowledged"], status["anonymous"]["consent"]) == (2, True)
    service.close()


def test_the_owner_s_questions_over_the_socket(service: Opened) -> None:
    say(service, op="set-consent", granted=True, notice=notice_version(), how="screen")
    say(service, op="event", event=PLAY)
    for op in ("recorded", "waiting", "export"):
        assert say(service, op=op, pin="2580")["error"] == "no-pin"
    say(service, op="set-pin", new="2580")
    assert set(say(service, op="recorded", pin="2580")["result"]) == {"viewed", "ordered"}
    assert set(say(service, op="waiting", pin="2580")["result"]) == {"fragments", "tokens"}
    assert say(service, op="export", pin="2580", language="fr")["result"]["archive"] == "box-agent"
    assert say(service, op="sent", pin="2580", language="de")["error"] == "bad-request"
    assert say(service, op="wipe", how="screen") == {"ok": True, "result": None}
    assert say(service, op="wipe", how="screen", everything=True) == {"ok": True, "result": None}
    assert say(service, op="consent")["result"]["since_ms"] == 0
    service.close()


def test_promotions_and_previews_over_the_socket(service: Opened, bench: Bench) -> None:
    bench.headend.catalogue = sign_catalogue(offer(preview_minutes=5), promotion())
    say(service, op="enrol", code="code-1234")
    say(service, op="tick")
    (shown,) = say(service, op="promotions")["result"]
    assert (shown["terms"]["promotion"], shown["used"]) == ("welcome", 0)
    placed = say(service, op="order", offer="film-1", evidence=EVIDENCE, promotion="welcome")["result"]
    said = {name: placed[name] for name in ("price_cents", "credit_cents", "to_pay_cents", "currency")}
    assert said == {"price_cents": 499, "credit_cents": 200, "to_pay_cents": 299, "currency": "EUR"}
    assert placed["preview_until_ms"] - placed["placed_ms"] == 5 * 60_000
    (kept,) = say(service, op="orders")["result"]
    assert (kept["promotion"], kept["credit_cents"]) == ("welcome", 200)
    again = say(service, op="order", offer="film-1", evidence=EVIDENCE)["result"]
    assert (again["repeated"], again["to_pay_cents"]) == (True, 0)
    assert say(service, op="delivery", order=1, outcome="stopped")["result"] == {"seq": 2}
    assert say(service, op="orders")["result"][0]["outcome"] == "stopped"
    service.close()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"", "bad-request"),
        (b"[]", "bad-request"),
        (b'{"op": "none"}', "bad-request"),
        (b'{"op": "status", "more": 1}', "bad-request"),
        (b'{"op": "event", "event": {"event": "play"}}', "bad-event"),
        (b'{"op": "event", "event": {"event": "key"}, "more": 1}', "bad-request"),
        (b"\xff\xfe", "bad-request"),
        (b'{"op": "status"' + b" " * MAX_LINE, "bad-request"),
        (
            b'{"op": "order", "offer": "x", "evidence": ' + json.dumps(EVIDENCE).encode() + b"}",
            "not-enrolled",
        ),
        (b'{"op": "order", "offer": "x", "promotion": ""}', "bad-request"),
        (b'{"op": "set-consent", "granted": true, "notice": 99, "how": "x"}', "wrong-notice"),
        (b'{"op": "delivery", "order": 1, "outcome": "confirmed"}', "unknown-order"),
    ],
)
def test_bad_requests_are_named_counted_and_change_nothing(service: Opened, line: bytes, name: str) -> None:
    before = say(service, op="status")["result"]
    found = json.loads(answer(service, line))
    assert (found["ok"], found["error"]) == (False, name)
    after = say(service, op="status")["result"]
    assert after.pop("refused_requests") == {name: 1}
    before.pop("refused_requests")
    for found in (before, after):
        found["store"].pop("free_bytes")  # others use the disk, too
    assert after == before


def test_only_a_steered_clock_is_ticked_from_outside(service: Opened) -> None:
    service.steered = False
    assert say(service, op="tick")["error"] == "not-steered"


@pytest.fixture
def listening(service: Opened, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "agent.sock"
    listener = Listener(str(path), service.front.answer)
    yield path
    listener.close()
    service.close()


def test_the_socket_is_its_owner_s_alone(listening: Path) -> None:
    assert listening.stat().st_mode & 0o777 == 0o600


def test_several_requests_share_a_connection(listening: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(listening))
        connection.sendall(b'{"op": "consent"}\nnonsense\n{"op": "notice"}\n')
        with connection.makefile("rb") as answers:
            said = [json.loads(answers.readline())["ok"] for _ in range(3)]
    assert said == [True, False, True]


def test_a_line_that_never_ends_is_refused_and_the_connection_closed(listening: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(listening))
        connection.sendall(b"x" * (MAX_LINE + 2))
        with connection.makefile("rb") as answers:
            assert json.loads(answers.readline())["error"] == "bad-request"
            assert answers.readline() == b""


def test_an_order_is_answered_while_the_headend_is_not(
    listening: Path, service: Opened, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(listening, {"op": "enrol", "code": "code-1234"})
    ask(listening, {"op": "tick"})
    reached, go_on = threading.Event(), threading.Event()

    def hang(_path: str, _body: bytes) -> None:
        reached.set()
        go_on.wait(10)
        raise LineDownError("late")

    monkeypatch.setattr(bench.headend, "post", hang)
    bench.clock.advance(timedelta(days=2))
    ticking = threading.Thread(target=service.tick)
    ticking.start()
    assert reached.wait(10)
    found = ask(listening, {"op": "order", "offer": "film-1", "evidence": EVIDENCE}, timeout_s=5)
    go_on.set()
    ticking.join()
    assert found["result"]["seq"] == 1


@pytest.mark.parametrize("held", ["named", "anonymous"])
def test_neither_end_can_hold_the_other_line_shut(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    bench.enrol()
    bench.consent()
    bench.run_until(to_ms(W41.end(ZONE)) + 1000)
    while not (moments := due_moments(bench.agent)):
        bench.run_until(to_ms(bench.clock.now()) + 3_600_000)
    bench.clock.advance_to(from_ms(max(to_ms(bench.clock.now()), moments[0])))
    bench.agent.place_order("film-1", YES)
    service = opened(bench)
    reached, go_on = threading.Event(), threading.Event()
    end, act, line, other = {
        "named": (bench.headend, "post", NAMED_LINE, ANONYMOUS_LINE),
        "anonymous": (bench.relay, "post_sealed", ANONYMOUS_LINE, NAMED_LINE),
    }[held]

    def hang(*_: object) -> None:
        reached.set()
        assert go_on.wait(20)
        raise LineDownError("late")

    monkeypatch.setattr(end, act, hang)
    ticking = threading.Thread(target=service.tick, args=line)
    ticking.start()
    assert reached.wait(10)
    before = len(bench.relay.fragments), len(bench.headend.chain)
    beside = threading.Thread(target=service.tick, args=other)
    beside.start()
    beside.join(10)
    after = len(bench.relay.fragments), len(bench.headend.chain)
    go_on.set()
    ticking.join()
    assert after == ((before[0] + 1, before[1]) if held == "named" else (before[0], before[1] + 1))


def due_moments(agent: Agent) -> list[int]:
    rows = agent._store.connection().execute("SELECT due_ms FROM outbox ORDER BY due_ms")
    return [due_ms for (due_ms,) in rows]


def test_status_tells_nobody_what_is_sent_when(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    service = opened(bench)
    told = set()
    for _ in range(60):
        told.add(say(service, op="status")["result"]["next_due"])
        due = service.next_due()
        assert due is not None
        bench.clock.advance_to(max(due, bench.clock.now()))
        service.tick()
    assert bench.relay.fragments
    assert not told & {from_ms(at).isoformat() for at, _ in bench.relay.fragments + bench.relay.fetched}
    assert "waiting" not in say(service, op="status")["result"]["anonymous"]


def test_an_unexpected_failure_is_answered_and_tells_nothing(
    listening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_agent: Agent) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(Agent, "status", fail)
    found = ask(listening, {"op": "status"})
    assert found["error"] == "internal"
    assert "secret" not in str(found)
