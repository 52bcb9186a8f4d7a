"""The Unix socket on which the box's other software speaks to the agent: lines in, lines out.

Bounded in every direction: the length of a line, the number of connections, and how long one that takes no
answer is waited for. On `_socket`, since what `socket` adds to it costs as much as opening the store.
"""

from __future__ import annotations

import _socket
import os
import select
import threading

from box_agent.front import MAX_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_CONNECTIONS = 32
WRITE_SECONDS = 30.0
_BACKLOG = 128
"""Connections that wait to be accepted; one that comes then fails at once, where it could have waited."""
_CHUNK = 4096
_FAILED = b'{"ok":false,"error":"internal","detail":"see the agent\'s log"}\n'


class _Connection:
    """One that speaks. Whoever takes bytes from it holds the gate until they are answered."""

    def __init__(self, number: int) -> None:
        self.socket = _socket.socket(fileno=number)
        self.gate = threading.Lock()
        self.waiting = b""


class Listener:
    """Listens at a path that only the agent's own user may open, a thread for each connection.

    `answered` is called after each answer that was sent; `turned_away` says what one connection too many is
    told. `handed` are the file descriptors that `hand_over`
    gave in the same process's life before: the listening socket, then the connections.
    """

    def __init__(
        self,
        path: str,
        answer: Callable[[bytes], bytes],
        answered: Callable[[], None] = lambda: None,
        turned_away: Callable[[], bytes] = lambda: b"",
        handed: Sequence[int] = (),
    ) -> None:
        self._path = path
        self._answer = answer
        self._answered = answered
        self._turned_away = turned_away
        self._open: set[_Connection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._socket = _socket.socket(fileno=handed[0]) if handed else _listen(path)
        for number in handed[1:]:
            self._begin(_Connection(number))
        threading.Thread(target=self._accept, daemon=True, name="socket").start()

    def close(self) -> None:
        """Listen no more, end every connection and remove the path."""
        self._closed = True
        # A thread that waits is not woken by close() alone.
        _end(self._socket)
        with self._lock:
            for connection in self._open:
                _end(connection.socket)
        if os.path.lexists(self._path):
            os.unlink(self._path)  # noqa: PTH108 (pathlib is a third of Python's own start)

    def hand_over(self) -> list[int] | None:
        """Stop in between two requests, and give what the same process goes on with after `exec`.

        None, and nothing is changed, while anybody is being answered or is in the middle of a line. What is
        sent meanwhile waits in the kernel.
        """
        self._lock.acquire()
        shut: list[_Connection] = []
        for connection in self._open:
            if not connection.gate.acquire(blocking=False):
                break
            shut.append(connection)
        if len(shut) == len(self._open) and not any(connection.waiting for connection in shut):
            return [self._socket.fileno(), *(connection.socket.fileno() for connection in shut)]
        for connection in shut:
            connection.gate.release()
        self._lock.release()
        return None

    def take_back(self) -> None:
        """Go on after all."""
        for connection in self._open:
            connection.gate.release()
        self._lock.release()

    def _accept(self) -> None:
        while not self._closed:
            _wait_for(self._socket)
            with self._lock:
                try:
                    number, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001 (what accept() is made of)
                except OSError:
                    continue  # whoever knocked has gone, or this end is being closed
                connection = _Connection(number)
                if len(self._open) < MOST_CONNECTIONS:
                    self._begin(connection)
                    continue
            _say(connection.socket, self._turned_away())
            connection.socket.close()
        self._socket.close()

    def _begin(self, connection: _Connection) -> None:
        self._open.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True, name="speaker").start()

    def _serve(self, connection: _Connection) -> None:
        try:
            goes_on = True
            while goes_on:
                _wait_for(connection.socket)
                with connection.gate:
                    goes_on = self._take(connection)
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.socket.close()

    def _take(self, connection: _Connection) -> bool:
        """Read what is there and answer every whole line of it; answers whether more may come."""
        more = connection.socket.recv(_CHUNK)
        connection.waiting += more
        while more:
            line, end, rest = connection.waiting.partition(b"\n")
            if not end and len(line) <= MAX_LINE:
                return True
            taken = _say(connection.socket, self._answer_to(line))
            self._answered()
            if not taken or len(line) > MAX_LINE:
                return False  # gone; or too long: what follows would be read out of step
            connection.waiting = rest
        if connection.waiting:  # the last line needs no end of its own
            _say(connection.socket, self._answer_to(connection.waiting))
        return False

    def _answer_to(self, line: bytes) -> bytes:
        try:
            return self._answer(line)
        except Exception as error:  # noqa: BLE001 (whatever went wrong, an answer is owed and the agent goes on)
            import logging

            logging.getLogger(__name__).error(  # noqa: TRY400 (a trace may hold what was asked)
                "a request failed: %s", type(error).__name__
            )
            return _FAILED


def _listen(path: str) -> _socket.socket:
    # Made beside it, so that whoever finds the path is answered. What stands there was left by a kill: the
    # state directory's lock says that nobody listens.
    fresh = f"{path}.new"
    if os.path.lexists(fresh):
        os.unlink(fresh)  # noqa: PTH108 (see above)
    found = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        found.bind(fresh)
    finally:
        os.umask(before)
    found.listen(_BACKLOG)
    os.rename(fresh, path)  # noqa: PTH104 (see above)
    return found


def _wait_for(one: _socket.socket) -> None:
    """Until there is something to take; it is not taken yet, so that nothing is lost by `hand_over`."""
    wait = select.poll()
    wait.register(one.fileno(), select.POLLIN)
    wait.poll()


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
