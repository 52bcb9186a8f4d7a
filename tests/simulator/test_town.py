from collections import Counter

import pytest

from shared.named import AccountId
from simulator.town import (
    AREAS,
    DAY_MS,
    DAYS_A_MONTH,
    REGIONS,
    Household,
    NoSuchHouseholdError,
    Town,
    outages,
)

TOWN = Town(2006, 4_000)
HOMES = list(TOWN.part(0, 1))
BOXES = [box for home in HOMES for box in home.boxes]


def test_the_same_seed_gives_the_same_town_and_another_another() -> None:
    assert Town(2006, 10).household(3) == HOMES[3]
    assert Town(2007, 10).household(3) != HOMES[3]


def test_workers_parts_make_up_the_whole_town() -> None:
    parts: list[Household] = [home for worker in range(3) for home in Town(2006, 50).part(worker, 3)]
    assert sorted(parts, key=lambda home: home.number) == HOMES[:50]


@pytest.mark.parametrize("number", [-1, 10])
def test_a_household_outside_the_town_is_refused(number: int) -> None:
    with pytest.raises(NoSuchHouseholdError):
        Town(2006, 10).household(number)


def test_a_town_without_households_is_refused() -> None:
    with pytest.raises(NoSuchHouseholdError):
        Town(2006, 0)


def test_accounts_serials_and_keys_are_unique() -> None:
    assert len({home.account for home in HOMES}) == len(HOMES)
    assert HOMES[7].account == AccountId("A000007")
    assert len({box.serial for box in BOXES}) == len({box.key for box in BOXES}) == len(BOXES)


def test_every_postal_prefix_lies_in_one_region_and_homes_live_in_theirs() -> None:
    assert sorted(AREAS) == [str(prefix) for prefix in range(10, 100)]
    assert set(AREAS.values()) == set(REGIONS)
    # Amsterdam, The Hague, Rotterdam, Maastricht, Arnhem, Groningen
    assert [AREAS[prefix] for prefix in ("10", "25", "30", "62", "68", "97")] == [
        "north-west",
        "south-west",
        "south-west",
        "south",
        "east",
        "north",
    ]
    assert all(AREAS[home.postal_area[:2]] == home.region and len(home.postal_area) == 4 for home in HOMES)


def test_homes_have_one_to_four_boxes_and_1_7_on_average() -> None:
    assert {len(home.boxes) for home in HOMES} == {1, 2, 3, 4}
    assert len(BOXES) / len(HOMES) == pytest.approx(1.7, abs=0.05)


def test_consent_is_62_percent_and_uneven_over_regions() -> None:
    given = Counter[str]()
    asked = Counter[str]()
    for home in HOMES:
        asked[home.region] += len(home.boxes)
        given[home.region] += sum(box.consent for box in home.boxes)
    assert given.total() / asked.total() == pytest.approx(0.62, abs=0.025)
    assert given["north"] / asked["north"] - given["north-west"] / asked["north-west"] > 0.07


def test_boxes_of_one_home_mostly_consent_alike_but_not_always() -> None:
    pairs = Counter(home.boxes[0].consent == home.boxes[1].consent for home in HOMES if len(home.boxes) > 1)
    assert 0.9 < pairs[True] / pairs.total() < 0.99


def test_45_percent_of_homes_order_and_the_means_are_those_of_all_homes() -> None:
    assert sum(home.orders.free_films > 0 for home in HOMES) / len(HOMES) == pytest.approx(0.45, abs=0.025)
    for name, mean in (("free_films", 3.5), ("paid_films", 0.6), ("games", 0.1)):
        monthly = sum(getattr(home.orders, name) for home in HOMES) / len(HOMES) * DAYS_A_MONTH
        assert monthly == pytest.approx(mean, rel=0.08)


def test_some_accounts_are_belgian_and_speak_french_or_dutch_and_some_dutch_ones_english() -> None:
    languages = Counter((home.country, home.language) for home in HOMES)
    assert set(languages) == {("NL", "nl"), ("NL", "en"), ("BE", "fr"), ("BE", "nl")}
    belgian = languages["BE", "fr"] + languages["BE", "nl"]
    assert belgian / len(HOMES) == pytest.approx(0.1, abs=0.02)
    assert {home.zone for home in HOMES if home.country == "BE"} == {"Europe/Brussels"}
    assert {home.zone for home in HOMES if home.country == "NL"} == {"Europe/Amsterdam"}


def test_one_box_in_twenty_has_not_been_updated() -> None:
    assert sum(box.old for box in BOXES) / len(BOXES) == pytest.approx(0.05, abs=0.01)


def test_72_percent_of_boxes_are_used_on_a_day() -> None:
    assert sum(box.active for box in BOXES) / len(BOXES) == pytest.approx(0.72, abs=0.01)


def test_clocks_are_off_by_at_most_90_seconds_either_way() -> None:
    skews = [box.skew_ms for box in BOXES]
    assert -90_000 <= min(skews) < -85_000
    assert 85_000 < max(skews) <= 90_000


def test_three_percent_of_the_time_lies_more_than_a_day_before_an_outages_end() -> None:
    span, late = 400 * DAY_MS, 0
    for home in HOMES[:1_500]:
        for start, end in outages(home.boxes[0], 0, span):
            assert 2 * DAY_MS <= end - start <= 4 * DAY_MS
            assert start // (28 * DAY_MS) == (end - 1) // (28 * DAY_MS)  # so that no two can overlap
            late += end - start - DAY_MS
    assert late / span / 1_500 == pytest.approx(0.03, abs=0.003)


def test_boxes_of_a_home_lose_their_network_together_and_windows_agree() -> None:
    home = next(home for home in HOMES if len(home.boxes) > 1 and outages(home.boxes[0], 0, 300 * DAY_MS))
    whole = outages(home.boxes[0], 0, 300 * DAY_MS)
    assert outages(home.boxes[1], 0, 300 * DAY_MS) == whole
    start, end = whole[0]
    assert outages(home.boxes[0], start + 1, end - 1) == [(start, end)]
    assert (start, end) not in outages(home.boxes[0], end, end + DAY_MS)
