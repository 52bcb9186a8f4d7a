"""The Unix socket on which the box's other software speaks to the agent: lines in, lines out.

Bounded in every direction: the length of a line, the number of connections, and how long one that takes no
answer is waited for. On `_socket`, since what `socket` adds to it costs as much as opening the store.
"""

from __future__ import annotations

import _socket
import os
import threading

from box_agent.front import MAX_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CONNECTIONS = 32
WRITE_SECONDS = 30.0
_BACKLOG = 16
_CHUNK = 4096
_CROWDED = b'{"ok":false,"error":"too-many-connections","detail":"close one first"}\n'
_FAILED = b'{"ok":false,"error":"internal","detail":"see the agent\'s log"}\n'


class Listener:
    """Listens at a path that only the agent's own user may open, a thread for each connection.

    `answered` is called after each answer that was sent.
    """

    def __init__(
        self, path: str, answer: Callable[[bytes], bytes], answered: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._answer = answer
        self._answered = answered
        self._open: set[_socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        if os.path.lexists(path):  # left by a kill; the state directory's lock says nobody listens
            os.unlink(path)  # noqa: PTH108 (pathlib is a third of Python's own start)
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(path)
        finally:
            os.umask(before)
        self._socket.listen(_BACKLOG)
        threading.Thread(target=self._accept, daemon=True, name="socket").start()

    def close(self) -> None:
        """Listen no more, end every connection and remove the path."""
        self._closed = True
        # A thread that waits in accept() is not woken by close() alone.
        _end(self._socket)
        with self._lock:
            for connection in self._open:
                _end(connection)
        if os.path.lexists(self._path):
            os.unlink(self._path)  # noqa: PTH108 (likewise)

    def _accept(self) -> None:
        while not self._closed:
            try:
                number, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001 (what accept() is made of)
            except OSError:
                continue  # whoever knocked has gone, or this end is being closed
            connection = _socket.socket(fileno=number)
            with self._lock:
                crowded = len(self._open) >= MOST_CONNECTIONS
                if not crowded:
                    self._open.add(connection)
            if crowded:
                _say(connection, _CROWDED)
                connection.close()
            else:
                threading.Thread(target=self._serve, args=(connection,), daemon=True, name="speaker").start()

    def _serve(self, connection: _socket.socket) -> None:
        waiting = b""
        try:
            while True:
                line, end, rest = waiting.partition(b"\n")
                if end or len(waiting) > MAX_LINE:
                    taken = _say(connection, self._answer_to(line))
                    self._answered()
                    if not taken or not end:
                        return  # gone; or too long: what follows would be read out of step
                    waiting = rest
                    continue
                more = connection.recv(_CHUNK)
                if not more:
                    return
                waiting += more
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer_to(self, line: bytes) -> bytes:
        try:
            return self._answer(line)
        except Exception as error:  # noqa: BLE001 (whatever went wrong, an answer is owed and the agent goes on)
            import logging

            logging.getLogger(__name__).error(  # noqa: TRY400 (a trace may hold what was asked)
                "a request failed: %s", type(error).__name__
            )
            return _FAILED


def _say(connection: _socket.socket, answer: bytes) -> bool:
    try:
        connection.settimeout(WRITE_SECONDS)
        connection.sendall(answer)
        connection.settimeout(None)
    except OSError:
        return False
    return True


def _end(connection: _socket.socket) -> None:
    try:  # noqa: SIM105 (contextlib is one more import before the first event)
        connection.shutdown(_socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
