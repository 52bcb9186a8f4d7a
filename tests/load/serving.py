"""Real headends to send to: `headend serve`, `headend gateway` and their processor time."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.weight.proc import family_s
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
        return family_s(self.pid)


@contextmanager
def serving(folder: Path, *command: str, core: int | None = None) -> Iterator[Served]:
    """A `headend` command over an installation, ready to answer, and stopped in the end."""
    words = [sys.executable, "-m", "headend", command[0], str(folder), *command[1:], "--port"]
    with started([*on_core(core), *words], "/healthz") as served:
        yield served


@contextmanager
def started(words: list[str], path: str) -> Iterator[Served]:
    """A server whose last word is its port, once it answers at `path`."""
    port = free_port()
    words = [*words, str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    served = Served(f"http://127.0.0.1:{port}", process.pid)
    try:
        wait_until(lambda: _answers(served.url + path), words[-2])
        yield served
    finally:
        process.terminate()
        process.wait(STOP_S)


def on_core(core: int | None) -> list[str]:
    """The words that keep a program on one core."""
    return [] if core is None else ["taskset", "--cpu-list", str(core)]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def generate(plan: Plan, folder: Path, core: int | None = None) -> Result:
    """Let a generator in a process of its own play a plan."""
    told, found = folder / "plan", folder / "result"
    write(told, plan)
    words = [*on_core(core), sys.executable, "-m", "tests.load.generator", str(told), str(found)]
    subprocess.run(words, check=True)
    return read_result(found)
