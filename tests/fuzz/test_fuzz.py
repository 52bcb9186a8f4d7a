"""A few seconds of fuzzing a door; `make fuzz-agent` does it for longer, and with other seeds."""

import os
from random import Random

import pytest

from tests.fuzz.engine import Fault, Target, attempt, fuzz, smaller
from tests.fuzz.targets import TARGETS

SECONDS = float(os.environ.get("FUZZ_TEST_SECONDS", "5"))
SEED = "test"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_may_never_happen_happens_behind_a_door(target: Target) -> None:
    outcome = fuzz(target, SEED, SECONDS)
    assert outcome.found is None, str(outcome.found)
    assert outcome.inputs > SECONDS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_an_input_follows_from_its_seed_and_number(target: Target) -> None:
    first, again, other = (target.draw(Random(f"{target.name}/{SEED}/{number}")) for number in (7, 7, 8))
    assert first == again != other


class Fussy:
    """A door that cannot bear one byte after another."""

    name = "fussy"

    def draw(self, random: Random) -> list[bytes]:
        return [random.randbytes(40) for _ in range(10)] + [b"before the x and the y and after"]

    def run(self, parts) -> None:
        if b"x" in b"".join(parts).partition(b"y")[0] and b"".join(parts).count(b"y"):
            raise Fault("x before y")


def test_what_is_found_is_told_with_its_seed_and_made_small() -> None:
    outcome = fuzz(Fussy(), "s", 5)
    assert outcome.found is not None
    assert b"".join(outcome.found.parts) == b"xy"
    assert "FUZZ_SEED=s FUZZ_FROM=0" in str(outcome.found)


def test_a_small_input_fails_for_the_same_reason() -> None:
    parts = smaller([b"aaa", b"bxb", b"ccc"], lambda parts: b"x" in b"".join(parts))
    assert parts == (b"x",)


class Escaping(Fussy):
    """A door through which an exception gets out."""

    def run(self, _parts) -> None:
        raise KeyError("out")


class Hanging(Fussy):
    """A door that never answers."""

    def run(self, _parts) -> None:
        while True:
            pass


def test_an_exception_that_escapes_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = attempt(Escaping(), [])
    assert fault is not None
    assert fault.rule == "KeyError escapes"


def test_what_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.engine.DEADLINE_S", 0.05)
    fault = attempt(Hanging(), [])
    assert fault is not None
    assert fault.rule == "it hangs"


class Hoarding(Fussy):
    """A door behind which everything is kept."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def run(self, _parts) -> None:
        self.kept.append(b"x" * 1_000_000)


def test_memory_that_grows_is_a_fault() -> None:
    outcome = fuzz(Hoarding(), "s", 60)
    assert outcome.found is not None
    assert outcome.found.rule == "memory grows"
