"""The anonymous line by itself: the gateway in a process of its own, on granian's RSGI, without Flask.

A fragment's cryptography takes less time than Flask, or than waking a thread for it. Here one event loop
takes what arrives, and whatever is waiting is proved and counted at once, in one durable transaction; no
thread is woken. Refusals, sizes and answers are those of `headend.analytics.gateway`; so is the `Intake`.

RSGI 1.6 is described in granian's own documentation.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from headend.analytics.gateway import (
    DIRECTORY_TYPE,
    GROUP_LIMIT,
    IMMUTABLE,
    SEALED_SIZE,
    Intake,
    NotStoredError,
    directory_of,
)
from headend.analytics.store import AnalyticsStore
from headend.kit.admission import RETRY_AFTER_S, BusyError, Urgency
from headend.kit.http import (
    PROBLEM_TYPE,
    RefusedError,
    Tally,
    TooLargeError,
    WrongTypeError,
    problem_body,
)
from headend.kit.metering import CONTENT_TYPE, RequestMeter, exposed, families, make_registry
from headend.kit.rsgi import Exchange, Loop, Scope
from headend.kit.storage import StorageError
from shared.ohttp import REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE
from shared.system_clock import SystemClock

log = logging.getLogger(__name__)

DIRECTORY_BOUND, FRAGMENT_BOUND = GROUP_LIMIT, 4 * GROUP_LIMIT
"""With so many fragments waiting, directories are refused, and fragments; four groups are about 0.1 s."""
CHORES_SECONDS = 5.0
"""How often refusals are stored and weeks looked at anew, so that no destroyed key stays in memory."""
_SEALED = "/analytics/ohttp"
_DIRECTORY = "/analytics/directory/"
_PLAIN = frozenset({_SEALED, "/healthz", "/metrics"})
_UNMATCHED = "unmatched"


class NotFoundError(RefusedError):
    """There is nothing at this address."""

    name = "not-found"
    status = HTTPStatus.NOT_FOUND


class WrongMethodError(RefusedError):
    """The address takes another method."""

    name = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class StorageFailedError(RefusedError):
    """The database did not take it."""

    name = "storage"
    status = HTTPStatus.SERVICE_UNAVAILABLE


Answer = tuple[int, str, bytes]
"""Status, content type, body."""


class _Sheds(Collector):
    """How many requests of each urgency were refused for want of room."""

    def __init__(self, so_far: Mapping[Urgency, int]) -> None:
        self._so_far = so_far

    def collect(self) -> Iterable[Metric]:
        return families(
            ("headend_shed_total", {"urgency": urgency.name.lower()}, n)
            for urgency, n in self._so_far.items()
        )


def _route(path: str) -> str:
    """The template of a path: what may be told of it."""
    if path in _PLAIN:
        return path
    return f"{_DIRECTORY}<week>" if path.startswith(_DIRECTORY) else _UNMATCHED


def _problem(refusal: RefusedError) -> Answer:
    return int(refusal.status), PROBLEM_TYPE, problem_body(refusal)


def _respond(exchange: Exchange, answer: Answer) -> None:
    status, kind, body = answer
    headers = [("content-type", kind)]
    if kind == DIRECTORY_TYPE:
        headers.append(("cache-control", IMMUTABLE))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("retry-after", str(RETRY_AFTER_S)))
    exchange.response_bytes(int(status), headers, body)


class Line:
    """The RSGI application: the anonymous line's two addresses, /healthz, and /metrics for this machine.

    `chores` is done every few seconds, `close` when the process ends.
    """

    def __init__(
        self,
        store: AnalyticsStore,
        intake: Intake,
        tally: Tally,
        chores: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self._store, self._intake, self._tally = store, intake, tally
        self._chores, self._close = chores, close
        self._waiting: list[tuple[bytes, Any]] = []
        self._loop: Loop | None = None
        self._shed_so_far = {Urgency.READS: 0, Urgency.FRAGMENTS: 0}
        self._registry = make_registry()
        self._registry.register(_Sheds(self._shed_so_far))
        self._meter = RequestMeter(self._registry)
        self._seconds = SystemClock().monotonic

    def __rsgi_init__(self, loop: Loop) -> None:
        """Begin."""
        self._loop = loop
        self._keep_house()

    def __rsgi_del__(self, loop: Loop) -> None:
        """End: what was counted is stored."""
        self._loop = None
        self._close()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        begun = self._seconds()
        self._meter.begin()
        try:
            answer = await self._answer(scope, exchange)
        except BusyError as refusal:  # counted by its urgency, and as no request: nothing has failed
            _respond(exchange, _problem(refusal))
        except RefusedError as refusal:
            self._tally.add(refusal.name)
            self._answered(scope, exchange, _problem(refusal), begun)
        except StorageError as error:
            log.error("storage: %s", error)  # noqa: TRY400 (which statement failed tells nothing more)
            self._answered(scope, exchange, _problem(StorageFailedError()), begun)
        else:
            self._answered(scope, exchange, answer, begun)
        finally:
            self._meter.end()

    def _answered(self, scope: Scope, exchange: Exchange, answer: Answer, begun: float) -> None:
        _respond(exchange, answer)
        took = self._seconds() - begun
        self._meter.answered("analytics", _route(scope.path), scope.method, answer[0], took)

    def _shed(self, bound: int, urgency: Urgency) -> None:
        """Refuse once so many fragments wait: directories sooner than fragments."""
        if len(self._waiting) >= bound:
            self._shed_so_far[urgency] += 1
            raise BusyError

    async def _answer(self, scope: Scope, exchange: Exchange) -> Answer:
        wanted = "POST" if scope.path == _SEALED else "GET"
        if _route(scope.path) == _UNMATCHED:
            raise NotFoundError
        if scope.method != wanted:
            raise WrongMethodError
        if scope.path == _SEALED:
            return HTTPStatus.OK, RESPONSE_MEDIA_TYPE, await self._take(scope, exchange)
        if scope.path == "/healthz":
            return HTTPStatus.OK, "text/plain", b"ok\n"
        if scope.path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, exposed(self._registry)
        self._shed(DIRECTORY_BOUND, Urgency.READS)
        week = scope.path.removeprefix(_DIRECTORY)
        return HTTPStatus.OK, DIRECTORY_TYPE, directory_of(self._store, week)

    async def _take(self, scope: Scope, exchange: Exchange) -> bytes:
        kind, length = scope.headers.get("content-type"), scope.headers.get("content-length")
        if (kind or "").partition(";")[0].strip().lower() != REQUEST_MEDIA_TYPE:
            raise WrongTypeError
        if length is None or not length.isdecimal() or int(length) > SEALED_SIZE:
            raise TooLargeError
        sealed = await exchange()  # also of what is refused: else the answer may be cut off with it
        self._shed(FRAGMENT_BOUND, Urgency.FRAGMENTS)
        answer = await self._asked(sealed)
        if isinstance(answer, RefusedError):
            raise answer
        return answer

    def _asked(self, sealed: bytes) -> Awaitable[bytes | RefusedError]:
        assert self._loop is not None  # noqa: S101 (nothing is asked before the beginning)
        if not self._waiting:
            self._loop.call_soon(self._answer_waiting)
        future: Awaitable[bytes | RefusedError] = self._loop.create_future()
        self._waiting.append((sealed, future))
        return future

    def _answer_waiting(self) -> None:
        group, self._waiting = self._waiting[:GROUP_LIMIT], self._waiting[GROUP_LIMIT:]
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._answer_waiting)
        try:
            answers = self._intake.answer_all([sealed for sealed, _ in group])
        except Exception:
            log.exception("a group of fragments failed")  # those who wait are told to come again
            answers = [NotStoredError()] * len(group)
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():  # whoever asked may have gone
                future.set_result(answer)

    def _keep_house(self) -> None:
        if self._loop is None:
            return
        try:
            self._chores()
        except StorageError:
            log.exception("refusals could not be stored")
        self._loop.call_later(CHORES_SECONDS, self._keep_house)
