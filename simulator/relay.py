"""The demo's relay: it sees addresses and sealed blobs, and the gateway behind it sees neither address.

Exactly two things pass: `POST /ohttp` with one sealed request (RFC 9458), and `GET /directory/<ISO week>`,
which is kept once it was found. Of a request nothing goes on but content type and body, of an answer nothing
comes back but status, content type and body. It logs nothing and keeps counts only. It is a forwarder, not a
mixer: mixing comes from the boxes' delays. In production somebody else runs one, with TLS on both sides; this
one takes loopback addresses only.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

from shared.anonymous import INNER_REQUEST_SIZE
from shared.directory import MAX_DIRECTORY
from shared.errors import StbError
from shared.ohttp import REQUEST_MEDIA_TYPE, REQUEST_OVERHEAD
from shared.weeks import NotAWeekError, Week

SEALED_SIZE = INNER_REQUEST_SIZE + REQUEST_OVERHEAD
"""Bytes of every sealed request; there is one size."""
MAX_HEAD = 8192
MAX_UNWANTED = 64 * 1024  # bytes of a body that are read only to be refused in good order
MAX_INBOUND = 1024  # connections at a time; more are turned away
MAX_UPSTREAM = 32
MAX_WEEKS = 64
READ_S, GATEWAY_S, PARENT_S = 10.0, 20.0, 0.5

_DIRECTORY = re.compile(r"/directory/(\d{4}-W\d{2})")
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) .*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~]*?)[ \t]*")
_PROBLEM_TYPE = "application/problem+json"


class NotLoopbackError(StbError):
    """An address that is not a port on loopback, where alone plain HTTP may be spoken."""


class _RefusedError(Exception):
    """What the relay does not pass; it has a stable name, which is counted."""

    def __init__(self, name: str, status: HTTPStatus) -> None:
        super().__init__(name)
        self.name = name
        self.status = status


class _BrokenMessageError(Exception):
    """Bytes that are no HTTP message as strictly as it is spoken here."""


class Answer(NamedTuple):
    """All of an answer that passes."""

    status: int
    content_type: str
    body: bytes

    def encode(self) -> bytes:
        """The answer on the wire, with the two header fields that are let through."""
        head = f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\nContent-Type: {self.content_type}\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode("ascii") + self.body


class Asked(NamedTuple):
    """All of a request that is looked at."""

    method: str
    path: str
    content_type: str
    body: bytes


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unnamed"


def _problem(name: str, status: HTTPStatus) -> Answer:
    """An RFC 9457 problem; it repeats nothing of what was sent."""
    told = {"type": f"urn:stb-telemetry:problem:{name}", "title": status.phrase, "status": int(status)}
    return Answer(int(status), _PROBLEM_TYPE, json.dumps(told).encode("ascii"))


def _fields(lines: list[bytes]) -> dict[str, str]:
    """Header fields by lower-case name; what is not understood, or said twice, is refused."""
    found: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        name = match[1].decode("ascii").lower() if match else ""
        if match is None or (name in found and name in {"content-length", "content-type"}):
            raise _BrokenMessageError
        found[name] = match[2].decode("ascii")
    return found


def _length(fields: dict[str, str]) -> int | None:
    """The length that a message tells, None if it tells none.

    Raises:
        _BrokenMessageError: It has a transfer coding, or the length is no short decimal number.
    """
    told = fields.get("content-length")
    if "transfer-encoding" in fields or (told is not None and not re.fullmatch(r"\d{1,8}", told)):
        raise _BrokenMessageError
    return None if told is None else int(told)


class Tape:
    """Every byte that passes, for the test that looks for identities in them; without a file, nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file: BinaryIO | None = None if path is None else path.open("ab")

    def keep(self, label: str, raw: bytes) -> None:
        """Append raw bytes behind a line that says whose they are and how many."""
        if self._file is not None:
            self._file.write(f"\n--- {label} {len(raw)}\n".encode("ascii") + raw)

    def close(self) -> None:
        """Make it whole on disk."""
        if self._file is not None:
            self._file.close()


class Gateway:
    """The way to the gateway over a few lasting connections, which many boxes' requests share."""

    def __init__(self, url: str, tape: Tape) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.query or parts.fragment or parts.username is not None:
            raise NotLoopbackError(f"{url!r} is not of the form http://127.0.0.1:8000")
        self._host, self._port = _loopback(parts.netloc)
        self._authority = parts.netloc
        self._prefix = parts.path.rstrip("/") + "/analytics"
        self._tape = tape
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._slots = asyncio.Semaphore(MAX_UPSTREAM)

    async def ask(self, asked: Asked) -> Answer:
        """Send one request, once: if its answer is lost, the box sends another one, sealed afresh.

        Raises:
            _RefusedError: The gateway is down, too slow, or speaks otherwise than expected.
        """
        try:
            async with self._slots, asyncio.timeout(GATEWAY_S):
                return await self._exchange(self._encode(asked))
        except (OSError, EOFError, asyncio.LimitOverrunError, _BrokenMessageError) as error:
            raise _RefusedError("gateway-down", HTTPStatus.BAD_GATEWAY) from error

    def _encode(self, asked: Asked) -> bytes:
        head = f"{asked.method} {self._prefix}{asked.path} HTTP/1.1\r\nHost: {self._authority}\r\n"
        if asked.method == "POST":
            head += f"Content-Type: {asked.content_type}\r\nContent-Length: {len(asked.body)}\r\n"
        return head.encode("ascii") + b"\r\n" + asked.body

    async def _exchange(self, raw: bytes) -> Answer:
        reader, writer = await self._connection()
        lasting = False
        try:
            self._tape.keep("to gateway", raw)
            writer.write(raw)
            answer, lasting = await self._read(reader)
        finally:
            if lasting:
                self._idle.append((reader, writer))
            else:
                writer.close()
        return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port, limit=MAX_HEAD)

    async def _read(self, reader: asyncio.StreamReader) -> tuple[Answer, bool]:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        status, fields = _STATUS_LINE.fullmatch(first), _fields(lines)
        length = _length(fields)
        if status is None or length is None or length > MAX_DIRECTORY:
            raise _BrokenMessageError
        body = await reader.readexactly(length)
        self._tape.keep("from gateway", head + body)
        answer = Answer(int(status[1]), fields.get("content-type", "application/octet-stream"), body)
        return answer, fields.get("connection", "").lower() != "close"

    def close(self) -> None:
        """Let all connections go."""
        for _, writer in self._idle:
            writer.close()


class Relay:
    """Takes a fresh connection for each request, passes what may pass, and counts."""

    def __init__(self, gateway: Gateway, tape: Tape) -> None:
        self.counts: Counter[str] = Counter()
        self._gateway = gateway
        self._tape = tape
        self._directories: dict[str, Answer] = {}
        self._inbound = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one answer, the end."""
        self._inbound += 1
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                raw = (await self._answer(reader)).encode()
                self._tape.keep("to box", raw)
                writer.write(raw)
                async with asyncio.timeout(READ_S):
                    await writer.drain()
        finally:
            self._inbound -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            self._admit()
            async with asyncio.timeout(READ_S):
                asked = await self._read(reader)
            return await self._pass_on(asked)
        except _RefusedError as refused:
            self.counts[refused.name] += 1
            return _problem(refused.name, refused.status)

    def _admit(self) -> None:
        if self._inbound > MAX_INBOUND:
            raise _RefusedError("busy", HTTPStatus.SERVICE_UNAVAILABLE)

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head[:-4].split(b"\r\n")
            line, fields = _REQUEST_LINE.fullmatch(first), _fields(lines)
            length = _length(fields) or 0
        except asyncio.LimitOverrunError as error:
            raise _RefusedError("head-too-large", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from error
        except _BrokenMessageError as error:
            raise _RefusedError("malformed", HTTPStatus.BAD_REQUEST) from error
        if line is None:
            raise _RefusedError("malformed", HTTPStatus.BAD_REQUEST)
        if length > MAX_UNWANTED:
            raise _RefusedError("too-large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = await reader.readexactly(length)
        self._tape.keep("from box", head + body)
        return Asked(line[1].decode(), line[2].decode(), fields.get("content-type", ""), body)

    async def _pass_on(self, asked: Asked) -> Answer:
        if asked.path == "/ohttp":
            return await self._pass_sealed(asked)
        week = _DIRECTORY.fullmatch(asked.path)
        if week is None:
            raise _RefusedError("not-found", HTTPStatus.NOT_FOUND)
        return await self._pass_directory(asked, week[1])

    async def _pass_sealed(self, asked: Asked) -> Answer:
        if asked.method != "POST":
            raise _RefusedError("wrong-method", HTTPStatus.METHOD_NOT_ALLOWED)
        if asked.content_type != REQUEST_MEDIA_TYPE:
            raise _RefusedError("wrong-content-type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if len(asked.body) != SEALED_SIZE:
            raise _RefusedError("wrong-size", HTTPStatus.BAD_REQUEST)
        answer = await self._gateway.ask(asked)
        self.counts["sealed-passed"] += 1
        return answer

    async def _pass_directory(self, asked: Asked, week: str) -> Answer:
        if asked.method != "GET":
            raise _RefusedError("wrong-method", HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            Week.parse(week)
        except NotAWeekError as error:
            raise _RefusedError("not-found", HTTPStatus.NOT_FOUND) from error
        if week in self._directories:
            self.counts["directory-kept"] += 1
            return self._directories[week]
        answer = await self._gateway.ask(asked._replace(body=b"", content_type=""))
        self.counts["directory-passed"] += 1
        if answer.status == HTTPStatus.OK:
            self._keep(week, answer)
        return answer

    def _keep(self, week: str, answer: Answer) -> None:
        """A directory never changes, so the first one found stays; of too many weeks the oldest goes."""
        self._directories[week] = answer
        if len(self._directories) > MAX_WEEKS:
            del self._directories[min(self._directories)]


def _loopback(netloc: str) -> tuple[str, int]:
    host, _, port = netloc.rpartition(":")
    if not re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost", host) or not re.fullmatch(
        r"\d{1,5}", port
    ):
        raise NotLoopbackError(f"{netloc!r} is not of the form 127.0.0.1:8000")
    return host, int(port)


async def _parent_gone(parent: int) -> None:
    """Wait until the process that started this one is no longer there; then nobody else would stop it."""
    while os.getppid() == parent:  # noqa: ASYNC110 (a parent's death tells nobody; one has to look)
        await asyncio.sleep(PARENT_S)


async def run(listen: str, gateway_url: str, record: Path | None, parent: int) -> Counter[str]:
    """Serve until SIGTERM, SIGINT or the parent's death; answers with the counts.

    Args:
        listen: `127.0.0.1:PORT`; port 0 takes a free one.
        gateway_url: `http://127.0.0.1:PORT`.
        record: A file that gets every byte in both directions, or None.
        parent: The process whose death ends this one.

    Raises:
        NotLoopbackError: One of the addresses is elsewhere.
        OSError: The port is taken, or the file cannot be written.
    """
    host, port = _loopback(listen)
    tape = Tape(record)
    gateway = Gateway(gateway_url, tape)
    relay = Relay(gateway, tape)
    server = await asyncio.start_server(relay.serve, host, port, limit=MAX_HEAD, backlog=MAX_INBOUND)
    end = asyncio.ensure_future(_parent_gone(parent))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.cancel)
    sys.stdout.write(f"relay ready on {host}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await end
    server.close()
    gateway.close()
    tape.close()
    return relay.counts


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; answers with the exit status."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="python -m simulator.relay", description=__doc__.split("\n\n")[0])
    parser.add_argument("--listen", required=True, metavar="127.0.0.1:PORT")
    parser.add_argument("--gateway", required=True, metavar="http://127.0.0.1:PORT")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep every byte, for tests")
    chosen = parser.parse_args(arguments)
    try:
        counts = asyncio.run(run(chosen.listen, chosen.gateway, chosen.record, parent))
    except (NotLoopbackError, OSError) as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2
    with contextlib.suppress(OSError):  # the parent may be gone, and the pipe with it
        sys.stdout.write(f"relay passed {json.dumps(counts, sort_keys=True)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
