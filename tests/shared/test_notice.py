import dataclasses
import re

import pytest

from shared import register
from shared.genres import DETAILS, GENRES
from shared.notice import (
    LANGUAGES,
    LINE,
    cell_in_words,
    measure_in_words,
    notice_text,
    pinned_digests,
    told_digest,
    told_measures,
)
from shared.notice_version import notice_version
from shared.register import REGION, Grid, profile, profile_names, values_of
from shared.words import words_of

REGIONS = ("north", "none")
each_language = pytest.mark.parametrize("language", LANGUAGES)

# What each version of the notice told of the measures: a line may be added, none changed.
TOLD = {
    1: "8fdd819d8dd940d725c535f6cb00a2954d2a60d42d6352447f78ab11a30b9fdd",
    2: "03c102e8fe2c7fef2fe5b07f5b980ee0743f6b23e65901b9bdee580a607be932",
}


def one_line(text):
    return re.sub(r"\s+", " ", text)


def test_what_a_version_told_never_changes():
    assert pinned_digests() == TOLD


def test_the_notice_in_force_tells_of_the_measures_in_the_register():
    assert told_digest(told_measures()) == TOLD[notice_version()]


@pytest.mark.parametrize(
    "change",
    [
        {"quota": 2},
        {"volume_minutes": 600},
        {"grid": ("genre", "shift")},
        {"name": "genres"},
        {"number": 99},
        {"kind": register.Kind.UNTIMED},
    ],
    ids=str,
)
def test_a_measure_that_changes_needs_a_new_notice(change):
    measures = told_measures()
    changed = (dataclasses.replace(measures[0], **change), *measures[1:])
    assert told_digest(changed) != told_digest(measures)


def test_a_measure_more_or_less_needs_a_new_notice_and_so_does_a_value_of_its_grid(monkeypatch):
    measures, before = told_measures(), told_digest(told_measures())
    assert told_digest(measures[:-1]) != before
    monkeypatch.setattr(register, "DETAILS", (*DETAILS, "arts-religion"))
    assert told_digest(measures) != before


def test_noise_order_and_review_dates_need_no_new_notice():
    measures = told_measures()
    quieter = [
        dataclasses.replace(one, rho_micro=1, review=one.review.replace(year=2029)) for one in measures
    ]
    assert told_digest(quieter[::-1]) == told_digest(measures)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            (
                "ever handed to advertisers",
                "refuse, or withdraw at any moment",
                "will not be sent later",
                "through a relay that your operator does not run",
                "can see that a box takes part",
                "PIN of the box",
                "Once a year",
                "data protection authority",
                "at most 17 a week",
            ),
        ),
        (
            "nl",
            (
                "nooit iets naar adverteerders",
                "weigeren, of uw toestemming op elk moment intrekken",
                "ook later niet verstuurd",
                "niet door uw aanbieder wordt beheerd",
                "kan zien of een ontvanger meedoet",
                "pincode van de ontvanger",
                "Eén keer per jaar",
                "gegevensbeschermingsautoriteit",
                "hooguit 17 per week",
            ),
        ),
        (
            "fr",
            (
                "jamais remis à des annonceurs",
                "refuser, ou retirer votre accord à tout moment",
                "ne sera pas envoyé plus tard",
                "un relais que votre opérateur ne gère pas",
                "peut voir si un décodeur participe",
                "code du décodeur",
                "Une fois par an",
                "protection des données",
                "17 par semaine au plus",
            ),
        ),
    ],
)
def test_the_notice_promises_what_it_must(language, words):
    told = one_line(notice_text(language))
    assert [one for one in words if one not in told] == []


@each_language
def test_the_notice_tells_of_every_measure_of_every_profile_in_its_language(language):
    told = one_line(notice_text(language))
    for name in profile_names():
        for measure in profile(name).measures:
            assert f"- {measure.words(language)}" in told
    assert str(notice_version()) in told
    assert told_digest(told_measures())[:12] in told
    assert "{" not in told


@each_language
def test_no_line_of_the_notice_is_too_long_for_a_screen(language):
    assert max(len(line) for line in notice_text(language).splitlines()) <= LINE


def test_a_language_that_there_is_not_gets_english():
    assert notice_text("pt") == notice_text("en") == notice_text()


def test_all_languages_have_the_same_keys():
    def shape(language):
        words = words_of(language)
        maps = (words.names, words.measures, words.purposes, words.owners, words.values)
        parts = [(len(part.text), part.measures) for part in words.notice.parts]
        return [list(one) for one in maps], parts

    assert shape("nl") == shape("en") == shape("fr")


@each_language
def test_sentences_have_the_same_places_for_figures_in_every_language(language):
    def places(texts):
        return {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts.items()}

    here, english = words_of(language), words_of("en")
    for part in ("cells", "explain"):
        named = [
            {key: getattr(getattr(words, part), key) for key in getattr(words, part).__struct_fields__}
            for words in (here, english)
        ]
        assert places(named[0]) == places(named[1])
    assert places(here.measures) == places(english.measures)


@each_language
def test_every_value_of_every_closed_list_has_its_word_and_no_word_stands_for_nothing(language):
    told = words_of(language).values
    lists = [values_of(name, ()) for name in register.declaration()["dimensions"] if name != REGION]
    wanted = {value for values in lists for value in values}
    assert set(told) == wanted
    assert all(told.values())


@each_language
def test_two_values_of_one_list_have_two_words(language):
    told = words_of(language).values
    for name in register.declaration()["dimensions"]:
        words = [told[value] for value in values_of(name, ())]
        assert len(set(words)) == len(words), name


@each_language
@pytest.mark.parametrize("name", profile_names())
def test_every_cell_of_every_measure_has_words_of_its_own(language, name):
    for measure in profile(name).measures:
        grid = Grid(measure, REGIONS)
        told = [cell_in_words(measure, grid, cell, 1, language) for cell in range(grid.size + 1)]
        assert len(set(told)) == len(told)
        assert not any("{" in one for one in told)


def test_a_fact_is_told_as_a_person_would_say_it():
    def told(name, measure, value, language, *cell):
        taken = profile(name).measure(measure)
        grid = Grid(taken, REGIONS)
        return cell_in_words(taken, grid, grid.cell(*cell) if cell else 0, value, language)

    assert told("small", "genre", 1, "en", "sports") == "genre: sports (one minute)"
    assert told("regional", "genre-shift", 1, "en", "news", "same-day") == (
        "genre, live or later: news, later the same day (one minute)"
    )
    assert told("regional", "genre-region", 1, "nl", "arts", "north") == (
        "genre en regio: kunst en cultuur, north (één minuut)"
    )
    assert told("regional", "genre-region", 1, "nl", "arts", "none") == (
        "genre en regio: kunst en cultuur, geen regio (één minuut)"
    )
    assert (
        told("national", "genre-minutes", 16, "fr", "sports") == "temps par genre : sport, 16/16 de 30 heures"
    )
    assert told("national", "genre-detail", 1, "nl", "sports-football") == (
        "soort programma binnen een genre: voetbal (één minuut)"
    )
    assert told("small", "ordered-genre", 1, "fr", "film-comedy") == (
        "genre d'une commande : comédie (une commande)"
    )
    assert told("regional", "genre-reach", 1, "en", "show") == "genres reached: show (at least three minutes)"
    assert told("small", "genre", 0, "fr") == "genre : rien"


def test_a_cell_that_is_not_there_has_no_words():
    measure = profile("small").measure("genre")
    with pytest.raises(register.UndeclaredError):
        cell_in_words(measure, Grid(measure, ()), len(GENRES) + 1, 1, "en")


def test_a_measure_is_told_with_its_name():
    measure = profile("small").measure("genre")
    assert (
        measure_in_words(measure, "nl") == "genre: één minuut van de week, willekeurig getrokken: het genre"
    )


@pytest.mark.parametrize(
    ("language", "written"), [("en", "1,234.50"), ("nl", "1.234,50"), ("fr", "1\u202f234,50")]
)
def test_figures_are_written_as_the_language_writes_them(language, written):
    assert words_of(language).figure(1234.5, 2) == written
