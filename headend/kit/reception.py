"""The worker's reception, on granian's RSGI: one event loop takes what arrives, threads do the rest.

Whoever hands the interpreter's lock from thread to thread for each request spends more on that than on an
order. So the loop alone sees every request, and refuses what there is no room for; what comes through a hatch
is gathered and answered in groups by one thread; only the rest goes to Flask, in a few threads of its own.

`headend.kit.rsgi` says what of RSGI is used; WSGI is described in PEP 3333.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from headend.kit.admission import RETRY_AFTER_S, Admission, BusyError, Urgency
from headend.kit.hatches import Answer, Hatch
from headend.kit.http import MOST_READ, PROBLEM_TYPE, problem_body
from headend.kit.rsgi import Exchange, Loop, Scope
from headend.kit.wsgi import Streamed, Whole, answer_of, environ_of
from shared.system_clock import SystemClock

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

BOX_THREADS, OPERATOR_THREADS = 8, 8
"""Threads for Flask: what boxes and receivers ask, and what operators do; neither waits for the other."""


class Reception:
    """The RSGI application over a Flask application and the hatches past it.

    `answered` hears the path, status and seconds of what went past Flask.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        hatches: Mapping[str, Hatch],
        admission: Admission,
        urgency_of: Callable[[str], Urgency | None],
        answered: Callable[[str, int, float], None] = lambda *_: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._app, self._answered, self._close = app, answered, close
        self._clock = SystemClock()
        self._gathered = {path: _Gathered(hatch) for path, hatch in hatches.items()}
        self._admission, self._urgency_of = admission, urgency_of
        self._boxes = ThreadPoolExecutor(BOX_THREADS, "boxes")
        self._operators = ThreadPoolExecutor(OPERATOR_THREADS, "operators")
        self._loop: Loop | None = None

    def __rsgi_init__(self, loop: Loop) -> None:
        """Begin."""
        self._loop = loop
        for gathered in self._gathered.values():
            gathered.begin(loop)

    def __rsgi_del__(self, loop: Loop) -> None:
        """End: what was begun is done."""
        for gathered in self._gathered.values():
            gathered.close()
        for pool in (self._boxes, self._operators):
            pool.shutdown()
        self._close()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        urgency = self._urgency_of(scope.path)
        if urgency is None:
            await self._by_flask(scope, exchange, self._operators)
            return
        try:
            with self._admission.admitted(urgency, min(_size(scope), MOST_READ)):
                await self._answer(scope, exchange)
        except BusyError as refusal:
            if 0 < _size(scope) <= MOST_READ:
                await exchange()  # else the connection, and this answer with it, may be cut
            headers = [("content-type", PROBLEM_TYPE), ("retry-after", str(RETRY_AFTER_S))]
            exchange.response_bytes(int(refusal.status), headers, problem_body(refusal))

    async def _answer(self, scope: Scope, exchange: Exchange) -> None:
        gathered = self._gathered.get(scope.path)
        if gathered is None or not gathered.hatch.suits(
            scope.method, scope.headers.get("content-type"), scope.headers.get("content-length")
        ):
            await self._by_flask(scope, exchange, self._boxes)
            return
        begun = self._clock.monotonic()
        status, kind, body = await gathered.ask(await exchange())
        exchange.response_bytes(int(status), [("content-type", kind)], body)
        self._answered(scope.path, int(status), self._clock.monotonic() - begun)

    async def _by_flask(self, scope: Scope, exchange: Exchange, pool: ThreadPoolExecutor) -> None:
        assert self._loop is not None  # noqa: S101 (nothing is asked before the beginning)
        # Too much, or of a length that is not told, is not read: Flask refuses it by its head.
        body = await exchange() if 0 < _size(scope) <= MOST_READ else b""
        environ = environ_of(scope, body)
        pieces = _Pieces(self._loop, exchange)
        found = await self._loop.run_in_executor(pool, answer_of, self._app, environ, pieces.send)
        if isinstance(found, Whole):
            exchange.response_bytes(found.status, found.headers, found.body)


def _size(scope: Scope) -> int:
    """How many bytes of body are told; 0 if none are, or if they come in chunks."""
    told = scope.headers.get("content-length") or ""
    return int(told) if told.isdecimal() else 0


class _Pieces:
    """An answer's pieces on their way from a thread to the loop, one at a time."""

    def __init__(self, loop: Loop, exchange: Exchange) -> None:
        self._loop, self._exchange = loop, exchange
        self._transport: Any = None

    def send(self, streamed: Streamed, piece: bytes) -> bool:
        """Send a piece from a thread, and wait until it has gone; False if nobody takes it any more."""
        sent, fate = threading.Event(), list[bool]()

        async def send() -> None:
            try:
                if self._transport is None:
                    self._transport = self._exchange.response_stream(streamed.status, streamed.headers)
                await self._transport.send_bytes(piece)
                fate.append(True)
            finally:
                sent.set()

        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(send()))
        sent.wait()
        return bool(fate)


class _Gathered:
    """What waits at one hatch; a thread of the hatch's own answers all that waits at once."""

    def __init__(self, hatch: Hatch) -> None:
        self.hatch = hatch
        self._waiting: list[tuple[bytes, Any]] = []
        self._busy = False
        self._thread = ThreadPoolExecutor(1, "hatch")
        self._loop: Loop | None = None

    def begin(self, loop: Loop) -> None:
        """From now on there is a loop."""
        self._loop = loop

    def close(self) -> None:
        """Let the thread finish."""
        self._thread.shutdown()

    def ask(self, body: bytes) -> Awaitable[Answer]:
        """The answer to one body."""
        assert self._loop is not None  # noqa: S101 (nothing is asked before the beginning)
        future: Awaitable[Answer] = self._loop.create_future()
        self._waiting.append((body, future))
        if not self._busy:
            self._busy = True
            self._loop.call_soon_threadsafe(self._next)  # what arrives in this turn goes with it
        return future

    def _next(self) -> None:
        limit = self.hatch.together
        group, self._waiting = self._waiting[:limit], self._waiting[limit:]
        self._thread.submit(self._do, group)

    def _do(self, group: list[tuple[bytes, Any]]) -> None:
        answers = self.hatch.answer([body for body, _ in group])
        assert self._loop is not None  # noqa: S101 (nothing is asked before the beginning)
        self._loop.call_soon_threadsafe(partial(self._done, group, answers))

    def _done(self, group: list[tuple[bytes, Any]], answers: list[Answer]) -> None:
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():  # whoever asked may have gone
                future.set_result(answer)
        if self._waiting:
            self._next()
        else:
            self._busy = False
