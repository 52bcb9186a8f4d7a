import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from headend.analytics.gateway import (
    OUTER_REFUSALS,
    SEALED_SIZE,
    BrokenSealError,
    NotStoredError,
    UnknownKeyError,
)
from headend.analytics.intake import Refusal
from headend.kit.storage import StorageError
from shared.anonymous import INNER_ANSWER_SIZE, INNER_REQUEST_SIZE, Fragment
from shared.bhttp import Request, Response, decode_response, encode_request
from shared.ohttp import (
    REQUEST_MEDIA_TYPE,
    RESPONSE_MEDIA_TYPE,
    RESPONSE_OVERHEAD,
    KeyConfig,
    encapsulate_request,
)
from shared.tokens import Token, authorization_header
from tests.headend.analytics.builders import WEEK, Town, closed, fragment_request, over, token

GENRE = Fragment(1, WEEK, 3, 1)


@pytest.fixture
def web(open_town: Town) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(open_town.side.side.blueprints[0])
    return app.test_client()


def post(web: FlaskClient, body: bytes, content_type: str = REQUEST_MEDIA_TYPE) -> TestResponse:
    return web.post("/analytics/ohttp", data=body, content_type=content_type)


def refused(town: Town, request: Request, reason: Refusal, status: int = 400) -> None:
    """The reason is answered and counted, and nothing else changes."""
    before = town.rows()
    answer = town.send(request)
    assert (answer.status, answer.body) == (status, reason.value.encode())
    assert town.rows() == before
    assert town.side.tally.snapshot() == {reason.value: 1}


def test_a_fragment_is_counted_in_its_cell(open_town: Town) -> None:
    assert open_town.send_genre(3).status == 200
    assert open_town.send_genre(3).status == 200
    assert open_town.counters() == {("genre", 3): (2, 0)}
    assert open_town.accepted() == {"genre": 2}


def test_none_is_accepted_and_counted_in_no_cell(open_town: Town) -> None:
    assert open_town.send_genre(0).status == 200
    assert open_town.counters() == {}
    assert open_town.accepted() == {"genre": 1}


def test_a_timed_fragment_adds_its_sixteenths_and_the_rest(open_town: Town) -> None:
    for k in (0, 5, 16):
        assert open_town.send(fragment_request(Fragment(2, WEEK, 1, k), token("viewing"))).status == 200
    assert open_town.counters() == {("viewing", 1): (21, 27)}


def test_none_of_a_timed_measure_adds_no_rest(open_town: Town) -> None:
    open_town.send(fragment_request(Fragment(2, WEEK, 0, 0), token("viewing")))
    assert open_town.counters() == {}


def test_an_inner_request_to_another_address_is_refused(open_town: Town) -> None:
    good = fragment_request(GENRE, token("genre"))
    refused(open_town, good._replace(path="/other"), Refusal.INNER_REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"scheme": "http"},
        {"authority": "analytics.example"},
        {"headers": (("content-type", "text/plain"),)},
    ],
)
def test_an_inner_request_that_differs_in_anything_is_refused(
    open_town: Town, change: dict[str, object]
) -> None:
    refused(open_town, fragment_request(GENRE, token("genre"))._replace(**change), Refusal.INNER_REQUEST)


def test_a_header_more_that_could_mark_a_box_is_refused(open_town: Town) -> None:
    good = fragment_request(GENRE, token("genre"))
    refused(open_town, good._replace(headers=(*good.headers, ("x-box", "1"))), Refusal.INNER_REQUEST)


def test_a_repeated_header_is_refused(open_town: Town) -> None:
    good = fragment_request(GENRE, token("genre"))
    refused(open_town, good._replace(headers=(*good.headers, good.headers[0])), Refusal.INNER_REQUEST)


def test_bytes_that_are_no_binary_http_are_refused(open_town: Town) -> None:
    config = KeyConfig.decode(open_town.side.key_config(WEEK))
    sealed, context = encapsulate_request(config, b"\xff" * INNER_REQUEST_SIZE)
    answer = decode_response(context.open_response(open_town.side.intake.answer(sealed)))
    assert answer.body == Refusal.INNER_REQUEST.value.encode()


@pytest.mark.parametrize("body", [b"", GENRE.encode() + b"\x00", b"\x02" + GENRE.encode()[1:]])
def test_a_fragment_of_another_size_or_version_is_refused(open_town: Town, body: bytes) -> None:
    good = fragment_request(GENRE, token("genre"))
    refused(open_town, good._replace(body=body), Refusal.FRAGMENT)


def test_a_fragment_without_a_token_is_refused(open_town: Town) -> None:
    refused(open_town, fragment_request(GENRE, None), Refusal.NO_TOKEN, 401)


def test_a_token_of_another_length_is_refused(open_town: Town) -> None:
    good = fragment_request(GENRE, None)
    headers = (*good.headers, ("authorization", "PrivateToken token=AAIA"))
    refused(open_town, good._replace(headers=headers), Refusal.TOKEN)


def test_a_fragment_of_another_week_than_its_seal_is_refused(open_town: Town) -> None:
    refused(
        open_town, fragment_request(replace(GENRE, week=WEEK.plus(1)), token("genre")), Refusal.OTHER_WEEK
    )


def test_a_fragment_of_a_running_week_is_refused(town: Town) -> None:
    town.publish()
    refused(town, fragment_request(GENRE, token("genre")), Refusal.WEEK_NOT_OVER, 403)


def test_a_fragment_is_refused_from_the_moment_its_week_closes(open_town: Town) -> None:
    open_town.clock.advance_to(closed())
    refused(open_town, fragment_request(GENRE, token("genre")), Refusal.WEEK_CLOSED, 403)


def test_a_fragment_of_a_done_week_is_refused_though_the_clock_was_set_back(open_town: Town) -> None:
    open_town.send_genre(3)  # the gateway has the week at hand
    open_town.hand_totals(asked=10)
    open_town.clock.advance_to(closed())
    open_town.side.release(WEEK)
    open_town.clock._now = over()
    refused(open_town, fragment_request(GENRE, token("genre")), Refusal.WEEK_CLOSED, 403)


def test_a_token_of_an_unknown_key_is_refused(open_town: Town) -> None:
    paid = replace(token("genre"), key_id=bytes(32))
    refused(open_town, fragment_request(GENRE, paid), Refusal.TOKEN_KEY, 401)


def test_a_token_for_another_challenge_is_refused(open_town: Town) -> None:
    refused(open_town, fragment_request(GENRE, token("genre", issuer="other")), Refusal.CHALLENGE, 401)


def test_a_token_for_another_week_is_refused(open_town: Town) -> None:
    refused(open_town, fragment_request(GENRE, token("genre", WEEK.plus(1))), Refusal.CHALLENGE, 401)


def test_a_token_for_another_measure_is_refused(open_town: Town) -> None:
    refused(open_town, fragment_request(GENRE, token("viewing")), Refusal.OTHER_MEASURE)


def test_a_cell_outside_the_grid_is_refused(open_town: Town) -> None:
    refused(open_town, fragment_request(replace(GENRE, cell=12), token("genre")), Refusal.CELL)


@pytest.mark.parametrize(
    ("fragment", "measure"),
    [
        (Fragment(1, WEEK, 3, 0), "genre"),
        (Fragment(1, WEEK, 3, 2), "genre"),
        (Fragment(1, WEEK, 0, 1), "genre"),
        (Fragment(2, WEEK, 1, 17), "viewing"),
        (Fragment(2, WEEK, 0, 3), "viewing"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(open_town: Town, fragment: Fragment, measure: str) -> None:
    refused(open_town, fragment_request(fragment, token(measure)), Refusal.VALUE)


def test_a_forged_token_is_refused(open_town: Town) -> None:
    genuine = token("genre")
    forged = Token(os.urandom(32), genuine.challenge_digest, genuine.key_id, genuine.authenticator)
    refused(open_town, fragment_request(GENRE, forged), Refusal.FORGED, 401)


def test_every_answer_has_one_size(open_town: Town) -> None:
    paid = token("genre")
    requests = [fragment_request(GENRE, paid), fragment_request(GENRE, paid), fragment_request(GENRE, None)]
    sizes = {len(open_town.side.intake.answer(open_town.seal(request)[0])) for request in requests}
    assert sizes == {INNER_ANSWER_SIZE + RESPONSE_OVERHEAD}


def test_a_duplicate_gets_the_first_answer_and_is_counted_as_duplicate_only(open_town: Town) -> None:
    paid = token("genre")
    sealed, context = open_town.seal(fragment_request(GENRE, paid))
    again, other_context = open_town.seal(fragment_request(replace(GENRE, cell=5), paid))
    first = context.open_response(open_town.side.intake.answer(sealed))
    before = open_town.rows()
    second = other_context.open_response(open_town.side.intake.answer(again))
    assert first == second
    assert decode_response(first) == Response(200)
    assert open_town.rows() == before
    assert open_town.side.tally.snapshot() == {"duplicate": 1}


def test_a_replayed_seal_is_answered_alike_under_a_fresh_nonce(open_town: Town) -> None:
    sealed, context = open_town.seal(fragment_request(GENRE, token("genre")))
    answers = [open_town.side.intake.answer(sealed) for _ in range(2)]
    assert answers[0] != answers[1]
    assert len({context.open_response(answer) for answer in answers}) == 1


def test_concurrent_resends_count_once(open_town: Town) -> None:
    tokens = [token("genre") for _ in range(8)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda paid: open_town.send_genre(2, paid=paid).status, tokens * 16))
    assert set(answers) == {200}
    assert open_town.counters() == {("genre", 2): (8, 0)}
    assert open_town.accepted() == {"genre": 8}
    assert open_town.side.tally.snapshot() == {"duplicate": 120}


def test_a_refused_token_can_still_be_spent(open_town: Town) -> None:
    paid = token("genre")
    assert open_town.send(fragment_request(replace(GENRE, cell=12), paid)).status == 400
    assert open_town.send(fragment_request(GENRE, paid)).status == 200
    assert open_town.counters() == {("genre", 3): (1, 0)}


def test_no_table_holds_anything_of_a_fragment_but_counter_and_nonce(open_town: Town) -> None:
    paid = token("genre")
    open_town.send(fragment_request(GENRE, paid))
    everything = repr(open_town.rows()).encode() + b"".join(
        value
        for rows in open_town.rows().values()
        for row in rows
        for value in row
        if isinstance(value, bytes)
    )
    assert paid.nonce in everything
    assert paid.authenticator not in everything
    assert GENRE.encode() not in everything


def test_a_seal_is_answered_over_http(web: FlaskClient, open_town: Town) -> None:
    sealed, context = open_town.seal(fragment_request(GENRE, token("genre")))
    answer = post(web, sealed)
    assert (answer.status_code, answer.content_type) == (200, RESPONSE_MEDIA_TYPE)
    assert decode_response(context.open_response(answer.data)).status == 200


OUTER = {
    "wrong-size": (lambda sealed: sealed[:-1], 400),
    "unknown-key": (lambda sealed: b"\x07" + sealed[1:], 400),
    "unknown-suite": (lambda sealed: sealed[:2] + b"\x21" + sealed[3:], 400),
    "broken-seal": (lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]), 400),
    "too-large": (lambda sealed: sealed + b"\x00", 413),
}


@pytest.mark.parametrize("name", list(OUTER))
def test_what_cannot_be_opened_is_refused_by_name(web: FlaskClient, open_town: Town, name: str) -> None:
    change, status = OUTER[name]
    sealed, _ = open_town.seal(fragment_request(GENRE, token("genre")))
    before = open_town.rows()
    answer = post(web, change(sealed))
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json["type"].endswith(f":{name}")
    assert open_town.rows() == before
    assert open_town.side.tally.snapshot() == {name: 1}


def test_another_content_type_is_refused(web: FlaskClient, open_town: Town) -> None:
    answer = post(web, bytes(SEALED_SIZE), "application/json")
    assert answer.status_code == 415
    assert open_town.side.tally.snapshot() == {"wrong-content-type": 1}


def test_a_database_that_fails_is_told_as_temporary(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_contributions: object) -> None:
        raise StorageError("disk full")

    monkeypatch.setattr(open_town.side.store, "count", fails)
    with pytest.raises(NotStoredError):
        open_town.send_genre(1)
    assert open_town.counters() == {}


def test_a_failure_in_a_group_reaches_everybody_and_the_next_group_works(
    open_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_contributions: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(open_town.side.store, "count", fails)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                open_town.send_genre(1)
    assert open_town.send_genre(1).status == 200


def test_good_and_bad_fragments_in_one_group_do_not_touch_each_other(open_town: Town) -> None:
    good, bad = fragment_request(GENRE, token("genre")), fragment_request(GENRE, None)
    sealed = [open_town.seal(request) for request in (good, bad, good)]
    broken = sealed[0][0][:-1] + bytes([sealed[0][0][-1] ^ 1])
    group = [sealed[0][0], broken, sealed[1][0], sealed[2][0]]
    answers = open_town.side.intake.answer_all(group)
    assert isinstance(answers[1], BrokenSealError)
    opened = [
        decode_response(context.open_response(answer)).status
        for (_, context), answer in zip(sealed, [answers[0], answers[2], answers[3]], strict=True)
        if isinstance(answer, bytes)
    ]
    assert opened == [200, 401, 200]
    assert open_town.counters() == {("genre", 3): (1, 0)}


def test_unknown_key_ids_read_no_key_again(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    open_town.send_genre(1)
    sealed, _ = open_town.seal(fragment_request(GENRE, token("genre")))
    monkeypatch.setattr(open_town.side.keys, "gateway", None)
    with pytest.raises(UnknownKeyError):
        open_town.side.intake.answer(b"\x07" + sealed[1:])
    assert open_town.side.intake.answer(sealed)


def test_after_closing_a_fragment_is_told_to_come_again(open_town: Town) -> None:
    open_town.side.intake.close()
    with pytest.raises(NotStoredError):
        open_town.send_genre(1)


def test_the_directory_is_served_as_the_exact_bytes_that_were_signed(
    web: FlaskClient, open_town: Town
) -> None:
    answer = web.get(f"/analytics/directory/{WEEK}")
    assert answer.data == open_town.publish()
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("week", ["2026-W42", "2026-W60", "other"])
def test_a_directory_that_is_not_there_is_a_problem(web: FlaskClient, week: str) -> None:
    answer = web.get(f"/analytics/directory/{week}")
    assert (answer.status_code, answer.json["type"].rsplit(":")[-1]) == (404, "no-directory")


def test_refusal_names_are_told_apart() -> None:
    names = [refusal.name for refusal in OUTER_REFUSALS] + [reason.value for reason in Refusal]
    assert len(set(names)) == len(names)


def test_an_answer_holds_the_longest_refusal() -> None:
    assert max(len(reason) for reason in Refusal) < INNER_ANSWER_SIZE - 16


def test_a_request_with_a_token_fits_its_size() -> None:
    request = fragment_request(GENRE, token("genre"))
    assert len(authorization_header(token("genre"))) < INNER_REQUEST_SIZE
    assert len(encode_request(request, INNER_REQUEST_SIZE)) == INNER_REQUEST_SIZE
