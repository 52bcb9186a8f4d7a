"""Draws inputs from a seed, runs them against a target, and makes small what it finds."""

import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

DEADLINE_S = 10.0
MOST_GROWTH_KIB = 24 * 1024
WARM_UP = 200
"""Inputs before memory is looked at: imports, caches of closed size and the allocator's pools come first."""
_LOOK_EVERY = 100
_SMALLER_S = 20.0
_PAGE_KIB = resource.getpagesize() // 1024

Parts = Sequence[bytes]


class Fault(Exception):  # noqa: N818 (it is no error of ours, it is what is looked for)
    """Something that may never happen; `rule` says in a few words which."""

    def __init__(self, rule: str, detail: str = "") -> None:
        super().__init__(f"{rule}: {detail}" if detail else rule)
        self.rule = rule


class Target(Protocol):
    """A door, with what may be said to it."""

    name: str

    def draw(self, random: Random) -> list[bytes]:
        """An input."""

    def run(self, parts: Parts) -> None:
        """Put it to the door; raises `Fault`, or whatever escaped from behind the door."""


@dataclass(frozen=True)
class Found:
    """A failure, how to have it again, and the smallest input that was seen to cause it."""

    target: str
    seed: str
    number: int
    rule: str
    detail: str
    parts: tuple[bytes, ...]

    def __str__(self) -> str:
        again = f"FUZZ_SEED={self.seed} FUZZ_FROM={self.number} python -m tests.fuzz {self.target}"
        shown = "\n".join(f"  {part!r}," for part in self.parts)
        return f"{self.target}: {self.rule}\n{self.detail}\nagain: {again}\nsmallest input:\n[\n{shown}\n]"


@dataclass(frozen=True)
class Outcome:
    """A run: how many inputs, and the first failure if there was one."""

    inputs: int
    found: Found | None


def fuzz(target: Target, seed: str, seconds: float, first: int = 0) -> Outcome:
    """Run inputs for so long, or until one fails."""
    until, number, floor_kib = time.monotonic() + seconds, first, 0
    while time.monotonic() < until:
        parts = target.draw(Random(f"{target.name}/{seed}/{number}"))
        fault = attempt(target, parts)
        if fault is not None:
            return Outcome(number + 1 - first, _found(target, (seed, number), parts, fault))
        number += 1
        if number - first == WARM_UP:
            floor_kib = _memory_kib()
        if floor_kib and number % _LOOK_EVERY == 0 and _memory_kib() - floor_kib > MOST_GROWTH_KIB:
            grown = Fault("memory grows", f"{_memory_kib() - floor_kib} KiB in {number - first} inputs")
            return Outcome(number - first, Found(target.name, seed, number, grown.rule, str(grown), ()))
    return Outcome(number - first, None)


def attempt(target: Target, parts: Parts) -> Fault | None:
    """What is wrong with this input, or None."""
    try:
        with _deadline():
            target.run(parts)
    except Fault as fault:
        return fault
    except Exception as error:  # noqa: BLE001 (whatever escapes is what is looked for)
        return Fault(f"{type(error).__name__} escapes", str(error))
    return None


def smaller(parts: Parts, fails: Callable[[Parts], bool], seconds: float = _SMALLER_S) -> tuple[bytes, ...]:
    """The smallest input found in this time that still fails: fewer parts first, then shorter ones."""
    until = time.monotonic() + seconds
    kept = list(parts)
    for shorter in (_without_parts, _without_bytes):
        tried = True
        while tried and time.monotonic() < until:
            found = next((one for one in shorter(kept) if time.monotonic() < until and fails(one)), None)
            tried = found is not None
            kept = found or kept
    return tuple(kept)


def _without_parts(parts: list[bytes]) -> Iterator[list[bytes]]:
    size = max(1, len(parts) // 2)
    while size and len(parts) > 1:
        for start in range(0, len(parts), size):
            yield parts[:start] + parts[start + size :]
        size //= 2


def _without_bytes(parts: list[bytes]) -> Iterator[list[bytes]]:
    for at, part in enumerate(parts):
        size = len(part) // 2
        while size:
            for start in range(0, len(part), size):
                yield [*parts[:at], part[:start] + part[start + size :], *parts[at + 1 :]]
            size //= 2


def _found(target: Target, place: tuple[str, int], parts: Parts, fault: Fault) -> Found:
    def fails(one: Parts) -> bool:
        again = attempt(target, one)
        return again is not None and again.rule == fault.rule

    small = smaller(parts, fails)
    told = attempt(target, small) or fault
    return Found(target.name, place[0], place[1], fault.rule, str(told), small)


def _memory_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KIB


@contextmanager
def _deadline() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Fault("it hangs", f"not done after {DEADLINE_S:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
