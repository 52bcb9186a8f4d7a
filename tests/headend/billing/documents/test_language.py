"""The wording of bills: as many words in every language, and none that nobody reads."""

import re
import tomllib
from importlib.resources import files

import pytest

from headend.billing.accounts import COUNTRIES
from headend.billing.documents import shown
from headend.billing.documents.language import LANGUAGES, UnknownCountryError, language_of
from shared import named

HERE = files("headend.billing.documents")


def wording(name):
    return tomllib.loads(HERE.joinpath("wording", f"{name}.toml").read_text("utf-8"))


def shape(table):
    """All keys, and the length of lists: everything but the words."""
    if isinstance(table, dict):
        return {key: shape(value) for key, value in table.items()}
    return len(table) if isinstance(table, list) else None


def words(table):
    if isinstance(table, dict):
        return [word for value in table.values() for word in words(value)]
    return [word for value in table for word in words(value)] if isinstance(table, list) else [table]


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_language_has_the_same_keys(name):
    assert shape(wording(name)) == shape(wording("en"))


def test_there_is_a_file_for_every_language_and_no_other():
    found = {entry.name for entry in HERE.joinpath("wording").iterdir()}
    assert found == {f"{name}.toml" for name in LANGUAGES}


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_word_can_be_printed(name):
    assert [word for word in words(wording(name)) if shown.printable(word) != word or not word] == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_country_that_is_billed_has_its_legal_wording(name):
    language = language_of(name)
    assert set(language.legal) == set(language.locale) == set(COUNTRIES)


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_category_of_promotions_has_a_name(name):
    categories = named.Promotion.__annotations__["category"].__args__
    assert set(language_of(name).promotion) == set(categories)


def test_every_word_of_the_page_is_used():
    code = HERE.joinpath("shown.py").read_text() + HERE.joinpath("bill.typ").read_text()
    used = set(re.findall(r"words\.(\w+)", code)) | set(re.findall(r"[\"'](\w+)[\"']", code))
    assert set(wording("en")["page"]) - used == set()


def test_a_country_without_wording_is_refused_by_name():
    with pytest.raises(UnknownCountryError, match="not for 'DE'"):
        language_of("nl").locale_of("DE")
