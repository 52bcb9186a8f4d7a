from collections import Counter

import msgspec
import pytest

from headend.billing.catalogue import check_offer, check_promotion
from shared.genres import FILM_GENRES, GAME_GENRES
from shared.named import Catalogue, Offer, encode
from simulator.offers import TooManyOffersError, make_offers, make_promotions, make_titles, open_shop
from tests.simulator.seeded import seeded

FILMS, GAMES = 2_000, 80


def test_the_same_random_numbers_give_the_same_offers() -> None:
    assert make_offers(seeded(3), 50, 10, 7) == make_offers(seeded(3), 50, 10, 7)
    assert make_offers(seeded(3), 50, 10, 7) != make_offers(seeded(4), 50, 10, 7)


def test_titles_carry_the_offers_and_their_running_times() -> None:
    titles = make_titles(seeded(3), 50, 10, 7)
    assert [title.offer for title in titles] == make_offers(seeded(3), 50, 10, 7)
    for title in titles:
        assert (40 <= title.runtime_min <= 260) == (title.offer.kind == "film")


def test_every_offer_is_one_that_a_catalogue_takes() -> None:
    offers = make_offers(seeded(3), FILMS, GAMES, 1_000)
    catalogue = Catalogue(version=1, issued_ms=1_000, offers=offers)
    assert msgspec.json.decode(encode(catalogue), type=Catalogue) == catalogue
    assert len({offer.offer for offer in offers}) == FILMS + GAMES
    assert {offer.valid_from_ms for offer in offers} == {1_000}


def test_every_offer_and_promotion_is_one_that_is_published() -> None:
    assert all(check_offer(offer) for offer in make_offers(seeded(3), FILMS, GAMES, 1_000))
    assert all(check_promotion(one) for one in make_promotions(1_000, 3_000))


def test_a_third_of_rented_films_has_a_preview_and_nothing_else() -> None:
    offers = make_offers(seeded(3), FILMS, GAMES, 0)
    rented = [offer for offer in offers if (offer.kind, offer.mode) == ("film", "rent")]
    previewed = [offer for offer in offers if offer.preview_minutes]
    assert {offer.preview_minutes for offer in previewed} == {5}
    assert all(offer in rented for offer in previewed)
    assert 0.28 < len(previewed) / len(rented) < 0.39


def test_promotions_are_of_different_categories_and_one_ends_half_way() -> None:
    promotions = make_promotions(1_000, 3_000)
    assert [one.category for one in promotions] == ["welcome", "campaign", "loyalty"]
    assert {one.valid_from_ms for one in promotions} == {1_000}
    assert sorted(one.valid_to_ms for one in promotions) == [2_000, 3_000, 3_000]


def _paid(offer: Offer) -> bool:
    return offer.price_cents > 0


def test_modes_prices_and_windows_belong_together() -> None:
    offers = make_offers(seeded(3), FILMS, GAMES, 0)
    for offer in offers:
        expected = {"rent": (199, 299, 399, 499), "buy": (999, 1299), "subscription": (0,)}[offer.mode]
        assert offer.price_cents in expected
        assert (offer.window_hours == 0) == (offer.mode == "buy")
    modes = Counter(offer.mode for offer in offers)
    assert modes["subscription"] > modes["rent"] > 4 * modes["buy"] > 0
    assert {offer.mode for offer in offers if offer.kind == "game"} == {"rent", "buy"}
    assert {offer.display for offer in offers} == {"title", "class", "amount"}


def test_genres_are_ordered_genres_or_none_for_adult_offers() -> None:
    offers = make_offers(seeded(3), FILMS, GAMES, 0)
    assert {offer.genre for offer in offers if offer.kind == "film"} == {*FILM_GENRES, None}
    assert {offer.genre for offer in offers if offer.kind == "game"} <= set(GAME_GENRES)
    adult = [offer for offer in offers if offer.genre is None]
    assert len(adult) == FILMS // 100
    assert all(offer.title.startswith("After midnight") and offer.display == "amount" for offer in adult)


def test_every_game_of_the_list_has_a_genre_and_a_name_of_its_own() -> None:
    games = make_offers(seeded(3), 0, 91, 0)
    assert {game.genre for game in games} == set(GAME_GENRES)
    assert len({game.title for game in games}) == 91


@pytest.mark.parametrize(("films", "games"), [(100_000, 0), (0, 1_000), (-1, 0), (0, -1)])
def test_more_than_there_is_cannot_be_offered(films: int, games: int) -> None:
    with pytest.raises(TooManyOffersError):
        make_offers(seeded(3), films, games, 0)


def test_shelves_sort_by_price_and_kind_and_favour_their_first_titles() -> None:
    shop = open_shop(make_titles(seeded(3), 200, 40, 0))
    random = seeded(1)
    assert all(_paid(shop.paid.choose(random).offer) for _ in range(100))
    assert not any(_paid(shop.free.choose(random).offer) for _ in range(100))
    assert all(shop.games.choose(random).offer.kind == "game" for _ in range(100))
    assert len(shop.paid) + len(shop.free) + len(shop.games) == 240
    most = Counter(shop.free.choose(random).offer.offer for _ in range(3_000)).most_common(1)[0][1]
    assert most > 3_000 / len(shop.free) * 5
