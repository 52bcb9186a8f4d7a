from collections import Counter
from random import Random

import pytest

from box_agent.lines import Answer, LineDownError, RefusedError
from simulator.network import (
    PRESETS,
    BadFaultsError,
    Faults,
    FaultyAnonymousLine,
    FaultyNamedLine,
    within,
)
from tests.simulator.seeded import seeded


class Line:
    """Both lines at once; remembers what arrived."""

    def __init__(self) -> None:
        self.arrived: list[object] = []
        self.refuses = False

    def _take(self, what: object) -> Answer:
        self.arrived.append(what)
        if self.refuses:
            raise RefusedError("no", 400)
        return Answer(200, b"yes")

    def post(self, path: str, body: bytes) -> Answer:
        return self._take((path, body))

    def get(self, path: str, etag: str | None = None) -> Answer:
        return self._take((path, etag))

    def post_sealed(self, body: bytes) -> Answer:
        return self._take(body)

    def get_directory(self, week: str) -> Answer:
        return self._take(week)


class Once(Random):
    """The fault comes once, then never again."""

    def __init__(self) -> None:
        super().__init__(0)
        self.left = 1

    def random(self) -> float:
        self.left -= 1
        return 0.0 if self.left >= 0 else 0.999


def test_without_faults_everything_passes_once() -> None:
    line = Line()
    named, anonymous = (
        FaultyNamedLine(line, seeded(1), Faults()),
        FaultyAnonymousLine(line, seeded(1), Faults()),
    )
    assert named.post("chain", b"1").body == b"yes"
    named.get("catalogue", "tag")
    anonymous.post_sealed(b"2")
    anonymous.get_directory("2026-W41")
    assert line.arrived == [("chain", b"1"), ("catalogue", "tag"), b"2", "2026-W41"]


def test_a_lost_request_never_arrives() -> None:
    line, mishaps = Line(), Counter[str]()
    faulty = FaultyNamedLine(line, seeded(1), Faults(loss=1), mishaps=mishaps)
    with pytest.raises(LineDownError):
        faulty.post("chain", b"1")
    assert not line.arrived
    assert mishaps == {"loss": 1}


def test_of_a_lost_answer_the_request_was_seen() -> None:
    line = Line()
    faulty = FaultyAnonymousLine(line, seeded(1), Faults(answer=1))
    with pytest.raises(LineDownError):
        faulty.post_sealed(b"1")
    assert line.arrived == [b"1"]


def test_a_lost_answer_hides_a_refusal_too() -> None:
    line = Line()
    line.refuses = True
    with pytest.raises(LineDownError):
        FaultyNamedLine(line, seeded(1), Faults(answer=1)).post("chain", b"1")


def test_a_doubled_request_arrives_twice_and_is_answered_once() -> None:
    line = Line()
    assert FaultyAnonymousLine(line, seeded(1), Faults(double=1)).post_sealed(b"1").status == 200
    assert line.arrived == [b"1", b"1"]


def test_a_delayed_request_is_overtaken_by_a_younger_one() -> None:
    line = Line()
    faulty = FaultyNamedLine(line, Once(), Faults(delay=0.5))
    with pytest.raises(LineDownError):
        faulty.post("chain", b"old")
    assert not line.arrived
    faulty.post("chain", b"young")
    faulty.post("chain", b"younger")
    assert line.arrived == [("chain", b"young"), ("chain", b"old"), ("chain", b"younger")]


def test_a_stale_copy_arrives_even_if_the_younger_one_is_refused() -> None:
    line = Line()
    line.refuses = True
    faulty = FaultyAnonymousLine(line, Once(), Faults(delay=0.5))
    with pytest.raises(LineDownError):
        faulty.post_sealed(b"old")
    with pytest.raises(RefusedError):
        faulty.post_sealed(b"young")
    assert line.arrived == [b"young", b"old"]


def test_stale_copies_of_one_line_do_not_appear_on_another() -> None:
    line = Line()
    one, other = (FaultyAnonymousLine(line, Once(), Faults(delay=0.5)) for _ in range(2))
    with pytest.raises(LineDownError):
        one.post_sealed(b"one")
    with pytest.raises(LineDownError):
        other.post_sealed(b"other")
    one.post_sealed(b"again")
    assert line.arrived == [b"again", b"one"]


def test_in_an_outage_nothing_passes_and_afterwards_it_does() -> None:
    line, down, mishaps = Line(), [True], Counter[str]()
    faulty = FaultyNamedLine(line, seeded(1), Faults(outages=1), lambda: down[0], mishaps)
    with pytest.raises(LineDownError):
        faulty.post("chain", b"1")
    assert (line.arrived, mishaps) == ([], {"outage": 1})
    down[0] = False
    assert faulty.post("chain", b"1").status == 200


def test_without_the_fault_an_outage_is_not_asked_for() -> None:
    def fail() -> bool:
        raise AssertionError

    assert FaultyNamedLine(Line(), seeded(1), Faults(), fail).post("chain", b"1").status == 200


def test_faults_come_as_often_as_they_say() -> None:
    random, faults = seeded(6), Faults(loss=0.1, answer=0.2, double=0.05, delay=0.15)
    drawn = Counter(faults.draw(random) for _ in range(20_000))
    for name, chance in (("loss", 0.1), ("answer", 0.2), ("double", 0.05), ("delay", 0.15), (None, 0.5)):
        assert drawn[name] / 20_000 == pytest.approx(chance, abs=0.015)


def test_presets_and_single_faults_are_read() -> None:
    assert Faults.parse("none") == Faults()
    assert Faults.parse("harsh") is PRESETS["harsh"]
    assert Faults.parse("loss=0.02,outages=1") == Faults(loss=0.02, outages=1)


@pytest.mark.parametrize(
    "text",
    ["", "mild", "loss", "loss=x", "loss=-0.1", "loss=1.1", "loss=nan", "rain=0.1", "loss=0.6,delay=0.6"],
)
def test_other_faults_are_refused(text: str) -> None:
    with pytest.raises(BadFaultsError):
        Faults.parse(text)


def test_an_outage_is_half_open() -> None:
    assert [within([(10, 20)], at) for at in (9, 10, 19, 20)] == [False, True, True, False]
