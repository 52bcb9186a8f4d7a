"""HTTP/1.1 over lasting connections, as little as a load generator needs: one exchange at a time each."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

Done = Callable[[int, bytes], None]
"""What is told of an exchange: its status (0 if the connection went), and the answer's body."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_STATUS = slice(9, 12)


class Connection(asyncio.Protocol):
    """One connection; it reads whole answers that tell their length."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._read = b""
        self._done: Done | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, done: Done) -> None:
        """Send a request, and tell `done` once."""
        self._done = done
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(_HEAD_END)
        if end < 0:
            return
        found = _LENGTH.search(self._read, 0, end)
        whole = end + len(_HEAD_END) + (int(found[1]) if found else 0)
        if len(self._read) < whole:
            return
        status, body = int(self._read[_STATUS]), self._read[end + len(_HEAD_END) : whole]
        self._read = self._read[whole:]
        self._tell(status, body)
        self._node.free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._node.lost(self)
        self._tell(0, b"")

    def close(self) -> None:
        """Let it go, whatever was asked."""
        if self.transport is not None:
            self.transport.abort()

    def _tell(self, status: int, body: bytes) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status, body)


class Node:
    """One address with its connections; what finds none free waits, and its wait is part of its latency."""

    def __init__(self, url: str, most: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.host = parts.netloc.encode()
        self._most = most
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[tuple[bytes, Done]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, request: bytes, done: Done) -> None:
        """Send a request over a free connection, else over a new one, else over the next that is free."""
        if self._idle:
            self._idle.pop().ask(request, done)
            return
        self._waiting.append((request, done))
        if len(self._all) + self._opening < self._most:
            self._opening += 1
            task = asyncio.get_running_loop().create_task(self._open())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), *self._address
            )
        except OSError:
            self._opening -= 1
            if self._waiting:
                self._waiting.popleft()[1](0, b"")
            return
        self._opening -= 1
        self._all.add(made)
        self.free(made)

    def free(self, connection: Connection) -> None:
        """A connection has answered, or is new."""
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Let all connections go."""
        for connection in list(self._all):
            connection.close()
