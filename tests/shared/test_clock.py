import os
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import ClockWentBackError, ManualClock, from_ms, to_ms
from shared.system_clock import ClockSteerer, NoSteeredTimeError, SteeredClock, SystemClock

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)


def test_a_manual_clock_stands_still_until_it_is_moved():
    clock = ManualClock(MONDAY)
    assert (clock.now(), clock.monotonic()) == (MONDAY, 0.0)
    clock.advance(timedelta(hours=2))
    assert (clock.now(), clock.monotonic()) == (MONDAY + timedelta(hours=2), 7200.0)


def test_a_manual_clock_does_not_go_back_and_keeps_its_time():
    clock = ManualClock(MONDAY)
    with pytest.raises(ClockWentBackError):
        clock.advance_to(MONDAY - timedelta(milliseconds=1))
    assert clock.now() == MONDAY


@given(st.integers(0, 253402300799999))
def test_milliseconds_survive_the_way_there_and_back(milliseconds):
    assert to_ms(from_ms(milliseconds)) == milliseconds


def test_parts_of_a_millisecond_are_cut_off_never_rounded_up():
    assert to_ms(MONDAY + timedelta(microseconds=999)) == to_ms(MONDAY)


def test_the_system_clock_is_aware_and_in_utc():
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_steered_clock_shows_what_the_simulator_wrote(tmp_path):
    steerer = ClockSteerer(tmp_path / "clock", MONDAY)
    clock = SteeredClock(tmp_path / "clock")
    assert clock.now() == MONDAY
    steerer.set(MONDAY + timedelta(days=1))
    assert clock.now() == MONDAY + timedelta(days=1)
    assert clock.monotonic() == to_ms(MONDAY) / 1000 + 86_400
    assert (tmp_path / "clock").read_bytes() == struct.pack("<q", to_ms(MONDAY + timedelta(days=1)))


def test_a_steered_clock_needs_its_file(tmp_path):
    with pytest.raises(NoSteeredTimeError, match="no steered clock"):
        SteeredClock(tmp_path / "clock")


def test_a_steered_clock_whose_file_is_cut_short_says_so(tmp_path):
    ClockSteerer(tmp_path / "clock", MONDAY)
    os.truncate(tmp_path / "clock", 7)
    with pytest.raises(NoSteeredTimeError, match="holds no time"):
        SteeredClock(tmp_path / "clock")
