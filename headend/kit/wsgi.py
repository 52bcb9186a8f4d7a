"""One request by WSGI (PEP 3333): its environment, and its answer, whole or in pieces."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headend.kit.rsgi import Scope

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Fields = list[tuple[str, str]]
_STATUS_DIGITS = 3


@dataclass(frozen=True)
class Streamed:
    """The head of an answer that comes in pieces."""

    status: int
    headers: Fields


@dataclass(frozen=True)
class Whole(Streamed):
    """An answer of one piece."""

    body: bytes


def environ_of(asked: Scope, body: bytes) -> dict[str, Any]:
    """The environment of a request; texts are bytes told as Latin-1, as PEP 3333 wants them."""
    host, _, port = asked.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": asked.path.encode().decode("latin-1"),
        "QUERY_STRING": asked.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{asked.http_version}",
        "REMOTE_ADDR": asked.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": asked.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in asked.headers.items():
        key = "HTTP_" + name.upper().replace("-", "_")
        if key in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
            key = key.removeprefix("HTTP_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def answer_of(
    app: "WSGIApplication", environ: dict[str, Any], send: Callable[[Streamed, bytes], bool]
) -> Streamed:
    """Let an application answer: the whole answer, or its head once `send` has taken every piece."""
    heads: list[Streamed] = []

    def start_response(status: str, headers: Fields, _exc_info: object = None) -> Callable[[bytes], object]:
        heads[:] = [
            Streamed(int(status[:_STATUS_DIGITS]), [(name.lower(), value) for name, value in headers])
        ]
        return lambda _piece: None

    given = app(environ, start_response)
    try:
        pieces = iter(given)
        first, second = next(pieces, b""), next(pieces, None)
        head = heads[0]
        if second is None:
            return Whole(head.status, head.headers, first)
        _send_all(head, (first, second), pieces, send)
        return head
    finally:
        if hasattr(given, "close"):
            given.close()


def _send_all(
    head: Streamed,
    begun: tuple[bytes, bytes],
    pieces: Iterator[bytes],
    send: Callable[[Streamed, bytes], bool],
) -> None:
    if all(send(head, piece) for piece in begun):
        all(send(head, piece) for piece in pieces)
