"""The headend and the relay as processes of their own: started, killed, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from headend.kit.process import die_with_parent
from shared.errors import StbError

START_SECONDS = 60.0
PAUSE = 0.02
LOOPBACK = "127.0.0.1"


class ProcessError(StbError):
    """A process did not start, or a command failed; the message holds what it said."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_until(done: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait in real time.

    Raises:
        ProcessError: it did not come true in time.
    """
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise ProcessError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(PAUSE)


class Headend:
    """`headend serve` on a folder, and the commands on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()

    def command(self, *words: str, given: str = "") -> str:
        """Run `headend WORDS`; gives what it printed.

        Raises:
            ProcessError: it ended with an error.
        """
        command = [sys.executable, "-m", "headend", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, input=given)  # noqa: S603 (our own program)
        if done.returncode != 0:
            raise ProcessError(f"headend {' '.join(words[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def asked(self, *words: str) -> Any:  # noqa: ANN401 (whatever the command tells)
        """Run a command with `--json`."""
        return json.loads(self.command(*words, "--json"))

    def start(self) -> None:
        """Serve, and wait until it is ready."""
        log = (self.folder.parent / "headend.log").open("ab")
        command = [sys.executable, "-m", "headend", "serve", str(self.folder), "--port", str(self.port)]
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            command,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (one system call; this process has no other threads)
        )
        log.close()
        wait_until(self._answers, "the headend")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise ProcessError(f"the headend ended; see {self.folder.parent / 'headend.log'}")
        try:
            return self._http.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` tells."""
        answer: dict[str, Any] = self._http.get(f"{self.url}/readyz", timeout=30).json()
        return answer

    def metrics(self) -> dict[str, float]:
        """The samples of `/metrics`, by name and labels."""
        text = self._http.get(f"{self.url}/metrics", timeout=30).text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def pids(self) -> tuple[int, int]:
        """The supervisor's and the worker's process ids."""
        assert self._process is not None  # noqa: S101 (it was started)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return self._process.pid, int(children[0])

    def kill(self, which: str) -> None:
        """SIGKILL the `supervisor`, the `worker`, or `both`; then start again on what is on disk."""
        supervisor, worker = self.pids()
        for name, pid in (("supervisor", supervisor), ("worker", worker)):
            if which in (name, "both"):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _alive(worker), "the worker's end")
        assert self._process is not None  # noqa: S101 (it was started)
        if which == "worker":
            self._process.kill()
        self._process.wait()
        self.start()

    def stop(self) -> None:
        """Stop it as a service manager would."""
        self._http.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class RelayProcess:
    """The demo's relay."""

    def __init__(self, gateway_url: str, record: Path | None = None) -> None:
        self._gateway_url = gateway_url
        self._record = record
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait for its ready line."""
        command = [sys.executable, "-m", "simulator.relay", "--listen", f"{LOOPBACK}:{self.port}"]
        command += ["--gateway", self._gateway_url]
        command += ["--record", str(self._record)] if self._record else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 (our own program)
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        if "ready" not in self._process.stdout.readline():
            raise ProcessError("the relay did not start")

    def kill(self) -> None:
        """SIGKILL it and start it again."""
        assert self._process is not None  # noqa: S101 (it was started)
        self._process.kill()
        self._close()
        self.start()

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._close()

    def _close(self) -> None:
        assert self._process is not None  # noqa: S101 (it was started)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
