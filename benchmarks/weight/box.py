"""`box-agent run` as a process to be measured."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from headend.kit.process import die_with_parent

START_S = 30.0
_PAUSE_S = 0.0003
_SCRIPT = """import sys
sys.path[1:] = {paths}
{before}
from box_agent.__main__ import main
sys.exit(main())
"""
# What an agent needs to start; where nothing listens, it keeps what it has.
UNREACHED = {
    "headend_url": "http://127.0.0.1:9",
    "relay_url": "http://127.0.0.1:9",
    "issuer": "bench",
    "directory_key": "A" * 43 + "=",
    "catalogue_key": "A" * 43 + "=",
    "zone": "Europe/Amsterdam",
    "serial": "bench-1",
}


class BoxProcess:
    """One agent with its socket, in a state directory of its own; `before` is done before it starts."""

    def __init__(self, state: Path, settings: dict[str, Any], before: str = "") -> None:
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        self._config = state / "box.toml"
        lines = (
            f"{name} = {_toml(value)}\n" for name, value in (settings | {"state_dir": str(state)}).items()
        )
        self._config.write_text("".join(lines))
        self._socket = state / "agent.sock"
        # As the Debian package starts it: no `site`, and the environment says where the files are.
        self._script = state / "box-agent"
        self._script.write_text(_SCRIPT.format(paths=[one for one in sys.path if one], before=before))
        self._environment = dict(os.environ)
        if "steered_clock" not in settings:
            self._environment |= {
                "BOX_AGENT_STATE_DIR": str(state),
                "BOX_AGENT_SOCKET_PATH": str(self._socket),
                "BOX_AGENT_CONSENT_FILE": str(state / "consent.json"),
            }
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None  # noqa: S101 (it was started)
        return self._process.pid

    def start(self) -> None:
        """Start it and connect as soon as it listens.

        Raises:
            TimeoutError: it does not listen.
        """
        self._socket.unlink(missing_ok=True)
        command = [sys.executable, "-I", "-S", str(self._script), "--config", str(self._config), "run"]
        with (self.state / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 (one system call)
            )
        until = time.monotonic() + START_S
        while (connection := _connected(self._socket)) is None:
            if time.monotonic() > until or self._process.poll() is not None:
                raise TimeoutError(f"the agent does not listen; see {self.state / 'agent.log'}")
            time.sleep(_PAUSE_S)
        self._connection = connection

    def ask(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 (whatever the operation answers)
        """Ask on the one connection.

        Raises:
            ValueError: it refused.
        """
        assert self._connection is not None  # noqa: S101 (it was started)
        self._connection.sendall(msgspec.json.encode(request) + b"\n")
        said = bytearray()
        while not said.endswith(b"\n"):
            piece = self._connection.recv(65536)
            if not piece:
                raise ConnectionError("the agent has gone")
            said += piece
        found = msgspec.json.decode(bytes(said))
        if not found["ok"]:
            raise ValueError(f"{request['op']}: {found}")
        return found["result"]

    def consent(self) -> None:
        """Let the household say yes to the agent's notice."""
        notice = self.ask({"op": "notice"})["version"]
        self.ask({"op": "set-consent", "granted": True, "notice": notice, "how": "bench"})

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait until it has gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            self._process.wait()


def _connected(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'
