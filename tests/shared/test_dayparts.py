import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.dayparts import DAYPARTS, daypart
from shared.weeks import day_start

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PLAIN = {"02-06": 4, "06-12": 6, "12-17": 5, "17-19": 2, "19-23": 4, "23-26": 3}


def hours_of(day: date) -> Counter:
    start, end = day_start(day, AMSTERDAM), day_start(day + timedelta(days=1), AMSTERDAM)
    half_hours = range(int((end - start) / timedelta(minutes=30)))
    parts = Counter(daypart(start + n * timedelta(minutes=30), AMSTERDAM) for n in half_hours)
    return Counter({part: n / 2 for part, n in parts.items()})


def test_the_dayparts_follow_each_other_from_two_to_twenty_six():
    ends = [part.split("-") for part in DAYPARTS]
    assert ends[0][0] == "02"
    assert ends[-1][1] == "26"
    assert all(before[1] == after[0] for before, after in itertools.pairwise(ends))


def test_a_plain_day_has_each_daypart_at_its_length():
    assert hours_of(date(2026, 10, 5)) == PLAIN


def test_the_day_of_25_hours_has_the_hour_more_in_its_night():
    assert hours_of(date(2026, 10, 25)) == PLAIN | {"02-06": 5}


def test_the_day_of_23_hours_has_the_hour_less_in_its_night():
    assert hours_of(date(2026, 3, 29)) == PLAIN | {"02-06": 3}


@pytest.mark.parametrize(
    ("hour", "part"), [(0, "02-06"), (4, "06-12"), (10, "12-17"), (15, "17-19"), (17, "19-23"), (21, "23-26")]
)
def test_each_daypart_starts_on_its_hour_of_the_wall_clock(hour, part):
    assert daypart(datetime(2026, 7, 1, hour, tzinfo=UTC), AMSTERDAM) == part
    before = daypart(datetime(2026, 7, 1, hour, tzinfo=UTC) - timedelta(microseconds=1), AMSTERDAM)
    assert before == DAYPARTS[DAYPARTS.index(part) - 1]
