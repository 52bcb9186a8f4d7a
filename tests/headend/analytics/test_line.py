"""The gateway by itself, on RSGI."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from headend.analytics.gateway import SEALED_SIZE
from headend.analytics.line import CHORES_SECONDS, DIRECTORY_BOUND, FRAGMENT_BOUND, Line
from headend.kit.storage import StorageError
from shared.anonymous import Fragment
from shared.bhttp import decode_response
from shared.ohttp import REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE
from tests.headend.analytics.builders import WEEK, Town, fragment_request, token

SEALED = "/analytics/ohttp"


class Asked:
    """One request as granian would hand it over, and what was answered."""

    def __init__(self, method: str, path: str, body: bytes = b"", **headers: str | None) -> None:
        self.method, self.path, self.body = method, path, body
        told = {"content_type": REQUEST_MEDIA_TYPE, "content_length": str(len(body))} | headers
        self.headers = {name.replace("_", "-"): value for name, value in told.items() if value is not None}
        self.read = 0
        self.answer: tuple[int, dict[str, str], bytes] = (0, {}, b"")

    def __call__(self) -> Awaitable[bytes]:
        async def body() -> bytes:
            await asyncio.sleep(0)
            self.read += 1
            return self.body

        return body()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = (status, dict(headers), body)

    @property
    def name(self) -> str:
        """The problem's name."""
        return msgspec.json.decode(self.answer[2])["type"].rpartition(":")[2]


def ask(town: Town, *requests: Asked) -> list[Asked]:
    """Put all requests at once to a line of their own."""

    async def run() -> None:
        line = Line(town.side.store, town.side.intake, town.side.tally, lambda: None, lambda: None)
        line.__rsgi_init__(asyncio.get_running_loop())
        await asyncio.gather(*(line.__rsgi__(one, one) for one in requests))
        line.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(run())
    return list(requests)


def metrics_after(town: Town, *requests: Asked) -> str:
    """What the line tells of itself once it was asked all of them."""
    metrics = Asked("GET", "/metrics")
    line = Line(town.side.store, town.side.intake, town.side.tally, lambda: None, lambda: None)

    async def run() -> None:
        line.__rsgi_init__(asyncio.get_running_loop())
        await asyncio.gather(*(line.__rsgi__(one, one) for one in requests))
        await line.__rsgi__(metrics, metrics)
        line.__rsgi_del__(asyncio.get_running_loop())

    asyncio.run(run())
    status, headers, body = metrics.answer
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return body.decode()


def post(body: bytes, **headers: Any) -> Asked:
    return Asked("POST", SEALED, body, **headers)


def test_fragments_that_come_at_once_are_counted_in_one_transaction(
    open_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    seals = [open_town.seal(fragment_request(Fragment(1, WEEK, 3, 1), token("genre"))) for _ in range(5)]
    groups: list[int] = []
    count = open_town.side.store.count
    monkeypatch.setattr(
        open_town.side.store, "count", lambda group: [groups.append(len(group)), count(group)][1]
    )
    answers = [one.answer for one in ask(open_town, *(post(sealed) for sealed, _ in seals))]
    opened = [
        decode_response(context.open_response(body))
        for (_, context), (_, _, body) in zip(seals, answers, strict=True)
    ]
    assert [(status, headers) for status, headers, _ in answers] == [
        (200, {"content-type": RESPONSE_MEDIA_TYPE})
    ] * 5
    assert {one.status for one in opened} == {200}
    assert groups == [5]
    assert open_town.counters() == {("genre", 3): (5, 0)}


def test_good_and_bad_in_one_group_do_not_touch_each_other(open_town: Town) -> None:
    sealed, context = open_town.seal(fragment_request(Fragment(1, WEEK, 3, 1), token("genre")))
    good, short, broken = ask(
        open_town,
        post(sealed),
        post(b"\x29" * (SEALED_SIZE - 1)),
        post(sealed[:-1] + bytes([sealed[-1] ^ 1])),
    )
    assert decode_response(context.open_response(good.answer[2])).status == 200
    assert (short.answer[0], short.name) == (400, "wrong-size")
    assert (broken.answer[0], broken.name) == (400, "broken-seal")
    assert open_town.side.tally.snapshot() == {"wrong-size": 1, "broken-seal": 1}


FULL = b"x" * SEALED_SIZE
REFUSED = {
    "another type": (post(FULL, content_type="text/plain"), 415, "wrong-content-type"),
    "no type": (post(FULL, content_type=None), 415, "wrong-content-type"),
    "too long": (post(FULL + b"x"), 413, "too-large"),
    "of no told length": (post(FULL, content_length=None), 413, "too-large"),
    "of a length below nothing": (post(FULL, content_length="-1"), 413, "too-large"),
    "another method": (Asked("GET", SEALED), 405, "method-not-allowed"),
    "a posted directory": (Asked("POST", f"/analytics/directory/{WEEK}"), 405, "method-not-allowed"),
    "no such week": (Asked("GET", "/analytics/directory/2026-W99"), 404, "no-directory"),
    "the console": (Asked("GET", "/console/"), 404, "not-found"),
    "billing": (Asked("GET", "/billing/v1/catalogue"), 404, "not-found"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_differs_is_refused_by_name_and_counted(open_town: Town, what: str) -> None:
    asked, status, name = REFUSED[what]
    ask(open_town, asked)
    assert (asked.answer[0], asked.name) == (status, name)
    assert asked.answer[1]["content-type"] == "application/problem+json"
    assert asked.read == 0, "nothing of the body is read"
    assert open_town.side.tally.snapshot() == {name: 1}


def test_with_too_much_waiting_fragments_are_refused_by_name_and_its_health_is_told(
    open_town: Town,
) -> None:
    fragments = [post(FULL) for _ in range(FRAGMENT_BOUND + 3)]
    alive = Asked("GET", "/healthz")
    ask(open_town, *fragments, alive)  # all are read in one turn, before the first group is answered
    shed = [one for one in fragments if one.answer[0] == 503]
    assert shed == fragments[FRAGMENT_BOUND:]
    for one in shed:
        assert (one.name, one.answer[1]["retry-after"], one.read) == ("busy", "30", 1)
    assert alive.answer[0] == 200
    assert "busy" not in open_town.side.tally.snapshot()


def test_what_is_refused_for_want_of_room_is_counted_apart_and_is_no_failed_request(open_town: Town) -> None:
    fragments = [post(FULL) for _ in range(FRAGMENT_BOUND + 3)]
    told = metrics_after(open_town, *fragments)
    assert 'headend_shed_total{urgency="fragments"} 3.0' in told
    assert 'headend_shed_total{urgency="reads"} 0.0' in told
    assert 'status="5xx"' not in told


def test_a_directory_that_the_database_does_not_give_is_told_as_temporary_and_counted(
    open_town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_week: object) -> None:
        raise StorageError("no connection to the database")

    monkeypatch.setattr(open_town.side.store, "directory", broken)
    asked = Asked("GET", f"/analytics/directory/{WEEK}")
    told = metrics_after(open_town, asked)
    assert (asked.answer[0], asked.name, asked.answer[1]["retry-after"]) == (503, "storage", "30")
    labels = '{method="GET",route="/analytics/directory/<week>",side="analytics",status="5xx"}'
    assert f"headend_requests_total{labels} 1.0" in told
    assert "storage: no connection to the database" in caplog.text


def test_the_directory_is_refused_while_fragments_wait(open_town: Town) -> None:
    directory = Asked("GET", f"/analytics/directory/{WEEK}")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        line = Line(
            open_town.side.store, open_town.side.intake, open_town.side.tally, lambda: None, lambda: None
        )
        line.__rsgi_init__(loop)
        waiting = [line._asked(FULL) for _ in range(DIRECTORY_BOUND)]
        await line.__rsgi__(directory, directory)
        await asyncio.gather(*waiting)
        line.__rsgi_del__(loop)

    asyncio.run(run())
    assert (directory.answer[0], directory.name) == (503, "busy")


def test_the_directory_is_the_signed_bytes(open_town: Town) -> None:
    (asked,) = ask(open_town, Asked("GET", f"/analytics/directory/{WEEK}"))
    stored = open_town.side.store.directory(WEEK)
    assert stored is not None
    assert asked.answer[0] == 200
    assert asked.answer[2] == stored.envelope
    assert "immutable" in asked.answer[1]["cache-control"]


def test_it_says_that_it_lives(open_town: Town) -> None:
    assert ask(open_town, Asked("GET", "/healthz"))[0].answer[2] == b"ok\n"


def test_a_database_that_fails_is_told_as_temporary_and_the_next_group_works(
    open_town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sealed, context = open_town.seal(fragment_request(Fragment(1, WEEK, 3, 1), token("genre")))

    def broken(_group: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.CRITICAL):
        patch.setattr(open_town.side.store, "count", broken)
        (failed,) = ask(open_town, post(sealed))
    assert (failed.answer[0], failed.name) == (503, "not-stored")
    (again,) = ask(open_town, post(sealed))
    assert decode_response(context.open_response(again.answer[2])).status == 200


def test_refusals_are_stored_and_weeks_looked_at_anew_every_few_seconds(open_town: Town) -> None:
    done: list[float] = []

    class Loop:
        later: Any = None

        def call_later(self, delay: float, act: Any) -> None:
            done.append(delay)
            self.later = act

    loop = Loop()
    chores: list[int] = []
    line = Line(
        open_town.side.store,
        open_town.side.intake,
        open_town.side.tally,
        lambda: chores.append(1),
        lambda: chores.append(2),
    )
    line.__rsgi_init__(loop)  # type: ignore[arg-type]
    loop.later()
    assert (chores, done) == ([1, 1], [CHORES_SECONDS] * 2)
    line.__rsgi_del__(loop)  # type: ignore[arg-type]
    loop.later()
    assert chores == [1, 1, 2], "at the end it closes, and does no more"


def test_what_it_does_every_few_seconds_lets_go_of_a_forgotten_weeks_key(open_town: Town) -> None:
    assert open_town.side.weeks.by_key_id(WEEK.number) is not None
    open_town.side.keys.forget(WEEK)
    open_town.side._chores()
    assert open_town.side.weeks.by_key_id(WEEK.number) is None


def test_metrics_tell_how_many_were_answered_and_nothing_of_a_request(town: Town) -> None:
    asked = [
        Asked("POST", SEALED, bytes(SEALED_SIZE)),
        Asked("GET", "/analytics/directory/2026-W41"),
        Asked("GET", "/somebody/secret"),
    ]
    told = metrics_after(town, *asked)
    for route, method, kind in (
        (SEALED, "POST", "4xx"),
        ("/analytics/directory/<week>", "GET", "4xx"),
        ("unmatched", "GET", "4xx"),
    ):
        labels = f'{{method="{method}",route="{route}",side="analytics",status="{kind}"}}'
        assert f"headend_requests_total{labels} 1.0" in told
    assert "secret" not in told
    assert "2026-W41" not in told
