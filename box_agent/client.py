"""The agent's socket from the other side, for the box's software. Standard library only; see docs/box.md.

    with AgentClient("/run/box-agent/agent.sock") as agent:
        agent.event("play", item={"kind": "live", "genre": 0x43, "ref": "svc-12"})
        agent.ask("status")

One connection, opened when it is needed and again when it was lost. Not for several threads at once.
"""

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.errors import StbError

VERSION = 1
"""Of the event interface."""
TIMEOUT_S = 90.0
_CHUNK = 65536


class AgentAwayError(StbError):
    """Nobody listens there, or the connection broke before the answer came: whether it was done is not known.

    An event may be told again with the same `at_ms` and counts once. After an order look at `orders` first.
    """


class AgentRefusedError(StbError):
    """The agent refused; `name` is the refusal's, see docs/box.md."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


class AgentClient:
    """Speaks to a running agent."""

    def __init__(self, path: str | Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._connection: socket.socket | None = None
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._read = None, b""

    def event(self, name: str, **fields: object) -> bool:
        """Tell a player's event; answers whether it was kept (without consent it is not).

        Raises:
            AgentAwayError: no answer.
            AgentRefusedError: the event has another form than docs/box.md says.
        """
        found = self.ask("event", event={"v": VERSION, "event": name, **fields})
        return bool(found["kept"])

    def ask(self, op: str, **fields: object) -> Any:  # noqa: ANN401 (whatever the operation answers)
        """Ask for any operation of docs/box.md; answers with its result.

        Raises:
            AgentAwayError: no answer.
            AgentRefusedError: the agent refused it.
        """
        found = self.exchange({"op": op, **fields})
        if not found["ok"]:
            raise AgentRefusedError(found["error"], found["detail"])
        return found["result"]

    def exchange(self, request: dict[str, object]) -> dict[str, Any]:
        """One request and its answer as they stand on the socket.

        Raises:
            AgentAwayError: no answer.
        """
        try:
            connection = self._connected()
            connection.sendall(json.dumps(request).encode() + b"\n")
            found: dict[str, Any] = json.loads(self._line(connection))
        except (OSError, ValueError) as error:
            self.close()
            raise AgentAwayError(f"no answer from {self._path}: {error}") from error
        return found

    def _connected(self) -> socket.socket:
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout_s)
            try:
                connection.connect(self._path)
            except OSError:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _line(self, connection: socket.socket) -> bytes:
        while b"\n" not in self._read:
            more = connection.recv(_CHUNK)
            if not more:
                raise ConnectionError("closed before the answer came")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line
