from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.weeks import Month, NotAMonthError, NotAWeekError, Week, day_start, viewing_day

AMSTERDAM, BRUSSELS = ZoneInfo("Europe/Amsterdam"), ZoneInfo("Europe/Brussels")
ZONES = (AMSTERDAM, BRUSSELS, ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"))
HOUR = timedelta(hours=1)
both = pytest.mark.parametrize("zone", [AMSTERDAM, BRUSSELS], ids=str)
instants = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds are plain)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@both
def test_where_two_o_clock_occurs_twice_the_first_counts(zone):
    # On 25 October 2026 the clocks go from 03:00 summer time back to 02:00 winter time.
    assert day_start(date(2026, 10, 25), zone) == utc(2026, 10, 25, 0)
    assert day_start(date(2026, 10, 26), zone) - day_start(date(2026, 10, 25), zone) == 25 * HOUR


@both
def test_where_two_o_clock_does_not_exist_three_o_clock_does(zone):
    # On 29 March 2026 the clocks go from 02:00 winter time to 03:00 summer time.
    start = day_start(date(2026, 3, 29), zone)
    assert start == utc(2026, 3, 29, 1)
    assert start.astimezone(zone).hour == 3
    assert day_start(date(2026, 3, 30), zone) - start == 23 * HOUR


@both
def test_the_week_in_which_winter_time_begins_has_an_hour_more(zone):
    week = Week(2026, 43)
    assert week.start(zone) == utc(2026, 10, 19, 0)
    assert week.end(zone) == utc(2026, 10, 26, 1)
    assert week.end(zone) - week.start(zone) == 169 * HOUR


@both
def test_the_week_in_which_summer_time_begins_has_an_hour_less(zone):
    week = Week(2026, 13)
    assert week.end(zone) - week.start(zone) == 167 * HOUR


def test_a_monday_before_two_belongs_to_the_week_before():
    assert Week.of(utc(2026, 10, 4, 23, 59, 59), AMSTERDAM) == Week(2026, 40)
    assert Week.of(utc(2026, 10, 5, 0), AMSTERDAM) == Week(2026, 41)


def test_a_week_closes_seven_viewing_days_after_its_end():
    assert Week(2026, 41).closes(AMSTERDAM) == Week(2026, 43).start(AMSTERDAM)


def test_a_year_of_53_weeks_is_left_by_its_53rd():
    assert Week.of(utc(2026, 12, 31, 12), AMSTERDAM) == Week(2026, 53)
    assert Week.of(utc(2027, 1, 1, 12), AMSTERDAM) == Week(2026, 53)
    assert Week(2026, 53).plus(1) == Week(2027, 1)
    assert Week(2027, 1).weeks_since(Week(2026, 1)) == 53


@given(instants, st.sampled_from(ZONES))
def test_every_instant_lies_within_its_week_and_day(instant, zone):
    week, day = Week.of(instant, zone), viewing_day(instant, zone)
    assert week.start(zone) <= instant < week.end(zone)
    assert day_start(day, zone) <= instant < day_start(day + timedelta(days=1), zone)


@given(instants, st.integers(-200, 200))
def test_weeks_add_up_and_survive_their_text(instant, weeks):
    week = Week.of(instant, AMSTERDAM)
    assert week.plus(weeks).weeks_since(week) == weeks
    assert Week.parse(str(week)) == week
    assert week.end(AMSTERDAM) == week.plus(1).start(AMSTERDAM)


@pytest.mark.parametrize(
    "text",
    ["", "2026-41", "2026-W4", "2026-W00", "2026-W54", "2025-W53", "0000-W01", " 2026-W41", "2026-W41\n"],
)
def test_what_is_no_week_is_refused(text):
    with pytest.raises(NotAWeekError):
        Week.parse(text)


def test_october_2026_has_745_hours():
    month = Month(2026, 10)
    assert month.end(AMSTERDAM) - month.start(AMSTERDAM) == 745 * HOUR


def test_half_past_ten_in_utc_on_the_last_of_july_is_august():
    assert Month.of(utc(2026, 7, 31, 22, 30), AMSTERDAM) == Month(2026, 8)
    assert Month.of(utc(2026, 7, 31, 21, 59, 59), AMSTERDAM) == Month(2026, 7)


@given(instants, st.sampled_from(ZONES))
def test_every_instant_lies_within_its_month(instant, zone):
    month = Month.of(instant, zone)
    assert month.start(zone) <= instant < month.end(zone)


@given(st.integers(1990, 2060), st.integers(1, 12), st.integers(-40, 40))
def test_months_add_up_and_survive_their_text(year, number, months):
    month = Month(year, number)
    assert month.plus(months).plus(-months) == month
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize("text", ["", "2026-1", "2026-00", "2026-13", "0000-01", "2026-W10", "2026-10\n"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(NotAMonthError):
        Month.parse(text)
