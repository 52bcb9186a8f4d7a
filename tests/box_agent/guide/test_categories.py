from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.guide.categories import MAX_UNMAPPED, REST, BadCategoriesError, Categories, _lines
from shared.genres import genre_of_dvb

LISTS = files("box_agent.guide").joinpath("category_lists")


@pytest.fixture(scope="module")
def shipped():
    return Categories()


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        # Kodi's own texts for DVB codes, in the languages of its screens
        (["News / Current affairs"], 0x20),
        (["Soap / Melodrama / Folkloric"], 0x15),
        (["Football"], 0x43),
        (["Fitness & health"], 0xA4),
        (["Popular culture / Traditional arts"], 0x74),
        (["Nieuws / Actualiteiten"], 0x20),
        (["Zeichentrick / Puppentheater"], 0x55),
        (["Infos / Météo"], 0x21),
        (["Other / Unknown"], 0x00),
        # what guides say
        (["Voetbal"], 0x43),
        (["VOETBAL "], 0x43),
        (["Fussball"], 0x43),
        (["meteo"], 0x21),
        (["Spielfilm", "Komödie"], 0x14),
        (["Sports", "Football"], 0x43),
        (["Movie / Drama"], 0x10),
        (["Film", "Thriller"], 0x11),
        (["Amusement/Quiz"], 0x31),
        (["Série policière - Suspense"], 0x11),
        (["Kinderen", "Comedy"], 0x50),
        (["Comedy", "Tekenfilm"], 0x55),
        (["Live", "Tennis"], 0x44),
        (["Black and white"], 0x00),
        (["Erotik"], 0xC0),
        (["Religie"], 0x73),
        (["nonsense", "Documentaire"], 0x23),
        ([], 0x00),
        (["", " ", "?"], 0x00),
    ],
)
def test_a_programme_gets_the_code_of_its_categories(shipped, texts, code):
    assert shipped.code(texts) == code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["Comedy", "Drama"], 0x14),
        (["Drama", "Comedy"], 0x14),
        (["Animation", "Comedy", "Family"], 0x14),
        (["Documentary", "Music"], 0x23),
        (["Sport"], 0x10),
        (["Science Fiction"], 0x13),
        ([], 0x10),
        (["nonsense"], 0x10),
    ],
)
def test_a_film_of_a_library_is_a_film_whatever_its_words(shipped, words, code):
    assert shipped.film_code(words) == code


@pytest.mark.parametrize("name", ["en", "nl", "fr", "de"])
def test_a_shipped_list_has_hundreds_of_texts_each_once(name):
    texts = list(_lines(LISTS.joinpath(f"{name}.tsv").read_text(encoding="utf-8"), name))
    assert len(texts) > 300
    assert len(texts) == len(dict(texts))
    assert {genre_of_dvb(code) for _, code in texts} >= {"news", "sports", "children", "film-drama", "other"}


def test_the_languages_do_not_contradict_each_other():
    told = {}
    for entry in LISTS.iterdir():
        for text, code in _lines(entry.read_text(encoding="utf-8"), entry.name):
            assert told.setdefault(text, code) == code, text


def test_a_list_of_ones_own_wins_and_adds(tmp_path):
    own = tmp_path / "own.tsv"
    own.write_text("# ours\nVoetbal\t45\n\nSjoelen\t40\n", encoding="utf-8")
    found = Categories(own)
    assert (found.code(["voetbal"]), found.code(["SJOELEN"]), found.code(["Tennis"])) == (0x45, 0x40, 0x44)


@pytest.mark.parametrize("text", ["Voetbal 45\n", "Voetbal\tzz\n", "\t45\n", "Voetbal\t145\n", b"\xff\t45"])
def test_a_list_of_another_form_is_refused(tmp_path, text):
    own = tmp_path / "own.tsv"
    own.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadCategoriesError):
        Categories(own)


def test_a_list_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadCategoriesError, match="cannot read"):
        Categories(tmp_path / "none.tsv")


def test_unmapped_texts_are_counted_and_their_number_is_bounded():
    found = Categories()
    for number in range(MAX_UNMAPPED + 50):
        found.code([f"gibberish{number}", "gibberish0"])
    assert found.unmapped["gibberish0"] == MAX_UNMAPPED + 51
    assert len(found.unmapped) == MAX_UNMAPPED + 1
    assert found.unmapped[REST] == 50


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_texts_give_a_byte(texts):
    assert 0 <= Categories().code(texts[:0]) <= 0xFF
    assert 0 <= _any.code(texts) <= 0xFF
    assert 0 < _any.film_code(texts) <= 0xFF


_any = Categories()
