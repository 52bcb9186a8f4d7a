"""Bytes to message, refusal to answer: RFC 9457 problems with stable names, each counted by its name."""

import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

from flask import Request, Response, request

from shared.errors import StbError

PROBLEM_TYPE = "application/problem+json"
MOST_READ = 512 * 1024
"""Bytes of a body that are read at all."""
PROBLEM_URN = "urn:stb-telemetry:problem:"


class RefusedError(StbError):
    """A request that is refused: nothing changed, the reason is counted by `name`."""

    name: ClassVar[str] = "refused"
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class TooLargeError(RefusedError):
    """The body is larger than this address takes."""

    name = "too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongTypeError(RefusedError):
    """The body's content type is not the one that this address takes."""

    name = "wrong-content-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class MalformedError(RefusedError):
    """The body cannot be read as what it should be."""

    name = "malformed"


class Tally:
    """Counts by name, kept in memory until a side stores them; safe between threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._storing = threading.Lock()

    def add(self, name: str, by: int = 1) -> None:
        """Count `by` more of `name`."""
        with self._lock:
            self._counts[name] += by

    def store(self, keep: Callable[[dict[str, int]], object]) -> None:
        """Hand what was counted since the last time to `keep`; what it does not take stays counted here.

        Raises:
            Exception: whatever `keep` raises.
        """
        with self._storing:
            with self._lock:
                counts = dict(self._counts)
                self._counts.clear()
            try:
                if counts:
                    keep(counts)
            except Exception:
                for name, count in counts.items():
                    self.add(name, count)
                raise

    def beside(self, stored: Callable[[], dict[str, int]]) -> dict[str, int]:
        """All counts, with those stored; nothing is missed or doubled while some are being stored."""
        with self._storing:
            counts = dict(stored())
            for name, count in self.snapshot().items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def snapshot(self) -> dict[str, int]:
        """What has been counted and is not stored yet."""
        with self._lock:
            return dict(self._counts)


def problem(refusal: RefusedError) -> Response:
    """The RFC 9457 answer to a refusal; the detail never repeats what was sent."""
    return problem_answer(refusal.name, refusal.status, _title(refusal))


def problem_answer(name: str, status: HTTPStatus, title: str) -> Response:
    """A problem answer of that name."""
    return Response(_body(name, status, title), status=int(status), content_type=PROBLEM_TYPE)


def problem_body(refusal: RefusedError) -> bytes:
    """The body alone, for whoever answers without Flask."""
    return _body(refusal.name, refusal.status, _title(refusal)).encode()


def _title(refusal: RefusedError) -> str:
    return (type(refusal).__doc__ or "").split("\n")[0]


def _body(name: str, status: HTTPStatus, title: str) -> str:
    return f'{{"type":"{PROBLEM_URN}{name}","title":"{title}","status":{int(status)}}}'


def body_of(content_type: str, limit: int, asked: Request | None = None) -> bytes:
    """The request's body, if it has the type and is not larger than `limit` bytes.

    Raises:
        WrongTypeError: another content type.
        TooLargeError: larger, or of a length that is not told beforehand.
    """
    asked = asked or request
    length = asked.content_length
    # Read even what is refused, within reason: a server that answers and closes on an unread body may cut
    # its own answer off.
    body = asked.get_data(cache=False) if length is not None and length <= MOST_READ else b""
    if asked.mimetype != content_type:
        raise WrongTypeError(f"expected {content_type}")
    if length is None or length > limit:
        raise TooLargeError(f"at most {limit} bytes, told beforehand")
    return body


def json_answer(body: bytes, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """An answer of ready JSON bytes."""
    return Response(body, status=int(status), content_type="application/json")
