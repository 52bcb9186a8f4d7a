import pytest

from shared.genres import (
    FILM_GENRES,
    GAME_GENRES,
    GENRES,
    ORDERED_GENRES,
    OTHER,
    SHIFT_CLASSES,
    film_genre_of_dvb,
    film_genre_of_words,
    genre_of_dvb,
    shift_class,
)


def test_the_lists_are_closed_and_name_nothing_twice():
    assert (len(GENRES), len(FILM_GENRES), len(GAME_GENRES), len(ORDERED_GENRES)) == (11, 8, 10, 18)
    for names in (GENRES, ORDERED_GENRES, SHIFT_CLASSES):
        assert len(set(names)) == len(names)


def test_every_dvb_code_has_a_viewing_genre():
    assert {genre_of_dvb(code) for code in range(256)} == set(GENRES)


def test_codes_that_describe_a_programme_or_tell_a_preference_are_other():
    assert {genre_of_dvb(code) for code in (0x00, 0xB1, 0xC0, 0xC1, 0xFF)} == {OTHER}


@pytest.mark.parametrize("sensitive", [0x18, 0x73, *range(0x80, 0x90)])
def test_a_sensitive_code_is_never_told_apart_from_its_neighbours(sensitive):
    assert genre_of_dvb(sensitive) == genre_of_dvb(sensitive & 0xF0)


def test_an_adult_film_has_no_ordered_genre():
    assert film_genre_of_dvb(0x18) is None


def test_every_other_film_has_an_ordered_genre():
    assert {film_genre_of_dvb(code) for code in range(256) if code != 0x18} == set(FILM_GENRES)
    assert film_genre_of_dvb(0x14) == "film-comedy"


def test_the_first_word_of_a_catalogue_counts_and_unknown_ones_are_general():
    assert film_genre_of_words(["Comedy", "Horror"]) == "film-comedy"
    assert film_genre_of_words(["Unheard of", "Horror"]) == "film-general"
    assert film_genre_of_words([]) == "film-general"


def test_no_word_leads_out_of_the_closed_list():
    words = ("Action", "Crime", "Documentary", "Fantasy", "Music", "Romance", "War", "Short", "Adult")
    assert {film_genre_of_words([word]) for word in words} <= set(FILM_GENRES)


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (0, "same-day"),
        (1, "within-7-days"),
        (7, "within-7-days"),
        (8, "within-28-days"),
        (28, "within-28-days"),
        (29, "later"),
        (400, "later"),
    ],
)
def test_a_shift_class_ends_with_its_last_day(days, name):
    assert shift_class(days) == name
    assert name in SHIFT_CLASSES
