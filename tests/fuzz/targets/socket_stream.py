"""The agent's real socket: many connections, bytes in any pieces, slow writers, lines without an end.

A part is bytes for one connection: a byte that names it, and what is written. `@pause MS` waits before the
next piece; `@over N` opens so many more connections that say half a line and hold on.

What each line has to be answered with is known beforehand, so that an answer out of step is seen. A
connection beyond `MOST_CONNECTIONS` is refused with one line. Afterwards every thread has to be gone.
"""

import atexit
import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from random import Random

from tests.fuzz.boxes import STARTS, FuzzBox, fuzz_box
from tests.fuzz.door import MAX_LINE, MOST_CONNECTIONS
from tests.fuzz.engine import Fault, Parts

TIMEOUT_S = 5.0
_GOOD = (b'{"op":"consent"}', b'{"op": "notice", "language": "nl"}', b'{"op":"offers"}')
_BAD = (b"", b"{}", b"\xff\x00", b'{"op":"consent"', b'{"op":"status","x":1}', b"[" * 900, b"nonsense")
_LENGTHS = (MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, MAX_LINE + 2, MAX_LINE + 3, 3 * MAX_LINE)
_NAMES = b"abcdefgh"
_MOST_PAUSE_MS = 5
_MOST_OVER = 100


class SocketStream:
    """Streams of bytes on the socket, whole and in pieces."""

    name = "socket-stream"

    def draw(self, random: Random) -> list[bytes]:
        """See `Target`."""
        streams = {
            bytes([name]): b"".join(_line(random) for _ in range(random.randrange(1, 6)))
            for name in random.sample(_NAMES, random.choice((1, 1, 2, 8)))
        }
        parts = [b"@over %d" % random.choice((1, 10, 60))] if random.random() < 0.05 else []
        while streams:
            name = random.choice(list(streams))
            size = random.choice((1, 5, 100, MAX_LINE, 10**6))
            parts.append(name + streams[name][:size])
            if random.random() < 0.02:
                parts.append(b"@pause %d" % random.randrange(_MOST_PAUSE_MS))
            streams[name] = streams[name][size:]
            if not streams[name]:
                del streams[name]
        return parts

    def run(self, parts: Parts) -> None:
        """See `Target`."""
        path, before = _listening(), threading.active_count()
        try:
            with ExitStack() as held:
                _write(path, parts, held)
        finally:
            until = time.monotonic() + TIMEOUT_S
            while threading.active_count() > before and time.monotonic() < until:
                time.sleep(0.0005)
        if threading.active_count() > before:
            raise Fault("a thread stays behind", f"{threading.active_count()}, before {before}")


def _line(random: Random) -> bytes:
    choice = random.random()
    if choice < 0.5:
        return random.choice(_GOOD) + b"\n"
    if choice < 0.9:
        return random.choice(_BAD) + random.choice((b"\n", b"\n", b"\n", b""))
    line = random.choice(_GOOD)
    return line + b" " * (random.choice(_LENGTHS) - len(line)) + b"\n"


def _write(path: Path, parts: Parts, held: ExitStack) -> None:
    connections: dict[bytes, tuple[socket.socket, bytearray]] = {}
    for part in parts:
        word, _, number = part.partition(b" ")
        if word == b"@pause" and number.isdigit():
            time.sleep(min(int(number), _MOST_PAUSE_MS) / 1000)
        elif word == b"@over" and number.isdigit():
            for _ in range(min(int(number), _MOST_OVER)):
                _send(held.enter_context(_connected(path)), b'{"op":')
            _probe(path)
        elif part[:1] in _NAMES and part:
            if part[:1] not in connections:
                connections[part[:1]] = held.enter_context(_connected(path)), bytearray()
            connection, sent = connections[part[:1]]
            _send(connection, part[1:])
            sent += part[1:]
    crowded = any(part.startswith(b"@over") for part in parts)
    for connection, sent in connections.values():
        _check(_answers(connection), _wanted(bytes(sent)), crowded=crowded)


def _probe(path: Path) -> None:
    """Who comes last is told something, and all before it have been accepted then."""
    with _connected(path) as connection:
        _send(connection, _GOOD[0] + b"\n")
        if not connection.recv(65536):
            raise Fault("no answer", "to one who came after many")
        speakers = sum(thread.name == "speaker" for thread in threading.enumerate())
        if speakers > MOST_CONNECTIONS:
            raise Fault("a thread for each who comes", f"{speakers} threads")


def _send(connection: socket.socket, raw: bytes) -> None:
    # Refused, or closed after a line that is too long: what was answered is looked at later.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(raw)


def _answers(connection: socket.socket) -> list[bytes]:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    said = bytearray()
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass  # what was written after the agent had closed its end
    except TimeoutError:
        raise Fault("it hangs", f"after {bytes(said[-200:])!r}") from None
    return bytes(said).splitlines(keepends=True)


def _wanted(sent: bytes) -> list[bool]:
    """For each line that the agent is to answer, whether it is a good one."""
    found = []
    while sent:
        line, end, rest = sent.partition(b"\n")
        if len(line) > MAX_LINE or not end:
            return [*found, _good(line)]
        found.append(_good(line))
        sent = rest
    return found


def _good(line: bytes) -> bool:
    return len(line) <= MAX_LINE and line.strip() in _GOOD


def _check(said: list[bytes], wanted: list[bool], *, crowded: bool) -> None:
    found = [json.loads(line) for line in said]
    if crowded and found and found[0].get("error") == "too-many-connections":
        return
    if [one["ok"] for one in found] != wanted or any(not line.endswith(b"\n") for line in said):
        raise Fault("answers out of step", f"{[one['ok'] for one in found]}, wanted {wanted}")
    if any(one.get("error") not in {None, "bad-request"} for one in found):
        raise Fault("another refusal than that of the form", repr(said))


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(str(path))
        yield connection


@cache
def _listening() -> Path:
    """One agent for the whole run, so that what it keeps over many connections is seen."""
    stack = ExitStack()
    atexit.register(stack.close)
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stb-fuzz-"))) / "agent.sock"
    box: FuzzBox = stack.enter_context(fuzz_box(STARTS[0]))
    stack.enter_context(box.door.listening(path))
    return path
