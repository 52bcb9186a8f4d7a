"""The two lines. They share no connection, cookie, header or object.

The named line keeps one connection open for its exchanges. The anonymous one opens a fresh connection for
each request and says the same about every box: two exchanges cannot be told to be of one box by anything
but their address, which only the relay sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from box_agent.cutting import Cutting, TooLongError
from shared.errors import StbError

if TYPE_CHECKING:
    import requests

TIMEOUT_S = (10.0, 30.0)
"""Seconds to connect, and seconds of silence while reading."""
WHOLE_S = 120.0
"""Seconds that an exchange may take in all."""
MAX_NAMED_ANSWER = 8 * 1024 * 1024
MAX_SEALED_ANSWER = 4096
MAX_DIRECTORY = 256 * 1024
"""As shared.directory says; not imported from there, since that would bring in cryptography."""
MAX_PROBLEM = 16 * 1024
SEALED_REQUEST = "message/ohttp-req"
AGENT = "stb-telemetry"
_NAMED = "/billing/v1/"
_CHUNK = 16 * 1024


class LineDownError(StbError):
    """No answer that means anything: try again later."""


class RefusedError(StbError):
    """The other end understood and refused; `name` is the problem's (RFC 9457), `status` the HTTP status."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"refused: {name} ({status})")
        self.name = name
        self.status = status


@dataclass(frozen=True)
class Answer:
    """An answer with a status below 400."""

    status: int
    body: bytes
    etag: str | None = None


class NamedLine(Protocol):
    """What the named path needs; both raise LineDownError and RefusedError."""

    def post(self, path: str, body: bytes) -> Answer:
        """Send a body to `path`, such as "chain"."""
        ...

    def get(self, path: str, etag: str | None = None) -> Answer:
        """Fetch `path`; 304 without a body if it still has that entity tag."""
        ...


class AnonymousLine(Protocol):
    """What the anonymous path needs; both raise LineDownError and RefusedError."""

    def post_sealed(self, body: bytes) -> Answer:
        """Send one sealed request through the relay."""
        ...

    def get_directory(self, week: str) -> Answer:
        """Fetch a week's directory through the relay."""
        ...


class HttpNamedLine:
    """The named line over HTTPS; `ca_file` pins the trust root."""

    def __init__(self, headend_url: str, ca_file: str | None) -> None:
        self._url = headend_url.rstrip("/") + _NAMED
        self._ca_file = ca_file
        self._open: tuple[requests.Session, Cutting] | None = None

    def post(self, path: str, body: bytes) -> Answer:
        """See `NamedLine`."""
        return self._send("POST", path, {"Content-Type": "application/json"}, body)

    def get(self, path: str, etag: str | None = None) -> Answer:
        """See `NamedLine`."""
        return self._send("GET", path, {"If-None-Match": etag} if etag else {}, None)

    def told_date(self) -> str | None:
        """When the other end says that it is (RFC 9110 section 6.6.1).

        For a self-test, which asks for nothing else with it: no answer that the agent acts on tells a time.

        Raises:
            LineDownError: no answer.
        """
        import requests

        try:
            with _session(self._ca_file)[0] as session:
                answer = session.head(self._url + "catalogue", timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise LineDownError(type(error).__name__) from error
        return answer.headers.get("Date")

    def close(self) -> None:
        """Let the connection go."""
        if self._open is not None:
            self._open[0].close()
            self._open = None

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if self._open is None:
            self._open = _session(self._ca_file)
        return _exchange(*self._open, _Request(method, self._url + path, headers, body, MAX_NAMED_ANSWER))


class HttpAnonymousLine:
    """The anonymous line over HTTPS, a fresh connection each time."""

    def __init__(self, relay_url: str, ca_file: str | None) -> None:
        self._url = relay_url.rstrip("/")
        self._ca_file = ca_file

    def post_sealed(self, body: bytes) -> Answer:
        """See `AnonymousLine`."""
        headers = {"Content-Type": SEALED_REQUEST, "Connection": "close"}
        return self._send(_Request("POST", f"{self._url}/ohttp", headers, body, MAX_SEALED_ANSWER))

    def get_directory(self, week: str) -> Answer:
        """See `AnonymousLine`."""
        headers = {"Connection": "close"}
        return self._send(_Request("GET", f"{self._url}/directory/{week}", headers, None, MAX_DIRECTORY))

    def _send(self, request: "_Request") -> Answer:
        session, cutting = _session(self._ca_file)
        with session:
            return _exchange(session, cutting, request)


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    limit: int


def _session(ca_file: str | None) -> "tuple[requests.Session, Cutting]":
    import requests

    session = requests.Session()
    cutting = Cutting()
    for adapter in session.adapters.values():
        pools = cast("requests.adapters.HTTPAdapter", adapter).poolmanager
        pools.pool_classes_by_scheme = cutting.watch(pools.pool_classes_by_scheme)
    session.trust_env = False  # no proxy, no netrc, no certificate of the environment's choosing
    session.headers.clear()
    session.headers.update({"User-Agent": AGENT, "Accept-Encoding": "identity"})
    if ca_file is not None:
        session.verify = ca_file
    return session, cutting


def _exchange(session: "requests.Session", cutting: Cutting, request: _Request) -> Answer:
    import requests

    try:
        with (
            cutting.within(WHOLE_S),
            session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            ) as answer,
        ):
            body = _read(answer, request.limit)
            session.cookies.clear()
            status, etag = answer.status_code, answer.headers.get("ETag")
        return _judge(status, body, etag)
    except (requests.RequestException, TooLongError) as error:
        raise LineDownError(type(error).__name__) from error


def _read(answer: "requests.Response", limit: int) -> bytes:
    found = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        found += chunk
        if len(found) > limit:
            raise LineDownError(f"an answer of more than {limit} bytes")
    return bytes(found)


def _judge(status: int, body: bytes, etag: str | None) -> Answer:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
        raise LineDownError(f"status {status}")
    if status >= HTTPStatus.BAD_REQUEST:
        raise RefusedError(problem_name(body), status)
    if HTTPStatus.MULTIPLE_CHOICES <= status != HTTPStatus.NOT_MODIFIED:
        raise LineDownError(f"status {status}")
    return Answer(status, body, etag)


_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class _Problem(msgspec.Struct):
    type: str = ""
    title: str = ""


def problem_name(body: bytes) -> str:
    """The name in a problem answer (RFC 9457): the last part of its type, "refused" if it has none.

    >>> problem_name(b'{"type": "urn:stb-telemetry:problem:not-reporting-box"}')
    'not-reporting-box'
    """
    try:
        problem = msgspec.json.decode(body[:MAX_PROBLEM], type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "refused"
    for mark in "#:":
        problem.type = problem.type.replace(mark, "/")
    return problem.type.rstrip("/").rpartition("/")[2] or "refused"
