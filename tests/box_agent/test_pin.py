from datetime import timedelta

import pytest

from box_agent.pin import BadPinError, NoPinError, PinLockedError, WrongPinError
from shared.clock import to_ms
from tests.box_agent.fakes import W41, ZONE, Bench


@pytest.fixture
def told(bench: Bench) -> Bench:
    """A box that has sent something, and whose log a PIN guards."""
    bench.enrol()
    bench.consent()
    bench.run_until(to_ms(W41.closes(ZONE)) - 1)
    assert bench.agent.sent()
    bench.agent.set_pin("2580")
    return bench


def test_the_log_opens_to_the_pin_and_is_told_in_full(told: Bench) -> None:
    assert told.agent.show_sent("2580") == told.agent.sent()


def test_the_log_is_told_in_the_language_asked_for(told: Bench) -> None:
    in_words = {
        language: [one.words for one in told.agent.show_sent("2580", language)]
        for language in ("en", "nl", "fr")
    }
    assert len({tuple(words) for words in in_words.values()}) == 3
    assert any("kijktijd" in words for words in in_words["nl"])


def test_the_log_opens_to_nobody_while_no_pin_is_set(bench: Bench) -> None:
    with pytest.raises(NoPinError):
        bench.agent.show_sent("")


def test_another_pin_opens_nothing(told: Bench) -> None:
    with pytest.raises(WrongPinError):
        told.agent.show_sent("2581")


def test_the_pin_itself_is_stored_nowhere(told: Bench) -> None:
    told.agent.set_pin("a long pin, easily found", "2580")
    told.agent.close()
    assert not [path for path in told.settings.state().iterdir() if b"easily found" in path.read_bytes()]


def test_guessing_costs_time_and_more_each_time(told: Bench) -> None:
    for _ in range(5):
        with pytest.raises(WrongPinError):
            told.agent.show_sent("0000")
    with pytest.raises(PinLockedError):
        told.agent.show_sent("2580")
    told.clock.advance(timedelta(minutes=1))
    with pytest.raises(WrongPinError):
        told.agent.show_sent("0000")
    told.clock.advance(timedelta(minutes=1))
    with pytest.raises(PinLockedError):
        told.agent.show_sent("2580")
    told.clock.advance(timedelta(minutes=1))
    assert told.agent.show_sent("2580")


def test_pulling_the_plug_gives_no_further_tries(told: Bench) -> None:
    for _ in range(5):
        with pytest.raises(WrongPinError):
            told.agent.show_sent("0000")
        told.agent.close()
        told.start()
    with pytest.raises(PinLockedError):
        told.agent.show_sent("2580")


def test_the_right_pin_forgives_earlier_wrong_ones(told: Bench) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(WrongPinError):
                told.agent.show_sent("0000")
        assert told.agent.show_sent("2580")


def test_changing_the_pin_needs_the_old_one(told: Bench) -> None:
    with pytest.raises(WrongPinError):
        told.agent.set_pin("1379", "0000")
    told.agent.set_pin("1379", "2580")
    assert told.agent.show_sent("1379")


@pytest.mark.parametrize("pin", ["", "123", "1" * 33])
def test_a_pin_of_another_length_is_refused(bench: Bench, pin: str) -> None:
    with pytest.raises(BadPinError):
        bench.agent.set_pin(pin)


def test_whoever_removes_a_forgotten_pin_removes_the_log_with_it(told: Bench) -> None:
    told.agent.reset_pin()
    assert told.agent.sent() == []
    told.agent.set_pin("1379")
    assert told.agent.show_sent("1379") == []
