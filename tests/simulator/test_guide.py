from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from shared.clock import from_ms, to_ms
from shared.genres import GENRES, genre_of_dvb
from shared.weeks import day_start
from simulator.guide import CHANNELS, BadTasteError, Guide, Taste, broadcast_shares

ZONE = ZoneInfo("Europe/Amsterdam")
DAYS = [date(2026, 10, 5) + timedelta(days=number) for number in range(14)]


def test_every_process_sees_the_same_guide() -> None:
    one, other = Guide(7, ZONE), Guide(7, ZONE)
    other.listing(DAYS[3])  # in another order
    assert one.listing(DAYS[0]).rows == other.listing(DAYS[0]).rows
    assert one.listing(DAYS[0]).rows != Guide(8, ZONE).listing(DAYS[0]).rows


@pytest.mark.parametrize("day", [date(2026, 10, 5), date(2026, 10, 25), date(2027, 3, 28)])
def test_programmes_fill_the_viewing_day_without_gap_even_when_the_clocks_change(day: date) -> None:
    listing = Guide(7, ZONE).listing(day)
    start, end = day_start(day, ZONE), day_start(day + timedelta(days=1), ZONE)
    assert (listing.start_ms, listing.end_ms) == (to_ms(start), to_ms(end))
    for row in listing.rows:
        assert (row[0].start_ms, row[-1].end_ms) == (listing.start_ms, listing.end_ms)
        assert all(before.end_ms == after.start_ms for before, after in pairwise(row))
        assert all(GENRES[one.genre] == genre_of_dvb(one.dvb) for one in row)


def test_what_is_on_air_is_what_the_guide_says() -> None:
    guide = Guide(7, ZONE)
    instant = datetime(2026, 10, 5, 18, 32, 11, tzinfo=UTC)
    for channel in range(len(CHANNELS)):
        programme = guide.programme_at(channel, instant)
        assert programme.channel == channel
        assert from_ms(programme.start_ms) <= instant < from_ms(programme.end_ms)
        assert guide.programme_at(channel, from_ms(programme.end_ms - 1)) == programme
        assert guide.programme_at(channel, from_ms(programme.end_ms)) != programme


def test_programmes_of_a_day_have_references_of_their_own() -> None:
    listing = Guide(7, ZONE).listing(DAYS[0])
    refs = [one.ref for row in listing.rows for one in row]
    assert len(refs) == len(set(refs))


def test_information_is_what_is_broadcast_most_and_every_genre_is() -> None:
    shares = broadcast_shares(Guide(7, ZONE), DAYS)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["film-drama"] == pytest.approx(0.25, abs=0.04)
    assert shares["news"] + shares["social-political"] + shares["education-science"] > 0.33
    assert shares["sports"] == pytest.approx(0.07, abs=0.025)
    assert min(shares.values()) > 0.005


def test_a_taste_multiplies_what_it_names_and_nothing_else() -> None:
    usual, taste = Taste(), Taste.parse("sports=3.0, news=0.5")
    for old, new in ((usual.live(), taste.live()), (usual.shifted(), taste.shifted())):
        factors = {genre: new[place] / old[place] for place, genre in enumerate(GENRES)}
        assert factors.pop("sports") == pytest.approx(3)
        assert factors.pop("news") == pytest.approx(0.5)
        assert set(factors.values()) == {1.0}
    assert Taste.parse("").live() == usual.live()


@pytest.mark.parametrize(
    "text", ["sports", "sports=", "sports=x", "sports=0", "sports=-1", "chess=2", "news=nan"]
)
def test_a_taste_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadTasteError):
        Taste.parse(text)
