"""Real headends to send to: `headend serve`, `headend gateway` and their processor time."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.gateway import cpu_seconds
from simulator.processes import free_port, wait_until
from tests.load.plan import Plan, Result, read_result, write

STOP_S = 30


@dataclass
class Served:
    """One process that answers at `url`."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """User and system seconds that it and its workers have taken."""
        return cpu_seconds(self.pid)


@contextmanager
def serving(folder: Path, *command: str) -> Iterator[Served]:
    """A `headend` command over an installation, ready to answer, and stopped in the end."""
    port = free_port()
    words = [sys.executable, "-m", "headend", command[0], str(folder), "--port", str(port), *command[1:]]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    served = Served(f"http://127.0.0.1:{port}", process.pid)
    try:
        wait_until(lambda: _answers(served.url), command[0])
        yield served
    finally:
        process.terminate()
        process.wait(STOP_S)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def both(folder: Path) -> Iterator[tuple[Served, Served]]:
    """As a large operator runs it: named line and console in one process, fragments in another."""
    with ExitStack() as stack:
        rest = stack.enter_context(serving(folder, "serve", "--gateway-apart"))
        yield rest, stack.enter_context(serving(folder, "gateway"))


def generate(plan: Plan, folder: Path) -> Result:
    """Let a generator in a process of its own play a plan."""
    told, found = folder / "plan", folder / "result"
    write(told, plan)
    subprocess.run([sys.executable, "-m", "tests.load.generator", str(told), str(found)], check=True)
    return read_result(found)
