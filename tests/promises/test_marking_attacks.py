"""A headend or relay that would mark a box: by a key, a challenge, a region, a register, a time, an address.

Whatever is shown to one box alone, the box sends nothing that week and sounds the alarm; what contradicts the
copy packaged with it is found before a token is asked for.
"""

import base64
import http.server
import threading
from dataclasses import fields
from itertools import pairwise

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from box_agent.app import ANONYMOUS_LINE
from box_agent.lines import Answer, HttpAnonymousLine, HttpNamedLine, LineDownError, RefusedError
from headend.billing.signer import RsaSigner
from shared import bhttp
from shared.anonymous import INNER_ANSWER_SIZE
from shared.clock import from_ms, to_ms
from shared.directory import Directory, TokenKey, challenge, describe
from shared.named import Acknowledgement, TokenGrant
from shared.ohttp import Gateway
from shared.register import profile
from shared.tokens import TOKEN_TYPE
from tests.box_agent.fakes import ISSUER, OHTTP, START, W41, ZONE, Bench, sign_directory, signer, waiting
from tests.linkage.reading import grant, read_ask

pytestmark = pytest.mark.promise

END, CLOSES = to_ms(W41.end(ZONE)), to_ms(W41.closes(ZONE))
HOUR = 3_600_000
TAKEN = profile("small").measures
MARKED_KEY = RsaSigner.generate()


def token_keys(**marked):
    keys = {one.name: signer(one.name).public_spki for one in TAKEN} | marked
    return [TokenKey(name, TOKEN_TYPE, base64.b64encode(spki).decode()) for name, spki in keys.items()]


def marks():
    """Directories that differ from everybody's in one thing, though properly signed."""
    other = X25519PrivateKey.generate()
    return {
        "token key": {"token_keys": token_keys(genre=MARKED_KEY.public_spki)},
        "sealing key": {"ohttp_keys": base64.b64encode(Gateway(other, 1).config.encode()).decode()},
        "sealing key's number": {"ohttp_keys": base64.b64encode(Gateway(OHTTP, 2).config.encode()).decode()},
        "region map": {"areas": {"10": "north", "30": "south", "1012": "south"}},
        "regions": {"regions": ["south", "north"]},
        "number of the region map": {"region_map": 2},
    }


def contradictions():
    """Directories that say otherwise than the copy of the register and notice that a box carries."""
    said = describe(profile("small"))
    more = msgspec.structs.replace(said[0], quota=said[0].quota + 1)
    volume = msgspec.structs.replace(said[1], volume_minutes=said[1].volume_minutes + 1)
    return {
        "quota": {"measures": [more, *said[1:]]},
        "volume": {"measures": [said[0], volume, *said[2:]]},
        "measure left out": {"measures": said[:2], "token_keys": token_keys()[:2]},
        "measure by region": {"measures": [msgspec.structs.replace(said[0], grid=["region"]), *said[1:]]},
        "register": {"register": "0" * 64},
        "profile": {"profile": "regional"},
        "notice": {"notice": 99},
        "issuer": {"issuer": "marking.example"},
        "zone": {"zone": "Europe/Brussels"},
        "week's end": {"ends_ms": END - HOUR},
        "week's close": {"closes_ms": CLOSES + HOUR},
    }


class Lines(Bench):
    """A consenting box; `named` and `relayed` make the directories that it is shown on the two lines."""

    def __init__(self, folder):
        super().__init__(folder)
        self.named = self.relayed = sign_directory
        self.honest, self.headend.get = self.headend.get, self.get
        self.relay.get_directory = self.get_relayed
        self.enrol()
        self.consent()

    def get(self, path, etag=None):
        if path == "catalogue":
            return self.honest(path, etag)
        self.headend.fetched.append(path)
        return Answer(200, self.named(week_of(path)))

    def get_relayed(self, week):
        self.relay.fetched.append((to_ms(self.clock.now()), week))
        return Answer(200, self.relayed(week_of(week)))

    def sign_marked(self, body):
        """Sign as whoever marks would: with the key that this box alone was shown."""
        ask, requests = read_ask(body, self.headend.public)
        self.headend.asks.append(ask)
        return grant(
            [(MARKED_KEY if name == "genre" else signer(name)).blind_sign(one) for name, one in requests]
        )

    def live(self):
        self.run_until(CLOSES - 1)

    def sent(self):
        return [one for at, one in self.relay.fragments if one.week == W41]

    def alarms(self, line):
        return self.agent.status()[line]["alarms"]

    def tokens(self):
        return self.agent._open().outbox._wallet.tokens(str(W41))

    def asked(self):
        return [one for one in self.headend.asks if one.week == str(W41)]


def week_of(text):
    return type(W41).parse(text.removeprefix("directory/"))


def only_w41(**changes):
    return lambda week: sign_directory(week, **(changes if week == W41 else {}))


def always(raw):
    return lambda _week: raw


@pytest.fixture
def box(tmp_path):
    made = Lines(tmp_path / "state")
    yield made
    made.agent.close()


def silenced(box):
    box.live()
    return not box.relay.sealed and not box.tokens() and f"directory-differs-{W41}" in box.alarms("anonymous")


def test_a_box_that_nobody_marks_sends_so_that_silence_means_something(box):
    box.live()
    assert len(box.sent()) == len(TAKEN)
    assert not box.alarms("anonymous")


@pytest.mark.parametrize("mark", marks())
def test_a_mark_on_the_named_line_silences_the_week_and_sounds_the_alarm(box, mark):
    box.named = only_w41(**marks()[mark])
    if mark == "token key":
        box.headend._tokens = box.sign_marked
    assert silenced(box)


@pytest.mark.parametrize("mark", marks())
def test_a_mark_on_the_relay_s_line_silences_the_week_and_sounds_the_alarm(box, mark):
    box.relayed = only_w41(**marks()[mark])
    assert silenced(box)


@pytest.mark.parametrize("what", contradictions())
def test_what_contradicts_the_box_s_own_copy_is_found_before_a_token_is_asked_for(box, what):
    box.named = box.relayed = only_w41(**contradictions()[what])
    box.live()
    assert box.asked() == []
    assert box.sent() == []
    assert "tokens-BadDirectoryError" in box.alarms("named")


def test_a_directory_by_another_key_is_found_before_a_token_is_asked_for(box):
    honest = msgspec.json.decode(sign_directory(W41))
    other = msgspec.json.decode(sign_directory(W41, region_map=2))
    box.named = box.relayed = always(msgspec.json.encode(honest | {"signatures": other["signatures"]}))
    box.live()
    assert (box.asked(), box.relay.sealed) == ([], [])
    assert "tokens-BadDirectoryError" in box.alarms("named")


def test_last_week_s_directory_replayed_on_both_lines_is_refused(box):
    box.named = box.relayed = always(sign_directory(W41.plus(-1)))
    box.live()
    assert (box.asked(), box.relay.sealed) == ([], [])
    assert "tokens-BadDirectoryError" in box.alarms("named")


def test_last_week_s_directory_replayed_on_the_relay_s_line_silences_the_week(box):
    box.relayed = always(sign_directory(W41.plus(-1)))
    assert silenced(box)


def test_directories_that_alternate_over_retries_silence_the_week_for_good(box):
    shown = iter([LineDownError("down"), sign_directory(W41, region_map=2)])

    def alternate(week):
        found = next(shown, sign_directory(week))
        if isinstance(found, Exception):
            raise found
        return found

    box.relayed = alternate
    assert silenced(box)
    assert len([week for _, week in box.relay.fetched if week == str(W41)]) == 2, "not asked a third time"


def test_a_second_directory_of_the_named_line_is_not_even_asked_for(box):
    shown = iter([sign_directory(W41)])
    box.named = lambda week: next(shown, sign_directory(week, region_map=2))
    box.headend.lose_answer = True
    while not box.asked():
        box.clock.advance_to(max(box.agent.next_due(), box.clock.now()))
        box.agent.tick()
    box.headend.lose_answer = False
    box.live()
    assert box.headend.fetched.count(f"directory/{W41}") == 1
    assert len(box.sent()) == len(TAKEN)


def test_the_two_lines_are_asked_hours_apart(box):
    box.live()
    asked = next(at for at, week in box.relay.fetched if week == str(W41))
    connection = box.agent._store.connection()
    named = connection.execute("SELECT due_ms FROM asks WHERE week = ?", (str(W41),)).fetchone()[0]
    assert 2 * HOUR <= asked - named <= 25 * HOUR


# --- the challenge


def test_a_challenge_in_a_sealed_answer_is_ignored(box):
    honest = box.relay.post_sealed

    def refuse(body):
        honest(body)
        _, context = box.relay._gateway.open_request(body)
        header = (("www-authenticate", 'PrivateToken challenge="AAIAAA==", token-key="AAAA"'),)
        answer = bhttp.encode_response(bhttp.Response(401, header), INNER_ANSWER_SIZE)
        return Answer(200, context.seal_response(answer, bytes(16)))

    box.relay.post_sealed = refuse
    box.live()
    # The far end has checked each token against the challenge that it computes itself.
    assert len(box.sent()) == len(TAKEN), "each once, none again"
    assert len(box.asked()) == 1
    assert {entry.outcome for entry in box.agent.sent()} == {"refused"}


def test_a_challenge_of_the_relay_or_the_issuer_is_ignored(box, far):
    far.says = (401, {"WWW-Authenticate": 'PrivateToken challenge="AAIAAA==", token-key="AAAA"'})
    for line in (far.anonymous, far.named):
        with pytest.raises(RefusedError):
            line.post_sealed(b"x") if line is far.anonymous else line.post("tokens", b"x")
    assert len(far.heard) == 2, "nothing is sent in answer to it"
    assert {field.name for field in fields(Answer)} == {"status", "body", "etag"}, (
        "no header reaches the agent"
    )


def test_the_token_s_challenge_is_the_box_s_own(box):
    seen = []
    check, box.relay._check_token = box.relay._check_token, lambda header, one: seen.append((header, one))
    box.live()
    assert len(seen) >= len(TAKEN)
    for header, fragment in seen:
        check(header, fragment)
    assert challenge(ISSUER, "genre", W41).redemption_context == b""


# --- withholding


def moments(box):
    rows = box.agent._store.connection().execute("SELECT due_ms FROM outbox ORDER BY due_ms")
    return [due_ms for (due_ms,) in rows]


def with_a_week_to_send(box):
    due = END
    while not waiting(box.agent):
        due += HOUR
        box.run_until(due)
    box.relay.sealed.clear()
    return due


def test_a_headend_that_holds_an_exchange_open_neither_delays_nor_gathers_what_is_sent(box, monkeypatch):
    with_a_week_to_send(box)

    def held(*_):
        pytest.fail("the anonymous line asked the named one")

    monkeypatch.setattr(box.headend, "post", held)
    monkeypatch.setattr(box.headend, "get", held)
    planned = moments(box)
    for due_ms in planned:
        box.clock.advance_to(from_ms(due_ms))
        box.agent.tick(*ANONYMOUS_LINE)
    assert planned
    assert [at for at, _ in box.relay.sealed] == planned


@pytest.mark.parametrize("hours", [0.5, 3, 12])
def test_who_keeps_a_box_from_sending_until_the_week_is_nearly_closed_sees_nothing_of_it(box, hours):
    with_a_week_to_send(box)
    box.clock.advance_to(from_ms(CLOSES - round(hours * HOUR)))
    box.run_until(CLOSES - 1)
    assert [one for one in box.relay.sealed if one[0] < CLOSES] == []
    assert waiting(box.agent) == 0


def test_withheld_answers_provoke_three_more_tries_sealed_afresh_hours_apart(box):
    due = with_a_week_to_send(box)
    connection = box.agent._store.connection()
    connection.execute("DELETE FROM outbox WHERE id > (SELECT min(id) FROM outbox)")
    connection.execute("UPDATE outbox SET due_ms = ?, tries = 0", (due + HOUR,))
    box.agent._due["outbox"] = due + HOUR
    box.relay.down = True
    box.live()
    tries = box.relay.sealed
    assert len(tries) == 4
    assert len({body[7:39] for _, body in tries}) == 4, "under a fresh key each"
    moments = [at for at, _ in tries]
    assert min(later - early for early, later in pairwise(moments)) >= HOUR


def test_tokens_that_are_withheld_until_after_their_week_are_not_spent(box):
    honest, sent = box.headend._tokens, END + 5 * 24 * HOUR

    def withhold(body):
        if to_ms(box.clock.now()) < sent:
            raise LineDownError("withheld")
        return honest(body)

    box.headend._tokens = withhold
    box.live()
    assert box.sent() == [], "it would speak when nobody else does"


def test_other_signatures_than_those_asked_for_are_never_spent(box):
    other = base64.b64encode(MARKED_KEY.blind_sign(bytes(256))).decode()
    box.headend._tokens = lambda body: TokenGrant([other] * len(read_ask(body, box.headend.public)[1]))
    box.live()
    assert box.relay.sealed == []
    assert "tokens-BadTokenError" in box.alarms("named")


# --- time and address


class Far:
    """A far end over real sockets that answers as it is told; beside it one that nobody may reach."""

    def __init__(self):
        self.says, self.heard, self.strayed = (200, {}), [], []
        self._servers = [self._serve(self.heard), self._serve(self.strayed)]
        self.url, self.elsewhere = (f"http://127.0.0.1:{one.server_port}" for one in self._servers)
        self.anonymous = HttpAnonymousLine(self.url, None)
        self.named = HttpNamedLine(self.url, None)

    def _serve(self, heard):
        far = self

        class End(http.server.BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                heard.append(self.path)
                status, headers = far.says
                self.send_response_only(status)
                for name, value in (headers | {"Content-Length": "2"}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_POST = answer  # noqa: N815 (the names that the server looks for)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), End)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def close(self):
        self.named.close()
        for server in self._servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def far():
    made = Far()
    yield made
    made.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(far, status):
    far.says = (status, {"Location": f"{far.elsewhere}/ohttp", "Alt-Svc": f'h2="{far.elsewhere}"'})
    for ask in (
        lambda: far.anonymous.post_sealed(b"x"),
        lambda: far.anonymous.get_directory(str(W41)),
        lambda: far.named.post("tokens", b"x"),
    ):
        with pytest.raises(LineDownError):
            ask()
    assert far.strayed == []


def test_a_proxy_of_the_environment_s_choosing_is_not_used(far, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, far.elsewhere)
    far.anonymous.post_sealed(b"x")
    assert (far.heard, far.strayed) == (["/ohttp"], [])


def test_the_directory_has_no_field_for_an_address():
    names = set(Directory.__struct_fields__)
    assert not {name for name in names if any(part in name for part in ("url", "relay", "host", "address"))}


def test_the_named_line_s_date_does_not_move_the_box_s_time(tmp_path, far):
    far.says = (200, {"Date": "Sat, 01 Jan 2039 00:00:00 GMT", "Age": "99999999", "Expires": "0"})
    bench = Bench(tmp_path / "state")
    bench.enrol()
    bench.consent()
    heartbeat = Acknowledgement("box-1", 1, 0, 1)
    assert not {name for name in heartbeat.__struct_fields__ if name.endswith("_ms")}, "no time in an answer"
    answer = far.named.post("heartbeat", b"x")
    assert answer == Answer(200, b"{}", None)
    assert bench.clock.now() == START
    bench.agent.close()


def test_times_come_from_the_calendar_and_not_from_the_directory(box):
    later = {"starts_ms": to_ms(W41.start(ZONE)) + HOUR, "ends_ms": END + HOUR, "closes_ms": CLOSES + HOUR}
    box.named = box.relayed = only_w41(**later)
    box.live()
    assert (box.asked(), box.sent()) == ([], [])
