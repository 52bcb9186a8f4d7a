"""The wire is silent in every refused interval, and nothing that was viewed in one is ever counted.

The anonymous line is the product's own, over real sockets: what is recorded are the bytes that reach the
other end. The gateway behind it opens and checks each token.
"""

import http.server
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from box_agent.events import read_event
from box_agent.lines import Answer, HttpAnonymousLine, LineDownError
from shared.clock import from_ms, to_ms
from shared.genres import GENRES
from shared.notice_version import notice_version
from tests.box_agent.fakes import START, ZONE, Bench, waiting

pytestmark = pytest.mark.promise

HELD_BACK = GENRES.index("sports") + 1
"""The cell of what is viewed in refused intervals only."""
WEEK = 7


class Wire:
    """The product's anonymous line with a recording end; `tape` holds when which bytes came."""

    def __init__(self, bench):
        self.bench, self.tape, self.before_answer = bench, [], None
        wire = self

        class End(http.server.BaseHTTPRequestHandler):
            def answer(self, body=b""):
                wire.tape.append((wire.now(), self.raw_requestline + bytes(self.headers) + body))
                status, said = wire.behind(self.path, body)
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def do_POST(self):
                self.answer(self.rfile.read(int(self.headers["Content-Length"])))

            do_GET = answer  # noqa: N815 (the name that the server looks for)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), End)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.line = HttpAnonymousLine(f"http://127.0.0.1:{self._server.server_port}", None)

    def now(self):
        return to_ms(self.bench.clock.now())

    def behind(self, path, body):
        try:
            found = (
                self.relay.post_sealed(body)
                if path == "/ohttp"
                else self.relay.get_directory(path.removeprefix("/directory/"))
            )
        except LineDownError:
            return 503, b""
        if self.before_answer is not None:
            self.before_answer()
        return 200, found.body

    def take(self):
        """Stand between this box's agent and its relay."""
        self.relay, self.bench.relay = self.bench.relay, _Posted(self)
        self.bench.agent.close()
        self.bench.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Posted:
    """What the agent is given; passes on to the real line."""

    def __init__(self, wire):
        self._wire = wire

    def post_sealed(self, body) -> Answer:
        return self._wire.line.post_sealed(body)

    def get_directory(self, week) -> Answer:
        return self._wire.line.get_directory(week)


class Home:
    """A household that views news while it consents and sport while it refuses."""

    def __init__(self, folder):
        self.bench = Bench(folder)
        self.bench.enrol()
        self.wire = Wire(self.bench)
        self.wire.take()
        self.answers = [(to_ms(START) - 1, False)]

    @property
    def granted(self):
        return self.answers[-1][1]

    def answer(self, *, granted):
        self.bench.consent(granted=granted)
        self.answers.append((self.wire.now(), granted))

    def view(self):
        item = {"kind": "live", "genre": "news" if self.granted else "sports", "ref": "x"}
        for minute in range(0, 13, 4):
            event = {"event": "play", "item": item} if not minute else {"event": "progress"}
            self.bench.agent.report(read_event(event))
            self.bench.clock.advance(timedelta(minutes=4))
        self.bench.agent.report(read_event({"event": "stop"}))

    def pass_days(self, days):
        for _ in range(days):
            self.view()
            self.bench.run_until(to_ms(self.bench.clock.now() + timedelta(hours=23, minutes=44)))

    def restart(self):
        self.bench.agent.close()
        self.bench.start()

    def until_something_waits(self):
        while not waiting(self.bench.agent):
            assert self.bench.clock.now() < START + timedelta(days=30)
            self.pass_days(1)

    def refused(self, at_ms):
        """Whether the answer in force just before an instant, or at it, was a no."""
        return not [granted for since, granted in self.answers if since <= at_ms][-1]

    def check(self):
        """Nothing came in a refused interval, nothing tells of one, no week is told of that one touches."""
        assert [raw for at, raw in self.wire.tape if self.refused(at)] == []
        for at, one in self.wire.relay.fragments:
            assert (one.measure_number, one.cell) != (1, HELD_BACK)
            start = to_ms(one.week.start(ZONE))
            assert not self.refused(start)
            assert all(granted for since, granted in self.answers if start < since <= at)

    def close(self):
        self.bench.agent.close()
        self.wire.close()


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "state")
    yield made
    made.close()


def silent_for(home, days):
    before = len(home.wire.tape)
    home.pass_days(days)
    return len(home.wire.tape) == before


def test_the_tape_records_what_a_consenting_box_sends_so_that_silence_means_something(home):
    home.answer(granted=True)
    home.pass_days(3 * WEEK)
    posts = [raw for _, raw in home.wire.tape if raw.startswith(b"POST /ohttp ")]
    assert len(posts) == len(home.wire.relay.fragments) >= 3
    assert any(raw.startswith(b"GET /directory/") for _, raw in home.wire.tape)
    home.check()


def test_refusing_granting_and_refusing_again_is_silence_speech_and_silence(home):
    assert silent_for(home, 2 * WEEK)
    home.answer(granted=True)
    assert not silent_for(home, 3 * WEEK)
    home.answer(granted=False)
    assert silent_for(home, 3 * WEEK)
    home.answer(granted=True)
    assert not silent_for(home, 3 * WEEK)
    home.check()


def test_it_is_silent_after_a_withdrawal_between_roll_up_and_sending(home):
    home.answer(granted=True)
    home.until_something_waits()
    home.answer(granted=False)
    assert silent_for(home, 3 * WEEK)
    home.check()


def test_it_is_silent_after_a_withdrawal_while_a_request_is_on_its_way(home):
    home.answer(granted=True)
    home.until_something_waits()

    def withdraw():
        home.wire.before_answer = None
        home.answer(granted=False)

    home.wire.before_answer = withdraw
    while home.granted:
        home.bench.run_until(to_ms(home.bench.clock.now() + timedelta(hours=1)))
    said = len(home.wire.tape)
    home.pass_days(3 * WEEK)
    assert len(home.wire.tape) == said, "what was on its way was the last"


def test_a_restart_does_not_make_a_box_speak_that_was_refused(home):
    home.answer(granted=True)
    home.until_something_waits()
    home.answer(granted=False)
    home.restart()
    assert silent_for(home, 3 * WEEK)
    home.check()


def test_a_store_from_before_the_withdrawal_put_back_does_not_make_it_speak(home, tmp_path):
    home.answer(granted=True)
    home.until_something_waits()
    keep(home, tmp_path / "kept")
    home.answer(granted=False)
    home.pass_days(1)
    put_back(home, tmp_path / "kept")
    assert not home.bench.agent.consent().granted
    assert silent_for(home, 3 * WEEK)
    home.check()
    home.answer(granted=True)
    assert not silent_for(home, 3 * WEEK), "a new yes is one"
    home.check()


def test_an_update_of_the_store_s_schema_does_not_make_it_speak(home):
    home.answer(granted=True)
    home.pass_days(WEEK)
    home.answer(granted=False)
    connection = home.bench.agent._store.connection()
    for name in ("promotion", "credit_cents", "promotion_until_ms", "preview_until_ms"):
        connection.execute(f"ALTER TABLE orders DROP COLUMN {name}")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'promotions'")
    connection.execute("PRAGMA user_version = 1")
    home.restart()
    assert silent_for(home, 3 * WEEK)
    home.check()


def test_an_update_to_another_notice_is_silence_until_it_is_answered(home, monkeypatch):
    home.answer(granted=True)
    home.until_something_waits()
    monkeypatch.setattr("box_agent.consent.notice_version", lambda: notice_version() + 1)
    home.restart()
    assert silent_for(home, 3 * WEEK)


def test_a_withdrawal_leaves_no_fragment_token_or_viewing_in_the_store(home):
    home.answer(granted=True)
    home.until_something_waits()
    home.answer(granted=False)
    connection = home.bench.agent._store.connection()
    for table in ("viewing", "ordered", "outbox", "wallet", "directories"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["grant", "withdraw", "restart", "keep", "put back", "relay down", "relay up"]),
        st.integers(1, 9),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=12)
@given(steps=STEPS)
@example(steps=["grant", 3, "keep", "withdraw", 2, "put back"])
@example(steps=["grant", 3, "keep", "withdraw", 2, "grant", "put back"])
@example(steps=["grant", 8, "keep", "withdraw", 1, "grant", "put back"])
def test_no_sequence_of_answers_restarts_and_old_stores_breaks_the_silence(steps):
    with TemporaryDirectory() as name:
        home = Home(Path(name) / "state")
        try:
            for step in [*steps, "relay up", 9, 9]:
                take(home, step, Path(name) / "kept")
            home.check()
        finally:
            home.close()


def take(home, step, kept):
    match step:
        case "grant" | "withdraw":
            home.answer(granted=step == "grant")
        case "restart":
            home.restart()
        case "keep":
            keep(home, kept)
        case "put back" if kept.exists():
            put_back(home, kept)
            home.answers.append((home.wire.now(), home.bench.agent.consent().granted))
            told = [granted for _, granted in home.answers]
            assert told[-1] <= told[-2], "an old store grants nothing"
        case "relay down" | "relay up":
            home.wire.relay.down = step == "relay down"
        case int():
            home.pass_days(step)


def keep(home, folder):
    """Copy the store alone, as a backup does."""
    home.bench.agent.close()
    folder.mkdir(exist_ok=True)
    shutil.copy(home.bench.settings.state() / "box.sqlite", folder)
    home.bench.start()


def put_back(home, folder):
    home.bench.agent.close()
    for path in home.bench.settings.state().glob("box.sqlite*"):
        path.unlink()
    shutil.copy(folder / "box.sqlite", home.bench.settings.state())
    home.bench.start()
    home.bench.clock.advance_to(max(home.bench.clock.now(), from_ms(home.wire.now())))
