from datetime import timedelta

import pytest

from box_agent.dues import asked_state
from box_agent.lines import Answer, LineDownError, RefusedError
from box_agent.refill import BEFORE_END_MS
from box_agent.wallet import Wallet
from shared import dsse
from shared.clock import from_ms, to_ms
from shared.register import profile
from shared.tokens import Token, read_token_key, verify_token
from tests.box_agent.fakes import START, W41, ZONE, Bench, sign_directory, signer

END = to_ms(W41.end(ZONE))


@pytest.fixture
def consenting(bench: Bench) -> Bench:
    bench.enrol()
    bench.consent()
    return bench


def wallet(bench: Bench) -> Wallet:
    return bench.agent._open().outbox._wallet


def test_the_week_s_tokens_are_fetched_once_and_are_genuine(consenting: Bench) -> None:
    consenting.take("regional")
    consenting.run_until(END - 1)
    found = wallet(consenting).tokens(str(W41))
    assert {name: len(tokens) for name, tokens in found.items()} == {
        measure.name: measure.quota for measure in profile("regional").measures
    }
    for name, tokens in found.items():
        for token in tokens:
            verify_token(Token.decode(token), read_token_key(signer(name).public_spki))
    assert len(consenting.headend.asks) == 1


def test_the_moment_of_asking_is_anywhere_in_the_week_but_its_last_day_and_a_half(tmp_path) -> None:
    moments = []
    for number in range(60):
        bench = Bench(tmp_path / str(number))
        bench.enrol()
        bench.consent()
        bench.agent.tick()
        row = bench.agent._store.connection().execute("SELECT due_ms FROM asks").fetchone()
        moments.append((row[0] - to_ms(START)) / (END - BEFORE_END_MS - to_ms(START)))
        bench.agent.close()
    assert all(0 <= one < 1 for one in moments)
    assert {int(one * 4) for one in moments} == {0, 1, 2, 3}


def test_a_box_that_is_late_asks_in_what_is_left_of_the_week(tmp_path) -> None:
    bench = Bench(tmp_path)
    bench.enrol()
    bench.consent()
    bench.clock.advance_to(from_ms(END - BEFORE_END_MS // 2))
    bench.agent.tick()
    row = bench.agent._store.connection().execute("SELECT due_ms FROM asks").fetchone()
    assert END - BEFORE_END_MS // 2 <= row[0] < END


def test_after_a_crash_or_a_lost_answer_the_same_requests_are_sent(consenting: Bench) -> None:
    consenting.headend.lose_answer = True
    consenting.run_until(to_ms(START) + 1)
    while not consenting.headend.asks:
        consenting.clock.advance_to(max(consenting.agent.next_due() or START, consenting.clock.now()))
        consenting.agent.tick()
    consenting.agent._store.park()
    consenting.start()
    consenting.headend.lose_answer = False
    consenting.run_until(END - 1)
    first, *_, last = consenting.headend.asks
    assert len(consenting.headend.asks) >= 2
    assert first == last
    assert wallet(consenting).tokens(str(W41))


def test_a_refusal_holds_for_the_week_and_nothing_is_sent(consenting: Bench) -> None:
    consenting.headend.refuse["tokens"] = RefusedError("not-reporting-box", 403)
    consenting.run_until(to_ms(W41.closes(ZONE)) - 1)
    asked = [path for path, _ in consenting.headend.posted if path == "tokens"]
    assert len(asked) <= 2, "once for each of two weeks"
    assert (consenting.relay.sealed, consenting.relay.fetched) == ([], [])
    assert wallet(consenting).directory(str(W41)) is None


def test_a_directory_that_is_not_published_yet_is_asked_for_again(consenting: Bench) -> None:
    path = f"directory/{W41}"
    consenting.headend.refuse[path] = RefusedError("not-published", 404)
    while path not in consenting.headend.fetched:
        consenting.clock.advance_to(max(consenting.agent.next_due() or START, consenting.clock.now()))
        consenting.agent.tick()
    consenting.headend.refuse.clear()
    consenting.run_until(min(to_ms(consenting.clock.now() + timedelta(days=1)), END - 1))
    assert consenting.headend.fetched.count(path) >= 1
    assert asked_state(consenting.agent._named, W41) in {"granted", "planned"}


@pytest.mark.parametrize(
    "changes",
    [
        {"register": "0" * 64},
        {"notice": 99},
        {"issuer": "another"},
        {"zone": "Europe/Brussels"},
        {"measures": []},
    ],
)
def test_a_directory_that_says_otherwise_than_this_box_makes_it_silent(
    consenting: Bench, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        consenting.headend,
        "get",
        lambda path, _etag=None: _other(path, changes, consenting.headend.catalogue),
    )
    consenting.run_until(to_ms(W41.closes(ZONE)) - 1)
    assert consenting.headend.asks == []
    assert consenting.relay.sealed == []
    assert "tokens-BadDirectoryError" in consenting.agent.status()["named"]["alarms"]


def _other(path: str, changes: dict[str, object], catalogue: bytes) -> Answer:
    if path == "catalogue":
        return Answer(200, catalogue)
    try:
        return Answer(200, sign_directory(W41, **changes))
    except TypeError as error:
        raise LineDownError(path) from error


def test_an_answer_that_is_no_signature_is_refused_and_alarmed(
    consenting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.named import TokenGrant

    monkeypatch.setattr(consenting.headend, "_tokens", lambda _body: TokenGrant(["AAAA"] * 3))
    consenting.run_until(END - 1)
    assert wallet(consenting).tokens(str(W41)) == {}
    assert "tokens-WrongLengthError" in consenting.agent.status()["named"]["alarms"]


def test_withdrawing_while_the_answer_is_on_its_way_leaves_no_token(
    consenting: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = consenting.headend.post

    def post(path: str, body: bytes) -> Answer:
        answer = real(path, body)
        if path == "tokens":
            consenting.consent(granted=False)
        return answer

    monkeypatch.setattr(consenting.headend, "post", post)
    consenting.run_until(END - 1)
    assert consenting.headend.asks
    count = consenting.agent._store.connection().execute("SELECT count(*) FROM wallet").fetchone()
    assert count == (0,)


def test_the_ask_is_signed_by_the_box_and_says_nothing_of_the_tokens(consenting: Bench) -> None:
    consenting.run_until(END - 1)
    body = next(body for path, body in consenting.headend.posted if path == "tokens")
    payload = dsse.verify(body, dsse.PayloadType.NAMED, consenting.headend.public)
    for tokens in wallet(consenting).tokens(str(W41)).values():
        for token in tokens:
            assert Token.decode(token).nonce not in payload
