import pytest

from shared.genres import (
    DETAILS,
    FILM_GENRES,
    GAME_GENRES,
    GENRES,
    ORDERED_GENRES,
    OTHER,
    SHIFT_CLASSES,
    detail_of_dvb,
    film_genre_of_dvb,
    film_genre_of_words,
    general_detail,
    genre_of_detail,
    genre_of_dvb,
    is_sensitive,
    shift_class,
)


def test_the_lists_are_closed_and_name_nothing_twice():
    assert (len(GENRES), len(FILM_GENRES), len(GAME_GENRES), len(ORDERED_GENRES)) == (11, 8, 10, 18)
    assert len(DETAILS) == 68
    for names in (GENRES, ORDERED_GENRES, SHIFT_CLASSES, DETAILS):
        assert len(set(names)) == len(names)


def test_every_dvb_code_has_a_viewing_genre():
    assert {genre_of_dvb(code) for code in range(256)} == set(GENRES)


def test_codes_that_describe_a_programme_or_tell_a_preference_are_other():
    assert {genre_of_dvb(code) for code in (0x00, 0xB1, 0xC0, 0xC1, 0xFF)} == {OTHER}


@pytest.mark.parametrize("sensitive", [0x18, 0x73, *range(0x80, 0x90)])
def test_a_sensitive_code_is_never_told_apart_from_its_neighbours(sensitive):
    assert genre_of_dvb(sensitive) == genre_of_dvb(sensitive & 0xF0)


# Written out, and not asked of the code: what may never be told apart (GDPR article 9).
SENSITIVE = (0x18, 0x73, 0x93, 0x95, 0xA4, *range(0x80, 0x90), *range(0xC0, 0xD0))


@pytest.mark.parametrize("code", SENSITIVE, ids=hex)
def test_a_sensitive_code_has_no_detail_of_its_own(code):
    assert is_sensitive(code)
    assert detail_of_dvb(code) == general_detail(genre_of_dvb(code))


def test_what_is_not_sensitive_is_not_taken_for_it():
    assert [code for code in range(256) if is_sensitive(code)] == sorted(SENSITIVE)


def test_every_dvb_code_has_a_detail_of_its_own_genre():
    assert {detail_of_dvb(code) for code in range(256)} == set(DETAILS)
    assert all(genre_of_detail(detail_of_dvb(code)) == genre_of_dvb(code) for code in range(256))


def test_each_genre_has_its_rest_and_society_adult_and_special_codes_have_nothing_else():
    assert {genre_of_detail(general_detail(genre)) for genre in GENRES} == set(GENRES)
    alone = [genre for genre in GENRES if [genre_of_detail(one) for one in DETAILS].count(genre) == 1]
    assert alone == ["social-political", OTHER]


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        (0x11, "film-thriller"),
        (0x21, "news-bulletin"),
        (0x43, "sports-football"),
        (0x4F, "sports-general"),
        (0x55, "children-cartoons"),
        (0x92, "education-technology"),
        (0xA5, "leisure-cooking"),
        (0xB3, "other-general"),
    ],
    ids=str,
)
def test_a_detail_is_that_of_the_standards_table(code, detail):
    assert detail_of_dvb(code) == detail


# The low nibbles of each high one that table 29 of EN 300 468 names and that may be told apart.
TOLD_APART = {
    0x1: "1234567",
    0x2: "1234",
    0x3: "123",
    0x4: "123456789AB",
    0x5: "12345",
    0x6: "123456",
    0x7: "12456789AB",
    0x9: "12467",
    0xA: "123567",
}


def test_exactly_the_codes_of_the_table_that_may_be_told_apart_have_a_detail_of_their_own():
    wanted = {high << 4 | int(low, 16) for high, lows in TOLD_APART.items() for low in lows}
    own = [code for code in range(256) if detail_of_dvb(code) != general_detail(genre_of_dvb(code))]
    assert set(own) == wanted
    assert len({detail_of_dvb(code) for code in own}) == len(own)


def test_details_stand_in_the_order_of_the_table():
    table = [detail_of_dvb(code) for code in range(256)]
    for genre in GENRES[:-1]:
        ordered = [one for one in dict.fromkeys(table) if genre_of_detail(one) == genre]
        assert ordered == [one for one in DETAILS if genre_of_detail(one) == genre]


def test_a_detail_that_is_not_listed_belongs_nowhere():
    with pytest.raises(KeyError):
        genre_of_detail("arts-religion")


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
